use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Request, Response, Uri, header, uri::PathAndQuery};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use molecule_core::limits;
use url::Url;

/// A server behind this one.
#[derive(Clone)]
pub(crate) struct Upstream {
    /// `http://host:port`, and a path that precedes every other.
    base: String,
    host: HeaderValue,
    client: Client<HttpsConnector<HttpConnector>, Body>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Why an upstream gave no answer. For the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("the address is none: {0}")]
    Address(#[from] http::Error),
    #[error("not reached: {0}")]
    Transport(#[from] hyper_util::client::legacy::Error),
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

impl Upstream {
    /// At an address that the configuration has judged: http or https, with a host.
    pub(crate) fn new(url: &Url) -> Self {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(limits::UPSTREAM_CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let base = url.as_str().split(['?', '#']).next().unwrap_or_default();
        let authority = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        Self {
            base: base.trim_end_matches('/').to_owned(),
            // What a URL's authority is made of fits a header.
            host: HeaderValue::from_str(&authority).unwrap_or(HeaderValue::from_static("")),
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// Sends a request to the path that it names, there. Redirects are answers like all others.
    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(http::Error::from)?;
        *request.uri_mut() = uri;
        request.headers_mut().insert(header::HOST, self.host.clone());
        match tokio::time::timeout(patience, self.client.request(request)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(UpstreamError::Silent(patience)),
        }
    }
}
