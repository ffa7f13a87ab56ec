//! Activity feed and messages to the user (`activity.md` §1).

pub use molecule_core::activity::Attachment;
use molecule_core::{
    ActivityId, Timestamp, Word, WorkspaceId,
    activity::{ActivityStatus, ActivityType},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{patch::objects, registry::Raw, words::ReportedActivityType};

/// One row of `GET /workspaces/:id/activity` (ACT §1.2).
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ActivityRow {
    /// Row id; also the poll cursor.
    pub id: ActivityId,
    /// Whose feed it belongs to.
    pub workspace_id: WorkspaceId,
    /// Kind.
    #[schema(value_type = ActivityType)]
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
    #[schema(value_type = Value, required = false)]
    pub request_body: Option<Raw>,
    /// What was answered, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub response_body: Option<Raw>,
    /// Tools the agent used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub tool_trace: Option<Raw>,
}

/// `POST /workspaces/:id/activity` (ACT §1.4).
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReportActivity {
    /// Kind.
    #[serde(default)]
    #[schema(value_type = ReportedActivityType, required = true)]
    pub activity_type: Word<ActivityType>,
    /// Free word, at most 255 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    pub method: Option<String>,
    /// What is shown, at most 65 536 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65536)]
    pub summary: Option<String>,
    /// Who received it; what is no id is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Must be the workspace itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Default `ok`; at most 255 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 255)]
    pub status: Option<Word<ActivityStatus>>,
    /// Why it failed, at most 65 536 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65536)]
    pub error_detail: Option<String>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// What was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub request_body: Option<Value>,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub response_body: Option<Value>,
    /// Stored as the request body when that is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub metadata: Option<Value>,
}

/// `POST /workspaces/:id/notify` (ACT §1.5): a message to the user.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Notify {
    /// Its text, at most 262 144 bytes of UTF-8.
    #[serde(default)]
    #[schema(required = true, min_length = 1, max_length = 262144)]
    pub message: String,
    /// Files the message refers to.
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable, max_items = 100)]
    pub attachments: Vec<Attachment>,
}
