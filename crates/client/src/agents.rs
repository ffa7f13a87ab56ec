//! Agents assigned to workspaces (`lifecycle.md` §13).

use molecule_core::WorkspaceId;
use molecule_wire::agents::{AssignAgent, AssignedAgent, MoveAgent, MovedAgent, RemovedAgent, ReplacedAgent};
use reqwest::Method;

use crate::{Client, ClientError};

impl Client {
    /// `POST /workspaces/:id/agent`.
    ///
    /// # Errors
    /// [`ClientError`]; 409 if it has one.
    pub async fn assign_agent(&self, id: WorkspaceId, model: &str) -> Result<AssignedAgent, ClientError> {
        let model = model.to_owned();
        self.post(&["workspaces", &id.to_string(), "agent"])
            .body(&AssignAgent { model })?
            .json()
            .await
    }

    /// `PATCH /workspaces/:id/agent`.
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it has none.
    pub async fn replace_agent(&self, id: WorkspaceId, model: &str) -> Result<ReplacedAgent, ClientError> {
        let model = model.to_owned();
        self.call(Method::PATCH, &["workspaces", &id.to_string(), "agent"])
            .body(&AssignAgent { model })?
            .json()
            .await
    }

    /// `DELETE /workspaces/:id/agent`.
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it has none.
    pub async fn remove_agent(&self, id: WorkspaceId) -> Result<RemovedAgent, ClientError> {
        self.call(Method::DELETE, &["workspaces", &id.to_string(), "agent"])
            .json()
            .await
    }

    /// `POST /workspaces/:id/agent/move`. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn move_agent(&self, from: WorkspaceId, to: WorkspaceId) -> Result<MovedAgent, ClientError> {
        let target_workspace_id = to.to_string();
        self.post(&["workspaces", &from.to_string(), "agent", "move"])
            .body(&MoveAgent { target_workspace_id })?
            .json()
            .await
    }
}
