//! What is noticed without being asked: ends of instances, and starts that never complete.

use std::time::{Duration, Instant};

use molecule_backends::{Exit, Running};
use molecule_core::{Timestamp, Trigger, WorkspaceId, WorkspaceStatus};
use molecule_store::{
    StoreError, now,
    workspaces::{Change, Guard, NewUrl, Workspace},
};
use serde_json::{Map, json};
use tokio_util::sync::CancellationToken;

use super::{Crashes, Provisioner, StartFailure, pipeline::declared, slots::Turn};
use crate::{
    lifecycle::{self, Ask, is_external},
    supervise::Beat,
};

/// An instance that ran shorter than this crashed.
const CRASH_WITHIN: Duration = Duration::from_secs(60);
/// Pause before the second restart in a row; doubles with each, up to [`CRASH_PAUSE_MAX`].
const CRASH_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between restarts of an agent that keeps crashing.
const CRASH_PAUSE_MAX: Duration = Duration::from_secs(60);

impl Crashes {
    /// Counts one more; the pause before the restart.
    fn another(&mut self, at: Instant) -> Duration {
        let quick = at.duration_since(self.last) < CRASH_WITHIN + CRASH_PAUSE_MAX;
        let before = if quick { self.count } else { 0 };
        *self = Self {
            count: before.saturating_add(1),
            last: at,
        };
        match before {
            0 => Duration::ZERO,
            _ => CRASH_PAUSE
                .saturating_mul(2u32.saturating_pow(before - 1))
                .min(CRASH_PAUSE_MAX),
        }
    }
}

impl Provisioner {
    /// Is the instance dead? Marks it offline and begins its restart if so (A2A-83…85, LIFE-20, LIFE-21). Uncertainty,
    /// external workspaces and the absence of a backend mean no.
    pub async fn restart_if_gone(&self, id: WorkspaceId, generation: i64) -> bool {
        let Some(backend) = &self.inner.backend else {
            return false;
        };
        match self.inner.directory.route(id).await {
            Ok(Some(route)) if !route.is_external() => {}
            _ => return false,
        }
        match backend.running(id).await {
            Running::Yes => false,
            Running::Unknown(error) => {
                tracing::warn!(workspace = %id, %error, "cannot tell whether the instance runs; assuming it does");
                false
            }
            Running::No => {
                self.take_offline_and_restart(id, generation, "the instance is not running")
                    .await;
                true
            }
        }
    }

    /// Watches for ends of instances until stopped. They are noticed at once, not by a missed heartbeat.
    pub async fn watch_exits(&self, stop: CancellationToken, beat: Beat) {
        let mut exits = self.inner.exits.lock().await;
        let Some(exits) = exits.as_mut() else {
            return;
        };
        loop {
            beat.tick();
            let exit = tokio::select! {
                () = stop.cancelled() => return,
                exit = exits.recv() => exit,
            };
            let Some(exit) = exit else { return };
            self.exited(exit).await;
            beat.done(Ok::<_, StoreError>(()));
        }
    }

    async fn exited(&self, exit: Exit) {
        self.inner.instances.ended_of(exit.id, exit.generation);
        tracing::warn!(workspace = %exit.id, generation = exit.generation, reason = exit.reason, "instance ended");
        match self.inner.store.workspace(exit.id).await {
            Ok(Some(row)) if row.generation != exit.generation => {}
            // It was ready, but ended before it registered.
            Ok(Some(row)) if row.status == WorkspaceStatus::Provisioning => {
                let failure = StartFailure::Ended(declared(&exit.reason).to_owned());
                self.mark_failed(exit.id, exit.generation, &failure).await;
            }
            Ok(_) => {
                self.take_offline_and_restart(exit.id, exit.generation, &exit.reason)
                    .await
            }
            Err(error) => tracing::error!(workspace = %exit.id, %error, "end of an instance not recorded"),
        }
    }

    pub(super) async fn take_offline_and_restart(&self, id: WorkspaceId, generation: i64, reason: &str) {
        self.inner.instances.ended_of(id, generation);
        let change = Change {
            url: Some(NewUrl::none()),
            sample_error: Some(format!("agent stopped: {}", declared(reason))),
            ..Change::default()
        };
        let ask = Ask::from(Trigger::InstanceGone).change(change).generation(generation);
        let applied = self
            .inner
            .lifecycle
            .apply(id, ask, |row, _| lifecycle::offline(row))
            .await;
        if matches!(applied, Ok(Some(_))) {
            self.auto_restart_after(id, self.crash_pause(id));
        }
    }

    /// The first restart is immediate; an agent that keeps crashing is given ever longer pauses.
    fn crash_pause(&self, id: WorkspaceId) -> Duration {
        let mut crashes = self.inner.crashes.lock();
        let at = Instant::now();
        crashes.entry(id).or_insert(Crashes { count: 0, last: at }).another(at)
    }

    /// Ends starts that took too long (LIFE-189…192), and tells how many. Time before `listening_since` does not count: no
    /// agent could have registered then.
    ///
    /// # Errors
    /// The rows could not be read.
    pub async fn sweep_timeouts(&self, listening_since: Timestamp) -> Result<usize, StoreError> {
        let at = now();
        let mut timed_out = 0;
        for row in self.inner.store.workspaces_in(&[WorkspaceStatus::Provisioning]).await? {
            let deadline = self.timeouts().provision_timeout(self.runtime(&row.runtime));
            let waited = match self.inner.slots.of(row.id).turn() {
                // As many run as may; this one has had no time yet.
                Turn::Waits(_) => continue,
                Turn::Came(waited) => waited,
                Turn::None => Duration::ZERO,
            };
            let age = at.since(row.status_changed_at.max(listening_since));
            // Age equal to the deadline is due.
            if !is_external(&row.runtime) && age.saturating_sub(waited) >= deadline {
                timed_out += usize::from(self.time_out(&row, deadline).await);
            }
        }
        Ok(timed_out)
    }

    /// Did the start end by it?
    async fn time_out(&self, row: &Workspace, deadline: Duration) -> bool {
        let secs = deadline.as_secs();
        let started = if row.url.is_empty() {
            ""
        } else {
            "the instance was started but "
        };
        let text = format!(
            "provisioning timed out after {secs} s: {started}the agent never called /registry/register; see its logs"
        );
        let more = Map::from_iter([
            ("timeout_secs".to_owned(), json!(secs)),
            ("runtime".to_owned(), json!(row.runtime)),
            ("source".to_owned(), json!("provision_timeout_sweep")),
        ]);
        let guard = Guard {
            unchanged_since: Some(now().minus(deadline)),
            generation: Some(row.generation),
            ..Guard::default()
        };
        let change = Change {
            sample_error: Some(text.clone()),
            url: Some(NewUrl::none()),
            ..Change::default()
        };
        let ask = Ask::from(Trigger::StartFailed).change(change).guard(guard);
        let event = |_: &_, _| vec![lifecycle::provision_failed(row.id, &text, more.clone())];
        let failed = matches!(self.inner.lifecycle.apply(row.id, ask, event).await, Ok(Some(_)));
        if failed {
            // Whatever is half started would only come back as a stranger.
            self.stop_failed(row.id, row.generation).await;
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_an_agent_keeps_crashing() {
        let begin = Instant::now();
        let mut crashes = Crashes { count: 0, last: begin };
        let secs: Vec<u64> = (0..9)
            .map(|crash| crashes.another(begin + Duration::from_secs(crash)).as_secs())
            .collect();
        assert_eq!(secs, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        // One that held out for a while begins anew.
        assert_eq!(crashes.another(begin + Duration::from_secs(9 + 120)), Duration::ZERO);
        let mut many = Crashes {
            count: u32::MAX,
            last: begin,
        };
        assert_eq!(many.another(begin), CRASH_PAUSE_MAX);
    }
}
