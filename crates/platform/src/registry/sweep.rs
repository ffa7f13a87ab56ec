//! Who has fallen silent.

use std::time::Duration;

use molecule_core::{Timestamp, Trigger, WorkspaceStatus, limits};
use molecule_store::{
    StoreError, now,
    workspaces::{Change, Guard, NewUrl, Workspace},
};

use super::Registry;
use crate::lifecycle::{self, Ask};

/// What the sweep remembers between its runs (D17): it must not blame agents for the time in which nobody listened.
#[derive(Debug)]
pub struct Watch {
    listening_since: Timestamp,
    last_run: Option<Timestamp>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            listening_since: now(),
            last_run: None,
        }
    }
}

impl Watch {
    /// A gap much longer than the cadence means that the machine slept or the server hung: listening begins anew.
    fn observe(&mut self, at: Timestamp) {
        let gap = self.last_run.map_or(Duration::ZERO, |last| at.since(last));
        if gap > limits::HEALTH_SWEEP_PERIOD * 2 {
            tracing::warn!(
                gap_secs = gap.as_secs(),
                "the health sweep was held up; silence is counted from now"
            );
            self.listening_since = at;
        }
        self.last_run = Some(at);
    }
}

impl Registry {
    /// Stores the beats that have arrived, and looks again at workspaces whose cached status was stale.
    ///
    /// # Errors
    /// The beats are not stored yet and stay queued.
    pub async fn flush(&self) -> Result<(), StoreError> {
        for (id, stored) in self.inner.pulses.flush().await? {
            if stored == WorkspaceStatus::Removed {
                self.inner.pulses.forget(id);
                self.inner.overrides.forget(id);
                continue;
            }
            let cached = self.inner.directory.route(id).await?.map(|route| route.status);
            if cached.is_some_and(|cached| cached != stored) {
                self.inner.directory.invalidate(id);
            }
        }
        self.inner.credentials.flush_uses().await;
        Ok(())
    }

    /// One run of the health sweep (LIFE-180…183, REG-91…93, OP-5). Beats are flushed first: silence is judged only
    /// against what is stored.
    ///
    /// # Errors
    /// Nothing could be judged.
    pub async fn sweep(&self, watch: &mut Watch) -> Result<(), StoreError> {
        self.flush().await?;
        let at = now();
        watch.observe(at);
        for row in self.inner.store.workspaces_in(&WorkspaceStatus::ALIVE).await? {
            if let Err(error) = self.judge(&row, watch.listening_since, at).await {
                // One bad row never stops the rest (LIFE-176).
                tracing::error!(workspace = %row.id, %error, "not judged");
            }
        }
        Ok(())
    }

    async fn judge(&self, row: &Workspace, listening_since: Timestamp, at: Timestamp) -> Result<(), StoreError> {
        let external = Self::external(row);
        let window = if external {
            self.inner.config.remote_stale_after
        } else {
            limits::LIVENESS_WINDOW
        };
        let heard = row.last_beat_at.unwrap_or(row.updated_at).max(listening_since);
        if at.since(heard) > window {
            return self.lost(row, at.minus(window)).await;
        }
        if !external {
            self.inner.provisioner.check_running(row.id, row.generation).await;
        }
        Ok(())
    }

    async fn lost(&self, row: &Workspace, silent_since: Timestamp) -> Result<(), StoreError> {
        tracing::warn!(workspace = %row.id, last_beat = ?row.last_beat_at, "workspace has fallen silent");
        let change = if Self::external(row) {
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
            unchanged_since: None,
        };
        let ask = Ask::from(Trigger::ContactLost).change(change).guard(guard);
        if self
            .inner
            .lifecycle
            .apply(row.id, ask, |row, _| lifecycle::offline(row))
            .await?
            .is_some()
        {
            self.inner.provisioner.auto_restart(row.id);
        }
        Ok(())
    }
}
