//! What is noticed without being asked: ends of instances, and starts that never complete.

use std::time::Duration;

use molecule_backends::{Exit, Running};
use molecule_core::{
    Timestamp, Trigger, WorkspaceId, WorkspaceStatus,
    event::{FailureDetail, FailureSource},
};
use molecule_store::{
    StoreError,
    workspaces::{Change, Guard, NewUrl, Workspace},
};
use tokio_util::sync::CancellationToken;

use super::{
    Provisioner, StartFailure,
    crashes::Sequel,
    pipeline::{declared, tally},
    slots::Turn,
    stop::caught,
};
use crate::{
    lifecycle::{Ask, Cause, is_external},
    supervise::Beat,
};

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
        let running = caught(async { Ok(backend.running(id).await) }).await;
        match running.unwrap_or_else(Running::Unknown) {
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
                    .await;
            }
            Err(error) => tracing::error!(workspace = %exit.id, %error, "end of an instance not recorded"),
        }
    }

    /// The instance is not there any more: marks its workspace offline and begins its restart, or marks it failed if that
    /// has happened too often (D30).
    pub(super) async fn take_offline_and_restart(&self, id: WorkspaceId, generation: i64, reason: &str) {
        self.inner.instances.ended_of(id, generation);
        let reason = declared(reason);
        let sequel = self.inner.crashes.sequel(id);
        let (trigger, text, cause) = match sequel {
            Sequel::Restart(_) => (
                Trigger::InstanceGone,
                format!("agent stopped: {reason}"),
                Cause::Ended(reason.to_owned()),
            ),
            Sequel::GiveUp(ends) => (
                Trigger::CrashLoop,
                crash_loop_text(ends, reason),
                Cause::crash_loop(ends),
            ),
        };
        let change = Change {
            url: Some(NewUrl::none()),
            sample_error: Some(text),
            ..Change::default()
        };
        let ask = Ask::from(trigger).change(change).generation(generation).cause(cause);
        if matches!(self.inner.lifecycle.apply(id, ask).await, Ok(Some(_))) {
            self.inner.crashes.count(id);
            match sequel {
                Sequel::Restart(pause) => self.auto_restart_after(id, pause),
                Sequel::GiveUp(ends) => tracing::error!(workspace = %id, ends, reason, "crash loop; not restarted"),
            }
        }
    }

    /// Ends starts that took too long (LIFE-189…192), and tells how many. Time before `listening_since` does not count: no
    /// agent could have registered then.
    ///
    /// # Errors
    /// The rows could not be read.
    pub async fn sweep_timeouts(&self, listening_since: Timestamp) -> Result<usize, StoreError> {
        let at = self.now();
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
        let cause = Cause::Failure(FailureDetail::TimedOut {
            timeout_secs: secs,
            runtime: row.runtime.clone(),
            source: FailureSource::ProvisionTimeoutSweep,
        });
        let guard = Guard {
            unchanged_since: Some(self.now().minus(deadline)),
            generation: Some(row.generation),
            ..Guard::default()
        };
        let change = Change {
            sample_error: Some(text),
            url: Some(NewUrl::none()),
            ..Change::default()
        };
        let ask = Ask::from(Trigger::StartFailed).change(change).guard(guard).cause(cause);
        let failed = matches!(self.inner.lifecycle.apply(row.id, ask).await, Ok(Some(_)));
        if failed {
            tally("never_registered", deadline);
            // Whatever is half started would only come back as a stranger.
            self.stop_failed(row.id, row.generation).await;
        }
        failed
    }
}

/// What a person reads of a workspace that is not restarted any more.
fn crash_loop_text(ends: usize, reason: &str) -> String {
    format!(
        "the agent ended {ends} times in a row and is not restarted any more; the last time: {reason}. Look at its log, \
         mend what it says, then restart the workspace"
    )
}
