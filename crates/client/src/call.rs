//! The client itself, and the one way in which requests leave it.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use molecule_core::{WorkspaceId, limits};
use molecule_wire::a2a::UPSTREAM_STATUS_HEADER;
use reqwest::{
    Method, RequestBuilder, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::error::{ClientError, StatusError, root_cause};

/// Media type of server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Names the calling workspace (A2A-3).
pub(crate) const WORKSPACE_HEADER: HeaderName = HeaderName::from_static("x-workspace-id");
/// Time to connect.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for an ordinary call, its body included.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an error answer that are kept.
const ERROR_BYTES: usize = 64 << 10;

/// Client of one server with one identity. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    pub(crate) base: Url,
    /// Marked sensitive, so that `Debug` of a header map hides it.
    bearer: Option<HeaderValue>,
    origin: HeaderValue,
    workspace: Option<WorkspaceId>,
    timeout: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("workspace", &self.workspace)
            .field("has_bearer", &self.bearer.is_some())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Client of the server at `base_url` (`http` or `https`, a path prefix allowed), presenting `bearer` if given.
    ///
    /// # Errors
    /// An address or credential that can never work. Nothing is sent yet.
    pub fn new(base_url: &str, bearer: Option<SecretString>) -> Result<Self, ClientError> {
        let base = parse_base(base_url)?;
        let bearer = bearer.map(|token| bearer_header(&token)).transpose()?;
        let origin = HeaderValue::from_str(&base.origin().ascii_serialization())
            .map_err(|error| ClientError::InvalidUrl(error.to_string()))?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Lost races are fine: somebody else's provider serves as well.
            rustls::crypto::ring::default_provider().install_default().ok();
        }
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("molecule/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // The API never redirects; following would carry requests to places that nobody named.
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // Without TLS the system's certificates are not needed, and slim images have none to load.
            http = http.tls_certs_only([]);
        }
        if is_loopback(&base) {
            // A proxy of the environment cannot reach this machine's loopback.
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| ClientError::InvalidUrl(root_cause(&error)))?;
        Ok(Self {
            http,
            base,
            bearer,
            origin,
            workspace: None,
            timeout: CALL_TIMEOUT,
        })
    }

    /// The same client, speaking as this workspace (`X-Workspace-ID`).
    #[must_use]
    pub fn with_workspace(mut self, id: WorkspaceId) -> Self {
        self.workspace = Some(id);
        self
    }

    /// The same client with another bearer, for tokens that rotate.
    ///
    /// # Errors
    /// A credential that no header can carry.
    pub fn with_bearer(mut self, bearer: &SecretString) -> Result<Self, ClientError> {
        self.bearer = Some(bearer_header(bearer)?);
        Ok(self)
    }

    /// The same client with another limit for ordinary calls (30 s otherwise), body included. Calls that take longer by
    /// nature, such as messages, imports and deletes, keep their own.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Address of the server.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Is a credential presented?
    #[must_use]
    pub fn has_bearer(&self) -> bool {
        self.bearer.is_some()
    }

    pub(crate) fn workspace(&self) -> Option<WorkspaceId> {
        self.workspace
    }

    pub(crate) fn call(&self, method: Method, segments: &[&str]) -> Call<'_> {
        let url = self.url(segments);
        let name = format!("{method} {}", url.path());
        Call {
            client: self,
            name,
            method,
            url,
            body: None,
            accept: None,
            timeout: Some(self.timeout),
            private: false,
            headers: HeaderMap::new(),
        }
    }

    pub(crate) fn get(&self, segments: &[&str]) -> Call<'_> {
        self.call(Method::GET, segments)
    }

    pub(crate) fn post(&self, segments: &[&str]) -> Call<'_> {
        self.call(Method::POST, segments)
    }

    /// Address of a route; every segment is percent-encoded.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only URLs that cannot be a base fail here, and `parse_base` takes none of those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Headers that identify the caller: `Origin` (A2A-193), bearer and workspace.
    pub(crate) fn identity(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, self.origin.clone());
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        if let Some(id) = self.workspace
            && let Ok(id) = HeaderValue::from_str(&id.to_string())
        {
            headers.insert(WORKSPACE_HEADER, id);
        }
        headers
    }

    pub(crate) fn failure(&self, error: &reqwest::Error, timeout: Option<Duration>) -> ClientError {
        let url = self.base_url().to_owned();
        if error.is_connect() {
            ClientError::Connect {
                url,
                reason: root_cause(error),
            }
        } else if error.is_timeout() {
            ClientError::Timeout { url, after: timeout }
        } else if error.is_builder() {
            ClientError::InvalidRequest(root_cause(error))
        } else {
            ClientError::Interrupted {
                url,
                reason: root_cause(error),
            }
        }
    }
}

/// One request under construction.
pub(crate) struct Call<'a> {
    client: &'a Client,
    /// Method and path, for errors; never the query, which may hold a ticket.
    name: String,
    method: Method,
    url: Url,
    body: Option<Vec<u8>>,
    accept: Option<&'static str>,
    timeout: Option<Duration>,
    private: bool,
    headers: HeaderMap,
}

impl Call<'_> {
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    pub(crate) fn query_opt(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, &value.to_string()),
            None => self,
        }
    }

    pub(crate) fn body(self, body: &impl Serialize) -> Result<Self, ClientError> {
        // The error's text is left out: it could quote a secret.
        let bytes = serde_json::to_vec(body)
            .map_err(|_| ClientError::InvalidRequest(format!("the body of {} is not JSON", self.name)))?;
        Ok(self.raw_body(bytes))
    }

    pub(crate) fn raw_body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, ClientError> {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| ClientError::InvalidRequest(format!("header {name} cannot carry this value")))?;
        // Some of them are credentials; none has to be shown.
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn accept(mut self, media_types: &'static str) -> Self {
        self.accept = Some(media_types);
        self
    }

    /// Time for the whole call; `None` waits for ever.
    pub(crate) fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// The answer holds a credential: errors must not quote it.
    pub(crate) fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Sends, and returns the answer whatever its status.
    pub(crate) async fn send(self) -> Result<Answer, ClientError> {
        let mut headers = self.client.identity();
        headers.insert(
            ACCEPT,
            HeaderValue::from_static(self.accept.unwrap_or("application/json")),
        );
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(self.headers);
        let mut request: RequestBuilder = self.client.http.request(self.method, self.url).headers(headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        let response = request
            .send()
            .await
            .map_err(|error| self.client.failure(&error, self.timeout))?;
        Ok(Answer {
            client: self.client.clone(),
            name: self.name,
            timeout: self.timeout,
            private: self.private,
            response,
        })
    }

    /// Sends, and reads a JSON answer of any success status.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        self.send().await?.success().await?.json().await
    }
}

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    client: Client,
    name: String,
    timeout: Option<Duration>,
    private: bool,
    response: Response,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn is_event_stream(&self) -> bool {
        let value = self
            .response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        value.is_some_and(|value| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case(EVENT_STREAM)
        })
    }

    /// `Retry-After` in seconds; the date form is not used by this API.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.response
            .headers()
            .get(RETRY_AFTER)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// The status an agent gave, if this is an agent's answer.
    pub(crate) fn upstream_status(&self) -> Option<u16> {
        self.response
            .headers()
            .get(UPSTREAM_STATUS_HEADER)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// Turns an error status into [`ClientError::Status`].
    pub(crate) async fn success(self) -> Result<Self, ClientError> {
        if self.response.status().is_success() {
            return Ok(self);
        }
        Err(self.into_error().await)
    }

    pub(crate) async fn into_error(mut self) -> ClientError {
        let (status, retry_after, upstream_status) = (self.status(), self.retry_after(), self.upstream_status());
        // A broken error body still has its status, which matters more than the text.
        let mut body = BytesMut::new();
        while let Ok(Some(chunk)) = self.response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(ERROR_BYTES - body.len())]);
            if body.len() == ERROR_BYTES {
                break;
            }
        }
        StatusError {
            upstream_status,
            ..StatusError::new(status, retry_after, &body)
        }
        .into()
    }

    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let (name, private) = (self.name.clone(), self.private);
        let body = self.bytes(limits::JSON_BODY_BYTES).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Decode {
            request: name,
            reason: if private {
                "unexpected shape".to_owned()
            } else {
                error.to_string()
            },
        })
    }

    pub(crate) async fn text(self) -> Result<String, ClientError> {
        let body = self.bytes(limits::JSON_BODY_BYTES).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    pub(crate) async fn bytes(mut self, limit: usize) -> Result<Bytes, ClientError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(ClientError::TooLarge {
                    request: self.name,
                    limit,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        self.response
            .chunk()
            .await
            .map_err(|error| self.client.failure(&error, self.timeout))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

fn bearer_header(token: &SecretString) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret().trim()))
        .map_err(|_| ClientError::InvalidCredential)?;
    value.set_sensitive(true);
    Ok(value)
}

fn parse_base(text: &str) -> Result<Url, ClientError> {
    let text = text.trim();
    let mut url = Url::parse(text).map_err(|error| ClientError::InvalidUrl(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ClientError::InvalidUrl(format!(
            "scheme {:?} is neither http nor https",
            url.scheme()
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // It would show up in every error message and process list.
        return Err(ClientError::InvalidUrl("it carries a user name or password".into()));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_addresses_that_cannot_work() {
        for bad in ["", "127.0.0.1:8080", "ftp://x", "http://user:hunter2@x", "http://"] {
            let error = Client::new(bad, None).unwrap_err();
            assert!(matches!(error, ClientError::InvalidUrl(_)), "{bad}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn paths_are_encoded_below_the_prefix() {
        let client = Client::new("https://edge.example/tenant/", None).unwrap();
        assert_eq!(
            client.url(&["workspaces", "a/b c"]).as_str(),
            "https://edge.example/tenant/workspaces/a%2Fb%20c"
        );
        assert_eq!(client.base_url(), "https://edge.example/tenant");
    }

    #[test]
    fn credentials_stay_out_of_debug() {
        // SEC-145
        let client = Client::new("http://127.0.0.1:1", Some("s3cret-token".into())).unwrap();
        assert!(!format!("{client:?}").contains("s3cret"));
        assert!(!format!("{:?}", client.identity()).contains("s3cret"));
        let bad = Client::new("http://127.0.0.1:1", Some("line\nbreak".into())).unwrap_err();
        assert!(matches!(bad, ClientError::InvalidCredential));
    }
}
