//! The activity log: one writer with group commit, one reader for the feed.

mod finish;
mod query;
mod retention;
mod text;
mod writer;

pub use finish::Finished;
pub use query::FeedError;
#[cfg(test)]
pub(crate) use query::{Span, feed};
pub use retention::Pruned;
#[cfg(test)]
pub(crate) use retention::prune;
pub use text::SharedText;
pub use writer::{ActivityWriter, Durability, WRITER_LAG};

use molecule_core::{
    ActivityId, Timestamp, Word, WorkspaceId,
    activity::{ActivityStatus, ActivityType},
};

/// A row about to be recorded.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields are the record table of activity.md §1.1")]
pub struct NewActivity {
    pub id: ActivityId,
    pub workspace_id: WorkspaceId,
    pub activity_type: ActivityType,
    pub source_id: Option<WorkspaceId>,
    pub target_id: Option<WorkspaceId>,
    pub method: Option<String>,
    pub summary: Option<String>,
    /// JSON text, stored as it is.
    pub request_body: Option<SharedText>,
    /// JSON text, stored as it is.
    pub response_body: Option<SharedText>,
    /// JSON text, stored as it is.
    pub tool_trace: Option<String>,
    pub duration_ms: Option<i64>,
    pub status: Word<ActivityStatus>,
    pub error_detail: Option<String>,
}

impl NewActivity {
    /// A row with everything optional left out and status `ok`.
    #[must_use]
    pub fn new(workspace_id: WorkspaceId, activity_type: ActivityType) -> Self {
        Self {
            id: ActivityId::from_uuid(uuid::Uuid::now_v7()),
            workspace_id,
            activity_type,
            source_id: None,
            target_id: None,
            method: None,
            summary: None,
            request_body: None,
            response_body: None,
            tool_trace: None,
            duration_ms: None,
            status: ActivityStatus::Ok.into(),
            error_detail: None,
        }
    }

    /// Size of what can be large.
    fn body_bytes(&self) -> usize {
        let bodies = [&self.request_body, &self.response_body];
        let bodies: usize = bodies.into_iter().flatten().map(|body| body.len()).sum();
        bodies + self.tool_trace.as_ref().map_or(0, String::len)
    }
}

/// A recorded row.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are the record table of activity.md §1.1")]
pub struct Activity {
    pub seq: crate::events::Seq,
    pub id: ActivityId,
    pub workspace_id: WorkspaceId,
    pub activity_type: Word<ActivityType>,
    pub source_id: Option<WorkspaceId>,
    pub target_id: Option<WorkspaceId>,
    pub method: Option<String>,
    pub summary: Option<String>,
    pub request_body: Option<String>,
    pub response_body: Option<String>,
    pub tool_trace: Option<String>,
    pub duration_ms: Option<i64>,
    pub status: Word<ActivityStatus>,
    pub error_detail: Option<String>,
    pub created_at: Timestamp,
}
