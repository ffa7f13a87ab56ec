use std::collections::{HashMap, VecDeque};

use molecule_core::{Timestamp, WorkspaceId, event};
use molecule_store::changes::Follower;
use parking_lot::Mutex;

/// Heartbeats that have not been shown yet: the latest of each workspace, in the order in which the workspaces first beat
/// (D34).
#[derive(Debug, Default)]
pub(super) struct Beats(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    latest: HashMap<WorkspaceId, Beat>,
    /// Every workspace of `latest` once, and some that were taken out of turn.
    order: VecDeque<WorkspaceId>,
}

/// One that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) workspace: WorkspaceId,
    pub(super) at: Timestamp,
    pub(super) payload: event::Beat,
}

impl Beats {
    pub(super) fn put(&self, beat: Beat) {
        let mut pending = self.0.lock();
        if pending.latest.insert(beat.workspace, beat).is_none() {
            pending.order.push_back(beat.workspace);
        }
    }

    /// The one of this workspace, out of its turn.
    pub(super) fn take(&self, workspace: WorkspaceId) -> Option<Beat> {
        self.0.lock().latest.remove(&workspace)
    }

    /// Those that have waited longest, so many at most.
    pub(super) fn take_some(&self, most: usize) -> Vec<Beat> {
        let mut pending = self.0.lock();
        let mut taken = Vec::with_capacity(most.min(pending.latest.len()));
        while taken.len() < most
            && let Some(workspace) = pending.order.pop_front()
        {
            taken.extend(pending.latest.remove(&workspace));
        }
        taken
    }

    pub(super) fn clear(&self) {
        *self.0.lock() = Pending::default();
    }
}

impl Follower for Beats {
    fn gone(&self, workspace: WorkspaceId) {
        self.take(workspace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(workspace: WorkspaceId, uptime_seconds: i64) -> Beat {
        Beat {
            workspace,
            at: Timestamp::default(),
            payload: event::Beat {
                active_tasks: 0,
                uptime_seconds,
            },
        }
    }

    #[test]
    fn the_latest_of_each_in_turn() {
        // D34
        let beats = Beats::default();
        let ids: Vec<_> = (0..4).map(|_| WorkspaceId::random()).collect();
        for round in 0..3 {
            ids.iter().for_each(|id| beats.put(beat(*id, round)));
        }
        assert_eq!(beats.take(ids[1]), Some(beat(ids[1], 2)));
        beats.gone(ids[2]);
        assert_eq!(beats.take_some(1), [beat(ids[0], 2)]);
        // Who beats again waits behind those who have waited longer; nobody is shown twice.
        beats.put(beat(ids[0], 3));
        beats.put(beat(ids[1], 3));
        assert_eq!(beats.take_some(9), [beat(ids[1], 3), beat(ids[3], 2), beat(ids[0], 3)]);
        assert_eq!(beats.take_some(9), []);
        assert!(beats.0.lock().order.is_empty());
    }
}
