//! The gate: what the matrix says of whoever asks (SEC-40…52, SEC-70…78 as D2 has them).

use http::{StatusCode, header, request::Parts};
use molecule_core::{WorkspaceId, credential::parse_bearer};
use molecule_platform::{
    allowlists::AllowlistError,
    credentials::{Identity, OrgPrincipal, Principal},
};

use super::Guarded;
use crate::{
    error::ApiError,
    matrix::{Refusal, Standing, Verdict},
    request::{Departed, Subject},
    route::{Class, Reach},
    scope::Scope,
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
        if self.is_open_to_all() {
            return Ok(None);
        }
        if self.is_switched_off() {
            return Err(ApiError::not_found("not found"));
        }
        let who = self.standing(identity, self.about(subject, head)?).await?;
        let refusal = match self.route.verdict(who, identity.open) {
            Verdict::Allowed => return Ok(None),
            Verdict::WhileTokenless(_) if self.is_tokenless(subject).await? => return Ok(None),
            // What a credential proves is its handler's to judge; how far it reaches is not.
            Verdict::Refused(refusal) if self.route.class.is_decided_by_handler() && !refusal.is_about_scope() => {
                return Ok(None);
            }
            Verdict::WhileTokenless(refusal) | Verdict::Refused(refusal) => refusal,
        };
        self.departed(subject, head, refusal.into()).await.map(Some)
    }

    fn is_open_to_all(&self) -> bool {
        self.route.class == Class::Metrics && self.state.config().metrics_public
    }

    fn is_switched_off(&self) -> bool {
        self.route.class == Class::TestToken && !self.state.offers_test_tokens()
    }

    /// The workspace whose token helps. Discover is asked on behalf of the header's workspace, everything else on behalf
    /// of the path's (SEC-75).
    fn about(&self, subject: Option<WorkspaceId>, head: &Parts) -> Result<Option<WorkspaceId>, ApiError> {
        if !self.route.asked_in_header {
            return Ok(subject);
        }
        let header = head.headers.get("x-workspace-id").filter(|value| !value.is_empty());
        let header = header.ok_or_else(|| ApiError::bad_request("X-Workspace-ID header is required"))?;
        Ok(header.to_str().ok().and_then(|header| header.parse().ok()))
    }

    async fn standing(&self, identity: &Identity, about: Option<WorkspaceId>) -> Result<Standing, ApiError> {
        match &identity.principal {
            Some(Principal::Org(org)) => self.standing_of_org(org, about).await,
            _ => Ok(standing_of(identity, about)),
        }
    }

    async fn standing_of_org(&self, org: &OrgPrincipal, about: Option<WorkspaceId>) -> Result<Standing, ApiError> {
        if org.read_only && self.route.changes() {
            return Ok(Standing::OrgReadOnly);
        }
        let reaches = match (org.org, about) {
            (anchor, Some(id)) if self.route.reach == Reach::Exactly => anchor == Some(id) || self.is_no_org(id).await,
            (None, _) => true,
            (Some(anchor), Some(id)) if self.route.names_workspace() => {
                Scope::to(anchor).reaches(&self.state, id).await?
            }
            (Some(_), _) => false,
        };
        Ok(if reaches { Standing::Org } else { Standing::OrgElsewhere })
    }

    /// That there is no such org comes first, whoever asks (SEC-150).
    async fn is_no_org(&self, id: WorkspaceId) -> bool {
        let found = self.state.platform().allowlists.find_org(id).await;
        matches!(found, Err(AllowlistError::Unknown))
    }

    /// The double gate (SEC-78): while a workspace has a live token, only that token opens its secrets and its state.
    async fn is_tokenless(&self, subject: Option<WorkspaceId>) -> Result<bool, ApiError> {
        let subject = subject.ok_or_else(ApiError::invalid_workspace_id)?;
        let live = self.state.platform().credentials.has_live_token(subject).await;
        live.map(|live| !live)
            .map_err(|error| ApiError::store("auth check failed", &error))
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
}

/// What somebody is to the workspace that is asked about, as far as that needs no look at the org chart.
fn standing_of(identity: &Identity, about: Option<WorkspaceId>) -> Standing {
    match &identity.principal {
        Some(Principal::Admin) => Standing::Operator,
        Some(Principal::Session(_)) => Standing::Session,
        Some(Principal::Member(_)) => Standing::Member,
        Some(Principal::Org(_)) => Standing::Org,
        Some(Principal::Workspace { workspace, .. }) if Some(*workspace) == about => Standing::Own,
        Some(Principal::Workspace { .. }) => Standing::Other,
        None if identity.presented => Standing::Unproven,
        None => Standing::Anonymous,
    }
}

/// SEC-46…51: is it admin class?
pub(crate) fn admin(identity: &Identity) -> Result<(), ApiError> {
    match Class::Admin.verdict(standing_of(identity, None), identity.open) {
        Verdict::Allowed => Ok(()),
        Verdict::WhileTokenless(refusal) | Verdict::Refused(refusal) => Err(refusal.into()),
    }
}

impl Refusal {
    fn is_about_scope(&self) -> bool {
        self.status == StatusCode::FORBIDDEN.as_u16()
    }
}

impl From<&Refusal> for ApiError {
    fn from(refusal: &Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::UNAUTHORIZED);
        let error = Self::new(status, refusal.text);
        match refusal.code {
            Some(code) => error.code(code),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use molecule_core::{OrgTokenId, SessionId, TokenId};

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
            read_only: false,
            expires_at: None,
        }))
    }

    #[test]
    fn whoever_asks_stands_somewhere() {
        // SEC-40…51
        let id = WorkspaceId::random();
        let unproven = Identity {
            principal: None,
            presented: true,
            open: true,
        };
        for (identity, standing) in [
            (Identity::default(), Standing::Anonymous),
            (unproven, Standing::Unproven),
            (token_of(id), Standing::Own),
            (token_of(WorkspaceId::random()), Standing::Other),
            (org(), Standing::Org),
            (proven(Principal::Session(SessionId::random())), Standing::Session),
            (proven(Principal::Member("u".into())), Standing::Member),
            (proven(Principal::Admin), Standing::Operator),
        ] {
            assert_eq!(standing_of(&identity, Some(id)), standing, "{identity:?}");
        }
        assert_eq!(
            standing_of(&token_of(id), None),
            Standing::Other,
            "what is no id is nobody's"
        );
    }

    #[test]
    fn admin_class() {
        // SEC-46…50, D2
        let local = Identity {
            open: true,
            ..Identity::default()
        };
        let everywhere = Identity {
            open: true,
            ..token_of(WorkspaceId::random())
        };
        for identity in [proven(Principal::Admin), org(), local, everywhere] {
            assert!(admin(&identity).is_ok(), "{identity:?}");
        }
        for identity in [Identity::default(), token_of(WorkspaceId::random())] {
            let refused = admin(&identity).unwrap_err().into_response();
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        }
    }
}
