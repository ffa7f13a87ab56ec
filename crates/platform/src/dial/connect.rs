//! How a connection to an agent is made: resolve, filter, connect, shake hands; each step fails as what it is.

use std::{
    future::{Future, Ready, ready},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use molecule_core::{
    limits,
    netguard::{self, Check, Policy, Refusal},
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

type Tcp = TokioIo<TcpStream>;
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a name led nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The guard refused an address of it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It does not resolve.
    #[error("name does not resolve")]
    Unresolvable(#[source] io::Error),
}

/// The connection was there, the TLS handshake failed or took too long.
#[derive(Debug, thiserror::Error)]
#[error("TLS handshake failed")]
pub(crate) struct TlsError(#[source] BoxError);

/// Connects to agents, over TLS where the URL says so.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    http: HttpConnector<GuardedResolver>,
    tls: Arc<ClientConfig>,
    tls_timeout: Duration,
}

impl Connector {
    /// For addresses that were reported: each is judged.
    pub(super) fn guarded(policy: Policy) -> Self {
        Self::new(Some(policy), Self::tls(), limits::A2A_TLS_TIMEOUT)
    }

    /// For addresses that the backend assigned.
    pub(super) fn trusting(tls: Arc<ClientConfig>) -> Self {
        Self::new(None, tls, limits::A2A_TLS_TIMEOUT)
    }

    /// Whom to believe who an agent is; one for all connectors, because its list of roots is long.
    pub(super) fn tls() -> Arc<ClientConfig> {
        Arc::new(ClientConfig::builder().with_webpki_roots().with_no_client_auth())
    }

    /// `None` trusts every address.
    pub(super) fn new(policy: Option<Policy>, tls: Arc<ClientConfig>, tls_timeout: Duration) -> Self {
        let mut http = HttpConnector::new_with_resolver(GuardedResolver { policy });
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limits::A2A_CONNECT_TIMEOUT));
        Self { http, tls, tls_timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Tcp>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.http.call(uri.clone());
        let (tls, limit) = (self.tls.clone(), self.tls_timeout);
        Box::pin(async move {
            let connected = Connected(Some(connecting.await?));
            // The connection is there: all that can take time or fail from here on is the handshake.
            let handshake = HttpsConnector::from((connected, tls)).call(uri);
            match tokio::time::timeout(limit, handshake).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(TlsError(error).into()),
                Err(elapsed) => Err(TlsError(elapsed.into()).into()),
            }
        })
    }
}

/// Hands out a connection that is there already.
struct Connected(Option<Tcp>);

impl Service<Uri> for Connected {
    type Response = Tcp;
    type Error = io::Error;
    type Future = Ready<io::Result<Tcp>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(
            self.0
                .take()
                .ok_or_else(|| io::Error::other("the connection was handed out")),
        )
    }
}

/// Resolves names and hands on only addresses that pass. The connector connects to exactly those, so that a second
/// lookup cannot lead elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuardedResolver {
    /// `None` trusts every address.
    policy: Option<Policy>,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = self.policy;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(ResolveError::Unresolvable)?.collect();
            if let Some(policy) = policy {
                for address in &found {
                    netguard::judge(address.ip(), Check::Dispatch, policy)?;
                }
            }
            Ok(found.into_iter())
        })
    }
}
