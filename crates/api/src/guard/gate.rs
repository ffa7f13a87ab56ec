//! The gates, by class (SEC-40…52, SEC-70…78 as D2 has them).

use http::{header, request::Parts};
use molecule_core::{WorkspaceId, credential::parse_bearer};
use molecule_platform::credentials::{GateRefusal, Identity, Principal};

use super::Guarded;
use crate::{
    error::ApiError,
    request::{Departed, Subject},
    route::Class,
};

impl Guarded {
    /// Lets a request through or says why not. What the path names was resolved once: gate and handler must not differ
    /// on whom a request is about.
    pub(super) async fn gate(
        &self,
        identity: &Identity,
        Subject(subject): Subject,
        head: &Parts,
    ) -> Result<Option<Departed>, ApiError> {
        match self.route.class {
            // Their handlers decide, from the identity.
            Class::Public | Class::Registry | Class::Message | Class::Socket => Ok(None),
            Class::Metrics if self.state.config().metrics_public => Ok(None),
            Class::Metrics | Class::Admin => admin(identity).map(|()| None),
            Class::TestToken => self.test_token(identity).map(|()| None),
            Class::Peer => peer(identity, self.peer_subject(subject, head)).map(|()| None),
            Class::Topology => match any_credential(identity) {
                Ok(()) => Ok(None),
                Err(refusal) => self.departed(subject, head, refusal).await.map(Some),
            },
            Class::Workspace => workspace(identity, subject).map(|()| None),
            Class::WorkspaceOnly => match self.workspace_only(identity, subject).await {
                Ok(()) => Ok(None),
                Err(refusal) => self.departed(subject, head, refusal).await.map(Some),
            },
        }
    }

    /// Discover is asked on behalf of the header's workspace, peers on behalf of the path's (SEC-75).
    fn peer_subject(&self, subject: Option<WorkspaceId>, head: &Parts) -> PeerSubject {
        if self.route.asked_in_header {
            let Some(header) = head.headers.get("x-workspace-id").filter(|value| !value.is_empty()) else {
                return PeerSubject::HeaderMissing;
            };
            return PeerSubject::Is(header.to_str().ok().and_then(|header| header.parse().ok()));
        }
        PeerSubject::Is(subject)
    }

    /// The double gate (SEC-78): while a workspace has a live token, only that token opens its secrets and its state.
    async fn workspace_only(&self, identity: &Identity, subject: Option<WorkspaceId>) -> Result<(), ApiError> {
        workspace(identity, subject)?;
        let subject = subject.ok_or_else(ApiError::invalid_workspace_id)?;
        let Err(refusal) = identity.require_workspace(subject) else {
            return Ok(());
        };
        match self.state.platform().credentials.has_live_token(subject).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(unauthorized(refusal)),
            Err(error) => Err(ApiError::store("auth check failed", &error)),
        }
    }

    /// A withdrawn bearer of the very workspace it asks about learns that the workspace is gone (LIFE-89a, OP-17).
    async fn departed(
        &self,
        subject: Option<WorkspaceId>,
        head: &Parts,
        refusal: ApiError,
    ) -> Result<Departed, ApiError> {
        let bearer = head
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| parse_bearer(value.to_str().ok()?));
        let (true, Some(bearer), Some(subject)) = (self.route.tells_departed, bearer, subject) else {
            return Err(refusal);
        };
        match self.state.platform().credentials.removed_owner(bearer).await {
            Ok(Some(owner)) if owner == subject => Ok(Departed),
            Ok(_) => Err(refusal),
            Err(error) => Err(ApiError::platform_unavailable(self.route.path, &error)),
        }
    }

    /// SEC-120, SEC-122: only the operator's own token; in open mode also whoever counts as admin.
    fn test_token(&self, identity: &Identity) -> Result<(), ApiError> {
        if self.state.platform().config.production && !self.state.config().test_tokens {
            return Err(ApiError::not_found("not found"));
        }
        match &identity.principal {
            Some(Principal::Admin) => Ok(()),
            None if identity.is_admin() => Ok(()),
            _ => Err(ApiError::unauthorized("admin auth required")),
        }
    }
}

/// On whose behalf peers are asked for.
#[derive(Debug, Clone, Copy)]
enum PeerSubject {
    /// SEC-75.
    HeaderMissing,
    Is(Option<WorkspaceId>),
}

fn unauthorized(refusal: GateRefusal) -> ApiError {
    ApiError::unauthorized(match refusal {
        GateRefusal::Missing => "missing workspace auth token",
        GateRefusal::Invalid => "invalid workspace auth token",
    })
}

/// SEC-46…51: operator, org token, session; in open mode a local request without a bearer, or with the token of any
/// workspace, which older clients send everywhere (D2).
pub(crate) fn admin(identity: &Identity) -> Result<(), ApiError> {
    if identity.is_admin() || (identity.open && identity.workspace().is_some()) {
        return Ok(());
    }
    let text = if identity.presented {
        "invalid admin auth token"
    } else {
        "admin auth required"
    };
    Err(ApiError::unauthorized(text))
}

/// SEC-40…43: admin class, or the workspace itself.
fn workspace(identity: &Identity, subject: Option<WorkspaceId>) -> Result<(), ApiError> {
    if identity.is_admin() {
        return Ok(());
    }
    match subject {
        Some(subject) => identity.require_workspace(subject).map_err(unauthorized),
        None if identity.presented => Err(unauthorized(GateRefusal::Invalid)),
        None => Err(unauthorized(GateRefusal::Missing)),
    }
}

/// SEC-75 with D2: the workspace itself or a signed-in browser; neither the operator's nor an org token.
fn peer(identity: &Identity, subject: PeerSubject) -> Result<(), ApiError> {
    let subject = match subject {
        PeerSubject::HeaderMissing => return Err(ApiError::bad_request("X-Workspace-ID header is required")),
        PeerSubject::Is(subject) => subject,
    };
    match &identity.principal {
        Some(Principal::Session(_)) => Ok(()),
        Some(Principal::Workspace { workspace, .. }) if Some(*workspace) == subject => Ok(()),
        None if identity.is_admin() => Ok(()),
        _ if identity.presented => Err(unauthorized(GateRefusal::Invalid)),
        _ => Err(unauthorized(GateRefusal::Missing)),
    }
}

/// Any live credential; in open mode also a local request without one.
fn any_credential(identity: &Identity) -> Result<(), ApiError> {
    match &identity.principal {
        Some(_) => Ok(()),
        None if identity.is_admin() => Ok(()),
        None if identity.presented => Err(unauthorized(GateRefusal::Invalid)),
        None => Err(unauthorized(GateRefusal::Missing)),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use molecule_core::{OrgTokenId, SessionId, TokenId};
    use molecule_platform::credentials::OrgPrincipal;

    use super::*;

    fn proven(principal: Principal) -> Identity {
        Identity {
            principal: Some(principal),
            presented: true,
            open: false,
        }
    }

    fn token_of(workspace: WorkspaceId) -> Identity {
        proven(Principal::Workspace {
            token: TokenId::random(),
            workspace,
        })
    }

    fn org() -> Identity {
        proven(Principal::Org(OrgPrincipal {
            token: OrgTokenId::random(),
            prefix: "12345678".into(),
            org: None,
        }))
    }

    async fn refusal(outcome: Result<(), ApiError>) -> String {
        let response = outcome.unwrap_err().into_response();
        assert_eq!(response.status(), 401);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        body["error"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn admin_class() {
        // SEC-46…50, D2
        let session = proven(Principal::Session(SessionId::random()));
        let open = Identity {
            open: true,
            ..Identity::default()
        };
        let everywhere = Identity {
            open: true,
            ..token_of(WorkspaceId::random())
        };
        for identity in [proven(Principal::Admin), session, org(), open, everywhere] {
            assert!(admin(&identity).is_ok(), "{identity:?}");
        }
        assert_eq!(refusal(admin(&Identity::default())).await, "admin auth required");
        let unproven = Identity {
            principal: None,
            presented: true,
            open: true,
        };
        assert_eq!(
            refusal(admin(&unproven)).await,
            "invalid admin auth token",
            "a wrong bearer is wrong in open mode too"
        );
        assert_eq!(
            refusal(admin(&token_of(WorkspaceId::random()))).await,
            "invalid admin auth token"
        );
    }

    #[tokio::test]
    async fn workspace_class() {
        // SEC-40…43
        let id = WorkspaceId::random();
        assert!(workspace(&token_of(id), Some(id)).is_ok());
        assert!(workspace(&proven(Principal::Admin), Some(id)).is_ok());
        assert!(
            workspace(&org(), None).is_ok(),
            "what is no id is the handler's to refuse"
        );
        let other = token_of(WorkspaceId::random());
        assert_eq!(
            refusal(workspace(&other, Some(id))).await,
            "invalid workspace auth token"
        );
        assert_eq!(refusal(workspace(&other, None)).await, "invalid workspace auth token");
        assert_eq!(
            refusal(workspace(&Identity::default(), Some(id))).await,
            "missing workspace auth token"
        );
    }

    #[tokio::test]
    async fn peer_class() {
        // SEC-75
        let id = WorkspaceId::random();
        assert!(peer(&token_of(id), PeerSubject::Is(Some(id))).is_ok());
        assert!(
            peer(
                &proven(Principal::Session(SessionId::random())),
                PeerSubject::Is(Some(id))
            )
            .is_ok()
        );
        for identity in [proven(Principal::Admin), org(), token_of(WorkspaceId::random())] {
            assert_eq!(
                refusal(peer(&identity, PeerSubject::Is(Some(id)))).await,
                "invalid workspace auth token"
            );
        }
        assert!(peer(&token_of(id), PeerSubject::Is(None)).is_err());
        assert_eq!(
            peer(&token_of(id), PeerSubject::HeaderMissing)
                .unwrap_err()
                .into_response()
                .status(),
            400
        );
    }
}
