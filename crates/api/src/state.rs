//! What every handler and the guard share.

use std::{
    future::Future,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use molecule_core::{OrgTokenId, limits};
use molecule_platform::{
    AuthMode, Platform,
    credentials::{OneTimeCodes, Principal},
};
use secrecy::SecretString;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::ApiConfig,
    error::ApiError,
    events::Seats,
    guard::{HttpMetrics, Origins, Windows},
    limits::BodyMemory,
};

/// What a ticket stands for: the bearer it was bought with, so that what it opened ends with that credential.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// `None` in open mode, where no bearer is needed.
    pub bearer: Option<SecretString>,
}

/// Shared by all requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiState {
    inner: Arc<Inner>,
}

struct Inner {
    platform: Platform,
    config: ApiConfig,
    origins: Origins,
    addresses: Windows<IpAddr>,
    pages: Windows<IpAddr>,
    credentials: Windows<u128>,
    mints: Windows<IpAddr>,
    logins: OneTimeCodes<()>,
    tickets: OneTimeCodes<Grant>,
    seats: Arc<Seats>,
    bodies: BodyMemory,
    metrics: Arc<HttpMetrics>,
    openapi: Bytes,
    closing: CancellationToken,
    sockets: TaskTracker,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl ApiState {
    pub(crate) fn new(platform: Platform, config: ApiConfig) -> Self {
        let mode = platform.config.auth;
        let external = platform.config.external_platform_url.as_deref();
        let hour = Duration::from_secs(3_600);
        let inner = Inner {
            origins: Origins::new(mode, config.cors_origins.as_deref(), external),
            addresses: Windows::new(config.rates.address, limits::RATE_WINDOW),
            pages: Windows::new(config.rates.pages, limits::RATE_WINDOW),
            credentials: Windows::new(config.rates.credential, limits::RATE_WINDOW),
            mints: Windows::new(config.rates.org_token_mints, hour),
            logins: OneTimeCodes::new(limits::LOGIN_CODE_TTL),
            tickets: OneTimeCodes::new(limits::TICKET_TTL),
            seats: Seats::new(config.rates.sockets),
            bodies: BodyMemory::default(),
            metrics: Arc::default(),
            openapi: crate::openapi::document_json().into(),
            closing: CancellationToken::new(),
            sockets: TaskTracker::new(),
            platform,
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.inner.platform
    }

    pub(crate) fn config(&self) -> &ApiConfig {
        &self.inner.config
    }

    pub(crate) fn mode(&self) -> AuthMode {
        self.inner.platform.config.auth
    }

    pub(crate) fn origins(&self) -> &Origins {
        &self.inner.origins
    }

    /// Anonymous requests and failed authentications by address.
    pub(crate) fn addresses(&self) -> &Windows<IpAddr> {
        &self.inner.addresses
    }

    /// Requests for what the binary holds, by address.
    pub(crate) fn pages(&self) -> &Windows<IpAddr> {
        &self.inner.pages
    }

    /// Requests by valid credential.
    pub(crate) fn credentials(&self) -> &Windows<u128> {
        &self.inner.credentials
    }

    /// Org tokens minted by address (SEC-206).
    pub(crate) fn mints(&self) -> &Windows<IpAddr> {
        &self.inner.mints
    }

    pub(crate) fn logins(&self) -> &OneTimeCodes<()> {
        &self.inner.logins
    }

    pub(crate) fn tickets(&self) -> &OneTimeCodes<Grant> {
        &self.inner.tickets
    }

    /// Open sockets by whose they are.
    pub(crate) fn seats(&self) -> &Arc<Seats> {
        &self.inner.seats
    }

    /// Memory for request bodies.
    pub(crate) fn bodies(&self) -> &BodyMemory {
        &self.inner.bodies
    }

    pub(crate) fn metrics(&self) -> &Arc<HttpMetrics> {
        &self.inner.metrics
    }

    /// The description of the API, as JSON.
    pub(crate) fn openapi(&self) -> Bytes {
        self.inner.openapi.clone()
    }

    /// Cancelled when the server stops accepting: sockets close.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.inner.closing
    }

    /// Open sockets, which outlive their HTTP connection's request.
    pub(crate) fn sockets(&self) -> &TaskTracker {
        &self.inner.sockets
    }

    /// Runs a change to its end even if the client hangs up (architecture §4). What is done at once runs in place;
    /// what has to wait moves into a tracked task, and a shutdown waits for it.
    pub(crate) async fn run<F>(&self, name: &'static str, change: F) -> Result<F::Output, ApiError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut change = Box::pin(change);
        // The task polls again with a waker of its own.
        if let Poll::Ready(output) = change.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(output);
        }
        match self.inner.platform.supervisor.spawn(name, change).await {
            Ok(Some(output)) => Ok(output),
            // The supervisor has logged the panic. A task is never aborted while the server runs.
            Ok(None) | Err(_) => Err(ApiError::internal()),
        }
    }

    /// This server as the client sees it (LIFE-79): configured, else as the request says.
    pub(crate) fn base_url(&self, headers: &HeaderMap) -> String {
        let configured = self.inner.platform.config.external_platform_url.as_deref();
        let url = configured.map_or_else(|| requested_base(headers), str::to_owned);
        url.trim_end_matches('/').to_owned()
    }
}

/// Scheme and host the request was made with. No TLS ends here, so a secure client came through a proxy.
fn requested_base(headers: &HeaderMap) -> String {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .filter(|text| !text.is_empty())
    };
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    let host = text("x-forwarded-host").or_else(|| text("host")).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// The key a credential is counted under.
pub(crate) fn credential_key(principal: &Principal) -> u128 {
    match principal {
        Principal::Admin => 0,
        Principal::Session(id) => id.uuid().as_u128(),
        Principal::Org(org) => org_key(org.token),
        Principal::Workspace { token, .. } => token.uuid().as_u128(),
    }
}

fn org_key(id: OrgTokenId) -> u128 {
    id.uuid().as_u128()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tokio::sync::oneshot;

    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_change_ends_though_its_client_leaves() {
        // Architecture §4
        let (state, _database) = testing::state().await;
        assert_eq!(state.run("at once", async { 1 }).await.unwrap(), 1);
        let (go, gone) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut change = Box::pin(state.run("slow", async move {
            gone.await.unwrap();
            done.send(()).unwrap();
        }));
        // Begun, not ended, and left.
        assert!(futures_util::poll!(&mut change).is_pending());
        drop(change);
        go.send(()).unwrap();
        ended.await.unwrap();
    }

    #[tokio::test]
    async fn a_change_that_panics_is_an_answer() {
        let (state, _database) = testing::state().await;
        let outcome = state.run("panics", async {
            tokio::task::yield_now().await;
            panic!("boom");
        });
        assert!(outcome.await.is_err());
    }

    #[test]
    fn the_base_follows_proxies() {
        // LIFE-79
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("m:8080"));
        assert_eq!(requested_base(&headers), "http://m:8080");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        headers.insert("x-forwarded-host", HeaderValue::from_static("molecule.example"));
        assert_eq!(requested_base(&headers), "https://molecule.example");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("javascript"));
        assert_eq!(requested_base(&headers), "http://molecule.example");
    }
}
