//! What workspaces may spend (`activity.md` §8).

use molecule_core::WorkspaceId;
use molecule_wire::workspaces::Budget;
use reqwest::Method;
use serde_json::json;

use crate::{Client, ClientError};

impl Client {
    /// `GET /workspaces/:id/budget` (ACT-199).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn workspace_budget(&self, id: WorkspaceId) -> Result<Budget, ClientError> {
        self.get(&["workspaces", &id.to_string(), "budget"]).json().await
    }

    /// `PATCH /workspaces/:id/budget` (ACT-200): USD cents a month, `None` for no limit. Admin.
    ///
    /// # Errors
    /// [`ClientError`]; nothing changed.
    pub async fn set_workspace_budget(&self, id: WorkspaceId, limit: Option<i64>) -> Result<Budget, ClientError> {
        self.call(Method::PATCH, &["workspaces", &id.to_string(), "budget"])
            .body(&json!({ "budget_limit": limit }))?
            .json()
            .await
    }
}
