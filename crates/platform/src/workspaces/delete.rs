use futures_util::future::BoxFuture;
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_store::StoreError;
use molecule_wire::workspaces::{ChildRef, ConfirmationRequired, DeletedWorkspace, StopFailures};

use super::Workspaces;
use crate::lifecycle::not_stored;

/// Why a delete did not end well (LIFE §8).
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// It has live children; nothing changed (LIFE-99).
    #[error("confirmation_required")]
    ConfirmationRequired(ConfirmationRequired),
    /// LIFE-100.
    #[error("failed to check children")]
    Children(#[source] StoreError),
    /// The rows could not be marked; nothing changed, nothing was stopped (OP-10).
    #[error("failed to remove workspace")]
    Store(#[source] StoreError),
    /// The rows are removed, but something may still run (LIFE-108).
    #[error("{}", .0.error)]
    Stops(StopFailures),
    /// LIFE-112.
    #[error("purge failed")]
    Purge(#[source] StoreError),
}

impl Workspaces {
    /// Removes a workspace with its subtree, then stops everything in it, then purges if asked (LIFE-99…115).
    /// Repeating the call is safe.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub fn delete(
        &self,
        id: WorkspaceId,
        confirm: bool,
        purge: bool,
    ) -> BoxFuture<'_, Result<DeletedWorkspace, DeleteError>> {
        Box::pin(self.delete_inner(id, confirm, purge))
    }

    async fn delete_inner(&self, id: WorkspaceId, confirm: bool, purge: bool) -> Result<DeletedWorkspace, DeleteError> {
        if !confirm {
            self.ask_for_confirmation(id).await?;
        }
        let removed = self.inner.store.remove_subtree(id).await.map_err(|error| {
            not_stored(id, Some(WorkspaceStatus::Removed), &error);
            DeleteError::Store(error)
        })?;
        let Some(removed) = removed else {
            // Unknown ids are as gone as they can be (LIFE-109).
            return Ok(answer(purge, 0));
        };
        // From here on nobody gets in any more: whoever kept something of them was told with the commit.
        self.inner.events.passed(removed.seq).await;
        self.stop_removed(&removed.scope, purge)
            .await
            .map_err(DeleteError::Stops)?;
        if purge {
            let purged = self
                .inner
                .store
                .purge(removed.scope)
                .await
                .map_err(DeleteError::Purge)?;
            tracing::info!(workspace = %id, rows = purged.rows, "workspaces purged");
        }
        Ok(answer(purge, removed.cascade))
    }

    async fn ask_for_confirmation(&self, id: WorkspaceId) -> Result<(), DeleteError> {
        let children = self.inner.store.children(id).await.map_err(DeleteError::Children)?;
        if children.is_empty() {
            return Ok(());
        }
        let count = children.len();
        Err(DeleteError::ConfirmationRequired(ConfirmationRequired {
            status: "confirmation_required".to_owned(),
            message: format!("workspace has {count} children, which will be removed too; repeat with ?confirm=true"),
            children: children
                .into_iter()
                .map(|child| ChildRef {
                    id: child.id,
                    name: child.name,
                })
                .collect(),
            children_count: count,
        }))
    }
}

fn answer(purge: bool, cascade_deleted: u64) -> DeletedWorkspace {
    DeletedWorkspace {
        status: if purge { "purged" } else { "removed" }.to_owned(),
        cascade_deleted,
    }
}
