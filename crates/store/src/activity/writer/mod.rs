//! One task that records every activity row, many per commit and without a timer: what arrived during the last commit
//! is the next batch. On SQLite it has a thread and a connection of its own, because the row of a proxied call is the
//! cost of that call.

mod postgres;
mod sqlite;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use molecule_db::{DbErrorKind, Engine};
use tokio::sync::{mpsc, oneshot, watch};

use super::NewActivity;
use crate::{Store, StoreError};

/// Histogram of the time from a row's hand-over to its commit, seconds.
pub const WRITER_LAG: &str = "molecule_activity_writer_lag_seconds";
/// Rows that may wait to be written; beyond it `record` waits.
const QUEUE_ROWS: usize = 4_096;
/// Largest commit. The statement's parameters are bounded on both engines.
const BATCH_ROWS: usize = 256;
/// Bytes of bodies after which a commit takes no further row: PostgreSQL's messages are bounded, and everybody waits
/// for a commit that is under way.
const BATCH_BYTES: usize = 8 << 20;
/// Pause before a writer that panicked is begun again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

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

/// Why rows are not stored, as far as is known; `None` after a commit that succeeded.
#[derive(Debug, Clone, Default)]
struct Health(Arc<Mutex<Option<(DbErrorKind, String)>>>);

impl Health {
    fn note(&self, error: Option<&StoreError>) {
        let trouble = error.map(|error| (error.kind(), error.to_string()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn panicked(&self) {
        tracing::error!("the activity writer panicked; beginning it again");
        self.note(Some(&StoreError::WriterClosed));
    }
}

/// Handle to the writer. Cheap to clone; the writer ends when the last one is dropped, after writing what it has.
#[derive(Debug, Clone)]
pub struct ActivityWriter {
    queue: mpsc::Sender<Job>,
    /// Closed when the writer has ended.
    ended: watch::Receiver<()>,
    health: Health,
}

impl ActivityWriter {
    /// Starts the writer of a store.
    ///
    /// # Errors
    /// SQLite: its own connection cannot be opened.
    pub fn start(store: &Store) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE_ROWS);
        let (end, ended) = watch::channel(());
        let health = Health::default();
        match (store.engine(), store.db.sqlite_path(), store.db.write_gate()) {
            (Engine::Sqlite, Some(path), Some(gate)) => {
                let log = sqlite::Log::open(path, gate)?;
                let told = health.clone();
                std::thread::Builder::new()
                    .name("activity-writer".into())
                    .spawn(move || sqlite::run(log, jobs, &told, end))
                    .map_err(|error| StoreError::NotRecorded {
                        kind: DbErrorKind::Other,
                        reason: error.to_string(),
                    })?;
            }
            _ => {
                tokio::spawn(postgres::run(store.clone(), jobs, health.clone(), end));
            }
        }
        Ok(Self { queue, ended, health })
    }

    /// Are rows being stored?
    ///
    /// # Errors
    /// What the last commit failed of, or the writer has stopped.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.ended.has_changed().is_err() {
            return Err(StoreError::WriterClosed);
        }
        let trouble = self.health.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        trouble.map_or(Ok(()), |(kind, reason)| Err(StoreError::NotRecorded { kind, reason }))
    }

    /// Records a row. Returns once it is durable as asked; waits when the writer is behind; never drops.
    ///
    /// # Errors
    /// The row was not stored, or the writer has stopped.
    pub async fn record(&self, row: NewActivity, durability: Durability) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        let handed_over = Instant::now();
        self.queue
            .send(Job { row, durability, done })
            .await
            .map_err(|_| StoreError::WriterClosed)?;
        let outcome = outcome.await.map_err(|_| StoreError::WriterClosed)?;
        metrics::histogram!(WRITER_LAG).record(handed_over.elapsed());
        outcome
    }

    /// Waits until everything is written and the writer has stopped, which it does when the last handle is finished or
    /// dropped; so call it when no more rows are to come.
    pub async fn finish(self) {
        let Self { queue, mut ended, .. } = self;
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
