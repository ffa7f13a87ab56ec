//! The stop door: whatever ends an instance goes through here.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use molecule_backends::BackendError;
use molecule_core::{Trigger, WorkspaceId, WorkspaceStatus, limits};
use molecule_store::{
    StoreError,
    workspaces::{Change, NewUrl},
};

use super::Provisioner;
use crate::{lifecycle::Ask, supervise::panic_text};

impl Provisioner {
    /// Ends what runs and what is being started, and whatever restart was asked for.
    ///
    /// # Errors
    /// Something may still run.
    pub async fn stop(&self, id: WorkspaceId) -> Result<(), BackendError> {
        let slot = self.inner.slots.of(id);
        slot.withdraw();
        slot.cancel_start(i64::MAX);
        let _turn = slot.operation().await;
        caught(self.stop_backend(id)).await
    }

    /// Marks a workspace paused (LIFE-30, OP-9): from then on nothing starts it but a person. `None`: it was already, or is
    /// removed or unknown. What runs is ended by [`Provisioner::end_paused`].
    ///
    /// # Errors
    /// The row could not be written; nothing changed.
    pub async fn pause(&self, id: WorkspaceId) -> Result<Option<i64>, StoreError> {
        let change = Change {
            url: Some(NewUrl::none()),
            ..Change::default()
        };
        let ask = Ask::from(Trigger::Pause).change(change);
        let applied = self.inner.lifecycle.apply(id, ask).await?;
        Ok(applied.map(|applied| applied.moved.generation))
    }

    /// Ends what runs of a workspace that was paused in that incarnation. One that was resumed since is left alone. What
    /// cannot be stopped stays paused and is logged.
    pub async fn end_paused(&self, id: WorkspaceId, generation: i64) {
        self.end_if(id, generation, WorkspaceStatus::Paused).await;
    }

    /// Ends what a failed start left. A workspace that has moved on is left alone: what was asked for since, and what
    /// runs by then, is not that start's.
    pub(super) async fn stop_failed(&self, id: WorkspaceId, generation: i64) {
        self.end_if(id, generation, WorkspaceStatus::Failed).await;
    }

    /// Ends what runs of a workspace that still has that status in that incarnation.
    pub(super) async fn end_if(&self, id: WorkspaceId, generation: i64, status: WorkspaceStatus) {
        let slot = self.inner.slots.of(id);
        slot.cancel_start(generation);
        let _turn = slot.operation().await;
        match self.inner.store.workspace(id).await {
            Ok(Some(row)) if row.generation == generation && row.status == status => {
                caught(self.stop_persistently(id)).await.ok();
            }
            Ok(_) => {}
            Err(error) => tracing::error!(workspace = %id, %error, %status, "what runs of it is not stopped"),
        }
    }

    /// Stops a workspace that is gone for good and forgets it (LIFE-106).
    ///
    /// # Errors
    /// Something may still run; its data is kept (PROV-65).
    pub async fn retire(&self, id: WorkspaceId, remove_data: bool) -> Result<(), BackendError> {
        let stopped = self.stop(id).await;
        self.inner.slots.forget(id);
        // And whatever was noted of it while it was being stopped.
        self.inner.changes().gone(id);
        stopped?;
        if remove_data
            && let Some(backend) = &self.inner.backend
            && let Err(error) = caught(backend.remove_data(id)).await
        {
            tracing::warn!(workspace = %id, %error, "data of a removed workspace is left");
        }
        Ok(())
    }

    /// Stops the instance, once; the caller holds the slot. An error is logged here.
    pub(super) async fn stop_backend(&self, id: WorkspaceId) -> Result<(), BackendError> {
        self.stop_once(id).await.inspect_err(|error| {
            tracing::error!(workspace = %id, %error, "LEAK-SUSPECT: the instance could not be stopped");
        })
    }

    /// Stops the instance, trying again with growing pauses (LIFE-136…138); the caller holds the slot. What may be left
    /// running is logged here, so that somebody can look for it; a server that is being stopped tries no further.
    pub(super) async fn stop_persistently(&self, id: WorkspaceId) -> Result<(), BackendError> {
        let stopping = self.inner.supervisor.stopping();
        let mut pause = limits::STOP_RETRY_PAUSE;
        let mut attempt = 1;
        loop {
            let Err(error) = self.stop_once(id).await else {
                return Ok(());
            };
            if attempt == limits::STOP_ATTEMPTS {
                tracing::error!(workspace = %id, %error, attempt, "LEAK-SUSPECT: the instance could not be stopped");
                return Err(error);
            }
            tracing::warn!(workspace = %id, %error, attempt, "the instance was not stopped, it is tried again");
            tokio::select! {
                biased;
                () = stopping.cancelled() => {
                    tracing::warn!(workspace = %id, "the stop is left to the next server");
                    return Err(error);
                }
                () = self.inner.clock().sleep(pause) => {}
            }
            attempt += 1;
            pause *= 2;
        }
    }

    pub(super) async fn stop_once(&self, id: WorkspaceId) -> Result<(), BackendError> {
        let Some(backend) = &self.inner.backend else {
            return Ok(());
        };
        self.inner.instances.ended(id);
        backend.stop(id).await
    }
}

/// A panic in a backend is an error of its own: whoever asked it for something goes on.
pub(super) async fn caught<T>(work: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        let reason = panic_text(&*panic).to_owned();
        tracing::error!(reason, "the backend panicked");
        Err(BackendError::Engine(format!("panicked: {reason}")))
    })
}
