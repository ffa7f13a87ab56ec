//! What the sweeps look at: a few columns of the workspaces that there is something to judge of.

use std::time::Duration;

use molecule_core::{Runtime, Timestamp, WorkspaceId, WorkspaceStatus};
use sea_orm::{FromQueryResult, Value};
use uuid::Uuid;

use super::{parse_status, read::readable};
use crate::{Store, StoreError};

/// Managed workspaces that may have been idle for as long as they may be at `$1` (LIFE-193).
pub(crate) fn idle_sql() -> String {
    let long_ago = "$1 - CAST(w.hibernation_idle_minutes AS bigint) * 60000000";
    format!(
        "SELECT w.id, w.hibernation_idle_minutes AS minutes FROM workspaces w
         JOIN workspace_pulse p ON p.workspace_id = w.id
         WHERE w.hibernation_idle_minutes > 0 AND w.status IN ($2, $3) AND w.runtime <> $4
         AND w.status_changed_at <= {long_ago}
         AND p.active_tasks = 0 AND p.last_beat_at IS NOT NULL AND COALESCE(p.last_active_at, 0) <= {long_ago}"
    )
}

/// A workspace as whoever looks for lost agents sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The workspace.
    pub id: WorkspaceId,
    /// Nothing is provisioned for it.
    pub external: bool,
    /// Its state.
    pub status: WorkspaceStatus,
    /// Incarnation.
    pub generation: i64,
    /// When it was last heard of, as far as that is stored.
    pub last_beat_at: Option<Timestamp>,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

/// What the health sweep has to look at: managed workspaces in one of three statuses, and external ones that are alive and
/// have been silent since `$5`. Of a fleet of external workspaces that beat, or are lost already, nothing is read.
pub(crate) fn watched_sql() -> &'static str {
    "SELECT w.id, w.runtime, w.status, w.generation, w.updated_at, p.last_beat_at FROM workspaces w
     LEFT JOIN workspace_pulse p ON p.workspace_id = w.id
     WHERE w.status IN ($1, $2, $3) AND (w.runtime <> $4
     OR w.status <> $3 AND COALESCE(p.last_beat_at, w.updated_at) <= $5)"
}

#[derive(FromQueryResult)]
struct WatchedModel {
    id: Uuid,
    runtime: String,
    status: String,
    generation: i64,
    updated_at: i64,
    last_beat_at: Option<i64>,
}

impl TryFrom<WatchedModel> for Watched {
    type Error = StoreError;

    fn try_from(row: WatchedModel) -> Result<Self, StoreError> {
        Ok(Self {
            id: WorkspaceId::from_uuid(row.id),
            external: row.runtime == Runtime::External.as_str(),
            status: parse_status(&row.status)?,
            generation: row.generation,
            last_beat_at: row.last_beat_at.map(Timestamp::from_micros),
            updated_at: Timestamp::from_micros(row.updated_at),
        })
    }
}

#[derive(FromQueryResult)]
struct IdleModel {
    id: Uuid,
    minutes: i32,
}

impl Store {
    /// Workspaces that may have been lost, in no order: managed ones that ought to answer, and external ones that are alive
    /// and have been silent since `silent_since`.
    ///
    /// # Errors
    /// The query failed; unreadable rows are left out and logged.
    pub async fn watched_workspaces(&self, silent_since: Timestamp) -> Result<Vec<Watched>, StoreError> {
        let values: [Value; 5] = [
            WorkspaceStatus::Online.as_str().into(),
            WorkspaceStatus::Degraded.as_str().into(),
            WorkspaceStatus::Offline.as_str().into(),
            Runtime::External.as_str().into(),
            silent_since.micros().into(),
        ];
        let statement = self.db.statement(watched_sql(), values);
        Ok(readable(
            WatchedModel::find_by_statement(statement).all(self.db.reader()).await?,
        ))
    }

    /// Managed workspaces that answer, run no task and have not been busy at `at` for as long as they may be, each with
    /// that span (LIFE-193, OP-6).
    ///
    /// # Errors
    /// The query failed.
    pub async fn idle_workspaces(&self, at: Timestamp) -> Result<Vec<(WorkspaceId, Duration)>, StoreError> {
        let [online, degraded] = WorkspaceStatus::ALIVE.map(WorkspaceStatus::as_str);
        let values: [Value; 4] = [
            at.micros().into(),
            online.into(),
            degraded.into(),
            Runtime::External.as_str().into(),
        ];
        let statement = self.db.statement(&idle_sql(), values);
        let rows = IdleModel::find_by_statement(statement).all(self.db.reader()).await?;
        let allowed = |minutes: i32| Duration::from_secs(u64::try_from(minutes).unwrap_or(0) * 60);
        Ok(rows
            .into_iter()
            .map(|row| (WorkspaceId::from_uuid(row.id), allowed(row.minutes)))
            .collect())
    }
}
