//! What an earlier server left behind is settled at boot: nothing stays in an intermediate state.

use std::collections::HashMap;

use molecule_backends::{Backend, BackendError, Instance};
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_store::{
    StoreError,
    workspaces::{NewUrl, Workspace},
};

use super::{Provisioner, StartFailure};
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

impl Provisioner {
    /// Adopts instances of the current generation, ends the others, and starts again what ought to run and does not
    /// (D17, D19).
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
        let mut recovered = Recovered::default();
        let Some(backend) = &self.inner.backend else {
            for row in rows.values().filter(|row| row.status == WorkspaceStatus::Provisioning) {
                self.mark_failed(row.id, row.generation, &StartFailure::NoBackend).await;
            }
            return Ok(recovered);
        };
        let mut alive = Vec::new();
        for instance in backend.list().await? {
            if self.adopt(backend.as_ref(), &instance, rows.get(&instance.id)).await {
                alive.push(instance.id);
                recovered.adopted += 1;
            } else {
                self.stop(instance.id).await.ok();
                recovered.ended += 1;
            }
        }
        for row in rows.values().filter(|row| !alive.contains(&row.id)) {
            recovered.restarted += 1;
            if row.status.is_alive() {
                // Announces the loss, then restarts.
                self.found_dead(row.id, row.generation).await;
            } else {
                self.auto_restart(row.id);
            }
        }
        Ok(recovered)
    }

    /// An instance is kept only if it is the row's current incarnation and was heard of: one that was still being
    /// started is begun again with credentials that are known to have arrived.
    async fn adopt(&self, backend: &dyn Backend, instance: &Instance, row: Option<&Workspace>) -> bool {
        let Some(row) = row.filter(|row| row.generation == instance.generation && row.status.is_alive()) else {
            return false;
        };
        if let Err(error) = backend.adopt(instance).await {
            tracing::warn!(workspace = %row.id, %error, "instance not adopted");
            return false;
        }
        let url = instance.endpoint.clone().map(|url| NewUrl { url, assigned: true });
        if url.as_ref().is_some_and(|url| url.url != row.url) {
            if let Err(error) = self.inner.store.set_instance(row.id, row.generation, url, None).await {
                tracing::error!(workspace = %row.id, %error, "address of an adopted instance not stored");
            }
            self.inner.directory.invalidate(row.id);
        }
        tracing::info!(workspace = %row.id, generation = row.generation, "running instance adopted");
        true
    }
}
