//! Restarts: one cycle at a time per workspace, and one more for whatever was asked meanwhile.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use molecule_core::{Trigger, WorkspaceId, WorkspaceStatus, limits};
use molecule_store::{
    StoreError,
    workspaces::{Change, NewUrl},
};

use super::{
    Provisioner, StartFailure, StartPlan,
    slots::{Cycle, Slot},
};
use crate::{
    lifecycle::{Applied, Ask},
    supervise::panic_text,
};

/// Pause before a cycle is tried again whose row could not be read or written; doubles up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_secs(1);
/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(60);

impl Provisioner {
    /// Writes the restart a person asked for and begins it in the background (LIFE-122): tokens revoked, generation
    /// raised, `provisioning`, event. `None`: removed, external or unknown; nothing changed.
    ///
    /// # Errors
    /// The row could not be written; nothing was begun.
    pub async fn manual_restart(&self, id: WorkspaceId, plan: StartPlan) -> Result<Option<Applied>, StoreError> {
        let change = Change {
            start_files: plan.files.stored(),
            reset_session: plan.reset_session,
            ..Change::default()
        };
        let applied = self
            .write_restart(id, Ask::from(Trigger::ManualRestart).change(change))
            .await?;
        if let Some(applied) = &applied {
            // A person looks after it (D30).
            self.inner.crashes.forget(id);
            self.begin_written(id, applied.moved.generation, true);
        }
        Ok(applied)
    }

    /// Begins a restart whose row is written. A start in progress is of an old incarnation.
    fn begin_written(&self, id: WorkspaceId, generation: i64, tell: bool) {
        self.inner.slots.of(id).cancel_start(generation - 1);
        let cycle = Cycle::written(generation, self.inner.clock().instant());
        self.request(id, Cycle { tell, ..cycle });
    }

    /// Writes the end of a pause and begins the start (LIFE-154). External workspaces wait for their agents again, whose
    /// tokens stay (OP-9). `false`: it was not paused any more.
    ///
    /// # Errors
    /// The row could not be written; nothing was begun.
    pub async fn resume(&self, id: WorkspaceId, external: bool) -> Result<bool, StoreError> {
        let ask = Ask::from(Trigger::Resume);
        if external {
            return Ok(self.inner.lifecycle.apply(id, ask).await?.is_some());
        }
        let applied = self.write_restart(id, ask).await?;
        if let Some(applied) = &applied {
            self.inner.crashes.forget(id);
            // What it is told after a restart would be news to nobody.
            self.begin_written(id, applied.moved.generation, false);
        }
        Ok(applied.is_some())
    }

    /// Has a hibernated workspace started for whoever has a message for it (LIFE-162). Any number of calls lead to one
    /// start. `false`: it cannot be, for want of a backend or because a parent is paused.
    ///
    /// # Errors
    /// The tree could not be read, or the row not be written.
    pub async fn wake(&self, id: WorkspaceId) -> Result<bool, StoreError> {
        if !self.has_backend() || self.paused_ancestor(id).await?.is_some() {
            return Ok(false);
        }
        match self.write_restart(id, Ask::from(Trigger::Wake)).await? {
            Some(applied) => self.begin_written(id, applied.moved.generation, true),
            // It is about to fall asleep, or somebody else was faster.
            None => {
                let cycle = Cycle::asked(self.inner.clock().instant());
                let wake = Cycle {
                    restart: false,
                    wake: true,
                    ..cycle
                };
                self.request(id, wake);
            }
        }
        Ok(true)
    }

    /// Writes an unattended restart of that incarnation and begins it; `false` when it is not due (LIFE-141) or
    /// somebody else restarted the workspace.
    pub(super) async fn restart_incarnation(&self, id: WorkspaceId, generation: i64) -> Result<bool, StoreError> {
        if self.paused_ancestor(id).await?.is_some() {
            return Ok(false);
        }
        let ask = Ask::from(Trigger::AutoRestart).generation(generation);
        let applied = self.write_restart(id, ask).await?;
        if let Some(applied) = &applied {
            self.begin_written(id, applied.moved.generation, true);
        }
        Ok(applied.is_some())
    }

    /// Asks for an unattended restart (LIFE-140…146). Returns at once; whether it is due is decided when it runs.
    pub fn auto_restart(&self, id: WorkspaceId) {
        self.auto_restart_after(id, Duration::ZERO);
    }

    /// The same after a change of settings: waits for further writes (PROV-112a).
    pub fn settings_changed(&self, id: WorkspaceId) {
        self.auto_restart_after(id, limits::RESTART_DEBOUNCE);
    }

    pub(super) fn auto_restart_after(&self, id: WorkspaceId, pause: Duration) {
        if self.has_backend() {
            self.request(id, Cycle::asked(self.inner.clock().instant() + pause));
        }
    }

    /// The same unless one was asked for already: a workspace that waits out its pause goes on waiting.
    pub fn auto_restart_unless_pending(&self, id: WorkspaceId) {
        if self.inner.slots.of(id).is_idle() {
            self.auto_restart(id);
        }
    }

    pub(super) fn request(&self, id: WorkspaceId, cycle: Cycle) {
        let slot = self.inner.slots.of(id);
        if slot.request(cycle) {
            let this = self.clone();
            self.inner
                .supervisor
                .spawn("workspace-restart", async move { this.work(id, slot).await });
        }
    }

    async fn work(&self, id: WorkspaceId, slot: Arc<Slot>) {
        let stopping = self.inner.supervisor.stopping();
        let clock = self.inner.clock();
        let mut pause = RETRY;
        while let Some(due) = slot.due() {
            if due > clock.instant() {
                tokio::select! {
                    () = clock.sleep_until(due) => {}
                    () = slot.moved() => {}
                    // What has not begun is found again at the next boot.
                    () = stopping.cancelled() => return,
                }
                continue;
            }
            let Some(mut cycle) = slot.begin_cycle() else { return };
            match AssertUnwindSafe(self.cycle(id, &slot, &mut cycle)).catch_unwind().await {
                Ok(Ok(())) => pause = RETRY,
                Ok(Err(error)) => {
                    tracing::error!(workspace = %id, %error, "restart held up, it is tried again");
                    cycle.not_before = clock.instant() + pause;
                    slot.request(cycle);
                    pause = (pause * 2).min(RETRY_MAX);
                }
                Err(panic) => {
                    tracing::error!(workspace = %id, reason = panic_text(&*panic), "restart cycle panicked");
                    self.fail_current(id).await;
                }
            }
            if !slot.end_cycle() {
                return;
            }
        }
    }

    /// One cycle: write `provisioning` unless that has been done, stop, start (LIFE-144). After an error it can be run
    /// again.
    async fn cycle(&self, id: WorkspaceId, slot: &Slot, cycle: &mut Cycle) -> Result<(), StoreError> {
        let _turn = slot.operation().await;
        let Some(generation) = self.due(id, *cycle).await? else {
            return Ok(());
        };
        cycle.written = Some(generation);
        let notice = if cycle.tell {
            self.notice(id, generation).await
        } else {
            None
        };
        // A start replaces what could not be stopped; refusing would strand a dead workspace (LIFE-137).
        if self.stop_persistently(id).await.is_err() && self.inner.supervisor.stopping().is_cancelled() {
            // The next server begins it again.
            return Ok(());
        }
        self.start_guarded(id, slot, generation).await?;
        self.tell(notice);
        Ok(())
    }

    /// The generation to start. One that was written is due as long as it is the row's: a later one has a cycle of its
    /// own, which brings what this one would have brought.
    async fn due(&self, id: WorkspaceId, cycle: Cycle) -> Result<Option<i64>, StoreError> {
        if let Some(generation) = cycle.written {
            match self.inner.store.workspace(id).await? {
                Some(row) if row.generation != generation => return Ok(None),
                Some(row) if row.status == WorkspaceStatus::Provisioning => return Ok(Some(generation)),
                // It failed, or an old instance spoke up, before this incarnation was begun.
                Some(_) => {}
                None => return Ok(None),
            }
        }
        if self.paused_ancestor(id).await?.is_some() {
            return Ok(None);
        }
        let mut applied = None;
        if cycle.wake {
            // Nobody hibernates it now; one that was given up is finished first.
            self.finish_hibernation(id).await?;
            applied = self.write_restart(id, Ask::from(Trigger::Wake)).await?;
        }
        if applied.is_none() && cycle.restart {
            applied = self.write_restart(id, Ask::from(Trigger::AutoRestart)).await?;
        }
        Ok(applied.map(|applied| applied.moved.generation))
    }

    /// Name of the nearest paused ancestor (LIFE-119). The walk ends on cyclic data.
    ///
    /// # Errors
    /// The tree could not be read.
    pub async fn paused_ancestor(&self, id: WorkspaceId) -> Result<Option<String>, StoreError> {
        let mut current = self.inner.directory.route(id).await?.and_then(|route| route.parent);
        let mut seen = HashSet::from([id]);
        while let Some(parent) = current.filter(|parent| seen.insert(*parent)) {
            let Some(route) = self.inner.directory.route(parent).await? else {
                return Ok(None);
            };
            if route.status == WorkspaceStatus::Paused {
                return Ok(Some(route.name.to_string()));
            }
            current = route.parent;
        }
        Ok(None)
    }

    async fn write_restart(&self, id: WorkspaceId, ask: Ask) -> Result<Option<Applied>, StoreError> {
        let change = Change {
            url: Some(NewUrl::none()),
            restart: true,
            ..ask.change.clone()
        };
        self.inner.lifecycle.apply(id, ask.change(change)).await
    }

    /// After a panic the row must not stay in `provisioning` (LIFE-198).
    pub(super) async fn fail_current(&self, id: WorkspaceId) {
        let row = self.inner.store.workspace(id);
        match self.inner.clock().within(limits::FAILURE_RECORD_DEADLINE, row).await {
            Some(Ok(Some(row))) => self.mark_failed(id, row.generation, &StartFailure::Panicked).await,
            Some(Ok(None)) => {}
            Some(Err(error)) => tracing::error!(workspace = %id, %error, "failure not recorded"),
            None => tracing::error!(workspace = %id, "failure not recorded in time"),
        }
    }
}
