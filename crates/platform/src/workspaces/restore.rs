use molecule_core::{Trigger, WorkspaceId, WorkspaceStatus};
use molecule_store::{StoreError, workspaces::Change};
use molecule_wire::workspaces::RestoredWorkspace;

use super::{Workspaces, connection};
use crate::lifecycle::{Ask, is_external};

/// Why a workspace was not restored (LIFE-199). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Unknown, or purged.
    #[error("workspace not found")]
    NotFound,
    /// It is there.
    #[error("workspace is not removed")]
    NotRemoved,
    /// Its parent is removed, too.
    #[error("parent workspace \"{0}\" is removed — restore it first")]
    RemovedParent(String),
    /// The store failed; nothing changed.
    #[error("restore failed")]
    Store(#[from] StoreError),
}

impl Workspaces {
    /// Undoes a removal that was not a purge (LIFE-199): the row, its secrets and what it remembers are as they were, its
    /// tokens stay dead. A managed workspace is started again, which gives it a new one; for an external one it is in the
    /// answer.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing changed.
    pub async fn restore(&self, id: WorkspaceId, base_url: &str) -> Result<RestoredWorkspace, RestoreError> {
        let row = self.inner.store.workspace(id).await?.ok_or(RestoreError::NotFound)?;
        if row.status != WorkspaceStatus::Removed {
            return Err(RestoreError::NotRemoved);
        }
        if let Some(parent) = row.parent_id {
            match self.inner.directory.route(parent).await? {
                Some(route) if route.status == WorkspaceStatus::Removed => {
                    return Err(RestoreError::RemovedParent(route.name.to_string()));
                }
                _ => {}
            }
        }
        let external = is_external(&row.runtime);
        let (shown, token) = if external {
            let (shown, token) = self.inner.credentials.prepare()?;
            (Some(shown), Some(token))
        } else {
            (None, None)
        };
        let change = Change {
            token,
            ..Change::default()
        };
        let ask = Ask::from(Trigger::Restore).change(change);
        let applied = self.inner.lifecycle.apply(id, ask).await?;
        let applied = applied.ok_or(RestoreError::NotRemoved)?;
        if !external {
            self.inner.provisioner.auto_restart(id);
        }
        Ok(RestoredWorkspace {
            id,
            status: applied.to,
            connection: shown.map(|token| connection::connection(id, base_url, Some(&token))),
        })
    }
}
