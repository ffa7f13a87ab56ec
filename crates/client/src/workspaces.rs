//! Workspaces: create, read, update, delete, restart, logs (`lifecycle.md` §5–9).

use std::time::Duration;

use molecule_core::{WorkspaceId, limits};
use molecule_wire::{
    Patch,
    workspaces::{
        CollapsedWorkspace, ConfirmationRequired, CreateWorkspace, CreatedWorkspace, DeletedWorkspace,
        ExpandedWorkspace, HibernatedWorkspace, PausedWorkspace, RestartWorkspace, RestartedWorkspace,
        RestoredWorkspace, ResumedWorkspace, UpdateWorkspace, UpdatedWorkspace, WokenWorkspace, WorkspaceListItem,
        WorkspaceLogs, WorkspaceState, WorkspaceView,
    },
};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Client, ClientError};

/// Outcome of a delete that the server understood.
#[derive(Debug)]
pub enum DeleteAnswer {
    /// It is gone, its subtree with it.
    Deleted(DeletedWorkspace),
    /// It has children and `confirm` was not set; nothing changed (LIFE-99).
    ConfirmationRequired(ConfirmationRequired),
}

impl Client {
    /// `GET /workspaces` (LIFE §6): everything but the removed. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_workspaces(&self) -> Result<Vec<WorkspaceListItem>, ClientError> {
        self.get(&["workspaces"]).json().await
    }

    /// `POST /workspaces` (LIFE §5). Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_workspace(&self, workspace: &CreateWorkspace) -> Result<CreatedWorkspace, ClientError> {
        // The answer for an external workspace carries its token.
        self.post(&["workspaces"]).body(workspace)?.private().json().await
    }

    /// `GET /workspaces/:id` (LIFE-88…91).
    ///
    /// # Errors
    /// [`ClientError`]; a removed workspace is 410 with a `WorkspaceGone`, unless `include_removed`.
    pub async fn get_workspace(&self, id: WorkspaceId, include_removed: bool) -> Result<WorkspaceView, ClientError> {
        self.get(&["workspaces", &id.to_string()])
            .query_opt("include_removed", include_removed.then_some("true"))
            .json()
            .await
    }

    /// `PATCH /workspaces/:id` (LIFE §7).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn update_workspace(
        &self,
        id: WorkspaceId,
        update: UpdateWorkspace,
    ) -> Result<UpdatedWorkspace, ClientError> {
        self.call(Method::PATCH, &["workspaces", &id.to_string()])
            .body(&patch_body(update))?
            .json()
            .await
    }

    /// `DELETE /workspaces/:id` (LIFE §8). `confirm` takes the whole subtree along; `purge` deletes the records too.
    /// Admin.
    ///
    /// # Errors
    /// [`ClientError`]; 500 with a `StopFailures` when the rows are removed but an instance may still run.
    pub async fn delete_workspace(
        &self,
        id: WorkspaceId,
        confirm: bool,
        purge: bool,
    ) -> Result<DeleteAnswer, ClientError> {
        let result = self
            .call(Method::DELETE, &["workspaces", &id.to_string()])
            .query_opt("confirm", confirm.then_some("true"))
            .query_opt("purge", purge.then_some("true"))
            .timeout(Some(limits::DELETE_STOP_DEADLINE + Duration::from_secs(30)))
            .json()
            .await;
        match result {
            Ok(deleted) => Ok(DeleteAnswer::Deleted(deleted)),
            Err(ClientError::Status(error)) if error.status == 409 => error
                .body_as()
                .map(DeleteAnswer::ConfirmationRequired)
                .ok_or_else(|| error.into()),
            Err(error) => Err(error),
        }
    }

    /// `GET /workspaces/:id/state` (LIFE-92). Unknown and removed workspaces are an answer with `deleted`, not an error.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn workspace_state(&self, id: WorkspaceId) -> Result<WorkspaceState, ClientError> {
        let answer = self.get(&["workspaces", &id.to_string(), "state"]).send().await?;
        if answer.status() != 404 {
            return answer.success().await?.json().await;
        }
        match answer.into_error().await {
            // An edge's empty 404 says nothing about the workspace (A2A-193).
            ClientError::Status(error) => error.body_as().ok_or_else(|| error.into()),
            error => Err(error),
        }
    }

    /// `POST /workspaces/:id/restart` (LIFE §9).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn restart_workspace(
        &self,
        id: WorkspaceId,
        restart: &RestartWorkspace,
    ) -> Result<RestartedWorkspace, ClientError> {
        self.post(&["workspaces", &id.to_string(), "restart"])
            .body(restart)?
            .json()
            .await
    }

    /// `POST /workspaces/:id/pause` (LIFE §10): the workspace and everything below it.
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it is paused already.
    pub async fn pause_workspace(&self, id: WorkspaceId) -> Result<PausedWorkspace, ClientError> {
        self.post(&["workspaces", &id.to_string(), "pause"])
            .timeout(Some(limits::PAUSE_STOP_WAIT + Duration::from_secs(30)))
            .json()
            .await
    }

    /// `POST /workspaces/:id/resume` (LIFE §10).
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it is not paused.
    pub async fn resume_workspace(&self, id: WorkspaceId) -> Result<ResumedWorkspace, ClientError> {
        self.post(&["workspaces", &id.to_string(), "resume"]).json().await
    }

    /// `POST /workspaces/:id/hibernate` (LIFE §11). `force`: also if tasks run.
    ///
    /// # Errors
    /// [`ClientError`]; 409 if tasks run.
    pub async fn hibernate_workspace(&self, id: WorkspaceId, force: bool) -> Result<HibernatedWorkspace, ClientError> {
        self.post(&["workspaces", &id.to_string(), "hibernate"])
            .query_opt("force", force.then_some("true"))
            .timeout(Some(limits::HIBERNATION_DRAIN + Duration::from_secs(60)))
            .json()
            .await
    }

    /// `POST /workspaces/:id/wake` (LIFE §11).
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it is not hibernated.
    pub async fn wake_workspace(&self, id: WorkspaceId) -> Result<WokenWorkspace, ClientError> {
        self.post(&["workspaces", &id.to_string(), "wake"]).json().await
    }

    /// `POST /workspaces/:id/expand` (LIFE §12).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn expand_workspace(&self, id: WorkspaceId) -> Result<ExpandedWorkspace, ClientError> {
        self.post(&["workspaces", &id.to_string(), "expand"]).json().await
    }

    /// `POST /workspaces/:id/collapse` (LIFE §12).
    ///
    /// # Errors
    /// [`ClientError`]; 500 with a `StopFailures` when the rows are removed but an instance may still run.
    pub async fn collapse_workspace(&self, id: WorkspaceId) -> Result<CollapsedWorkspace, ClientError> {
        self.post(&["workspaces", &id.to_string(), "collapse"])
            .timeout(Some(limits::DELETE_STOP_DEADLINE + Duration::from_secs(30)))
            .json()
            .await
    }

    /// `POST /admin/workspaces/:id/restore` (LIFE-199). Admin.
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it was purged, 409 if it is not removed.
    pub async fn restore_workspace(&self, id: WorkspaceId) -> Result<RestoredWorkspace, ClientError> {
        // The answer for an external workspace carries its token.
        self.post(&["admin", "workspaces", &id.to_string(), "restore"])
            .private()
            .json()
            .await
    }

    /// `GET /workspaces/:id/logs?bytes=`: the end of a managed instance's output.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn workspace_logs(&self, id: WorkspaceId, bytes: Option<u64>) -> Result<WorkspaceLogs, ClientError> {
        self.get(&["workspaces", &id.to_string(), "logs"])
            .query_opt("bytes", bytes)
            .json()
            .await
    }
}

/// Only the fields that are present: absent is not null (LIFE-94).
fn patch_body(update: UpdateWorkspace) -> Map<String, Value> {
    // Without `..`, so that a new field cannot be forgotten here.
    let UpdateWorkspace {
        name,
        role,
        tier,
        parent_id,
        runtime,
        workspace_dir,
        workspace_access,
        hibernation_idle_minutes,
        max_concurrent_tasks,
        collapsed,
        x,
        y,
    } = update;
    let mut body = Map::new();
    put(&mut body, "name", name);
    put(&mut body, "role", role);
    put(&mut body, "tier", tier);
    put(&mut body, "parent_id", parent_id);
    put(&mut body, "runtime", runtime);
    put(&mut body, "workspace_dir", workspace_dir);
    put(&mut body, "workspace_access", workspace_access);
    put(&mut body, "hibernation_idle_minutes", hibernation_idle_minutes);
    put(&mut body, "max_concurrent_tasks", max_concurrent_tasks);
    put(&mut body, "collapsed", collapsed);
    put(&mut body, "x", x);
    put(&mut body, "y", y);
    body
}

fn put<T: Serialize>(body: &mut Map<String, Value>, key: &str, field: Patch<T>) {
    match field {
        Patch::Absent => {}
        Patch::Null => {
            body.insert(key.to_owned(), Value::Null);
        }
        Patch::Value(value) => {
            // Texts and numbers always are JSON.
            body.insert(key.to_owned(), serde_json::to_value(value).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_is_not_null() {
        // LIFE-94
        let update = UpdateWorkspace {
            name: Patch::Value("Lead".into()),
            parent_id: Patch::Null,
            x: Patch::Value(1.5),
            ..UpdateWorkspace::default()
        };
        assert_eq!(
            Value::Object(patch_body(update)).to_string(),
            r#"{"name":"Lead","parent_id":null,"x":1.5}"#
        );
    }
}
