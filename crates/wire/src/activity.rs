//! Activity feed and messages to the user (`activity.md` §1).

pub use molecule_core::activity::Attachment;
use molecule_core::{
    ActivityId, Timestamp, Word, WorkspaceId,
    activity::{ActivityStatus, ActivityType},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{patch::null_is_default, registry::Raw};

/// One row of `GET /workspaces/:id/activity` (ACT §1.2).
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ActivityRow {
    /// Row id; also the poll cursor.
    pub id: ActivityId,
    /// Whose feed it belongs to.
    pub workspace_id: WorkspaceId,
    /// Kind.
    #[schema(value_type = String)]
    pub activity_type: Word<ActivityType>,
    /// Who began it; null means a person on the canvas or the system.
    pub source_id: Option<WorkspaceId>,
    /// Who received it.
    pub target_id: Option<WorkspaceId>,
    /// JSON-RPC method or another word.
    pub method: Option<String>,
    /// One line.
    pub summary: Option<String>,
    /// How long it took, milliseconds.
    pub duration_ms: Option<i64>,
    /// `ok`, `error`, …
    #[schema(value_type = String)]
    pub status: Word<ActivityStatus>,
    /// Why it failed.
    pub error_detail: Option<String>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// What was asked, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub request_body: Option<Raw>,
    /// What was answered, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub response_body: Option<Raw>,
    /// Tools the agent used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub tool_trace: Option<Raw>,
}

/// `POST /workspaces/:id/activity` (ACT §1.4).
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReportActivity {
    /// Kind; one of the reportable ones.
    #[serde(default)]
    #[schema(value_type = String)]
    pub activity_type: Word<ActivityType>,
    /// Free word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Who received it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Must be the workspace itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Default `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub status: Option<Word<ActivityStatus>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<String>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// What was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub request_body: Option<Value>,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub response_body: Option<Value>,
    /// Stored as the request body when that is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

/// `POST /workspaces/:id/notify` (ACT §1.5): a message to the user.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Notify {
    /// Required, not empty.
    #[serde(default)]
    pub message: String,
    /// Files the message refers to.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable)]
    pub attachments: Vec<Attachment>,
}
