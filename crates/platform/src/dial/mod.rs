//! The one connector for calls to agents: parse, resolve, filter, connect to the address that passed (D13, SEC-177).

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector, connect::dns::Name},
    rt::{TokioExecutor, TokioTimer},
};
use molecule_core::{
    limits,
    netguard::{self, Check, Policy, Refusal, Target},
};
use tower_service::Service;

/// Connections kept idle per agent.
const IDLE_PER_HOST: usize = 64;
/// How long an idle connection is kept. Shorter than servers usually keep theirs, so that a request is rarely sent
/// into a connection that is being closed.
const IDLE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// Judges a URL, resolving names: every address must be allowed (REG-43, SEC-178).
///
/// # Errors
/// Why not.
pub async fn check(url: &str, check: Check, policy: Policy) -> Result<(), Refusal> {
    let (url, target) = netguard::parse(url, check, policy)?;
    match target {
        Target::Address(_) | Target::Localhost => Ok(()),
        Target::Name(name) => {
            let port = url.port_or_known_default().unwrap_or(80);
            let mut addresses = tokio::net::lookup_host((name.as_str(), port))
                .await
                .map_err(|_| Refusal::Unresolvable)?;
            let mut any = false;
            addresses.try_for_each(|address| {
                any = true;
                netguard::judge(address.ip(), check, policy)
            })?;
            if any { Ok(()) } else { Err(Refusal::Unresolvable) }
        }
    }
}

/// Who gave the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The backend that started the agent; trusted.
    Assigned,
    /// The agent itself; judged at every dial.
    Reported,
}

type Pool = Client<HttpsConnector<HttpConnector<GuardedResolver>>, Full<Bytes>>;

/// Clients for both kinds of endpoint, with pools of their own: a connection made on trust is never reused for an
/// address that has to be judged. No proxy environment, no redirects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dialer {
    assigned: Pool,
    reported: Pool,
    policy: Policy,
}

impl Dialer {
    /// Pools under a policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            assigned: pool(GuardedResolver { policy: None }),
            reported: pool(GuardedResolver { policy: Some(policy) }),
            policy,
        }
    }

    /// Sends a request to an agent. Literal addresses are judged here, names by the resolver at the dial.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn send(
        &self,
        endpoint: Endpoint,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<hyper::body::Incoming>, DialError> {
        let pool = match endpoint {
            Endpoint::Assigned => &self.assigned,
            Endpoint::Reported => {
                netguard::parse(&request.uri().to_string(), Check::Dispatch, self.policy)?;
                &self.reported
            }
        };
        pool.request(request).await.map_err(DialError::Transport)
    }
}

/// Why a call did not get an answer.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The guard.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection.
    #[error("{0}")]
    Transport(#[source] hyper_util::client::legacy::Error),
}

fn pool(resolver: GuardedResolver) -> Pool {
    let mut http = HttpConnector::new_with_resolver(resolver);
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(limits::A2A_CONNECT_TIMEOUT));
    let https = HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .build(https)
}

/// Resolves names and hands on only addresses that pass. The connector connects to exactly those, so that a second
/// lookup cannot lead elsewhere.
#[derive(Debug, Clone, Copy)]
struct GuardedResolver {
    /// `None` trusts every address.
    policy: Option<Policy>,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = self.policy;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(policy) = policy {
                for address in &found {
                    netguard::judge(address.ip(), Check::Dispatch, policy)
                        .map_err(|refusal| io::Error::new(io::ErrorKind::PermissionDenied, refusal))?;
                }
            }
            Ok(found.into_iter())
        })
    }
}
