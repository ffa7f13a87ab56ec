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
    netguard::{self, Policy, Refusal},
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
pub(crate) struct TlsError(#[source] pub(crate) BoxError);

/// Connects to agents, over TLS where the URL says so.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    http: HttpConnector<GuardedResolver>,
    /// For URLs with the port on which the server itself listens.
    to_own_port: Option<(u16, HttpConnector<GuardedResolver>)>,
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
        let http = |port| {
            let mut http = HttpConnector::new_with_resolver(GuardedResolver { policy, port });
            http.enforce_http(false);
            http.set_nodelay(true);
            http.set_connect_timeout(Some(limits::A2A_CONNECT_TIMEOUT));
            http
        };
        let own_port = policy.and_then(|policy| policy.own_port);
        Self {
            http: http(0),
            to_own_port: own_port.map(|port| (port, http(port))),
            tls,
            tls_timeout,
        }
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
        let connecting = match &mut self.to_own_port {
            Some((port, http)) if *port == port_of(&uri) => http.call(uri.clone()),
            _ => self.http.call(uri.clone()),
        };
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

/// The port that a URL leads to.
fn port_of(uri: &Uri) -> u16 {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    uri.port_u16().unwrap_or(default)
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
    /// Of the URLs whose names it resolves, if it is the server's own; else 0.
    port: u16,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { policy, port } = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(ResolveError::Unresolvable)?.collect();
            if let Some(policy) = policy {
                for address in &found {
                    netguard::judge(address.ip(), port, policy)?;
                }
            }
            Ok(found.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_the_server_itself_is_refused_at_the_dial() {
        // D13
        let policy = Policy {
            dev: true,
            own_port: Some(8080),
            ..Policy::default()
        };
        let mut connector = Connector::guarded(policy);
        let error = connector
            .call(Uri::from_static("http://localhost:8080/"))
            .await
            .unwrap_err();
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
        let mut refused = false;
        while let Some(cause) = source {
            refused |= matches!(cause.downcast_ref(), Some(ResolveError::Refused(Refusal::Own)));
            source = cause.source();
        }
        assert!(refused, "{error:?}");
        let mut elsewhere = GuardedResolver {
            policy: Some(policy),
            port: 0,
        };
        assert!(elsewhere.call(Name::from_str("localhost").unwrap()).await.is_ok());
    }

    #[tokio::test]
    async fn whatever_a_name_came_to_mean_is_judged_at_the_dial() {
        // SEC-177, SEC-178: it may have meant something else when it was registered, and what the system's resolver makes of
        // a number is an address, too.
        let mut resolver = GuardedResolver {
            policy: Some(Policy::default()),
            port: 80,
        };
        for name in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "169.254.169.254",
            "2852039166",
            "10.0.0.1",
            "192.168.0.1",
            "0",
        ] {
            let found = resolver.call(Name::from_str(name).unwrap()).await;
            assert!(matches!(found, Err(ResolveError::Refused(_))), "{name}: {found:?}");
        }
        // What passes is what is connected to: there is no second look-up that could lead elsewhere.
        let passed: Vec<_> = resolver
            .call(Name::from_str("93.184.216.34").unwrap())
            .await
            .unwrap()
            .collect();
        assert_eq!(passed, ["93.184.216.34:0".parse().unwrap()]);
    }
}
