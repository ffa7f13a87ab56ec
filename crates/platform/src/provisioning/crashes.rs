//! Agents that end again and again: ever longer pauses between their restarts, and an end of it (D30).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use molecule_core::{WorkspaceId, limits};
use molecule_store::{Clock, changes::Changes};

use crate::kept::PerWorkspace;

/// What follows an end that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequel {
    /// A restart, after a pause.
    Restart(Duration),
    /// Nothing: it ended this often in a row.
    GiveUp(usize),
}

/// Ends of instances, by workspace.
#[derive(Debug)]
pub(super) struct Crashes {
    /// Restarts within [`limits::CRASH_WINDOW`].
    restarts: usize,
    clock: Clock,
    by_workspace: PerWorkspace<Ends>,
}

/// Ends in a row, oldest first: within the window, and with no quiet time between them.
#[derive(Debug, Default)]
struct Ends(VecDeque<Instant>);

impl Crashes {
    pub(super) fn new(restarts: usize, clock: Clock, changes: &Changes) -> Self {
        Self {
            restarts,
            clock,
            by_workspace: PerWorkspace::new(changes),
        }
    }

    /// What would follow an end now.
    pub(super) fn sequel(&self, id: WorkspaceId) -> Sequel {
        let mut all = self.by_workspace.lock();
        all.entry(id).or_default().sequel(self.clock.instant(), self.restarts)
    }

    /// There was one.
    pub(super) fn count(&self, id: WorkspaceId) {
        let mut all = self.by_workspace.lock();
        all.entry(id).or_default().0.push_back(self.clock.instant());
    }

    /// Begins anew: somebody has looked after it.
    pub(super) fn forget(&self, id: WorkspaceId) {
        self.by_workspace.lock().remove(&id);
    }
}

impl Ends {
    fn sequel(&mut self, at: Instant, restarts: usize) -> Sequel {
        // The pause before the last restart was not the agent's.
        let quiet = limits::CRASH_QUIET + limits::CRASH_PAUSE_MAX;
        if self.0.back().is_some_and(|last| at.duration_since(*last) >= quiet) {
            self.0.clear();
        }
        while self
            .0
            .front()
            .is_some_and(|end| at.duration_since(*end) >= limits::CRASH_WINDOW)
        {
            self.0.pop_front();
        }
        let before = self.0.len();
        if before >= restarts {
            return Sequel::GiveUp(before + 1);
        }
        let doublings = u32::try_from(before).unwrap_or(u32::MAX).checked_sub(1);
        Sequel::Restart(doublings.map_or(Duration::ZERO, |doublings| {
            limits::CRASH_PAUSE
                .saturating_mul(2u32.saturating_pow(doublings))
                .min(limits::CRASH_PAUSE_MAX)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        // D30
        let begin = Instant::now();
        let mut ends = Ends::default();
        let mut at = begin;
        let mut sequels = Vec::new();
        for _ in 0..=limits::CRASH_RESTARTS {
            sequels.push(ends.sequel(at, limits::CRASH_RESTARTS));
            ends.0.push_back(at);
            at += Duration::from_secs(61);
        }
        let mut expected: Vec<_> = [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
            .map(|secs| Sequel::Restart(Duration::from_secs(secs)))
            .into();
        expected.push(Sequel::GiveUp(11));
        assert_eq!(sequels, expected);
        assert_eq!(ends.sequel(at, limits::CRASH_RESTARTS), Sequel::GiveUp(12));
        // What lies longer back than the window does not count: the oldest is 671 s back, and then 3 600.
        let hour = begin + limits::CRASH_WINDOW;
        let mut slow = Ends(
            ends.0
                .iter()
                .copied()
                .chain([hour - Duration::from_secs(500)])
                .collect(),
        );
        assert_eq!(slow.sequel(hour, 100), Sequel::Restart(Duration::from_secs(60)));
        assert_eq!(slow.0.len(), 11);
    }

    #[test]
    fn who_holds_out_begins_anew() {
        // D30
        let begin = Instant::now();
        let mut ends = Ends(vec![begin; 10].into());
        let almost = begin + limits::CRASH_QUIET;
        assert_eq!(ends.sequel(almost, 10), Sequel::GiveUp(11));
        let quiet = almost + limits::CRASH_PAUSE_MAX;
        assert_eq!(ends.sequel(quiet, 10), Sequel::Restart(Duration::ZERO));
    }
}
