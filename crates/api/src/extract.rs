//! Extractors whose rejections have the envelope and the route's own text.

use std::net::IpAddr;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt, Collected};
use molecule_core::WorkspaceId;
use molecule_platform::{credentials::Identity, workspaces::StateAnswer};
use molecule_wire::{activity, agents, audit, auth, canvas, ops, orgs, registry, secrets, templates, workspaces};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::{
    error::ApiError,
    limits::Asked,
    request::{Caller, Departed, Secure, Subject, peer_of},
    state::ApiState,
};

/// A request body, with what its route answers to one that cannot be read.
pub(crate) trait Payload: DeserializeOwned {
    /// Text of the 400.
    const INVALID: &'static str = "invalid request body";
}

impl Payload for workspaces::CreateWorkspace {
    const INVALID: &'static str = "invalid workspace payload";
}
impl Payload for activity::Notify {
    const INVALID: &'static str = "message is required";
}
impl Payload for workspaces::UpdateWorkspace {}
impl Payload for workspaces::SetBudget {}
impl Payload for workspaces::RestartWorkspace {}
impl Payload for workspaces::BootstrapFailed {}
impl Payload for agents::AssignAgent {}
impl Payload for agents::MoveAgent {}
impl Payload for registry::Register {}
impl Payload for registry::Heartbeat {}
impl Payload for registry::UpdateCard {}
impl Payload for registry::CheckAccess {}
impl Payload for secrets::SetSecret {}
impl Payload for secrets::SetModel {}
impl Payload for secrets::SetProvider {}
impl Payload for activity::ReportActivity {}
impl Payload for orgs::ImportOrg {}
impl Payload for templates::ImportTemplate {}
impl Payload for auth::Login {}
impl Payload for audit::ReplaceAllowlist {}
impl Payload for auth::BuyTicket {}
impl Payload for auth::MintOrgToken {}
impl Payload for ops::LogFilter {}
impl Payload for canvas::Viewport {
    const INVALID: &'static str = "invalid viewport data";
}

/// A JSON object. `Content-Type` is not looked at.
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

impl<T: Payload> FromRequest<ApiState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, ApiError> {
        let body = at_hand(request).await?;
        object(&body).map(Self)
    }
}

/// A JSON body that may be absent or malformed, which means its default.
#[derive(Debug)]
pub(crate) struct Lenient<T>(pub T);

impl<T: Payload + Default> FromRequest<ApiState> for Lenient<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, ApiError> {
        let body = at_hand(request).await?;
        Ok(Self(serde_object(&body).unwrap_or_default()))
    }
}

fn object<T: Payload>(body: &[u8]) -> Result<T, ApiError> {
    serde_object(body).ok_or_else(|| ApiError::bad_request(T::INVALID).with("detail", fault::<T>(body)))
}

/// Serde would also take a struct from an array.
fn serde_object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    is_object(body).then(|| serde_json::from_slice(body).ok())?
}

fn is_object(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// What is wrong with a body, and where: `canvas.x: invalid type: string "a", expected f64`. Read once more for it.
fn fault<T: DeserializeOwned>(body: &[u8]) -> String {
    if !is_object(body) {
        return "the body must be a JSON object".to_owned();
    }
    let mut parser = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut parser) else {
        return "there is more behind the JSON object".to_owned();
    };
    let path = error.path().to_string();
    let text = error.into_inner().to_string();
    // Names of our types are nobody's business (SEC-147).
    let text = match text.split_once("expected struct ") {
        Some((before, after)) => {
            let rest = after
                .split_once(' ')
                .map(|(_, rest)| format!(" {rest}"))
                .unwrap_or_default();
            format!("{before}expected an object{rest}")
        }
        None => text,
    };
    // Whole, or where the text breaks off.
    if matches!(path.as_str(), "." | "?") {
        text
    } else {
        format!("{path}: {text}")
    }
}

/// A JSON object that may be absent, which means its default; one that cannot be read is refused.
#[derive(Debug)]
pub(crate) struct Optional<T>(pub T);

impl<T: Payload + Default> FromRequest<ApiState> for Optional<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, ApiError> {
        let body = at_hand(request).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        object(&body).map(Self)
    }
}

/// The body, which the guard has read within the bounds of the route's row.
pub(crate) async fn at_hand(request: Request) -> Result<Bytes, ApiError> {
    let body = request.into_body().collect().await;
    body.map(Collected::to_bytes).map_err(|_| ApiError::internal())
}

/// The workspace in the path, as the guard resolved it (SEC-106).
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkspacePath(pub WorkspaceId);

impl FromRequestParts<ApiState> for WorkspacePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let subject = parts.extensions.get::<Subject>().and_then(|Subject(id)| *id);
        subject.map(Self).ok_or_else(ApiError::invalid_workspace_id)
    }
}

/// The workspace in the path, spelled as it is shown: in lower case (PROV-119).
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExactWorkspacePath(pub WorkspaceId);

impl FromRequestParts<ApiState> for ExactWorkspacePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let WorkspacePath(id) = WorkspacePath::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| ApiError::invalid_workspace_id())?;
        let exact = params.iter().any(|(name, text)| name == "id" && text == id.to_string());
        exact.then_some(Self(id)).ok_or_else(ApiError::invalid_workspace_id)
    }
}

/// A path that names a workspace.
pub(crate) trait NamesWorkspace: FromRequestParts<ApiState, Rejection = ApiError> {
    fn id(&self) -> WorkspaceId;
}

impl NamesWorkspace for WorkspacePath {
    fn id(&self) -> WorkspaceId {
        self.0
    }
}

impl NamesWorkspace for ExactWorkspacePath {
    fn id(&self) -> WorkspaceId {
        self.0
    }
}

/// A workspace in the path that is there. One that shows its own token is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live<P>(pub P);

impl<P: NamesWorkspace + Send> FromRequestParts<ApiState> for Live<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let path = P::from_request_parts(parts, state).await?;
        let Who(identity) = Who::from_request_parts(parts, state).await?;
        if identity.workspace() == Some(path.id()) {
            return Ok(Self(path));
        }
        match state.platform().workspaces.state(path.id()).await {
            Ok(StateAnswer::Live(_)) => Ok(Self(path)),
            Ok(StateAnswer::Gone(_)) => Err(ApiError::not_found("workspace not found")),
            Err(error) => Err(ApiError::store("lookup failed", &error)),
        }
    }
}

/// The last parameter of the path, as text; what it means is its route's business.
#[derive(Debug, Clone)]
pub(crate) struct LastPath(pub String);

impl FromRequestParts<ApiState> for LastPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| ApiError::bad_request("invalid path"))?;
        // Every route that asks has one.
        params
            .iter()
            .last()
            .map(|(_, text)| Self(text.to_owned()))
            .ok_or_else(ApiError::internal)
    }
}

/// Query parameters. An empty value is an absent one, a repeated one counts once, unknown ones are ignored (ACT-15).
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// First value of a parameter, unless that is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let first = self
            .0
            .iter()
            .find(|(of, _)| of == name)
            .map(|(_, value)| value.as_str());
        first.filter(|value| !value.is_empty())
    }

    /// A parameter that is `true` or `false`; absent is `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ApiError::bad_request(format!("{name} must be true or false"))),
        }
    }

    /// A parameter that is a whole number of at least 1.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, ApiError> {
        let read = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            // What does not fit is clamped by its route like every large number.
            let number = text.parse().unwrap_or(usize::MAX);
            (digits && number >= 1)
                .then_some(number)
                .ok_or_else(|| ApiError::bad_request(format!("{name} must be a whole number of at least 1")))
        };
        self.get(name).map(read).transpose()
    }

    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }
}

impl FromRequestParts<ApiState> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query()))
    }
}

/// Who calls, as the guard found out. Any number of extractors may ask.
#[derive(Debug)]
pub(crate) struct Who(pub Identity);

impl FromRequestParts<ApiState> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let identity = parts.extensions.get::<Identity>().cloned();
        // A handler without a guard knows nobody, not even that nobody calls.
        identity.map(Self).ok_or_else(ApiError::internal)
    }
}

/// Set for a withdrawn bearer of the workspace in the path (LIFE-89a).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone(pub Option<Departed>);

impl FromRequestParts<ApiState> for Gone {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Departed>().copied()))
    }
}

/// Address of whoever calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub Option<IpAddr>);

impl FromRequestParts<ApiState> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Caller>().and_then(|caller| caller.address)))
    }
}

/// This server as the client sees it (LIFE-79, D28): configured, else as the request says.
#[derive(Debug, Clone)]
pub(crate) struct BaseUrl(pub String);

impl FromRequestParts<ApiState> for BaseUrl {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Self::Rejection> {
        let url = match &state.platform().config.public_url {
            Some(configured) => configured.clone(),
            None => {
                let peer = peer_of(&parts.extensions);
                let asked = state.limits().proxies.asked_for(peer, &parts.headers);
                let secure = parts.extensions.get::<Secure>().is_some();
                requested_base(&asked, &parts.headers, secure)
            }
        };
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }
}

/// Scheme and host the request was made with: where TLS ends, here or in a proxy, is known of a secure client.
fn requested_base(asked: &Asked<'_>, headers: &HeaderMap, secure: bool) -> String {
    let scheme = if asked.https || secure { "https" } else { "http" };
    let own = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = asked
        .host
        .or(own.filter(|host| !host.is_empty()))
        .unwrap_or("localhost");
    format!("{scheme}://{host}{}", asked.prefix.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_rules() {
        // ACT-15
        let query = Query::parse(Some("a=&b=1&b=2&c=x%20y&d=%ff&e"));
        assert_eq!(query.get("a"), None);
        assert_eq!(query.get("b"), Some("1"));
        assert_eq!(query.get("c"), Some("x y"));
        assert_eq!(query.get("d"), Some("\u{fffd}"), "not UTF-8, and no error");
        assert_eq!(query.get("e"), None);
        assert_eq!(Query::parse(None).get("b"), None);
        assert_eq!(Query::parse(Some("a=&a=1")).get("a"), None, "the first value counts");
        let flag = |query| Query::parse(Some(query)).flag("confirm").ok();
        for (query, read) in [
            ("confirm=true", Some(true)),
            ("confirm=false", Some(false)),
            ("confirm=", Some(false)),
            ("", Some(false)),
            ("confirm=TRUE", None),
            ("confirm=1", None),
        ] {
            assert_eq!(flag(query), read, "{query}");
        }
        let count = |query| Query::parse(Some(query)).count("bytes").ok();
        for (query, read) in [
            ("bytes=7", Some(Some(7))),
            ("bytes=", Some(None)),
            ("bytes=99999999999999999999999", Some(Some(usize::MAX))),
            ("bytes=0", None),
            ("bytes=-1", None),
            ("bytes=+1", None),
            ("bytes=x", None),
        ] {
            assert_eq!(count(query), read, "{query}");
        }
    }

    #[test]
    fn only_objects() {
        // LIFE-96
        let read = |text: &str| object::<workspaces::UpdateWorkspace>(text.as_bytes()).is_ok();
        assert!(read(" {}"));
        assert!(read(r#"{"unknown":1}"#));
        for bad in ["", "[]", "null", "3", r#""x""#, r#"{"name":3}"#, "{", "\u{feff}{}"] {
            assert!(!read(bad), "{bad}");
        }
    }

    #[test]
    fn a_fault_is_named() {
        // SEC-147
        let fault = |text: &str| fault::<workspaces::CreateWorkspace>(text.as_bytes());
        assert_eq!(
            fault(r#"{"canvas":{"x":"a"}}"#),
            "canvas.x: invalid type: string \"a\", expected f64 at line 1 column 18"
        );
        assert_eq!(
            fault(r#"{"canvas":3}"#),
            "canvas: invalid type: integer `3`, expected an object at line 1 column 11"
        );
        assert_eq!(fault("[]"), "the body must be a JSON object");
        assert_eq!(fault("{} x"), "there is more behind the JSON object");
        assert!(fault("{").starts_with("EOF while parsing an object"), "{}", fault("{"));
    }

    #[test]
    fn the_base_is_what_was_asked_for() {
        // LIFE-79, D28
        let mut headers = HeaderMap::new();
        headers.insert("host", http::HeaderValue::from_static("m:8080"));
        headers.insert("x-forwarded-host", http::HeaderValue::from_static("evil.example"));
        assert_eq!(requested_base(&Asked::default(), &headers, false), "http://m:8080");
        let asked = Asked {
            https: true,
            host: Some("molecule.example"),
            prefix: Some("/m"),
        };
        assert_eq!(requested_base(&asked, &headers, false), "https://molecule.example/m");
        assert_eq!(
            requested_base(&Asked::default(), &HeaderMap::new(), true),
            "https://localhost"
        );
    }
}
