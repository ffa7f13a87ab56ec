//! The write-ahead log stays short.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use molecule_db::{Db, Trim, WalTrimmer};
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio::sync::Notify;

use crate::support::{execute, keys, open};

/// Beyond what a stalled machine needs; waited out only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// The log's limit, in bytes, and the bytes of one row.
const LIMIT: u64 = 32 << 20;
const ROW: u64 = 4 << 20;

fn log_bytes(db: &Db) -> u64 {
    std::fs::metadata(format!("{}-wal", db.sqlite_path().unwrap())).map_or(0, |file| file.len())
}

async fn fresh() -> (molecule_testkit::sqlite::TestDatabase, Db) {
    let database = molecule_testkit::sqlite::database();
    let db = open(database.url()).await;
    execute(&db, "CREATE TABLE large (b BLOB)", []).await.unwrap();
    (database, db)
}

/// Writes until the log is larger by `bytes`, beside a reader that keeps it from being begun anew.
async fn grow(db: &Db, bytes: u64) {
    let reader = db.reader().begin().await.unwrap();
    execute(db, "DELETE FROM t", []).await.unwrap();
    reader.execute_unprepared("SELECT count(*) FROM t").await.unwrap();
    let before = log_bytes(db);
    while log_bytes(db) < before + bytes {
        let sql = format!("INSERT INTO large VALUES (zeroblob({ROW}))");
        execute(db, &sql, []).await.unwrap();
        execute(db, "DELETE FROM large", []).await.unwrap();
    }
    reader.rollback().await.unwrap();
}

/// Reads so that there is always one transaction that sees the log: each begins before the one before it ends.
async fn read_on(db: Db, stop: Arc<AtomicBool>, begun: Arc<Notify>) {
    let mut reading = db.reader().begin().await.unwrap();
    reading.execute_unprepared("SELECT count(*) FROM t").await.unwrap();
    begun.notify_one();
    while !stop.load(Ordering::Relaxed) {
        let next = db.reader().begin().await.unwrap();
        next.execute_unprepared("SELECT count(*) FROM t").await.unwrap();
        std::mem::replace(&mut reading, next).rollback().await.unwrap();
        tokio::task::yield_now().await;
    }
    reading.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_readers_do_not_keep_the_log() {
    let (_database, db) = fresh().await;
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let readers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(read_on(db.clone(), stop.clone(), begun.clone())))
        .collect();
    begun.notified().await;
    let mut trimmer = WalTrimmer::of(&db).unwrap();
    for _ in 0..2 {
        grow(&db, LIMIT).await;
        assert_eq!(trimmer.trim(PATIENCE).await.unwrap(), Trim::Emptied);
        assert_eq!(log_bytes(&db), 0);
        assert_eq!(trimmer.trim(PATIENCE).await.unwrap(), Trim::Small);
    }
    execute(&db, "INSERT INTO t (k, v) VALUES (1, 1)", []).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(keys(&db).await, [1]);
}

// A reader that stays must not stop the writers again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stays_is_not_waited_for_twice() {
    let (_database, db) = fresh().await;
    let reader = db.reader().begin().await.unwrap();
    reader.execute_unprepared("SELECT count(*) FROM t").await.unwrap();
    let mut trimmer = WalTrimmer::of(&db).unwrap();
    grow(&db, LIMIT).await;
    assert_eq!(trimmer.trim(Duration::from_millis(1)).await.unwrap(), Trim::Held);
    assert_eq!(trimmer.trim(Duration::from_millis(1)).await.unwrap(), Trim::Small);
    grow(&db, LIMIT).await;
    reader.rollback().await.unwrap();
    execute(&db, "INSERT INTO t (k, v) VALUES (1, 1)", []).await.unwrap();
    assert_eq!(trimmer.trim(PATIENCE).await.unwrap(), Trim::Emptied);
    assert_eq!(keys(&db).await, [1]);
}

molecule_testkit::both_engines! {
    async fn only_a_file_has_a_log(url: String) {
        let db = open(&url).await;
        assert_eq!(WalTrimmer::of(&db).is_some(), db.sqlite_path().is_some());
    }
}
