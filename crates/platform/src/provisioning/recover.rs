//! What an earlier server left behind is settled at boot: nothing stays in an intermediate state.

use std::{collections::HashMap, time::Duration};

use molecule_backends::{Backend, BackendError, Instance};
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_store::{
    StoreError,
    workspaces::{NewUrl, Workspace},
};

use super::{Dozed, Provisioner, StartFailure, stop::caught};
use crate::lifecycle::is_external;

/// Why the state of an earlier server could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The rows could not be read.
    #[error("workspaces not readable: {0}")]
    Store(#[from] StoreError),
    /// It is unknown what runs.
    #[error("running instances not listable: {0}")]
    Backend(#[from] BackendError),
}

/// What was found at boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Instances taken over.
    pub adopted: usize,
    /// Instances ended: nobody wants them any more.
    pub ended: usize,
    /// Workspaces that are being started again.
    pub restarted: usize,
}

/// Statuses in which a managed workspace ought to run.
const WANTED: [WorkspaceStatus; 4] = [
    WorkspaceStatus::Provisioning,
    WorkspaceStatus::Online,
    WorkspaceStatus::Degraded,
    WorkspaceStatus::Offline,
];

/// What became of an instance that was found at boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Adopted,
    Ended,
    /// Somebody restarted, stopped or removed the workspace meanwhile, and sees to what runs.
    MovedOn,
}

impl Provisioner {
    /// Adopts instances of the current generation, ends the others, and starts again what ought to run and does not
    /// (D17, D19), then whatever has not read its latest settings (PROV-122). Restarts of rows that were being started
    /// are written when it returns. Requests are served meanwhile: what they begin is left alone.
    ///
    /// # Errors
    /// [`RecoverError`]; what was settled so far stays so.
    pub async fn recover(&self) -> Result<Recovered, RecoverError> {
        let rows = self.inner.store.workspaces_in(&WANTED).await?;
        let rows: HashMap<WorkspaceId, Workspace> = rows
            .into_iter()
            .filter(|row| !is_external(&row.runtime))
            .map(|row| (row.id, row))
            .collect();
        self.finish_hibernations(Duration::ZERO, &mut Dozed::default()).await?;
        let mut recovered = Recovered::default();
        let Some(backend) = &self.inner.backend else {
            for row in rows.values().filter(|row| row.status == WorkspaceStatus::Provisioning) {
                self.mark_failed(row.id, row.generation, &StartFailure::NoBackend).await;
            }
            return Ok(recovered);
        };
        let mut found = HashMap::new();
        for instance in caught(backend.list()).await? {
            let outcome = self
                .take_over(backend.as_ref(), &instance, rows.get(&instance.id))
                .await?;
            match outcome {
                Found::Adopted => recovered.adopted += 1,
                Found::Ended => recovered.ended += 1,
                Found::MovedOn => {}
            }
            found.insert(instance.id, outcome);
        }
        for row in rows.values() {
            let found = found.get(&row.id).copied();
            let moved_on = self.inner.slots.of(row.id).is_in_use();
            if !moved_on && matches!(found, None | Some(Found::Ended)) {
                recovered.restarted += 1;
                self.bring_back(row, found).await;
            }
        }
        for id in self.inner.store.restarts_due().await? {
            if !self.inner.slots.of(id).is_in_use() {
                recovered.restarted += 1;
            }
            self.auto_restart(id);
        }
        Ok(recovered)
    }

    /// Decides on one instance, with the workspace's slot in hand. `before` is the row as it was when the instances were
    /// listed, if it ought to run.
    async fn take_over(
        &self,
        backend: &dyn Backend,
        instance: &Instance,
        before: Option<&Workspace>,
    ) -> Result<Found, StoreError> {
        let slot = self.inner.slots.of(instance.id);
        let turn = slot.try_operation();
        let row = self.inner.store.workspace(instance.id).await?;
        let wanted = |row: &Workspace| WANTED.contains(&row.status) && !is_external(&row.runtime);
        match (&turn, row) {
            (_, Some(row)) if wanted(&row) => {
                if turn.is_none() || slot.is_in_use() || Some(row.generation) != before.map(|row| row.generation) {
                    return Ok(Found::MovedOn);
                }
                if self.adopt(backend, instance, &row).await {
                    return Ok(Found::Adopted);
                }
            }
            // What ought not to run is ended whatever was asked for meanwhile: a restart that turns out not to be due
            // stops nothing.
            (None, Some(row)) => {
                let this = self.clone();
                self.inner.supervisor.spawn("workspace-recover", async move {
                    this.end_if(row.id, row.generation, row.status).await;
                });
                return Ok(Found::MovedOn);
            }
            (None, None) => return Ok(Found::MovedOn),
            (Some(_), _) => {}
        }
        caught(self.stop_backend(instance.id)).await.ok();
        Ok(Found::Ended)
    }

    /// Starts again what ought to run and does not.
    async fn bring_back(&self, row: &Workspace, found: Option<Found>) {
        if row.status.is_alive() {
            // Announces the loss, then restarts.
            if found == Some(Found::Ended) {
                self.take_offline_and_restart(row.id, row.generation, "the instance was not adopted")
                    .await;
            } else {
                self.restart_if_gone(row.id, row.generation).await;
            }
            return;
        }
        if let Err(error) = self.restart_incarnation(row.id, row.generation).await {
            tracing::error!(workspace = %row.id, %error, "restart held up, it is tried again");
            self.auto_restart(row.id);
        }
    }

    /// An instance is kept only if it is the row's current incarnation and was heard of: one that was still being
    /// started is begun again with credentials that are known to have arrived.
    async fn adopt(&self, backend: &dyn Backend, instance: &Instance, row: &Workspace) -> bool {
        if row.generation != instance.generation || !row.status.is_alive() {
            return false;
        }
        if let Err(error) = caught(backend.adopt(instance)).await {
            tracing::warn!(workspace = %row.id, %error, "instance not adopted");
            return false;
        }
        self.inner
            .instances
            .began(row.id, row.generation, instance.endpoint.as_deref());
        let url = instance.endpoint.clone().map(|url| NewUrl { url, assigned: true });
        if url.as_ref().is_some_and(|url| url.url != row.url)
            && let Err(error) = self.inner.store.set_instance(row.id, row.generation, url, None).await
        {
            tracing::error!(workspace = %row.id, %error, "address of an adopted instance not stored");
        }
        tracing::info!(workspace = %row.id, generation = row.generation, "running instance adopted");
        true
    }
}
