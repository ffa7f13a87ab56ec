//! Who has fallen silent.

use std::time::Duration;

use molecule_core::{Timestamp, Trigger, WorkspaceStatus, limits};
use molecule_store::{
    Clock, StoreError,
    workspaces::{Change, Guard, NewUrl, Watched},
};
use serde::Serialize;

use super::Registry;
use crate::{lifecycle::Ask, pulses::Flushed};

/// What the sweeps remember between their runs (D17): they must not blame agents for the time in which nobody
/// listened.
#[derive(Debug)]
pub struct Watch {
    listening_since: Timestamp,
    last_run: Option<Timestamp>,
}

impl Watch {
    /// Somebody listens from now on.
    #[must_use]
    pub fn begin(clock: &Clock) -> Self {
        Self::since(clock.now())
    }

    /// Somebody has listened since `at`.
    #[must_use]
    pub fn since(at: Timestamp) -> Self {
        Self {
            listening_since: at,
            last_run: None,
        }
    }

    /// The server had more to do at `at` than it could (D34): beats may have been waiting to be taken, so that listening
    /// begins anew.
    pub fn was_behind(&mut self, at: Timestamp) {
        self.listening_since = self.listening_since.max(at);
    }

    /// Since when somebody has listened. A gap much longer than the cadence of the health sweep means that the machine
    /// slept or the server hung: listening begins anew.
    pub fn observe(&mut self, at: Timestamp) -> Timestamp {
        let gap = self.last_run.map_or(Duration::ZERO, |last| at.since(last));
        if gap > limits::HEALTH_SWEEP_PERIOD * 2 {
            tracing::warn!(
                gap_secs = gap.as_secs(),
                "nobody was listening; silence is counted from now"
            );
            self.listening_since = at;
        }
        self.last_run = Some(at);
        self.listening_since
    }
}

/// What a health sweep came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Swept {
    /// Workspaces that were judged.
    pub judged: usize,
    /// Those that had fallen silent.
    pub lost: usize,
    /// Those that could not be judged.
    pub failed: usize,
}

impl Registry {
    /// Stores the beats that have arrived, and looks again at workspaces whose cached status was stale. Tells how many
    /// were stored.
    ///
    /// # Errors
    /// The beats are not stored yet and stay queued.
    pub async fn flush(&self) -> Result<usize, StoreError> {
        let flushed = self.inner.pulses.flush().await?;
        let beats = flushed.len();
        for Flushed {
            id,
            status: stored,
            spend,
        } in flushed
        {
            if stored == WorkspaceStatus::Removed {
                // A beat that was under way when it was removed; it may have left other traces, too.
                self.inner.changes().gone(id);
                continue;
            }
            let Some(route) = self.inner.directory.route(id).await? else {
                continue;
            };
            // The budget is judged by what the route says once the beat itself is forgotten.
            let outspent = spend.is_some_and(|spend| spend != route.monthly_spend);
            if route.status != stored || outspent {
                self.inner.changes().changed(id);
            }
        }
        self.inner.credentials.flush_uses().await;
        Ok(beats)
    }

    /// One run of the health sweep (LIFE-180…183, REG-91…93, OP-5). Beats are flushed first: silence is judged only
    /// against what is stored.
    ///
    /// # Errors
    /// Nothing could be judged.
    pub async fn sweep(&self, watch: &mut Watch) -> Result<Swept, StoreError> {
        self.flush().await?;
        let at = self.inner.clock().now();
        let listening_since = watch.observe(at);
        let mut swept = Swept::default();
        let silent_since = at.minus(self.inner.config.remote_stale_after);
        for row in self.inner.store.watched_workspaces(silent_since).await? {
            swept.judged += 1;
            match self.judge(&row, listening_since, at).await {
                Ok(lost) => swept.lost += usize::from(lost),
                Err(error) => {
                    // One bad row never stops the rest (LIFE-176).
                    tracing::error!(workspace = %row.id, %error, "not judged");
                    swept.failed += 1;
                }
            }
        }
        Ok(swept)
    }

    /// Was it lost just now?
    async fn judge(&self, row: &Watched, listening_since: Timestamp, at: Timestamp) -> Result<bool, StoreError> {
        let external = row.external;
        if row.status == WorkspaceStatus::Offline {
            // Its restart was asked for when it was lost; this is for one that got lost itself.
            if !external {
                self.inner.provisioner.auto_restart_unless_pending(row.id);
            }
            return Ok(false);
        }
        let window = if external {
            self.inner.config.remote_stale_after
        } else {
            limits::LIVENESS_WINDOW
        };
        let stored = row.last_beat_at.unwrap_or(row.updated_at);
        // A beat may have come in since the flush.
        let heard = stored
            .max(self.inner.pulses.last_beat(row.id).unwrap_or(stored))
            .max(listening_since);
        if at.since(heard) > window {
            return self.lost(row, at.minus(window)).await;
        }
        if !external {
            self.inner.provisioner.restart_if_gone(row.id, row.generation).await;
        }
        Ok(false)
    }

    async fn lost(&self, row: &Watched, silent_since: Timestamp) -> Result<bool, StoreError> {
        tracing::warn!(workspace = %row.id, last_beat = ?row.last_beat_at, "workspace has fallen silent");
        let change = if row.external {
            Change::default()
        } else {
            Change {
                url: Some(NewUrl::none()),
                ..Change::default()
            }
        };
        let guard = Guard {
            silent_since: Some(silent_since),
            generation: Some(row.generation),
            ..Guard::default()
        };
        let ask = Ask::from(Trigger::ContactLost).change(change).guard(guard);
        let applied = self.inner.lifecycle.apply(row.id, ask).await?;
        if applied.is_some() {
            self.inner.provisioner.auto_restart(row.id);
        }
        Ok(applied.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_behind_does_not_listen() {
        // D34
        let begin = Timestamp::from_micros(1_000_000_000);
        let mut watch = Watch::since(begin);
        let behind = begin.plus(Duration::from_secs(20));
        watch.was_behind(behind);
        watch.was_behind(begin);
        assert_eq!(watch.observe(behind.plus(Duration::from_secs(1))), behind);
    }

    #[test]
    fn a_gap_begins_listening_anew_and_a_late_tick_does_not() {
        // D17: a server that was held up, or a laptop that slept, must not blame its agents.
        let begin = Timestamp::from_micros(1_000_000_000);
        let mut watch = Watch::since(begin);
        let mut at = begin;
        watch.observe(at);
        at = at.plus(limits::HEALTH_SWEEP_PERIOD * 2);
        watch.observe(at);
        assert_eq!(watch.listening_since, begin);
        at = at.plus(limits::HEALTH_SWEEP_PERIOD * 2 + Duration::from_secs(1));
        watch.observe(at);
        assert_eq!(watch.listening_since, at);
        watch.observe(at.plus(limits::HEALTH_SWEEP_PERIOD));
        assert_eq!(watch.listening_since, at);
    }
}
