//! On SQLite the log has a thread and a connection of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use molecule_core::text::storable;
use molecule_db::{DbErrorKind, WriteGate, now};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi, params};
use tokio::sync::{mpsc, watch};

use super::{Durability, Health, Job, RESTART_PAUSE, answer, take_batch};
use crate::StoreError;

pub(super) fn run(mut log: Log, mut jobs: mpsc::Receiver<Job>, health: &Health, end: watch::Sender<()>) {
    serve(&mut jobs, health, |batch| log.commit(batch));
    drop(log);
    drop(end);
}

/// Commits until the last handle is gone. A panic costs the rows of one commit, whose callers are told, not the log.
fn serve(jobs: &mut mpsc::Receiver<Job>, health: &Health, mut commit: impl FnMut(&[Job]) -> Result<(), StoreError>) {
    // What unwinds leaves its transaction rolled back, which is all that a next commit depends on.
    while catch_unwind(AssertUnwindSafe(|| drain(jobs, health, &mut commit))).is_err() {
        health.panicked();
        std::thread::sleep(RESTART_PAUSE);
    }
}

fn drain(jobs: &mut mpsc::Receiver<Job>, health: &Health, commit: &mut impl FnMut(&[Job]) -> Result<(), StoreError>) {
    while let Some(first) = jobs.blocking_recv() {
        let batch = take_batch(first, jobs);
        let Err(error) = commit(&batch) else {
            health.note(None);
            batch.into_iter().for_each(|job| answer(job, Ok(())));
            continue;
        };
        // One bad row must not lose its neighbours: write them one by one.
        let mut known = Some(error).filter(|_| batch.len() == 1);
        for job in batch {
            let outcome = known.take().map_or_else(|| commit(std::slice::from_ref(&job)), Err);
            health.note(outcome.as_ref().err());
            answer(job, outcome);
        }
    }
}

pub(super) struct Log {
    connection: Connection,
    gate: WriteGate,
    /// The pragma as it is now.
    synchronous: Option<&'static str>,
}

impl Log {
    pub(super) fn open(path: &str, gate: WriteGate) -> Result<Self, StoreError> {
        let connection = open(path).map_err(|error| not_recorded(&error))?;
        Ok(Self {
            connection,
            gate,
            synchronous: None,
        })
    }

    fn commit(&mut self, batch: &[Job]) -> Result<(), StoreError> {
        let gate = self.gate.clone();
        let _turn = gate.enter_blocking();
        self.write(batch).map_err(|error| not_recorded(&error))
    }

    fn write(&mut self, batch: &[Job]) -> rusqlite::Result<()> {
        let wanted = if batch.iter().any(|job| job.durability == Durability::Power) {
            "FULL"
        } else {
            "NORMAL"
        };
        if self.synchronous != Some(wanted) {
            self.connection.pragma_update(None, "synchronous", wanted)?;
            self.synchronous = Some(wanted);
        }
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        insert(&tx, batch)?;
        tx.commit()
    }
}

fn open(path: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -1_024)?;
    connection.set_prepared_statement_cache_capacity(8);
    Ok(connection)
}

fn not_recorded(error: &rusqlite::Error) -> StoreError {
    let kind = match error.sqlite_error() {
        Some(failure) if failure.code == ErrorCode::DiskFull => DbErrorKind::DiskFull,
        Some(failure)
            if [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY].contains(&failure.extended_code) =>
        {
            DbErrorKind::Unique
        }
        _ => DbErrorKind::Other,
    };
    StoreError::NotRecorded {
        kind,
        reason: error.to_string(),
    }
}

fn insert(tx: &Transaction<'_>, batch: &[Job]) -> rusqlite::Result<()> {
    let count = i64::try_from(batch.len()).unwrap_or(i64::MAX);
    let (seq, at): (i64, i64) = tx
        .prepare_cached(
            "UPDATE log_head SET seq = seq + ?1, at = CASE WHEN at + ?1 > ?2 THEN at + ?1 ELSE ?2 END
             WHERE name = 'activity' RETURNING seq, at",
        )?
        .query_row(params![count, now().micros()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO activity_logs (seq, id, workspace_id, activity_type, source_id, target_id, method, summary,
         request_body, response_body, tool_trace, duration_ms, status, error_detail, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    for (job, offset) in batch.iter().zip(1 - count..) {
        let row = &job.row;
        insert.execute(params![
            seq + offset,
            row.id.uuid().as_bytes(),
            row.workspace_id.uuid().as_bytes(),
            row.activity_type.as_str(),
            row.source_id.map(|id| id.uuid().into_bytes()),
            row.target_id.map(|id| id.uuid().into_bytes()),
            row.method.as_deref().map(storable),
            row.summary.as_deref().map(storable),
            row.request_body.as_deref().map(storable),
            row.response_body.as_deref().map(storable),
            row.tool_trace.as_deref().map(storable),
            row.duration_ms,
            storable(row.status.as_str()),
            row.error_detail.as_deref().map(storable),
            at + offset,
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use molecule_core::{WorkspaceId, activity::ActivityType};

    use super::*;
    use crate::activity::{ActivityWriter, NewActivity};

    // OP-18: a panic is not the end of the log.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_costs_one_commit() {
        let (queue, mut jobs) = mpsc::channel(8);
        let (end, ended) = watch::channel(());
        let health = Health::default();
        let told = health.clone();
        let thread = std::thread::spawn(move || {
            serve(&mut jobs, &told, |batch| {
                assert_ne!(batch[0].row.summary.as_deref(), Some("boom"));
                Ok(())
            });
            drop(end);
        });
        let writer = ActivityWriter { queue, ended, health };
        let record = |summary: &str| {
            let row = NewActivity {
                summary: Some(summary.to_owned()),
                ..NewActivity::new(WorkspaceId::random(), ActivityType::A2aReceive)
            };
            writer.record(row, Durability::Process)
        };
        record("one").await.unwrap();
        writer.check().unwrap();
        assert!(matches!(record("boom").await, Err(StoreError::WriterClosed)));
        // Whoever asks in between is told; the next commit is a good one.
        record("two").await.unwrap();
        writer.check().unwrap();
        writer.finish().await;
        thread.join().unwrap();
    }
}
