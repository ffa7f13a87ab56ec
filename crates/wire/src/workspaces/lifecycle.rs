//! What becomes of workspaces and their agents: paused, asleep, a team, back again (`lifecycle.md` §10–14).

use molecule_core::{WorkspaceId, WorkspaceStatus};
use serde::{Deserialize, Serialize};

use super::Connection;
use crate::patch::null_is_default;

/// 200 of `POST /workspaces/:id/pause` (LIFE-151).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PausedWorkspace {
    /// `paused`.
    pub status: String,
    /// Workspaces that were paused by this call.
    pub paused_count: usize,
}

/// 200 of `POST /workspaces/:id/resume` (LIFE-154).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResumedWorkspace {
    /// `provisioning`.
    pub status: String,
    /// Workspaces that were resumed by this call.
    pub resumed_count: usize,
}

/// 200 of `POST /workspaces/:id/hibernate` (LIFE-159).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HibernatedWorkspace {
    /// `hibernated`.
    pub status: String,
}

/// 200 of `POST /workspaces/:id/wake`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WokenWorkspace {
    /// `waking`.
    pub status: String,
}

/// A member of a team that was made.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TeamMember {
    /// The new workspace.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// What it is there for.
    pub role: Option<String>,
}

/// 200 of `POST /workspaces/:id/expand` (LIFE-167).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExpandedWorkspace {
    /// `expanded`.
    pub status: String,
    /// The members that were made.
    pub children: Vec<TeamMember>,
}

/// 200 of `POST /workspaces/:id/collapse` (LIFE-168).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CollapsedWorkspace {
    /// `collapsed`.
    pub status: String,
    /// Names of the children that were removed, each with everything below it.
    pub removed: Vec<String>,
}

/// 200 of `POST /admin/workspaces/:id/restore` (LIFE-199).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RestoredWorkspace {
    /// The workspace.
    pub id: WorkspaceId,
    /// What it is now.
    pub status: WorkspaceStatus,
    /// External workspaces: how to connect the agent, with a new token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
}

/// Body of `POST /admin/workspaces/:id/bootstrap-failed` (LIFE-172).
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BootstrapFailed {
    /// What went wrong; blank means nobody knows.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub error: String,
    /// The end of the instance's output.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub log_tail: String,
}

/// 200 of the same.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BootstrapNoted {
    /// `true`.
    pub ok: bool,
    /// `true`: no start was under way, and nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_change: Option<bool>,
}
