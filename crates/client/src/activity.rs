//! Activity feed, notes to the user, recorded events.

use molecule_core::{ActivityId, Timestamp, WorkspaceId};
use molecule_wire::{
    StatusBody,
    activity::{ActivityRow, Notify, ReportActivity},
    events::EventRow,
};

use crate::{Client, ClientError};

/// Who began what a row records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivitySource {
    /// A person or the system.
    Canvas,
    /// A workspace.
    Agent,
}

/// Filters of the feed; all given ones must hold (ACT-28).
#[derive(Debug, Clone, Default)]
pub struct ActivityFilter {
    /// Exact kind.
    pub activity_type: Option<String>,
    /// Who began it.
    pub source: Option<ActivitySource>,
    /// Exchanged with this workspace, in either direction (ACT-20).
    pub peer_id: Option<WorkspaceId>,
    /// At most this old, seconds, by the server's clock (ACT-17).
    pub since_secs: Option<u64>,
    /// Strictly before (ACT-22).
    pub before_ts: Option<Timestamp>,
    /// Strictly after this row, oldest first (ACT-23). 410 if the row is gone (ACT-26).
    pub since_id: Option<ActivityId>,
    /// Rows, 1–500; the server's default is 100.
    pub limit: Option<u64>,
}

impl Client {
    /// `GET /workspaces/:id/activity`: newest first, unless `since_id` is set.
    ///
    /// # Errors
    /// [`ClientError`]; status 410 means that the cursor must be dropped.
    pub async fn activity(&self, id: WorkspaceId, filter: &ActivityFilter) -> Result<Vec<ActivityRow>, ClientError> {
        let source = filter.source.map(|source| match source {
            ActivitySource::Canvas => "canvas",
            ActivitySource::Agent => "agent",
        });
        self.get(&["workspaces", &id.to_string(), "activity"])
            .query_opt("type", filter.activity_type.as_deref())
            .query_opt("source", source)
            .query_opt("peer_id", filter.peer_id)
            .query_opt("since_secs", filter.since_secs)
            .query_opt("before_ts", filter.before_ts)
            .query_opt("since_id", filter.since_id)
            .query_opt("limit", filter.limit)
            .json()
            .await
    }

    /// `POST /workspaces/:id/activity` (ACT §1.4).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn report_activity(&self, id: WorkspaceId, row: &ReportActivity) -> Result<StatusBody, ClientError> {
        self.post(&["workspaces", &id.to_string(), "activity"])
            .body(row)?
            .json()
            .await
    }

    /// `POST /workspaces/:id/notify`: a message to the user (ACT §1.5).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn notify(&self, id: WorkspaceId, message: &Notify) -> Result<StatusBody, ClientError> {
        self.post(&["workspaces", &id.to_string(), "notify"])
            .body(message)?
            .json()
            .await
    }

    /// `GET /events` or `GET /events/:workspaceId`: the newest recorded events (ACT-69). Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_events(&self, workspace: Option<WorkspaceId>) -> Result<Vec<EventRow>, ClientError> {
        match workspace {
            Some(id) => self.get(&["events", &id.to_string()]).json().await,
            None => self.get(&["events"]).json().await,
        }
    }
}
