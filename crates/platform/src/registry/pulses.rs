use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use molecule_core::{Timestamp, WorkspaceId, WorkspaceStatus};
use molecule_store::{Store, StoreError, pulse::Pulse, workspaces::Change};
use parking_lot::Mutex;

/// Beats that arrived since the last flush, and the last beat of everybody heard of on this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pulses {
    store: Store,
    state: Arc<Mutex<State>>,
    flushing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    latest: HashMap<WorkspaceId, Pulse>,
    dirty: HashSet<WorkspaceId>,
}

/// A workspace whose beat was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flushed {
    pub(super) id: WorkspaceId,
    /// Its stored status.
    pub(super) status: WorkspaceStatus,
    /// Its stored spend has changed.
    pub(super) spent: bool,
}

/// A beat against the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The current task is another one.
    pub task_changed: bool,
}

impl Pulses {
    /// Nothing heard yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            state: Arc::default(),
            flushing: Arc::default(),
        }
    }

    /// Takes a beat. `known_task` is the stored task of a workspace not heard of since the server started.
    #[must_use]
    pub fn take(&self, mut pulse: Pulse, known_task: &str) -> Difference {
        let mut state = self.state.lock();
        let before = state.latest.get(&pulse.workspace);
        let task = before.map_or(known_task, |before| before.current_task.as_str());
        let task_changed = task != pulse.current_task;
        // A spend that has not been flushed must survive a beat without one.
        if pulse.monthly_spend.is_none() {
            pulse.monthly_spend = before
                .filter(|_| state.dirty.contains(&pulse.workspace))
                .and_then(|before| before.monthly_spend);
        }
        state.dirty.insert(pulse.workspace);
        state.latest.insert(pulse.workspace, pulse);
        Difference { task_changed }
    }

    /// The latest beat heard on this node, flushed or not.
    #[must_use]
    pub fn latest(&self, workspace: WorkspaceId) -> Option<Pulse> {
        self.state.lock().latest.get(&workspace).cloned()
    }

    /// When a workspace last beat on this node.
    #[must_use]
    pub fn last_beat(&self, workspace: WorkspaceId) -> Option<Timestamp> {
        self.state.lock().latest.get(&workspace).map(|pulse| pulse.last_beat_at)
    }

    /// Notes what the store was told of a workspace beside its beats, so that a beat which was not flushed yet does not
    /// undo it: why it failed, and that a new incarnation has no tasks.
    pub fn changed(&self, workspace: WorkspaceId, change: &Change) {
        let mut state = self.state.lock();
        let Some(pulse) = state.latest.get_mut(&workspace) else {
            return;
        };
        if let Some(error) = &change.sample_error {
            pulse.sample_error.clone_from(error);
        }
        if change.restart {
            pulse.active_tasks = 0;
            pulse.current_task.clear();
        }
    }

    /// Forgets a workspace that is gone.
    pub fn forget(&self, workspace: WorkspaceId) {
        let mut state = self.state.lock();
        state.latest.remove(&workspace);
        state.dirty.remove(&workspace);
    }

    /// Stores what arrived since the last flush. Returns the stored status of each workspace, so that a stale cache is
    /// noticed. What could not be stored is tried again with the next flush.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn flush(&self) -> Result<Vec<Flushed>, StoreError> {
        let _turn = self.flushing.lock().await;
        let batch: Vec<Pulse> = {
            let mut state = self.state.lock();
            let dirty = std::mem::take(&mut state.dirty);
            dirty.iter().filter_map(|id| state.latest.get(id).cloned()).collect()
        };
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let outcome = self.store.flush_pulses(&batch).await;
        if outcome.is_err() {
            let mut state = self.state.lock();
            let again: Vec<_> = batch
                .iter()
                .map(|pulse| pulse.workspace)
                .filter(|id| state.latest.contains_key(id))
                .collect();
            state.dirty.extend(again);
        }
        let spent: HashSet<WorkspaceId> = batch
            .iter()
            .filter(|pulse| pulse.monthly_spend.is_some())
            .map(|pulse| pulse.workspace)
            .collect();
        let stored = outcome?.into_iter();
        Ok(stored
            .map(|(id, status)| Flushed {
                id,
                status,
                spent: spent.contains(&id),
            })
            .collect())
    }
}
