use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use molecule_backends::BackendError;
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_store::StoreError;
use molecule_templates::{RestartRequest, choose_restart, orgs::RestartSources};
use molecule_wire::workspaces::{RestartWorkspace, RestartedWorkspace, WorkspaceLogs};

use super::Workspaces;
use crate::{
    lifecycle::is_external,
    provisioning::{StartFiles, StartPlan},
};

/// Why a restart was refused (LIFE §9). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// Unknown or removed.
    #[error("workspace not found")]
    NotFound,
    /// LIFE-119.
    #[error("parent workspace \"{0}\" is paused — resume it first")]
    PausedParent(String),
    /// LIFE-120.
    #[error("provisioner not available")]
    NoBackend,
    /// The store failed.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// Unknown or removed.
    #[error("workspace not found")]
    NotFound,
    /// Nothing of it runs here.
    #[error("workspace is external: its logs are on its operator's own host")]
    External,
    /// No backend, or one without logs.
    #[error("the backend keeps no logs")]
    Unsupported,
    /// The backend failed.
    #[error("logs could not be read")]
    Backend(#[source] BackendError),
    /// The store failed.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

impl Workspaces {
    /// Restarts a workspace: writes `provisioning` and answers; stop and start follow in the background (LIFE-122).
    ///
    /// # Errors
    /// [`RestartError`]; nothing changed.
    pub fn restart(
        &self,
        id: WorkspaceId,
        request: RestartWorkspace,
    ) -> BoxFuture<'_, Result<RestartedWorkspace, RestartError>> {
        Box::pin(self.restart_inner(id, request))
    }

    async fn restart_inner(
        &self,
        id: WorkspaceId,
        request: RestartWorkspace,
    ) -> Result<RestartedWorkspace, RestartError> {
        let row = self.inner.store.workspace(id).await?;
        let row = row
            .filter(|row| row.status != WorkspaceStatus::Removed)
            .ok_or(RestartError::NotFound)?;
        if is_external(&row.runtime) {
            return Ok(external_noop());
        }
        let provisioner = &self.inner.provisioner;
        if let Some(name) = provisioner.paused_ancestor(id).await? {
            return Err(RestartError::PausedParent(name));
        }
        if !provisioner.has_backend() {
            return Err(RestartError::NoBackend);
        }
        let sources = RestartSources {
            catalogue: &self.inner.catalogue,
            orgs: &self.inner.orgs,
        };
        let asked = RestartRequest {
            template: request.template.as_deref(),
            apply_template: request.apply_template,
            rebuild_config: request.rebuild_config,
            name: &row.name,
            runtime: row.runtime.as_str(),
        };
        let source = choose_restart(&asked, &self.inner.allowlist, &sources);
        let files = match source.dir() {
            Some(dir) => StartFiles::Given {
                template_dir: Some(dir.to_path_buf()),
                files: BTreeMap::new(),
            },
            None => StartFiles::Existing,
        };
        let plan = StartPlan {
            files,
            reset_session: request.reset,
        };
        provisioner
            .manual_restart(id, plan)
            .await?
            .ok_or(RestartError::NotFound)?;
        Ok(RestartedWorkspace {
            status: "provisioning".to_owned(),
            config_dir: Some(source.label().to_owned()),
            reset_session: Some(request.reset),
            message: None,
        })
    }

    /// The end of a managed workspace's output.
    ///
    /// # Errors
    /// [`LogsError`].
    pub async fn logs(&self, id: WorkspaceId, max_bytes: usize) -> Result<WorkspaceLogs, LogsError> {
        let row = self.inner.store.workspace(id).await?;
        let row = row
            .filter(|row| row.status != WorkspaceStatus::Removed)
            .ok_or(LogsError::NotFound)?;
        if is_external(&row.runtime) {
            return Err(LogsError::External);
        }
        let console = self.inner.provisioner.console().ok_or(LogsError::Unsupported)?;
        let tail = console.logs(id, max_bytes).await.map_err(LogsError::Backend)?;
        Ok(WorkspaceLogs {
            output: tail.text,
            truncated: tail.truncated,
        })
    }
}

/// LIFE-118, LIFE-118a.
fn external_noop() -> RestartedWorkspace {
    RestartedWorkspace {
        status: "noop".to_owned(),
        config_dir: None,
        reset_session: None,
        message: Some(
            "external workspace: restart the agent on its operator's own host; its token is unchanged".to_owned(),
        ),
    }
}
