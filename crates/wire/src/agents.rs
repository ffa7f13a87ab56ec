//! Agents assigned to workspaces (`lifecycle.md` §13).

use molecule_core::{AgentId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// Body of `POST` and `PATCH /workspaces/:id/agent`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AssignAgent {
    /// The model it is on record for, at most 100 bytes.
    #[schema(min_length = 1, max_length = 100)]
    pub model: String,
}

/// Body of `POST /workspaces/:id/agent/move`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MoveAgent {
    /// The workspace it moves to.
    pub target_workspace_id: String,
}

/// 201 of `POST /workspaces/:id/agent`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AssignedAgent {
    /// Its id.
    pub agent_id: AgentId,
    /// Its model.
    pub model: String,
}

/// 200 of `PATCH /workspaces/:id/agent`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplacedAgent {
    /// Id of the new one.
    pub agent_id: AgentId,
    /// Its model.
    pub model: String,
    /// Model of the one it replaced.
    pub old_model: String,
}

/// 200 of `DELETE /workspaces/:id/agent`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RemovedAgent {
    /// `removed`.
    pub status: String,
    /// Id of the one that was withdrawn.
    pub agent_id: AgentId,
}

/// 200 of `POST /workspaces/:id/agent/move`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MovedAgent {
    /// Its id.
    pub agent_id: AgentId,
    /// Its model.
    pub model: String,
    /// Where it was.
    pub from_workspace: WorkspaceId,
    /// Where it is.
    pub to_workspace: WorkspaceId,
}
