//! The one gate before what is a workspace's own: its registration, its beats, messages in its name, its socket.

use molecule_core::WorkspaceId;
use molecule_store::StoreError;

use super::{Credentials, GateRefusal, Identity};

/// Why somebody was not taken for the workspace that was named.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// It is not proven.
    #[error(transparent)]
    Refused(#[from] GateRefusal),
    /// It could not be looked up.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

impl Credentials {
    /// Does the caller speak for this workspace, which exists? Its own token proves it. A claim without any bearer passes
    /// in open mode only, and only while the workspace has no live token: whoever has one must show it (REG-10…12, A2A-7,
    /// SEC-96, D3).
    ///
    /// # Errors
    /// [`ClaimError`].
    pub async fn admit_workspace(&self, identity: &Identity, workspace: WorkspaceId) -> Result<(), ClaimError> {
        let Err(refusal) = identity.require_workspace(workspace) else {
            return Ok(());
        };
        let claimed = identity.open && !identity.presented;
        if claimed && !self.has_live_token(workspace).await? {
            return Ok(());
        }
        Err(refusal.into())
    }
}
