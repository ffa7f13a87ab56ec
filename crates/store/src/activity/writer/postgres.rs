//! On PostgreSQL the log has a task and a connection of its own, which it gives up when it does not answer.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use molecule_core::text::storable;
use molecule_db::DbErrorKind;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, Set};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};

use super::{Health, Job, NewActivity, RESTART_PAUSE, answer, take_batch};
use crate::{Store, StoreError, activity::SharedText, entities::activity, events::take_positions};

/// How long a commit may take. A connection whose other end has vanished would never answer.
const COMMIT: Duration = Duration::from_secs(20);
/// How long a database that cannot be reached is waited for; it may be about to be up again. When it has been away for
/// longer, rows fail at once until it is back.
const OUTAGE: Duration = Duration::from_secs(30);
/// First pause before a commit is tried again; doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

pub(super) async fn run(store: Store, mut jobs: mpsc::Receiver<Job>, health: Health, end: watch::Sender<()>) {
    let mut log = Log::new(store, COMMIT);
    // A panic costs the rows of one commit, whose callers are told, not the log.
    while AssertUnwindSafe(drain(&mut log, &mut jobs, &health))
        .catch_unwind()
        .await
        .is_err()
    {
        health.panicked();
        log.own = None;
        sleep(RESTART_PAUSE).await;
    }
    drop(end);
}

async fn drain(log: &mut Log, jobs: &mut mpsc::Receiver<Job>, health: &Health) {
    while let Some(first) = jobs.recv().await {
        let batch = take_batch(first, jobs);
        let Err(error) = log.commit(&batch).await else {
            health.note(None);
            batch.into_iter().for_each(|job| answer(job, Ok(())));
            continue;
        };
        // One bad row must not lose its neighbours: write them one by one. Without a connection none is bad.
        let (kind, reason) = (error.kind(), error.to_string());
        let hopeless = batch.len() == 1 || kind == DbErrorKind::Connection;
        for job in batch {
            let outcome = if hopeless {
                let reason = reason.clone();
                Err(StoreError::NotRecorded { kind, reason })
            } else {
                log.commit(std::slice::from_ref(&job)).await
            };
            health.note(outcome.as_ref().err());
            answer(job, outcome);
        }
    }
}

struct Log {
    store: Store,
    /// The same database through the connection that is in use.
    own: Option<Store>,
    deadline: Duration,
    /// Since when nothing could be committed.
    away_since: Option<Instant>,
}

impl Log {
    fn new(store: Store, deadline: Duration) -> Self {
        Self {
            store,
            own: None,
            deadline,
            away_since: None,
        }
    }

    /// Commits a batch, and tries again when it was the connection that failed.
    async fn commit(&mut self, batch: &[Job]) -> Result<(), StoreError> {
        let mut pause = PAUSE_FIRST;
        let mut uncertain = false;
        loop {
            let error = match self.attempt(batch).await {
                Ok(()) => {
                    self.away_since = None;
                    return Ok(());
                }
                Err(error) => error,
            };
            match error.kind() {
                DbErrorKind::Connection => {
                    let away_since = *self.away_since.get_or_insert_with(Instant::now);
                    if away_since.elapsed() >= OUTAGE {
                        return Err(error);
                    }
                    tracing::warn!(%error, rows = batch.len(), "activity not stored, trying again");
                    uncertain = true;
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                // An attempt whose answer was lost may have succeeded.
                DbErrorKind::Unique if uncertain && self.is_stored(batch).await? => {
                    self.away_since = None;
                    return Ok(());
                }
                _ => return Err(error),
            }
        }
    }

    /// One attempt. A connection that failed it, or did not answer in time, is not used again.
    async fn attempt(&mut self, batch: &[Job]) -> Result<(), StoreError> {
        let rows: Vec<NewActivity> = batch.iter().map(|job| job.row.clone()).collect();
        let store = match self.own.take() {
            Some(store) => store,
            None => Store {
                db: self.store.db.apart().await.map_err(|error| unreachable(&error))?,
                ..self.store.clone()
            },
        };
        let outcome = timeout(self.deadline, store.insert_activity(rows))
            .await
            .unwrap_or_else(|_| Err(unreachable(&"no answer in time")));
        if !matches!(&outcome, Err(error) if error.kind() == DbErrorKind::Connection) {
            self.own = Some(store);
        }
        outcome
    }

    /// Are all rows of the batch there? One transaction wrote all or none.
    async fn is_stored(&self, batch: &[Job]) -> Result<bool, StoreError> {
        let found = activity::Entity::find()
            .filter(activity::Column::Id.is_in(batch.iter().map(|job| job.row.id.uuid())))
            .count(self.store.db.reader())
            .await?;
        Ok(usize::try_from(found) == Ok(batch.len()))
    }
}

fn unreachable(reason: &impl ToString) -> StoreError {
    StoreError::NotRecorded {
        kind: DbErrorKind::Connection,
        reason: reason.to_string(),
    }
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
        status: Set(storable(row.status.as_str()).into_owned()),
        error_detail: Set(text(row.error_detail)),
        idempotency_key: Set(None::<String>),
        created_at: Set(at),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use molecule_core::{WorkspaceId, activity::ActivityType};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{UnixListener, UnixStream},
        sync::oneshot,
    };

    use super::*;
    use crate::activity::Durability;

    /// Copies until either end closes. Once `vanished`, it swallows what it reads, as a network does whose other end
    /// is gone.
    async fn copy(
        mut from: tokio::net::unix::OwnedReadHalf,
        mut to: tokio::net::unix::OwnedWriteHalf,
        vanished: Arc<AtomicBool>,
    ) {
        let mut buffer = [0; 8_192];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if !vanished.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    }

    /// A socket before PostgreSQL's; every connection has a switch of its own that makes the other end vanish.
    async fn between(listener: UnixListener, server: String, switches: Arc<std::sync::Mutex<Vec<Arc<AtomicBool>>>>) {
        while let Ok((client, _)) = listener.accept().await {
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = UnixStream::connect(&server).await.unwrap().into_split();
            let switch = Arc::new(AtomicBool::new(false));
            switches.lock().unwrap().push(switch.clone());
            tokio::spawn(copy(client_read, server_write, switch.clone()));
            tokio::spawn(copy(server_read, client_write, switch));
        }
    }

    fn job(workspace: WorkspaceId) -> Job {
        let (done, _) = oneshot::channel();
        Job {
            row: NewActivity::new(workspace, ActivityType::A2aReceive),
            durability: Durability::Power,
            done,
        }
    }

    // A connection whose other end vanished without a word is given up, and the row is stored through another.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_connection_that_does_not_answer_is_given_up() {
        let Some(database) = molecule_testkit::postgres::database_for(
            "activity::writer::postgres::a_connection_that_does_not_answer_is_given_up",
        ) else {
            return;
        };
        let directory = molecule_testkit::sqlite::database();
        let (front, back) = through(database.url(), directory.directory());
        let listener = UnixListener::bind(directory.directory().join(".s.PGSQL.5432")).unwrap();
        let switches = Arc::<std::sync::Mutex<Vec<Arc<AtomicBool>>>>::default();
        tokio::spawn(between(listener, back, switches.clone()));
        let store = Store::open(&front).await.unwrap();
        let mut log = Log::new(store, Duration::from_secs(3));
        let workspace = WorkspaceId::random();
        let all = || switches.lock().unwrap().clone();
        log.commit(&[job(workspace)]).await.unwrap();
        for switch in all() {
            switch.store(true, Ordering::SeqCst);
        }
        log.commit(&[job(workspace)]).await.unwrap();
        let rows = database.sql("SELECT count(*) FROM activity_logs");
        assert_eq!(rows, "2");
    }

    /// The URL of the database through a socket in `directory`, and the path of its own socket.
    fn through(url: &str, directory: &std::path::Path) -> (String, String) {
        let (before, rest) = url.split_once("host=").unwrap();
        let (host, after) = rest.split_once('&').unwrap_or((rest, ""));
        let front = format!("{before}host={}&{after}", directory.display());
        (front, format!("{host}/.s.PGSQL.5432"))
    }
}
