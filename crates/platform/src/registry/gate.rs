//! Who may register, beat and show a card for a workspace (REG-10…12, D3).

use molecule_core::{WorkspaceId, WorkspaceStatus};

use super::Registry;
use crate::credentials::{ClaimError, Identity};

impl Registry {
    /// Lets the workspace itself in; `status` is `None` where there is none of that id. Then only admin-class callers pass,
    /// who learn that it does not exist or create it.
    pub(super) async fn admit(
        &self,
        id: WorkspaceId,
        status: Option<WorkspaceStatus>,
        identity: &Identity,
    ) -> Result<(), ClaimError> {
        match status {
            None if identity.is_admin() => Ok(()),
            // A token of what does not exist, or no more, is none.
            None | Some(WorkspaceStatus::Removed) => Err(identity.refusal().into()),
            Some(_) => self.inner.credentials.admit_workspace(identity, id).await,
        }
    }
}
