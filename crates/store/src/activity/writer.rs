//! One task that records every activity row, many per commit and without a timer: what arrived during the last commit
//! is the next batch. On SQLite it has a thread and a connection of its own, because the row of a proxied call is the
//! cost of that call.

use molecule_core::text::storable;
use molecule_db::{Engine, WriteGate, now};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use sea_orm::{EntityTrait, Set};
use tokio::sync::{mpsc, oneshot, watch};

use super::{NewActivity, SharedText};
use crate::{Store, StoreError, entities::activity, events::take_positions};

/// Rows that may wait to be written; beyond it `record` waits.
const QUEUE_ROWS: usize = 4_096;
/// Largest commit. The statement's parameters are bounded on both engines.
const BATCH_ROWS: usize = 256;
/// Bytes of bodies after which a commit takes no further row: PostgreSQL's messages are bounded, and everybody waits
/// for a commit that is under way.
const BATCH_BYTES: usize = 8 << 20;

/// What a commit must survive (D15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A killed process. Enough for the record of a call that was answered by the agent.
    Process,
    /// A power cut. For whatever is acknowledged because it is recorded.
    Power,
}

struct Job {
    row: NewActivity,
    durability: Durability,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// Handle to the writer. Cheap to clone; the writer ends when the last one is dropped, after writing what it has.
#[derive(Debug, Clone)]
pub struct ActivityWriter {
    queue: mpsc::Sender<Job>,
    /// Closed when the writer has ended.
    ended: watch::Receiver<()>,
}

impl ActivityWriter {
    /// Starts the writer of a store.
    ///
    /// # Errors
    /// SQLite: its own connection cannot be opened.
    pub fn start(store: &Store) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE_ROWS);
        let (end, ended) = watch::channel(());
        match (store.engine(), store.db.sqlite_path(), store.db.write_gate()) {
            (Engine::Sqlite, Some(path), Some(gate)) => {
                let connection = open(path).map_err(|error| StoreError::NotRecorded(error.to_string()))?;
                std::thread::Builder::new()
                    .name("activity-writer".into())
                    .spawn(move || run_sqlite(connection, &gate, jobs, end))
                    .map_err(|error| StoreError::NotRecorded(error.to_string()))?;
            }
            _ => {
                tokio::spawn(run_pooled(store.clone(), jobs, end));
            }
        }
        Ok(Self { queue, ended })
    }

    /// Records a row. Returns once it is durable as asked; waits when the writer is behind; never drops.
    ///
    /// # Errors
    /// The row was not stored, or the writer has stopped.
    pub async fn record(&self, row: NewActivity, durability: Durability) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        self.queue
            .send(Job { row, durability, done })
            .await
            .map_err(|_| StoreError::WriterClosed)?;
        outcome.await.map_err(|_| StoreError::WriterClosed)?
    }

    /// Waits until everything is written and the writer has stopped, which it does when the last handle is finished or
    /// dropped; so call it when no more rows are to come.
    pub async fn finish(self) {
        let Self { queue, mut ended } = self;
        drop(queue);
        // Nothing is ever sent: an error, the other end being gone, is what is waited for.
        while ended.changed().await.is_ok() {}
    }
}

fn take_batch(first: Job, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.row.body_bytes();
    let mut batch = vec![first];
    while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
        match jobs.try_recv() {
            Ok(job) => {
                bytes += job.row.body_bytes();
                batch.push(job);
            }
            Err(_) => break,
        }
    }
    batch
}

fn answer(job: Job, outcome: Result<(), StoreError>) {
    // The caller may have gone away; the row is stored all the same.
    job.done.send(outcome).ok();
}

// ---- SQLite -------------------------------------------------------------------------------------------------------

fn open(path: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -1_024)?;
    connection.set_prepared_statement_cache_capacity(8);
    Ok(connection)
}

fn run_sqlite(connection: Connection, gate: &WriteGate, mut jobs: mpsc::Receiver<Job>, end: watch::Sender<()>) {
    let mut file = SqliteLog {
        connection,
        synchronous: None,
    };
    while let Some(first) = jobs.blocking_recv() {
        let batch = take_batch(first, &mut jobs);
        match file.commit(gate, &batch) {
            Ok(()) => batch.into_iter().for_each(|job| answer(job, Ok(()))),
            // One bad row must not lose its neighbours: write them one by one.
            Err(_) if batch.len() > 1 => {
                for job in batch {
                    let outcome = file.commit(gate, std::slice::from_ref(&job));
                    answer(job, outcome.map_err(|error| StoreError::NotRecorded(error.to_string())));
                }
            }
            Err(error) => {
                for job in batch {
                    answer(job, Err(StoreError::NotRecorded(error.to_string())));
                }
            }
        }
    }
    drop(file);
    drop(end);
}

struct SqliteLog {
    connection: Connection,
    /// The pragma as it is now.
    synchronous: Option<&'static str>,
}

impl SqliteLog {
    fn commit(&mut self, gate: &WriteGate, batch: &[Job]) -> rusqlite::Result<()> {
        let _turn = gate.enter_blocking();
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
        insert_sqlite(&tx, batch)?;
        tx.commit()
    }
}

fn insert_sqlite(tx: &Transaction<'_>, batch: &[Job]) -> rusqlite::Result<()> {
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
            storable(&row.status),
            row.error_detail.as_deref().map(storable),
            at + offset,
        ])?;
    }
    Ok(())
}

// ---- PostgreSQL ---------------------------------------------------------------------------------------------------

async fn run_pooled(store: Store, mut jobs: mpsc::Receiver<Job>, end: watch::Sender<()>) {
    while let Some(first) = jobs.recv().await {
        let batch = take_batch(first, &mut jobs);
        let rows: Vec<NewActivity> = batch.iter().map(|job| job.row.clone()).collect();
        match store.insert_activity(rows).await {
            Ok(()) => batch.into_iter().for_each(|job| answer(job, Ok(()))),
            Err(error) if batch.len() == 1 => {
                for job in batch {
                    answer(job, Err(StoreError::NotRecorded(error.to_string())));
                }
            }
            Err(_) => {
                for job in batch {
                    let outcome = store.insert_activity(vec![job.row.clone()]).await;
                    answer(job, outcome);
                }
            }
        }
    }
    drop(end);
}

impl Store {
    async fn insert_activity(&self, rows: Vec<NewActivity>) -> Result<(), StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let positions = take_positions(tx, "activity", rows.len()).await?;
                    let models = positions.zip(rows).map(|((seq, at), row)| model(seq, at, row));
                    activity::Entity::insert_many(models).exec_without_returning(tx).await?;
                    Ok(())
                })
            })
            .await
    }
}

fn model(seq: i64, at: i64, row: NewActivity) -> activity::ActiveModel {
    let text = |value: Option<String>| value.map(|value| storable(&value).into_owned());
    let body = |value: Option<SharedText>| value.map(|value| storable(&value).into_owned());
    activity::ActiveModel {
        seq: Set(seq),
        id: Set(row.id.uuid()),
        workspace_id: Set(row.workspace_id.uuid()),
        activity_type: Set(row.activity_type.as_str().to_owned()),
        source_id: Set(row.source_id.map(molecule_core::WorkspaceId::uuid)),
        target_id: Set(row.target_id.map(molecule_core::WorkspaceId::uuid)),
        method: Set(text(row.method)),
        summary: Set(text(row.summary)),
        request_body: Set(body(row.request_body)),
        response_body: Set(body(row.response_body)),
        tool_trace: Set(text(row.tool_trace)),
        duration_ms: Set(row.duration_ms),
        status: Set(storable(&row.status).into_owned()),
        error_detail: Set(text(row.error_detail)),
        idempotency_key: Set(None::<String>),
        created_at: Set(at),
    }
}
