//! Workspaces: create, read, update, delete (`lifecycle.md` §5–9).

mod budget;
mod lifecycle;

use std::collections::BTreeMap;

use molecule_core::{DeliveryMode, Runtime, Timestamp, Word, WorkspaceId, WorkspaceStatus, validate::WorkspaceAccess};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Patch,
    patch::{null_is_default, optional_object},
    words::{AskedAccess, AskedDeliveryMode},
};

pub use budget::{Budget, SetBudget};
pub use lifecycle::{
    BootstrapFailed, BootstrapNoted, CollapsedWorkspace, ExpandedWorkspace, HibernatedWorkspace, PausedWorkspace,
    RestoredWorkspace, ResumedWorkspace, TeamMember, WokenWorkspace,
};

/// `POST /workspaces` (LIFE §5).
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreateWorkspace {
    /// Any text that people can see, trimmed, at most 255 characters.
    #[serde(default)]
    #[schema(
        required = true,
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*[^\p{Z}\p{Cc}\p{Cf}][^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$"
    )]
    pub name: String,
    /// What the workspace is there for: one line, at most 1 000 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$")]
    pub role: Option<String>,
    /// Workspace template, relative to the templates root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Privilege and size class, 1 to 4; whatever else is sent counts as 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<i32>,
    /// Model id: one line, at most 100 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$")]
    pub model: Option<String>,
    /// Engine, one of `Runtime`; empty or unknown means the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 100, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$")]
    pub runtime: Option<Word<Runtime>>,
    /// Nothing is provisioned; the agent connects by itself.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub external: bool,
    /// Address of an external agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How messages are to reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AskedDeliveryMode>)]
    pub delivery_mode: Option<Word<DeliveryMode>>,
    /// Host directory to mount: absolute, without `..`, and none of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^$|^/[^\x00]+$")]
    pub workspace_dir: Option<String>,
    /// What the agent may do in `workspace_dir`; anything but `none` needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AskedAccess>)]
    pub workspace_access: Option<Word<WorkspaceAccess>>,
    /// Parent in the org chart, a workspace that is there; empty is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^$|^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$")]
    pub parent_id: Option<String>,
    /// Spending limit, USD cents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub budget_limit: Option<i64>,
    /// Secrets stored with the workspace, in the same transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<BTreeMap<String, String>>,
    /// Tasks the agent takes at once; ≤0 means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_tasks: Option<i32>,
    /// Position on the canvas.
    #[serde(
        default,
        deserialize_with = "optional_object",
        skip_serializing_if = "Option::is_none"
    )]
    pub canvas: Option<CanvasPosition>,
}

impl std::fmt::Debug for CreateWorkspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.secrets.as_ref().map(|secrets| secrets.keys().collect::<Vec<_>>());
        f.debug_struct("CreateWorkspace")
            .field("name", &self.name)
            .field("runtime", &self.runtime)
            .field("external", &self.external)
            .field("parent_id", &self.parent_id)
            .field("secrets", &keys)
            .finish_non_exhaustive()
    }
}

/// Position on the canvas.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CanvasPosition {
    /// Pixels to the right.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub x: f64,
    /// Pixels down.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub y: f64,
}

/// 201 of `POST /workspaces` (LIFE-71…74).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreatedWorkspace {
    /// The new workspace.
    pub id: WorkspaceId,
    /// `provisioning`, or what an external workspace begins as.
    pub status: WorkspaceStatus,
    /// Managed workspaces only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awareness_namespace: Option<String>,
    /// Managed workspaces only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_access: Option<WorkspaceAccess>,
    /// External workspaces only: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<bool>,
    /// External workspaces without a URL: how to connect the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
}

/// What the operator of an external agent needs (LIFE-77, LIFE-78).
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Connection {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Base URL of this platform as seen from outside.
    pub platform_url: String,
    /// The workspace's token; shown only here. Empty if it could not be minted.
    pub auth_token: String,
    /// `…/registry/register`.
    pub registry_endpoint: String,
    /// `…/registry/heartbeat`.
    pub heartbeat_endpoint: String,
    /// Ready-made snippets by key (`curl_register_template`, `python_snippet`, …).
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub snippets: BTreeMap<String, String>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("workspace_id", &self.workspace_id)
            .finish_non_exhaustive()
    }
}

/// One element of `GET /workspaces` (LIFE §6).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkspaceListItem {
    /// What every reader may see.
    #[serde(flatten)]
    pub workspace: WorkspaceView,
    /// Spending limit, USD cents.
    pub budget_limit: Option<i64>,
    /// Spent this month, USD cents.
    pub monthly_spend: i64,
    /// What the agent says it is doing.
    pub current_task: String,
    /// Last error the agent or a failed start reported.
    pub last_sample_error: String,
    /// Mounted host directory.
    pub workspace_dir: Option<String>,
    /// How often its agent was started anew since the workspace was created, whoever wanted it.
    #[serde(default)]
    pub restarts: i64,
}

/// `GET /workspaces/:id` (LIFE-88), and the common part of the list.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkspaceView {
    /// The workspace.
    pub id: WorkspaceId,
    /// Name in the org chart.
    pub name: String,
    /// What it is there for.
    pub role: Option<String>,
    /// Privilege and size class.
    pub tier: i32,
    /// State.
    pub status: WorkspaceStatus,
    /// Address of its agent, `""` when none.
    pub url: String,
    /// Parent; null for a root.
    pub parent_id: Option<WorkspaceId>,
    /// Tasks running now.
    pub active_tasks: i64,
    /// Tasks it takes at once.
    pub max_concurrent_tasks: i32,
    /// Share of failed requests, 0…1.
    pub last_error_rate: f64,
    /// Seconds the agent has been up.
    pub uptime_seconds: i64,
    /// Engine.
    #[schema(value_type = String)]
    pub runtime: Word<Runtime>,
    /// Null until it is known (LIFE OP-18).
    pub delivery_mode: Option<DeliveryMode>,
    /// Canvas position.
    pub x: f64,
    /// Canvas position.
    pub y: f64,
    /// Folded on the canvas.
    pub collapsed: bool,
    /// The agent's card, verbatim.
    #[schema(value_type = Option<Object>)]
    pub agent_card: Option<Value>,
    /// How long a start may take, if a template declares it (LIFE-87).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision_timeout_ms: Option<u64>,
    /// Last successful call to another workspace. Only in the single read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outbound_at: Option<Option<Timestamp>>,
}

/// 410 of `GET /workspaces/:id` (LIFE-89).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkspaceGone {
    /// `workspace removed`.
    pub error: String,
    /// The workspace.
    pub id: WorkspaceId,
    /// When it was removed; null if that could not be read.
    pub removed_at: Option<Timestamp>,
    /// What to do; begins with `Regenerate`.
    pub hint: String,
}

/// `GET /workspaces/:id/state` (LIFE-92).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkspaceState {
    /// The workspace.
    pub workspace_id: String,
    /// Absent when the workspace is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkspaceStatus>,
    /// Status is paused. Absent when deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Unknown or removed.
    pub deleted: bool,
}

/// `PATCH /workspaces/:id` (LIFE §7). Unknown keys are ignored; absent is not null.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = UpdateWorkspace)]
pub struct UpdateWorkspace {
    /// New name: any text that people can see, trimmed, at most 255 characters.
    #[serde(default)]
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*[^\p{Z}\p{Cc}\p{Cf}][^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$")]
    pub name: Patch<String>,
    /// New role: one line, at most 1 000 bytes of UTF-8; null clears.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1000, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$")]
    pub role: Patch<String>,
    /// New tier. Admin only (D4).
    #[serde(default)]
    #[schema(value_type = i32)]
    pub tier: Patch<i32>,
    /// New parent; null makes a root. Admin only (D4).
    #[serde(default)]
    #[schema(value_type = Option<WorkspaceId>)]
    pub parent_id: Patch<String>,
    /// New runtime, used from the next start on; it cannot become `external` or cease to be. Admin only (D4).
    #[serde(default)]
    #[schema(value_type = String, max_length = 100, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$")]
    pub runtime: Patch<Word<Runtime>>,
    /// New mounted directory; null or "" clears. Admin only (D4).
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = r"^$|^/[^\x00]+$")]
    pub workspace_dir: Patch<String>,
    /// New access to it. Admin only (D4).
    #[serde(default)]
    #[schema(value_type = WorkspaceAccess)]
    pub workspace_access: Patch<Word<WorkspaceAccess>>,
    /// Idle minutes until hibernation; null or ≤0 is off. Admin only (D4).
    #[serde(default)]
    #[schema(value_type = Option<i32>)]
    pub hibernation_idle_minutes: Patch<i32>,
    /// Tasks at once. Admin only (D4).
    #[serde(default)]
    #[schema(value_type = i32)]
    pub max_concurrent_tasks: Patch<i32>,
    /// Folded on the canvas.
    #[serde(default)]
    #[schema(value_type = bool)]
    pub collapsed: Patch<bool>,
    /// Canvas position; only together with `y`.
    #[serde(default)]
    #[schema(value_type = f64)]
    pub x: Patch<f64>,
    /// Canvas position; only together with `x`.
    #[serde(default)]
    #[schema(value_type = f64)]
    pub y: Patch<f64>,
}

/// 200 of `PATCH /workspaces/:id` (LIFE-95).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UpdatedWorkspace {
    /// `updated`.
    pub status: String,
    /// `true` exactly when `workspace_dir` was present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_restart: Option<bool>,
}

/// 200 of `DELETE /workspaces/:id` (LIFE-110, LIFE-112).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeletedWorkspace {
    /// `removed` or `purged`.
    pub status: String,
    /// Descendants removed with it.
    pub cascade_deleted: u64,
}

/// 409 of `DELETE /workspaces/:id` without `confirm` (LIFE-99).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConfirmationRequired {
    /// `confirmation_required`.
    pub status: String,
    /// What would happen.
    pub message: String,
    /// Live direct children.
    pub children: Vec<ChildRef>,
    /// Their number.
    pub children_count: usize,
}

/// A child named in an answer.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChildRef {
    /// The child.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
}

/// 500 of `DELETE` when a stop failed; the rows are removed already (LIFE-108).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StopFailures {
    /// Tells to retry, and why.
    pub error: String,
    /// Rows removed.
    pub removed_count: u64,
    /// Stops that failed.
    pub stop_failures: u64,
}

/// Optional body of `POST /workspaces/:id/restart` (LIFE §9).
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RestartWorkspace {
    /// Apply this template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Apply the template that matches name or runtime.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub apply_template: bool,
    /// Discard the session.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub reset: bool,
    /// Rebuild the configuration from the org template.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub rebuild_config: bool,
}

/// 200 of `POST /workspaces/:id/restart` (LIFE-125; external: OP-13).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RestartedWorkspace {
    /// `provisioning`, or `noop` for external workspaces.
    pub status: String,
    /// Where the configuration comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_dir: Option<String>,
    /// The session is discarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_session: Option<bool>,
    /// Why nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// `GET /workspaces/:id/logs`: the end of a managed instance's output.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkspaceLogs {
    /// Text of the log's end.
    pub output: String,
    /// Earlier output exists.
    pub truncated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        // SEC-145
        let request = CreateWorkspace {
            name: "scout".to_owned(),
            secrets: Some([("OPENAI_API_KEY".to_owned(), "sk-plain".to_owned())].into()),
            ..CreateWorkspace::default()
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("scout") && shown.contains("OPENAI_API_KEY"), "{shown}");
        assert!(!shown.contains("sk-plain"), "{shown}");
    }
}
