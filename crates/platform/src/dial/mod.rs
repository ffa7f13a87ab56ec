//! The one connector for calls to agents: parse, resolve, filter, connect to the address that passed (D13, SEC-177).

mod connect;
mod live;

pub(crate) use connect::{ResolveError, TlsError};
pub use live::{Instance, LiveInstances, NotLive};

use std::sync::Arc;

use bytes::Bytes;
use http::{Uri, uri::InvalidUri};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::Connect},
    rt::{TokioExecutor, TokioTimer},
};
use molecule_core::netguard::{self, Policy, Refusal, Target};

use self::connect::Connector;
use crate::directory::Route;

/// Connections kept idle per agent.
const IDLE_PER_HOST: usize = 64;
/// How long an idle connection is kept. Shorter than servers usually keep theirs, so that a request is rarely sent
/// into a connection that is being closed.
const IDLE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// Judges a URL, resolving names: every address must be allowed (REG-43, SEC-178). The verdict at registration is the one
/// at the dial.
///
/// # Errors
/// Why not.
pub async fn check(url: &str, policy: Policy) -> Result<(), Refusal> {
    let (url, target) = netguard::parse(url, policy)?;
    match target {
        Target::Judged => Ok(()),
        Target::Name(name) => {
            let port = url.port_or_known_default().unwrap_or_default();
            let mut addresses = tokio::net::lookup_host((name.as_str(), port))
                .await
                .map_err(|_| Refusal::Unresolvable)?;
            let mut any = false;
            addresses.try_for_each(|address| {
                any = true;
                netguard::judge(address.ip(), port, policy)
            })?;
            if any { Ok(()) } else { Err(Refusal::Unresolvable) }
        }
    }
}

/// Where a request to an agent goes.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// To the instance that the backend started, at the address it was given; trusted.
    Assigned(Arc<Instance>),
    /// Where the agent says it is; judged at every dial.
    Reported(Arc<str>),
}

impl Endpoint {
    /// The address.
    ///
    /// # Errors
    /// It is none.
    pub fn uri(&self) -> Result<Uri, InvalidUri> {
        match self {
            Self::Assigned(instance) => Ok(instance.uri().clone()),
            Self::Reported(url) => url.parse(),
        }
    }
}

type Pool<C> = Client<C, Full<Bytes>>;

/// Clients for both kinds of endpoint. Every instance has a pool of its own, and so have the reported addresses
/// together: a connection made on trust is never reused for anybody else. No proxy environment, no redirects. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Dialer {
    instances: LiveInstances,
    reported: Pool<Connector>,
    policy: Policy,
}

impl Dialer {
    /// Pools under a policy.
    #[must_use]
    pub fn new(policy: Policy, instances: LiveInstances) -> Self {
        Self {
            instances,
            reported: pool(Connector::guarded(policy)),
            policy,
        }
    }

    /// Where a workspace is reached.
    ///
    /// # Errors
    /// Its address is assigned, and its instance is not known to live.
    pub fn endpoint(&self, route: &Route) -> Result<Endpoint, NotLive> {
        if route.url_assigned {
            let instance = self.instances.find(route.id, route.generation)?;
            Ok(Endpoint::Assigned(instance))
        } else {
            Ok(Endpoint::Reported(route.url.clone()))
        }
    }

    /// Sends a request to an agent. Literal addresses are judged here, names by the resolver at the dial.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<hyper::body::Incoming>, DialError> {
        let sent = match endpoint {
            Endpoint::Assigned(instance) => instance.pool.request(request),
            Endpoint::Reported(_) => {
                netguard::parse(&request.uri().to_string(), self.policy)?;
                self.reported.request(request)
            }
        };
        sent.await.map_err(DialError::Transport)
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

fn pool<C>(connector: C) -> Pool<C>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .build(connector)
}

#[cfg(test)]
mod tests {
    use std::{error::Error, time::Duration};

    use molecule_core::limits;
    use tokio::net::TcpListener;

    use super::*;

    /// A call to an address fails, and `E` is among the causes.
    async fn fails_by<E: Error + 'static>(url: &str, tls_timeout: Duration) -> bool {
        let request = http::Request::post(url).body(Full::default()).unwrap();
        let error = pool(Connector::new(None, Connector::tls(), tls_timeout))
            .request(request)
            .await
            .unwrap_err();
        let error = DialError::Transport(error);
        let mut cause = error.source();
        while let Some(found) = cause {
            if found.is::<E>() {
                return true;
            }
            cause = found.source();
        }
        false
    }

    #[tokio::test]
    async fn a_handshake_that_does_not_end_is_given_up() {
        // A2A-64, A2A-87
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}/", silent.local_addr().unwrap().port());
        assert!(fails_by::<TlsError>(&url, Duration::from_millis(50)).await);
    }

    #[tokio::test]
    async fn each_step_fails_as_what_it_is() {
        // A2A-62, A2A-87
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}/", plain.local_addr().unwrap().port());
        let answering = async {
            let (mut socket, _) = plain.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 No\r\n\r\n")
                .await
                .unwrap();
            socket
        };
        let (failed, _socket) = tokio::join!(fails_by::<TlsError>(&url, limits::A2A_TLS_TIMEOUT), answering);
        assert!(failed);
        // No resolver takes a label of that length.
        let url = format!("http://{}.invalid/", "x".repeat(64));
        assert!(fails_by::<ResolveError>(&url, limits::A2A_TLS_TIMEOUT).await);
    }
}
