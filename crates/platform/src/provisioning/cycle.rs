//! Restarts and stops: one cycle at a time per workspace, and one more for whatever was asked meanwhile.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use molecule_backends::BackendError;
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
    lifecycle::{self, Applied, Ask},
    supervise::panic_text,
};

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
        let applied = self.write_restart(id, Trigger::ManualRestart, change).await?;
        if applied.is_some() {
            // A start in progress is of the old incarnation.
            self.inner.slots.of(id).cancel_start();
            self.request(
                id,
                Cycle {
                    written: true,
                    not_before: Instant::now(),
                },
            );
        }
        Ok(applied)
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
            self.request(
                id,
                Cycle {
                    written: false,
                    not_before: Instant::now() + pause,
                },
            );
        }
    }

    fn request(&self, id: WorkspaceId, cycle: Cycle) {
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
        while let Some(due) = slot.due() {
            if due > Instant::now() {
                tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => {}
                    () = slot.moved() => {}
                    // What has not begun is found again at the next boot.
                    () = stopping.cancelled() => return,
                }
                continue;
            }
            let Some(cycle) = slot.begin_cycle() else { return };
            let run = AssertUnwindSafe(self.cycle(id, &slot, cycle)).catch_unwind().await;
            if let Err(panic) = run {
                tracing::error!(workspace = %id, reason = panic_text(&*panic), "restart cycle panicked");
                self.fail_current(id).await;
            }
            if !slot.end_cycle() {
                return;
            }
        }
    }

    /// One cycle: stop, write `provisioning` unless that has been done, start (LIFE-144).
    async fn cycle(&self, id: WorkspaceId, slot: &Slot, cycle: Cycle) {
        let _turn = slot.operation().await;
        let due = if cycle.written {
            self.still_due(id).await
        } else {
            self.write_if_due(id).await
        };
        match due {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!(workspace = %id, %error, "restart not begun");
                return;
            }
        }
        // A start replaces what could not be stopped; refusing would strand a dead workspace (LIFE-137).
        self.stop_backend(id).await.ok();
        self.start_guarded(id, slot).await;
    }

    /// Not for removed, paused, hibernated or external rows, nor under a paused ancestor (LIFE-141).
    async fn write_if_due(&self, id: WorkspaceId) -> Result<bool, StoreError> {
        if self.paused_ancestor(id).await?.is_some() {
            return Ok(false);
        }
        Ok(self
            .write_restart(id, Trigger::AutoRestart, Change::default())
            .await?
            .is_some())
    }

    /// A start that was waiting for its turn may have served the restart already: stopping it would leave the row
    /// `online` with nothing behind it. One that failed had not what this restart brings.
    async fn still_due(&self, id: WorkspaceId) -> Result<bool, StoreError> {
        match self.inner.store.workspace(id).await?.map(|row| row.status) {
            Some(WorkspaceStatus::Provisioning) => Ok(true),
            Some(WorkspaceStatus::Failed) => self.write_if_due(id).await,
            _ => Ok(false),
        }
    }

    /// Name of the nearest paused ancestor (LIFE-119). The walk ends on cyclic data.
    ///
    /// # Errors
    /// The tree could not be read.
    pub async fn paused_ancestor(&self, id: WorkspaceId) -> Result<Option<String>, StoreError> {
        let mut current = self.inner.directory.route(id).await?.and_then(|route| route.parent);
        for _ in 0..limits::COMMUNICATION_WALK_HOPS {
            let Some(parent) = current else { return Ok(None) };
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

    async fn write_restart(
        &self,
        id: WorkspaceId,
        trigger: Trigger,
        change: Change,
    ) -> Result<Option<Applied>, StoreError> {
        let change = Change {
            url: Some(NewUrl::none()),
            restart: true,
            ..change
        };
        let ask = Ask::from(trigger).change(change);
        self.inner
            .lifecycle
            .apply(id, ask, |row, _| vec![lifecycle::provisioning(row)])
            .await
    }

    /// After a panic the row must not stay in `provisioning` (LIFE-198).
    async fn fail_current(&self, id: WorkspaceId) {
        if let Ok(Some(row)) = self.inner.store.workspace(id).await {
            self.mark_failed(id, row.generation, &StartFailure::Panicked).await;
        }
    }

    /// The stop door: ends what runs and what is being started, and whatever restart was asked for.
    ///
    /// # Errors
    /// Something may still run.
    pub async fn stop(&self, id: WorkspaceId) -> Result<(), BackendError> {
        let slot = self.inner.slots.of(id);
        slot.withdraw();
        slot.cancel_start();
        let _turn = slot.operation().await;
        self.stop_backend(id).await
    }

    /// Stops a workspace that is gone for good and forgets it (LIFE-106).
    ///
    /// # Errors
    /// Something may still run; its data is kept (PROV-65).
    pub async fn retire(&self, id: WorkspaceId, remove_data: bool) -> Result<(), BackendError> {
        let stopped = self.stop(id).await;
        self.inner.slots.forget(id);
        self.inner.crashes.lock().remove(&id);
        self.inner.inbound.forget(id);
        stopped?;
        if remove_data
            && let Some(backend) = &self.inner.backend
            && let Err(error) = backend.remove_data(id).await
        {
            tracing::warn!(workspace = %id, %error, "data of a removed workspace is left");
        }
        Ok(())
    }
}
