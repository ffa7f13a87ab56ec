use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use molecule_core::WorkspaceId;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

/// A restart that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cycle {
    /// The generation for which `provisioning` is written already; `None`: the cycle writes it itself.
    pub(super) written: Option<i64>,
    /// Restarts the workspace whatever it does, unless it is stopped on purpose.
    pub(super) restart: bool,
    /// Starts it if it hibernates (LIFE-162).
    pub(super) wake: bool,
    /// The agent is told afterwards what has become of it (LIFE-147).
    pub(super) tell: bool,
    /// Not earlier, so that settings saved together lead to one cycle (PROV-112a).
    pub(super) not_before: Instant,
}

impl Cycle {
    /// Of a restart that is written; due at once.
    pub(super) fn written(generation: i64, at: Instant) -> Self {
        Self {
            written: Some(generation),
            restart: true,
            wake: false,
            tell: true,
            not_before: at,
        }
    }

    /// Of a restart that is not written yet.
    pub(super) fn asked(not_before: Instant) -> Self {
        Self {
            written: None,
            restart: true,
            wake: false,
            tell: true,
            not_before,
        }
    }

    /// What was asked for twice is done once. A restart that is written waits for nothing but its own time: people
    /// see it, and of two the later incarnation is the one to be started.
    fn absorb(&mut self, other: Self) {
        self.not_before = match (self.written, other.written) {
            (None, None) => self.not_before.max(other.not_before),
            (Some(_), None) => self.not_before,
            (None, Some(_)) => other.not_before,
            (Some(_), Some(_)) => self.not_before.min(other.not_before),
        };
        self.written = self.written.max(other.written);
        self.restart |= other.restart;
        self.wake |= other.wake;
        self.tell |= other.tell;
    }
}

/// The restarts of one workspace that were asked for: one runs, and any number of requests become one further cycle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Cycles {
    /// Nothing was asked for that has not been done.
    #[default]
    Idle,
    /// A worker waits for `not_before`; requests are absorbed.
    Waiting(Cycle),
    /// A worker runs; any number of requests become one further cycle (LIFE-145).
    Running(Option<Cycle>),
}

impl Cycles {
    /// Takes a request. `true`: the caller must run a worker.
    pub(super) fn request(&mut self, cycle: Cycle) -> bool {
        match self {
            Self::Idle => {
                *self = Self::Waiting(cycle);
                return true;
            }
            Self::Waiting(waiting) | Self::Running(Some(waiting)) => waiting.absorb(cycle),
            Self::Running(pending @ None) => *pending = Some(cycle),
        }
        false
    }

    /// When the waiting cycle may begin; `None`: none waits.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Waiting(cycle) => Some(cycle.not_before),
            Self::Idle | Self::Running(_) => None,
        }
    }

    /// The waiting cycle begins.
    pub(super) fn begin(&mut self) -> Option<Cycle> {
        let Self::Waiting(cycle) = *self else { return None };
        *self = Self::Running(None);
        Some(cycle)
    }

    /// The running cycle ended. `true`: another one waits.
    pub(super) fn end(&mut self) -> bool {
        let next = match self {
            Self::Running(pending) => pending.take(),
            Self::Idle | Self::Waiting(_) => None,
        };
        *self = next.map_or(Self::Idle, Self::Waiting);
        next.is_some()
    }

    /// Withdraws what has been asked for and not begun.
    pub(super) fn withdraw(&mut self) {
        *self = match self {
            Self::Running(_) => Self::Running(None),
            Self::Idle | Self::Waiting(_) => Self::Idle,
        };
    }
}

/// The operation slot of one workspace (D17).
#[derive(Debug, Default)]
pub(super) struct Slot {
    operation: Arc<AsyncMutex<()>>,
    cycles: Mutex<Cycles>,
    /// Generation of the latest start, and what cancels it.
    start: Mutex<Option<(i64, CancellationToken)>>,
    /// The waiting cycle is due earlier, or not at all any more.
    moved: Notify,
    /// A start is in progress: what it leads to is not stored yet.
    starting: watch::Sender<bool>,
    /// Where the latest start stands among those that run at once.
    turn: Mutex<Turn>,
}

/// How far a start has come that is bounded in number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Turn {
    /// None was begun by this server.
    #[default]
    None,
    /// It has waited since then for others to end.
    Waits(Instant),
    /// It had its turn, having waited for so long.
    Came(Duration),
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

    /// The turn, unless somebody has it.
    pub(super) fn try_operation(&self) -> Option<OwnedMutexGuard<()>> {
        self.operation.clone().try_lock_owned().ok()
    }

    /// A start of that generation begins.
    pub(super) fn begin_start(&self, generation: i64, at: Instant) -> Starting<'_> {
        let cancel = CancellationToken::new();
        *self.start.lock() = Some((generation, cancel.clone()));
        *self.turn.lock() = Turn::Waits(at);
        self.starting.send_replace(true);
        Starting { slot: self, cancel }
    }

    /// The start that began has its turn.
    pub(super) fn turn_came(&self, at: Instant) {
        let mut turn = self.turn.lock();
        if let Turn::Waits(since) = *turn {
            *turn = Turn::Came(at.saturating_duration_since(since));
        }
    }

    /// Where the latest start stands.
    pub(super) fn turn(&self) -> Turn {
        *self.turn.lock()
    }

    /// Waits until no start is in progress.
    pub(super) async fn start_ended(&self) {
        // An error means that the slot is gone, and every start with it.
        self.starting.subscribe().wait_for(|starting| !starting).await.ok();
    }

    /// Cancels the start in progress, if it is of that generation or an earlier one.
    pub(super) fn cancel_start(&self, latest: i64) {
        if let Some((generation, cancel)) = &*self.start.lock()
            && *generation <= latest
        {
            cancel.cancel();
        }
    }

    /// Something was started here, or asked for.
    pub(super) fn is_in_use(&self) -> bool {
        self.start.lock().is_some() || !self.is_idle()
    }

    /// Nothing was asked for that has not been done.
    pub(super) fn is_idle(&self) -> bool {
        matches!(*self.cycles.lock(), Cycles::Idle)
    }

    /// Takes a request. `true`: the caller must run a worker.
    pub(super) fn request(&self, cycle: Cycle) -> bool {
        let begin = self.cycles.lock().request(cycle);
        self.moved.notify_one();
        begin
    }

    /// When the waiting cycle may begin; `None` when it has been withdrawn.
    pub(super) fn due(&self) -> Option<Instant> {
        self.cycles.lock().due()
    }

    /// Resolves when [`Slot::due`] may have changed.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// The waiting cycle begins.
    pub(super) fn begin_cycle(&self) -> Option<Cycle> {
        self.cycles.lock().begin()
    }

    /// The running cycle ended. `true`: another one waits. Also called after a panic, so that a slot is never stuck
    /// (LIFE-146).
    pub(super) fn end_cycle(&self) -> bool {
        self.cycles.lock().end()
    }

    /// Withdraws what has been asked for and not begun.
    pub(super) fn withdraw(&self) {
        self.cycles.lock().withdraw();
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

    fn cycle(written: impl Into<Option<i64>>) -> Cycle {
        Cycle {
            written: written.into(),
            ..Cycle::asked(Instant::now())
        }
    }

    #[test]
    fn any_number_of_requests_coalesce_into_one_further_cycle() {
        // LIFE-145
        let slot = Slot::default();
        assert!(slot.request(cycle(None)), "the first one runs");
        assert!(slot.begin_cycle().is_some());
        for _ in 0..5 {
            assert!(!slot.request(cycle(None)));
        }
        assert!(slot.end_cycle(), "one more");
        assert!(slot.begin_cycle().is_some());
        assert!(!slot.end_cycle(), "and no more");
        assert!(slot.request(cycle(None)), "then a fresh one");
    }

    #[test]
    fn settings_saved_together_are_one_cycle() {
        // PROV-112a
        let slot = Slot::default();
        assert!(slot.request(cycle(None)));
        assert!(!slot.request(cycle(7)));
        assert!(!slot.request(cycle(6)));
        assert!(!slot.request(cycle(None)));
        assert_eq!(
            slot.begin_cycle().unwrap().written,
            Some(7),
            "what a person asked for is kept"
        );
        assert!(!slot.end_cycle());
    }

    #[test]
    fn a_person_waits_for_no_pause() {
        // LIFE-122: neither for the back-off of a crash loop nor for further settings.
        let slot = Slot::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        assert!(slot.request(Cycle {
            not_before: later,
            ..cycle(None)
        }));
        assert!(!slot.request(Cycle {
            not_before: now,
            ..cycle(1)
        }));
        assert_eq!(slot.due(), Some(now));
        assert!(!slot.request(Cycle {
            not_before: later,
            ..cycle(None)
        }));
        assert_eq!(slot.due(), Some(now));
    }

    #[test]
    fn only_starts_that_are_out_of_date_are_cancelled() {
        // D17
        let slot = Slot::default();
        let starting = slot.begin_start(2, Instant::now());
        slot.cancel_start(1);
        assert!(!starting.cancel.is_cancelled());
        slot.cancel_start(2);
        assert!(starting.cancel.is_cancelled());
    }

    #[test]
    fn a_stop_withdraws_what_has_not_begun() {
        let slot = Slot::default();
        assert!(slot.request(cycle(None)));
        slot.withdraw();
        assert!(slot.due().is_none());
        assert!(slot.begin_cycle().is_none());
        assert!(slot.request(cycle(None)));
    }
}
