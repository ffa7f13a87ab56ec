use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use molecule_core::{WorkspaceId, limits};
use molecule_store::{StoreError, workspaces::Removed};
use molecule_wire::workspaces::{ChildRef, ConfirmationRequired, DeletedWorkspace, StopFailures};

use super::Workspaces;

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

/// Stops that run at once.
const PARALLEL_STOPS: usize = 16;

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
        let removed = self.inner.store.remove_subtree(id).await.map_err(DeleteError::Store)?;
        let Some(removed) = removed else {
            // Unknown ids are as gone as they can be (LIFE-109).
            return Ok(answer(purge, 0));
        };
        // From here on nobody gets in any more: whoever kept something of them was told with the commit.
        self.inner.events.passed(removed.seq).await;
        self.stop_all(&removed, purge).await?;
        if purge {
            let purged = self
                .inner
                .store
                .purge(removed.scope.clone())
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

    async fn stop_all(&self, removed: &Removed, purge: bool) -> Result<(), DeleteError> {
        let total = removed.scope.len();
        let failures = self.stop_removed(removed.scope.clone(), purge).await;
        if failures == 0 {
            return Ok(());
        }
        let reason = if failures == total {
            "the backend reported errors, or it took too long"
        } else {
            "the backend reported an error"
        };
        Err(DeleteError::Stops(StopFailures {
            error: format!("workspaces were removed, but stopping failed ({reason}); repeat the request to try again"),
            removed_count: u64::try_from(total).unwrap_or(u64::MAX),
            stop_failures: u64::try_from(failures).unwrap_or(u64::MAX),
        }))
    }

    /// One attempt each, in parallel, within 30 s altogether (LIFE-104, LIFE-108); how many failed. If the time runs out,
    /// all of them count.
    pub(super) async fn stop_removed(&self, scope: Vec<WorkspaceId>, remove_data: bool) -> usize {
        let total = scope.len();
        let stops = stream::iter(scope)
            .map(|id| async move { self.inner.provisioner.retire(id, remove_data).await })
            .buffer_unordered(PARALLEL_STOPS)
            .collect::<Vec<_>>();
        match self.inner.clock().within(limits::DELETE_STOP_DEADLINE, stops).await {
            Some(outcomes) => outcomes.iter().filter(|outcome| outcome.is_err()).count(),
            None => total,
        }
    }
}

fn answer(purge: bool, cascade_deleted: u64) -> DeletedWorkspace {
    DeletedWorkspace {
        status: if purge { "purged" } else { "removed" }.to_owned(),
        cascade_deleted,
    }
}
