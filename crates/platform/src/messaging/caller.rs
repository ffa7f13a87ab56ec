use std::{fmt, time::Duration};

use molecule_core::{WorkspaceId, credential::is_system_caller, limits, text::Quoted};

use crate::{
    config::AuthMode,
    credentials::{GateRefusal, Identity, Principal},
};

/// On whose behalf a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A person: the canvas, the CLI, an org token. Skips the hierarchy.
    Person,
    /// A workspace.
    Workspace(WorkspaceId),
    /// The server itself: a schedule, a channel, a webhook. Skips the hierarchy, and never comes over the API (A2A-3).
    System,
}

impl Caller {
    /// The workspace, if it is one.
    #[must_use]
    pub fn workspace(self) -> Option<WorkspaceId> {
        match self {
            Self::Person | Self::System => None,
            Self::Workspace(id) => Some(id),
        }
    }

    /// The longest that a call of it may take, unless it says otherwise (A2A-66): a person looks on and can give up.
    pub(super) fn ceiling(self) -> Option<Duration> {
        match self {
            Self::Person => None,
            Self::Workspace(_) | Self::System => Some(limits::A2A_CALLER_CEILING),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person => f.write_str("person"),
            Self::Workspace(id) => id.fmt(f),
            Self::System => f.write_str("system"),
        }
    }
}

/// Why a caller was not taken for what it says. The texts are the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallerRefusal {
    /// An identity that exists only inside the server (A2A-3).
    #[error("invalid caller ID")]
    Forged,
    /// No bearer.
    #[error("missing caller auth token")]
    Missing,
    /// The bearer proves somebody else, or nobody.
    #[error("invalid caller auth token")]
    Invalid,
    /// The header names no workspace that could be allowed anything.
    #[error("access denied: workspaces cannot communicate per hierarchy rules")]
    Unknown,
}

impl From<GateRefusal> for CallerRefusal {
    fn from(refusal: GateRefusal) -> Self {
        match refusal {
            GateRefusal::Missing => Self::Missing,
            GateRefusal::Invalid => Self::Invalid,
        }
    }
}

impl Caller {
    /// Resolves the caller of `POST /workspaces/:id/a2a` from `X-Workspace-ID` and the credential (A2A-3…8, D2). In open
    /// mode a header without a bearer is only a claim: whoever has a token must show it (A2A-7).
    ///
    /// # Errors
    /// [`CallerRefusal`].
    pub(super) fn resolve(
        mode: AuthMode,
        identity: &Identity,
        header: Option<&str>,
        target: WorkspaceId,
    ) -> Result<Self, CallerRefusal> {
        let Some(header) = header.filter(|header| !header.is_empty()) else {
            return Self::without_header(mode, identity);
        };
        if is_system_caller(header) {
            tracing::warn!(caller = %Quoted(header), "forged system caller refused");
            return Err(CallerRefusal::Forged);
        }
        let named: WorkspaceId = header.parse().map_err(|_| CallerRefusal::Unknown)?;
        match &identity.principal {
            Some(Principal::Workspace { workspace, .. }) if *workspace == named => Ok(Self::Workspace(named)),
            // The operator may speak as a workspace only to that workspace itself.
            Some(principal) if principal.is_admin() && named == target => Ok(Self::Workspace(named)),
            Some(_) => Err(CallerRefusal::Invalid),
            None if identity.presented => Err(CallerRefusal::Invalid),
            None if identity.open => Ok(Self::Workspace(named)),
            None => Err(CallerRefusal::Missing),
        }
    }

    fn without_header(mode: AuthMode, identity: &Identity) -> Result<Self, CallerRefusal> {
        match &identity.principal {
            Some(Principal::Workspace { workspace, .. }) => Ok(Self::Workspace(*workspace)),
            Some(_) => Ok(Self::Person),
            // A bearer that proves nothing is the canvas in open mode only, and there only where none at all is (D2).
            None if identity.open && (!identity.presented || mode == AuthMode::Open) => Ok(Self::Person),
            None if identity.presented => Err(CallerRefusal::Invalid),
            None => Err(CallerRefusal::Missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use molecule_core::TokenId;

    use super::*;

    fn workspace(id: WorkspaceId) -> Identity {
        let principal = Some(Principal::Workspace {
            token: TokenId::random(),
            workspace: id,
        });
        Identity {
            principal,
            presented: true,
            open: false,
        }
    }

    fn resolve(identity: &Identity, header: Option<&str>) -> Result<Caller, CallerRefusal> {
        Caller::resolve(AuthMode::Required, identity, header, WorkspaceId::random())
    }

    #[test]
    fn system_identities_are_refused() {
        // A2A-3, SEC-92
        for id in ["system:x", "webhook:github", "test:a", "channel:slack"] {
            let admin = Identity {
                principal: Some(Principal::Admin),
                presented: true,
                open: true,
            };
            assert_eq!(resolve(&admin, Some(id)), Err(CallerRefusal::Forged));
        }
    }

    #[test]
    fn the_bearer_proves_and_the_header_only_names() {
        // A2A-4, A2A-7, SEC-96
        let id = WorkspaceId::random();
        let other = WorkspaceId::random().to_string();
        assert_eq!(resolve(&workspace(id), None), Ok(Caller::Workspace(id)));
        assert_eq!(
            resolve(&workspace(id), Some(&id.to_string())),
            Ok(Caller::Workspace(id))
        );
        assert_eq!(resolve(&workspace(id), Some(&other)), Err(CallerRefusal::Invalid));
        let admin = Identity {
            principal: Some(Principal::Admin),
            presented: true,
            open: false,
        };
        assert_eq!(resolve(&admin, None), Ok(Caller::Person));
        assert_eq!(resolve(&admin, Some(&other)), Err(CallerRefusal::Invalid));
        assert_eq!(resolve(&Identity::default(), Some(&other)), Err(CallerRefusal::Missing));
        assert_eq!(resolve(&Identity::default(), None), Err(CallerRefusal::Missing));
    }

    #[test]
    fn a_self_call_with_another_workspaces_bearer_is_refused() {
        // Open point 14 of a2a.md
        let target = WorkspaceId::random();
        let header = target.to_string();
        let stranger = workspace(WorkspaceId::random());
        let caller = Caller::resolve(AuthMode::Required, &stranger, Some(&header), target);
        assert_eq!(caller, Err(CallerRefusal::Invalid));
    }

    #[test]
    fn an_unproven_bearer_is_the_canvas_in_open_mode_only() {
        // D2
        let unknown = Identity {
            principal: None,
            presented: true,
            open: true,
        };
        assert_eq!(resolve(&unknown, None), Err(CallerRefusal::Invalid));
        let open = Caller::resolve(AuthMode::Open, &unknown, None, WorkspaceId::random());
        assert_eq!(open, Ok(Caller::Person));
        let anonymous = Identity {
            principal: None,
            presented: false,
            open: true,
        };
        assert_eq!(resolve(&anonymous, None), Ok(Caller::Person));
        let elsewhere = Identity { open: false, ..unknown };
        let refused = Caller::resolve(AuthMode::Open, &elsewhere, None, WorkspaceId::random());
        assert_eq!(refused, Err(CallerRefusal::Invalid));
    }
}
