//! What agents say of themselves with every beat: the latest of it in memory, stored in batches, and what their adapters
//! declared.

mod busy;
mod overrides;

pub use busy::{Bounds, Busy, Crowded};
pub use overrides::{Overrides, RuntimeOverrides};

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use molecule_core::{Timestamp, WorkspaceId, WorkspaceStatus};
use molecule_store::{Clock, Store, StoreError, changes::Follower, pulse::Pulse, workspaces::Change};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Beats that arrived since the last flush, and the last beat of everybody heard of on this node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pulses {
    store: Store,
    state: Arc<Shared>,
    flushing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    clock: Clock,
    /// A message to or from an agent has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    latest: HashMap<WorkspaceId, Pulse>,
    dirty: HashSet<WorkspaceId>,
    /// When workspaces were last busy: a task ran, or a message came or went (OP-6). Stored with their beats.
    active: HashMap<WorkspaceId, Timestamp>,
    /// Messages under way, by the agent they are for.
    calls: HashMap<WorkspaceId, usize>,
    /// All of them together.
    all_calls: usize,
}

/// A workspace whose beat was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flushed {
    pub(crate) id: WorkspaceId,
    /// Its stored status.
    pub(crate) status: WorkspaceStatus,
    /// The spend that was stored with it, if one was.
    pub(crate) spend: Option<i64>,
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
        let state = Arc::new(Shared {
            state: Mutex::default(),
            clock: store.clock().clone(),
            ended: Notify::new(),
        });
        store.changes().follow(&state);
        Self {
            store,
            state,
            flushing: Arc::default(),
        }
    }

    /// Takes a beat. `known_task` is the stored task of a workspace not heard of since the server started.
    #[must_use]
    pub fn take(&self, mut pulse: Pulse, known_task: &str) -> Difference {
        let mut state = self.state.state.lock();
        if pulse.active_tasks > 0 {
            state.active.insert(pulse.workspace, pulse.last_beat_at);
        }
        pulse.active_at = state.active.get(&pulse.workspace).copied();
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
        self.state.state.lock().latest.get(&workspace).cloned()
    }

    /// When a workspace last beat on this node.
    #[must_use]
    pub fn last_beat(&self, workspace: WorkspaceId) -> Option<Timestamp> {
        self.state
            .state
            .lock()
            .latest
            .get(&workspace)
            .map(|pulse| pulse.last_beat_at)
    }

    /// Notes what the store was told of a workspace beside its beats, so that a beat which was not flushed yet does not
    /// undo it: why it failed, that a new incarnation has no tasks, and that it was heard of. A flush that is under way
    /// may undo it all the same; the next one puts it right.
    pub fn changed(&self, workspace: WorkspaceId, change: &Change) {
        let mut state = self.state.state.lock();
        let Some(pulse) = state.latest.get_mut(&workspace) else {
            return;
        };
        if change.beat {
            pulse.last_beat_at = pulse.last_beat_at.max(self.state.clock.now());
        }
        if let Some(error) = &change.sample_error {
            pulse.sample_error.clone_from(error);
        }
        if change.restart {
            pulse.active_tasks = 0;
            pulse.current_task.clear();
        }
        if change.beat || change.restart || change.sample_error.is_some() {
            state.dirty.insert(workspace);
        }
    }

    /// Stores what arrived since the last flush. Returns the stored status of each workspace, so that a stale cache is
    /// noticed. What could not be stored is tried again with the next flush.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn flush(&self) -> Result<Vec<Flushed>, StoreError> {
        let _turn = self.flushing.lock().await;
        let batch: Vec<Pulse> = {
            let mut state = self.state.state.lock();
            let dirty = std::mem::take(&mut state.dirty);
            dirty.iter().filter_map(|id| state.latest.get(id).cloned()).collect()
        };
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let outcome = self.store.flush_pulses(&batch).await;
        if outcome.is_err() {
            let mut state = self.state.state.lock();
            let again: Vec<_> = batch
                .iter()
                .map(|pulse| pulse.workspace)
                .filter(|id| state.latest.contains_key(id))
                .collect();
            state.dirty.extend(again);
        }
        let spend: HashMap<WorkspaceId, i64> = batch
            .iter()
            .filter_map(|pulse| Some((pulse.workspace, pulse.monthly_spend?)))
            .collect();
        let stored = outcome?.into_iter();
        Ok(stored
            .map(|(id, status)| Flushed {
                id,
                status,
                spend: spend.get(&id).copied(),
            })
            .collect())
    }
}

impl Follower for Shared {
    fn gone(&self, workspace: WorkspaceId) {
        let mut state = self.state.lock();
        state.latest.remove(&workspace);
        state.dirty.remove(&workspace);
        state.active.remove(&workspace);
    }
}

#[cfg(test)]
mod tests {
    use molecule_store::{now, workspaces::Workspace};
    use sea_orm::ConnectionTrait;
    use tokio::sync::oneshot;

    use super::*;

    const ID: WorkspaceId = WorkspaceId::from_uuid(uuid::Uuid::from_u128(7));

    async fn execute(store: &Store, sql: &str) {
        let statement = store.db().statement(sql, [ID.uuid().into()]);
        let work = store
            .db()
            .tx(|tx| Box::pin(async move { tx.execute_raw(statement).await.map(|_| ()) }));
        work.await.unwrap();
    }

    fn beat(active_tasks: i64, current_task: &str) -> Pulse {
        Pulse {
            workspace: ID,
            last_beat_at: now(),
            uptime_seconds: 1,
            error_rate: 0.0,
            sample_error: String::new(),
            active_tasks,
            current_task: current_task.to_owned(),
            monthly_spend: None,
            active_at: None,
        }
    }

    async fn row(store: &Store) -> Workspace {
        store.workspace(ID).await.unwrap().unwrap()
    }

    // LIFE-106
    #[tokio::test]
    async fn who_is_gone_is_forgotten() {
        let database = molecule_testkit::sqlite::database();
        let store = Store::open(database.url()).await.unwrap();
        let pulses = Pulses::new(store.clone());
        assert!(!pulses.take(beat(0, ""), "").task_changed);
        assert!(pulses.latest(ID).is_some());
        store.changes().gone(ID);
        assert_eq!(pulses.latest(ID), None);
        assert_eq!(pulses.flush().await.unwrap(), [], "nor is there anything to store");
    }

    // LIFE-55, D17
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flush_under_way_does_not_undo_a_transition() {
        let database = molecule_testkit::sqlite::database();
        let store = Store::open(database.url()).await.unwrap();
        execute(
            &store,
            "INSERT INTO workspaces (id, name, runtime, status, awareness_namespace, status_changed_at, created_at,
             updated_at) VALUES ($1, 'w', 'echo', 'online', '', 1, 1, 1)",
        )
        .await;
        let pulses = Pulses::new(store.clone());
        let heard = pulses.take(beat(2, "digging"), "");
        assert!(heard.task_changed);
        // The flush has read the beat and waits for its turn to write.
        let gate = store.db().write_gate().unwrap();
        let turn = gate.enter().await;
        let (ended, end) = oneshot::channel();
        let flushing = pulses.clone();
        tokio::spawn(async move { ended.send(flushing.flush().await.map(|_| ())) });
        while !pulses.state.state.lock().dirty.is_empty() {
            tokio::task::yield_now().await;
        }
        let change = Change {
            sample_error: Some("it broke".to_owned()),
            restart: true,
            ..Change::default()
        };
        pulses.changed(ID, &change);
        drop(turn);
        end.await.unwrap().unwrap();
        assert_eq!(row(&store).await.current_task, "digging");
        pulses.flush().await.unwrap();
        let row = row(&store).await;
        assert_eq!(
            (row.sample_error.as_str(), row.active_tasks, row.current_task.as_str()),
            ("it broke", 0, "")
        );
    }
}
