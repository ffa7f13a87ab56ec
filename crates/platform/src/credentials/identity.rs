use molecule_core::{TokenId, WorkspaceId};

use super::Principal;

/// What a request proved about its sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Whom the bearer proved.
    pub principal: Option<Principal>,
    /// A bearer was presented, proven or not.
    pub presented: bool,
    /// Open mode, and the request comes from this machine: admin without a credential (D2).
    pub open: bool,
}

/// Why a workspace's own door stayed shut (REG-10, SEC-70). The texts are the wire's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GateRefusal {
    /// No bearer.
    #[error("missing workspace auth token")]
    Missing,
    /// Unknown, revoked, somebody else's, or of a removed workspace.
    #[error("invalid workspace auth token")]
    Invalid,
}

impl Identity {
    /// Admin class: a proven admin, or an open-mode request without a bearer.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        match &self.principal {
            Some(principal) => principal.is_admin(),
            None => self.open && !self.presented,
        }
    }

    /// The workspace whose token was presented.
    #[must_use]
    pub fn workspace(&self) -> Option<WorkspaceId> {
        match self.principal {
            Some(Principal::Workspace { workspace, .. }) => Some(workspace),
            _ => None,
        }
    }

    /// The workspace token that was presented.
    #[must_use]
    pub fn token(&self) -> Option<TokenId> {
        match self.principal {
            Some(Principal::Workspace { token, .. }) => Some(token),
            _ => None,
        }
    }

    /// Is this the workspace itself?
    ///
    /// # Errors
    /// Why not.
    pub fn require_workspace(&self, id: WorkspaceId) -> Result<(), GateRefusal> {
        match self.workspace() {
            Some(workspace) if workspace == id => Ok(()),
            _ => Err(self.refusal()),
        }
    }

    /// How somebody is refused who proved nothing that helps.
    #[must_use]
    pub fn refusal(&self) -> GateRefusal {
        if self.presented {
            GateRefusal::Invalid
        } else {
            GateRefusal::Missing
        }
    }
}
