//! Extractors whose rejections have the envelope and the route's own text.

use std::net::IpAddr;

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
};
use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt, Collected};
use molecule_core::WorkspaceId;
use molecule_platform::{credentials::Identity, workspaces::StateAnswer};
use molecule_wire::{activity, auth, orgs, registry, secrets, templates, workspaces};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::{
    error::ApiError,
    request::{Departed, Subject, peer_of},
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
impl Payload for workspaces::RestartWorkspace {}
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
impl Payload for auth::MintOrgToken {}
impl Payload for auth::BuyTicket {}

/// A JSON object. `Content-Type` is not looked at.
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

impl<T: Payload> FromRequest<ApiState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, ApiError> {
        let body = at_hand(request).await?;
        object(&body).map(Self).ok_or_else(|| ApiError::bad_request(T::INVALID))
    }
}

/// A JSON body that may be absent or malformed, which means its default.
#[derive(Debug)]
pub(crate) struct Lenient<T>(pub T);

impl<T: Payload + Default> FromRequest<ApiState> for Lenient<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, ApiError> {
        let body = at_hand(request).await?;
        Ok(Self(object(&body).unwrap_or_default()))
    }
}

/// Serde would also take a struct from an array.
fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    (first == Some(&b'{')).then(|| serde_json::from_slice(body).ok())?
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
        object(&body).map(Self).ok_or_else(|| ApiError::bad_request(T::INVALID))
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

    /// Is a parameter exactly `true`?
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
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

/// Address of the peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub Option<IpAddr>);

impl FromRequestParts<ApiState> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Self::Rejection> {
        Ok(Self(peer_of(&parts.extensions)))
    }
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
        assert!(Query::parse(Some("confirm=true")).is_true("confirm"));
        assert!(!Query::parse(Some("confirm=TRUE")).is_true("confirm"));
    }

    #[test]
    fn only_objects() {
        // LIFE-96
        let read = |text: &str| object::<workspaces::UpdateWorkspace>(text.as_bytes()).is_some();
        assert!(read(" {}"));
        assert!(read(r#"{"unknown":1}"#));
        for bad in ["", "[]", "null", "3", r#""x""#, r#"{"name":3}"#, "{", "\u{feff}{}"] {
            assert!(!read(bad), "{bad}");
        }
    }
}
