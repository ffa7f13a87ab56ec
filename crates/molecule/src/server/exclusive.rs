//! One server per database (D19), for as long as it runs.

use std::{sync::Arc, time::Duration};

use molecule_platform::supervise::{Job, Supervisor};
use molecule_store::{DbError, ExclusiveLock, Hold};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Looks after the lock until the server stops. The token is cancelled when another server has the database.
pub(super) fn watch(lock: Arc<Mutex<ExclusiveLock>>, supervisor: &Supervisor) -> CancellationToken {
    let lost = CancellationToken::new();
    supervisor.job(LockCheck {
        lock,
        lost: lost.clone(),
    });
    lost
}

struct LockCheck {
    lock: Arc<Mutex<ExclusiveLock>>,
    lost: CancellationToken,
}

#[derive(Default, Serialize)]
struct Checked {
    locked_again: bool,
}

impl Job for LockCheck {
    const NAME: &'static str = "database-lock";
    const DESCRIPTION: &'static str = "Looks whether this server still has the database to itself";
    type Report = Checked;
    type Error = DbError;

    fn period(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn activate(&mut self, report: &mut Checked) -> Result<(), DbError> {
        let found = self.lock.lock().await.verify().await;
        match &found {
            Ok(Hold::Kept) => {}
            Ok(Hold::Retaken) => {
                tracing::warn!("the database ended the session that locks it; locked again");
                report.locked_again = true;
            }
            Err(DbError::InUse) => self.lost.cancel(),
            Err(error) => tracing::warn!(%error, "it is not known whether the database is still locked"),
        }
        found.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use molecule_store::Store;

    use super::*;

    // D19: a server whose database another one has taken is told to stop.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_database_that_another_server_has_is_left() {
        let Some(database) =
            molecule_testkit::postgres::database_for("server::exclusive::a_database_that_another_server_has_is_left")
        else {
            return;
        };
        let (ours, theirs) = (
            Store::connect(database.url()).await.unwrap(),
            Store::connect(database.url()).await.unwrap(),
        );
        let lock = ours.db().exclusive_lock().await.unwrap();
        // Of this database only: others are under test beside it.
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        assert!(!database.sql(cut).is_empty());
        let deadline = tokio::time::Instant::now() + molecule_testkit::PATIENCE;
        // The database notices the end of the session when it reads from it.
        let taken = loop {
            match theirs.db().exclusive_lock().await {
                Ok(lock) => break lock,
                Err(error) => assert!(
                    matches!(error, DbError::InUse) && tokio::time::Instant::now() < deadline,
                    "{error}"
                ),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let supervisor = Supervisor::default();
        let lost = watch(Arc::new(Mutex::new(lock)), &supervisor);
        tokio::time::timeout(Duration::from_secs(120), lost.cancelled())
            .await
            .unwrap();
        drop(taken);
        assert!(supervisor.shutdown(Duration::from_secs(60)).await);
    }
}
