use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_store::{StoreError, workspaces::Workspace};
use molecule_wire::workspaces::{HibernatedWorkspace, WokenWorkspace};

use super::Workspaces;
use crate::{lifecycle::is_external, provisioning::Hibernated};

/// Why a workspace was not hibernated (LIFE-157, LIFE-158, OP-7). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum HibernateError {
    /// Unknown, or in a status in which no agent answers.
    #[error("workspace not found or not in a hibernatable state (must be online or degraded)")]
    NotHibernatable,
    /// Nothing of it runs here.
    #[error("external workspaces cannot be hibernated: stop the agent on its operator's own host")]
    External,
    /// Tasks run, and nobody insists.
    #[error("workspace has active tasks; use ?force=true to terminate them")]
    Busy(i64),
    /// Its status or its tasks changed meanwhile.
    #[error("workspace changed meanwhile; try again")]
    NotClaimed,
    /// It was claimed, and may still run; it is tried again.
    #[error("workspace could not be stopped; it is tried again")]
    NotStopped,
    /// The store failed.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

/// Why a workspace was not woken. `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// Unknown, or not asleep.
    #[error("workspace not found or not hibernated")]
    NotHibernated,
    /// An ancestor is paused.
    #[error("parent workspace \"{0}\" is paused — resume it first")]
    PausedParent(String),
    /// Nothing can be started.
    #[error("provisioner not available")]
    NoBackend,
    /// The store failed.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

impl Workspaces {
    /// Stops a workspace's agent until a message wakes it (LIFE-157…161).
    ///
    /// # Errors
    /// [`HibernateError`].
    pub async fn hibernate(&self, id: WorkspaceId, force: bool) -> Result<HibernatedWorkspace, HibernateError> {
        let row = self.inner.store.workspace(id).await?;
        let row = row.ok_or(HibernateError::NotHibernatable)?;
        if is_external(&row.runtime) && row.status != WorkspaceStatus::Removed {
            return Err(HibernateError::External);
        }
        if !row.status.is_alive() {
            return Err(HibernateError::NotHibernatable);
        }
        let tasks = self.tasks(&row);
        if tasks > 0 && !force {
            return Err(HibernateError::Busy(tasks));
        }
        if tasks > 0 {
            tracing::warn!(workspace = %id, tasks, "hibernated by force; its tasks end");
        }
        match self.inner.provisioner.hibernate(id, force).await? {
            Hibernated::Done => Ok(HibernatedWorkspace {
                status: WorkspaceStatus::Hibernated.as_str().to_owned(),
            }),
            Hibernated::NotClaimed | Hibernated::Overtaken => Err(HibernateError::NotClaimed),
            Hibernated::NotStopped => Err(HibernateError::NotStopped),
        }
    }

    /// What it is doing: tasks it has told of, or messages it has not answered.
    fn tasks(&self, row: &Workspace) -> i64 {
        let told = self
            .inner
            .pulses
            .latest(row.id)
            .map_or(row.active_tasks, |pulse| pulse.active_tasks);
        let asked = i64::try_from(self.inner.pulses.calls(row.id)).unwrap_or(i64::MAX);
        told.max(asked)
    }

    /// Has a hibernated workspace started, as a message would (LIFE-162).
    ///
    /// # Errors
    /// [`WakeError`]; nothing changed.
    pub async fn wake(&self, id: WorkspaceId) -> Result<WokenWorkspace, WakeError> {
        let row = self.inner.store.workspace(id).await?;
        row.filter(|row| matches!(row.status, WorkspaceStatus::Hibernated | WorkspaceStatus::Hibernating))
            .ok_or(WakeError::NotHibernated)?;
        let provisioner = &self.inner.provisioner;
        if !provisioner.wake(id).await? {
            let paused = provisioner.paused_ancestor(id).await?;
            return Err(paused.map_or(WakeError::NoBackend, WakeError::PausedParent));
        }
        Ok(WokenWorkspace {
            status: "waking".to_owned(),
        })
    }
}
