use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, stream::FuturesUnordered};
use molecule_core::{WorkspaceId, limits};
use molecule_wire::workspaces::StopFailures;
use tokio::sync::Semaphore;

use super::Workspaces;

/// Stops that run at once.
pub(super) const PARALLEL: usize = 16;
/// Workspaces that an error names.
const NAMED: usize = 5;

impl Workspaces {
    /// Stops removed workspaces, one attempt each, in parallel (LIFE-104, LIFE-108). What has not ended after 30 s goes on
    /// and counts as failed until then.
    ///
    /// # Errors
    /// Of some it is not known that they stopped.
    pub(super) async fn stop_removed(&self, scope: Vec<WorkspaceId>, remove_data: bool) -> Result<(), StopFailures> {
        let total = scope.len();
        let mut unsure: BTreeSet<WorkspaceId> = scope.iter().copied().collect();
        let turns = Arc::new(Semaphore::new(PARALLEL));
        let mut stops: FuturesUnordered<_> = scope
            .into_iter()
            .map(|id| {
                let (provisioner, turns) = (self.inner.provisioner.clone(), turns.clone());
                self.inner.supervisor.spawn("workspace-stop", async move {
                    // Never closed.
                    let _turn = turns.acquire().await;
                    provisioner.retire(id, remove_data).await.is_ok().then_some(id)
                })
            })
            .collect();
        let ended = async {
            while let Some(stop) = stops.next().await {
                if let Some(id) = stop.ok().flatten().flatten() {
                    unsure.remove(&id);
                }
            }
        };
        self.inner.clock().within(limits::DELETE_STOP_DEADLINE, ended).await;
        if unsure.is_empty() {
            return Ok(());
        }
        Err(failures(total, &unsure))
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
