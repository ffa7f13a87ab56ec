//! What heartbeats leave behind: flushed in batches, never one by one.

use std::collections::BTreeMap;

use molecule_core::{Timestamp, WorkspaceId, WorkspaceStatus, text::storable};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, Statement, Value};
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
    /// When it was last busy: a task ran, or a message came or went (OP-6). `None` leaves what is stored.
    pub active_at: Option<Timestamp>,
}

/// Largest batch of one transaction.
pub const FLUSH_ROWS: usize = 256;

/// Rows of one statement. Few sizes, so that each statement is prepared once and not anew for every size of a batch.
const PIECES: [usize; 5] = [256, 64, 16, 4, 1];

/// Writes the rows `{beats}`, unless their workspace is `{removed}`. A spend of −1 keeps what is stored.
const UPSERT: &str =
    "WITH b (id, beat_at, uptime, error_rate, error, tasks, task, spend, active_at) AS (VALUES {beats})
    INSERT INTO workspace_pulse
    (workspace_id, last_beat_at, uptime_seconds, error_rate, sample_error, active_tasks, current_task, monthly_spend,
        last_active_at)
    SELECT w.id, b.beat_at, b.uptime, b.error_rate, b.error, b.tasks, b.task,
        COALESCE(b.spend, CASE WHEN p.workspace_id IS NULL THEN 0 ELSE -1 END), b.active_at
    FROM b CROSS JOIN workspaces w LEFT JOIN workspace_pulse p ON p.workspace_id = w.id
    WHERE w.id = b.id AND w.status <> {removed} ORDER BY w.id
    ON CONFLICT (workspace_id) DO UPDATE SET
        last_beat_at = excluded.last_beat_at, uptime_seconds = excluded.uptime_seconds,
        error_rate = excluded.error_rate, sample_error = excluded.sample_error,
        active_tasks = excluded.active_tasks, current_task = excluded.current_task,
        monthly_spend = CASE WHEN excluded.monthly_spend < 0 THEN workspace_pulse.monthly_spend
            ELSE excluded.monthly_spend END,
        last_active_at = COALESCE(excluded.last_active_at, workspace_pulse.last_active_at)";

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
            let batch = latest(chunk);
            // Beats come again; they need not wait for the disk.
            let rows = self
                .db
                .tx_relaxed(|tx| Box::pin(async move { flush(tx, &batch).await }))
                .await?;
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
            .tx_relaxed(|tx| {
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

/// The latest beat of each workspace, in the order of ids: two servers that flush the same workspaces must not wait for
/// each other.
fn latest(pulses: &[Pulse]) -> Vec<Pulse> {
    let latest: BTreeMap<WorkspaceId, &Pulse> = pulses.iter().map(|pulse| (pulse.workspace, pulse)).collect();
    latest.into_values().cloned().collect()
}

async fn flush(
    tx: &DatabaseTransaction,
    mut batch: &[Pulse],
) -> Result<Vec<(WorkspaceId, WorkspaceStatus)>, StoreError> {
    let backend = tx.get_database_backend();
    let mut found = Vec::with_capacity(batch.len());
    for size in PIECES {
        while let Some((piece, rest)) = batch.split_at_checked(size) {
            tx.execute_raw(upsert(backend, piece)).await?;
            let rows = StatusRow::find_by_statement(statuses(backend, piece)).all(tx).await?;
            for row in rows {
                found.push((WorkspaceId::from_uuid(row.id), parse_status(&row.status)?));
            }
            batch = rest;
        }
    }
    Ok(found)
}

pub(crate) fn upsert(backend: DbBackend, beats: &[Pulse]) -> Statement {
    let mut values: Vec<Value> = Vec::new();
    let mut rows = Vec::with_capacity(beats.len());
    for beat in beats {
        let row = parameters(beat);
        rows.push(format!("({})", marks(backend, values.len() + 1, row.len())));
        values.extend(row);
    }
    values.push(WorkspaceStatus::Removed.as_str().into());
    let removed = marks(backend, values.len(), 1);
    let sql = UPSERT
        .replace("{beats}", &rows.join(", "))
        .replace("{removed}", &removed);
    Statement::from_sql_and_values(backend, sql, values)
}

/// Marks of `count` parameters, the first of which is number `first` of the statement. Without names on SQLite: there
/// `$1` is a name, and each is searched for among all others at every run.
fn marks(backend: DbBackend, first: usize, count: usize) -> String {
    let mark = |n: usize| {
        if backend == DbBackend::Postgres {
            format!("${n}")
        } else {
            "?".to_owned()
        }
    };
    (first..first + count).map(mark).collect::<Vec<_>>().join(", ")
}

/// A row of the statement. What an agent says of itself must not fail the beats of others.
fn parameters(beat: &Pulse) -> [Value; 9] {
    [
        beat.workspace.uuid().into(),
        beat.last_beat_at.micros().into(),
        beat.uptime_seconds.into(),
        (if beat.error_rate.is_finite() {
            beat.error_rate
        } else {
            0.0
        })
        .into(),
        storable(&beat.sample_error).into_owned().into(),
        beat.active_tasks.into(),
        storable(&beat.current_task).into_owned().into(),
        beat.monthly_spend.filter(|cents| *cents >= 0).into(),
        beat.active_at.map(Timestamp::micros).into(),
    ]
}

pub(crate) fn statuses(backend: DbBackend, beats: &[Pulse]) -> Statement {
    let sql = format!(
        "SELECT id, status FROM workspaces WHERE id IN ({})",
        marks(backend, 1, beats.len())
    );
    Statement::from_sql_and_values(
        backend,
        sql,
        beats.iter().map(|beat| Value::from(beat.workspace.uuid())),
    )
}
