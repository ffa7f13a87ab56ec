//! What heartbeats leave behind: flushed in batches, never one by one.

use std::collections::BTreeMap;

use molecule_core::{Timestamp, WorkspaceId, WorkspaceStatus, text::storable};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use crate::{Store, StoreError, workspaces::parse_status};

/// The latest beat of a workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulse {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// When the platform received it.
    pub last_beat_at: Timestamp,
    /// Seconds the agent has been up.
    pub uptime_seconds: i64,
    /// Share of failed requests, 0…1.
    pub error_rate: f64,
    /// A recent error, `""` when none.
    pub sample_error: String,
    /// Tasks running.
    pub active_tasks: i64,
    /// What it is doing.
    pub current_task: String,
    /// USD cents; `None` leaves what is stored.
    pub monthly_spend: Option<i64>,
}

/// Largest batch of one transaction.
pub const FLUSH_ROWS: usize = 256;

/// Writes a batch in the order of ids, so that two servers that flush the same workspaces do not wait for each other.
/// A spend of −1 keeps what is stored.
const UPSERT: &str = "INSERT INTO workspace_pulse
    (workspace_id, last_beat_at, uptime_seconds, error_rate, sample_error, active_tasks, current_task, monthly_spend)
    SELECT w.id, b.beat_at, b.uptime, b.error_rate, b.error, b.tasks, b.task,
        COALESCE(b.spend, CASE WHEN p.workspace_id IS NULL THEN 0 ELSE -1 END)
    FROM ({beats}) b CROSS JOIN workspaces w LEFT JOIN workspace_pulse p ON p.workspace_id = w.id
    WHERE w.id = b.id AND w.status <> $2 ORDER BY w.id
    ON CONFLICT (workspace_id) DO UPDATE SET
        last_beat_at = excluded.last_beat_at, uptime_seconds = excluded.uptime_seconds,
        error_rate = excluded.error_rate, sample_error = excluded.sample_error,
        active_tasks = excluded.active_tasks, current_task = excluded.current_task,
        monthly_spend = CASE WHEN excluded.monthly_spend < 0 THEN workspace_pulse.monthly_spend
            ELSE excluded.monthly_spend END";

const STATUSES: &str = "SELECT w.id, w.status FROM ({beats}) b CROSS JOIN workspaces w WHERE w.id = b.id";

/// The rows of the JSON array `$1`. One parameter, because statements of unchanging text are prepared once, whatever
/// the size of the batch.
fn beats(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => {
            "SELECT * FROM json_to_recordset($1::json) AS beat (id uuid, beat_at bigint, uptime bigint,
             error_rate double precision, error text, tasks bigint, task text, spend bigint)"
        }
        _ => {
            "SELECT unhex(value ->> 'id', '-') AS id, value ->> 'beat_at' AS beat_at, value ->> 'uptime' AS uptime,
             value ->> 'error_rate' AS error_rate, value ->> 'error' AS error, value ->> 'tasks' AS tasks,
             value ->> 'task' AS task, value ->> 'spend' AS spend FROM json_each($1)"
        }
    }
}

#[derive(FromQueryResult)]
struct StatusRow {
    id: Uuid,
    status: String,
}

impl Store {
    /// Stores beats, at most [`FLUSH_ROWS`] per transaction; removed rows are not touched (REG-51). Returns the stored
    /// status of each workspace, so that a stale cache is noticed.
    ///
    /// # Errors
    /// The failed batch and those after it are not stored.
    pub async fn flush_pulses(&self, pulses: &[Pulse]) -> Result<Vec<(WorkspaceId, WorkspaceStatus)>, StoreError> {
        let mut statuses = Vec::with_capacity(pulses.len());
        for chunk in pulses.chunks(FLUSH_ROWS) {
            let batch = encode(chunk);
            let rows = self.db.tx(|tx| Box::pin(async move { flush(tx, batch).await })).await?;
            statuses.extend(rows);
        }
        Ok(statuses)
    }

    /// Notes that a workspace reached another one (A2A-106); removed ones are not touched (LIFE-9).
    ///
    /// # Errors
    /// The update failed.
    pub async fn touch_outbound(&self, workspace: WorkspaceId, at: Timestamp) -> Result<(), StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let statement = Statement::from_sql_and_values(
                        tx.get_database_backend(),
                        "INSERT INTO workspace_pulse (workspace_id, last_outbound_at)
                         SELECT id, $2 FROM workspaces WHERE id = $1 AND status <> $3
                         ON CONFLICT (workspace_id) DO UPDATE SET last_outbound_at = excluded.last_outbound_at",
                        [
                            workspace.uuid().into(),
                            at.micros().into(),
                            WorkspaceStatus::Removed.as_str().into(),
                        ],
                    );
                    tx.execute_raw(statement).await?;
                    Ok(())
                })
            })
            .await
    }
}

async fn flush(tx: &DatabaseTransaction, batch: String) -> Result<Vec<(WorkspaceId, WorkspaceStatus)>, StoreError> {
    let backend = tx.get_database_backend();
    tx.execute_raw(upsert(backend, batch.clone())).await?;
    StatusRow::find_by_statement(statuses(backend, batch))
        .all(tx)
        .await?
        .into_iter()
        .map(|row| Ok((WorkspaceId::from_uuid(row.id), parse_status(&row.status)?)))
        .collect()
}

pub(crate) fn upsert(backend: DbBackend, batch: String) -> Statement {
    let values: [Value; 2] = [batch.into(), WorkspaceStatus::Removed.as_str().into()];
    Statement::from_sql_and_values(backend, UPSERT.replace("{beats}", beats(backend)), values)
}

pub(crate) fn statuses(backend: DbBackend, batch: String) -> Statement {
    Statement::from_sql_and_values(backend, STATUSES.replace("{beats}", beats(backend)), [batch.into()])
}

/// The batch as a JSON array, the latest beat of each workspace only. What agents say of themselves must not fail the
/// beats of others.
pub(crate) fn encode(pulses: &[Pulse]) -> String {
    let latest: BTreeMap<WorkspaceId, &Pulse> = pulses.iter().map(|pulse| (pulse.workspace, pulse)).collect();
    let rows = latest.into_values().map(|pulse| {
        json!({
            "id": pulse.workspace,
            "beat_at": pulse.last_beat_at.micros(),
            "uptime": pulse.uptime_seconds,
            "error_rate": if pulse.error_rate.is_finite() { pulse.error_rate } else { 0.0 },
            "error": storable(&pulse.sample_error),
            "tasks": pulse.active_tasks,
            "task": storable(&pulse.current_task),
            "spend": pulse.monthly_spend.filter(|cents| *cents >= 0),
        })
    });
    serde_json::Value::Array(rows.collect()).to_string()
}
