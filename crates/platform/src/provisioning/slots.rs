use std::{collections::HashMap, sync::Arc, time::Instant};

use molecule_core::WorkspaceId;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

/// A restart that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Cycle {
    /// `provisioning` is written already (a restart asked for by a person); else the cycle writes it itself.
    pub written: bool,
    /// Not earlier, so that settings saved together lead to one cycle (PROV-112a).
    pub not_before: Instant,
}

impl Cycle {
    /// What was asked for twice is done once; what a person asked for is kept, and does not wait for anything.
    fn absorb(&mut self, other: Self) {
        if other.written {
            self.written = true;
            self.not_before = other.not_before;
        } else if !self.written {
            self.not_before = self.not_before.max(other.not_before);
        }
    }
}

#[derive(Debug, Default)]
enum CycleState {
    #[default]
    Idle,
    /// A worker waits for `not_before`; requests are absorbed.
    Waiting(Cycle),
    /// A worker runs; any number of requests become one further cycle (LIFE-145).
    Running(Option<Cycle>),
}

/// The operation slot of one workspace (D17).
#[derive(Debug, Default)]
pub(super) struct Slot {
    operation: Arc<AsyncMutex<()>>,
    cycle: Mutex<CycleState>,
    /// Cancels the start in progress.
    start: Mutex<CancellationToken>,
    /// The waiting cycle is due earlier, or not at all any more.
    moved: Notify,
    /// A start is in progress: what it leads to is not stored yet.
    starting: watch::Sender<bool>,
}

/// A start in progress. Dropped when it has ended, whatever way, and what it led to is stored.
#[derive(Debug)]
pub(super) struct Starting<'a> {
    slot: &'a Slot,
    /// Ends the start.
    pub(super) cancel: CancellationToken,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.slot.starting.send_replace(false);
    }
}

impl Slot {
    /// Waits for the turn: one backend operation at a time.
    pub(super) async fn operation(&self) -> OwnedMutexGuard<()> {
        self.operation.clone().lock_owned().await
    }

    /// A start begins.
    pub(super) fn begin_start(&self) -> Starting<'_> {
        let cancel = CancellationToken::new();
        *self.start.lock() = cancel.clone();
        self.starting.send_replace(true);
        Starting { slot: self, cancel }
    }

    /// Waits until no start is in progress.
    pub(super) async fn start_ended(&self) {
        // An error means that the slot is gone, and every start with it.
        self.starting.subscribe().wait_for(|starting| !starting).await.ok();
    }

    /// Cancels the start in progress, if any.
    pub(super) fn cancel_start(&self) {
        self.start.lock().cancel();
    }

    /// Takes a request. `true`: the caller must run a worker.
    pub(super) fn request(&self, cycle: Cycle) -> bool {
        let mut state = self.cycle.lock();
        match &mut *state {
            CycleState::Idle => {
                *state = CycleState::Waiting(cycle);
                true
            }
            CycleState::Waiting(waiting) => {
                waiting.absorb(cycle);
                self.moved.notify_one();
                false
            }
            CycleState::Running(Some(pending)) => {
                pending.absorb(cycle);
                false
            }
            CycleState::Running(pending @ None) => {
                *pending = Some(cycle);
                false
            }
        }
    }

    /// When the waiting cycle may begin; `None` when it has been withdrawn.
    pub(super) fn due(&self) -> Option<Instant> {
        match &*self.cycle.lock() {
            CycleState::Waiting(cycle) => Some(cycle.not_before),
            CycleState::Idle | CycleState::Running(_) => None,
        }
    }

    /// Resolves when [`Slot::due`] may have changed.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// The waiting cycle begins.
    pub(super) fn begin_cycle(&self) -> Option<Cycle> {
        let mut state = self.cycle.lock();
        match std::mem::replace(&mut *state, CycleState::Running(None)) {
            CycleState::Waiting(cycle) => Some(cycle),
            other => {
                *state = other;
                None
            }
        }
    }

    /// The running cycle ended. `true`: another one waits. Also called after a panic, so that a slot is never stuck
    /// (LIFE-146).
    pub(super) fn end_cycle(&self) -> bool {
        let mut state = self.cycle.lock();
        let next = match &mut *state {
            CycleState::Running(pending) => pending.take(),
            CycleState::Idle | CycleState::Waiting(_) => None,
        };
        let more = next.is_some();
        *state = next.map_or(CycleState::Idle, CycleState::Waiting);
        more
    }

    /// Withdraws what has been asked for and not begun.
    pub(super) fn withdraw(&self) {
        let mut state = self.cycle.lock();
        *state = match std::mem::take(&mut *state) {
            CycleState::Running(_) => CycleState::Running(None),
            CycleState::Idle | CycleState::Waiting(_) => CycleState::Idle,
        };
        self.moved.notify_one();
    }
}

/// Slots by workspace; different workspaces never block each other.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<WorkspaceId, Arc<Slot>>>);

impl Slots {
    pub(super) fn of(&self, id: WorkspaceId) -> Arc<Slot> {
        self.0.lock().entry(id).or_default().clone()
    }

    /// Drops the slot of a workspace that is gone (LIFE-106).
    pub(super) fn forget(&self, id: WorkspaceId) {
        self.0.lock().remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(written: bool) -> Cycle {
        Cycle {
            written,
            not_before: Instant::now(),
        }
    }

    #[test]
    fn any_number_of_requests_coalesce_into_one_further_cycle() {
        // LIFE-145
        let slot = Slot::default();
        assert!(slot.request(cycle(false)), "the first one runs");
        assert!(slot.begin_cycle().is_some());
        for _ in 0..5 {
            assert!(!slot.request(cycle(false)));
        }
        assert!(slot.end_cycle(), "one more");
        assert!(slot.begin_cycle().is_some());
        assert!(!slot.end_cycle(), "and no more");
        assert!(slot.request(cycle(false)), "then a fresh one");
    }

    #[test]
    fn settings_saved_together_are_one_cycle() {
        // PROV-112a
        let slot = Slot::default();
        assert!(slot.request(cycle(false)));
        assert!(!slot.request(cycle(true)));
        assert!(slot.begin_cycle().unwrap().written, "what a person asked for is kept");
        assert!(!slot.end_cycle());
    }

    #[test]
    fn a_person_waits_for_no_pause() {
        // LIFE-122: neither for the back-off of a crash loop nor for further settings.
        let slot = Slot::default();
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(60);
        assert!(slot.request(Cycle {
            not_before: later,
            ..cycle(false)
        }));
        assert!(!slot.request(Cycle {
            not_before: now,
            ..cycle(true)
        }));
        assert_eq!(slot.due(), Some(now));
        assert!(!slot.request(Cycle {
            not_before: later,
            ..cycle(false)
        }));
        assert_eq!(slot.due(), Some(now));
    }

    #[test]
    fn a_stop_withdraws_what_has_not_begun() {
        let slot = Slot::default();
        assert!(slot.request(cycle(false)));
        slot.withdraw();
        assert!(slot.due().is_none());
        assert!(slot.begin_cycle().is_none());
        assert!(slot.request(cycle(false)));
    }
}
