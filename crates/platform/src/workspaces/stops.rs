use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use molecule_core::{WorkspaceId, limits};
use molecule_wire::workspaces::StopFailures;
use tokio::sync::Semaphore;

use super::Workspaces;

/// Stops that run at once.
const PARALLEL: usize = 16;
/// Workspaces that an error names.
const NAMED: usize = 5;

impl Workspaces {
    /// Runs stops side by side, some at a time; what those said that ended within `patience`. The others go on.
    pub(super) async fn side_by_side<S>(&self, patience: Duration, stops: impl IntoIterator<Item = S>) -> Vec<S::Output>
    where
        S: Future<Output: Send> + Send + 'static,
    {
        let turns = Arc::new(Semaphore::new(PARALLEL));
        let mut running: FuturesUnordered<_> = stops
            .into_iter()
            .map(|stop| {
                let turns = turns.clone();
                self.inner.supervisor.spawn("workspace-stop", async move {
                    // Never closed.
                    let _turn = turns.acquire().await;
                    stop.await
                })
            })
            .collect();
        let mut said = Vec::new();
        let all = async {
            while let Some(stop) = running.next().await {
                said.extend(stop.ok().flatten());
            }
        };
        self.inner.clock().within(patience, all).await;
        said
    }

    /// Stops removed workspaces, one attempt each (LIFE-104, LIFE-108). What has not ended after 30 s counts as failed.
    ///
    /// # Errors
    /// Of some it is not known that they stopped.
    pub(super) async fn stop_removed(&self, scope: &[WorkspaceId], remove_data: bool) -> Result<(), StopFailures> {
        let stops = scope.iter().copied().map(|id| {
            let provisioner = self.inner.provisioner.clone();
            async move { provisioner.retire(id, remove_data).await.is_ok().then_some(id) }
        });
        let stopped = self.side_by_side(limits::DELETE_STOP_DEADLINE, stops).await;
        let mut unsure: BTreeSet<WorkspaceId> = scope.iter().copied().collect();
        for id in stopped.into_iter().flatten() {
            unsure.remove(&id);
        }
        if unsure.is_empty() {
            return Ok(());
        }
        Err(failures(scope.len(), &unsure))
    }
}

fn failures(total: usize, unsure: &BTreeSet<WorkspaceId>) -> StopFailures {
    let named: Vec<_> = unsure.iter().take(NAMED).map(WorkspaceId::to_string).collect();
    let more = match unsure.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    StopFailures {
        error: format!(
            "workspaces were removed, but these could not be stopped: {}{more}; repeat the request to try again",
            named.join(", ")
        ),
        removed_count: u64::try_from(total).unwrap_or(u64::MAX),
        stop_failures: u64::try_from(unsure.len()).unwrap_or(u64::MAX),
    }
}
