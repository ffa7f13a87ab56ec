//! What a connection may do, and what becomes of it.

use molecule_db::{Db, DbErr, DbError, DbErrorKind, Engine, Hold, migrate::History};
use molecule_testkit::PATIENCE;
use sea_orm::{ConnectionTrait, DbBackend, TransactionTrait};

use crate::support::{column, execute, keys, open};

/// A URL that cannot be opened; the error, as text.
async fn refused(url: &str) -> (DbError, String) {
    let error = Db::connect(url).await.unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[tokio::test]
async fn urls_that_name_no_database() {
    for url in ["", "mysql://me:hush@db/x", "/var/lib/molecule.db", "sqlite"] {
        let (error, text) = refused(url).await;
        assert!(matches!(error, DbError::UnknownEngine(_)), "{url}: {text}");
        assert!(!text.contains("hush"), "{text}");
    }
    for url in ["sqlite::memory:", "sqlite://x?mode=memory"] {
        let (error, text) = refused(url).await;
        assert!(matches!(error, DbError::NotAFile), "{url}: {text}");
    }
    let (error, text) = refused("sqlite:///nowhere/at/all.db").await;
    assert!(matches!(error, DbError::Connect(_)), "{text}");
}

#[tokio::test]
async fn a_file_name_may_need_encoding() {
    let database = molecule_testkit::sqlite::database();
    let file = database.directory().join("a b%20?#é.db");
    let encoded = file
        .to_str()
        .unwrap()
        .replace('%', "%25")
        .replace(' ', "%20")
        .replace('?', "%3F")
        .replace('#', "%23");
    let db = Db::connect(&format!("sqlite://{encoded}?mode=rwc")).await.unwrap();
    assert_eq!(db.sqlite_path(), file.to_str());
    assert!(file.exists());
}

molecule_testkit::both_engines! {
    async fn a_connection_knows_its_engine(url: String) {
        let db = Db::connect(&url).await.unwrap();
        let sqlite = url.starts_with("sqlite");
        assert_eq!(db.engine() == Engine::Sqlite, sqlite);
        assert_eq!(db.backend() == DbBackend::Sqlite, sqlite);
        assert_eq!(
            (db.sqlite_path().is_some(), db.write_gate().is_some()),
            (sqlite, sqlite)
        );
        assert_eq!(db.url(), url);
        assert!(!format!("{db:?}").contains("//"), "a URL may carry a password");
    }

    // D15: commits survive a power cut, relaxed ones a killed process; no setting leaks to the next transaction.
    async fn durability_of_commits(url: String) {
        let mut db = open(&url).await;
        let sqlite = db.engine() == Engine::Sqlite;
        if !sqlite {
            // Whatever the test's own server has for a default.
            let set = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); END $$";
            execute(&db, set, []).await.unwrap();
            db.close().await.unwrap();
            db = Db::connect(&url).await.unwrap();
        }
        let setting = if sqlite {
            "PRAGMA synchronous"
        } else {
            "SHOW synchronous_commit"
        };
        let read = async |relaxed: bool| {
            let statement = db.statement(setting, []);
            if relaxed {
                db.tx_relaxed(|tx| Box::pin(async move { tx.query_one_raw(statement).await }))
                    .await
            } else {
                db.tx(|tx| Box::pin(async move { tx.query_one_raw(statement).await }))
                    .await
            }
            .unwrap()
            .map(|row| {
                if sqlite {
                    row.try_get_by_index::<i64>(0).unwrap().to_string()
                } else {
                    row.try_get_by_index(0).unwrap()
                }
            })
            .unwrap()
        };
        let (full, relaxed) = if sqlite { ("2", "1") } else { ("on", "off") };
        for _ in 0..3 {
            assert_eq!((read(false).await.as_str(), read(true).await.as_str()), (full, relaxed));
        }
    }

    // A read does not wait for a write that is under way, and does not see it.
    async fn readers_do_not_wait_for_the_writer(url: String) {
        let db = open(&url).await;
        let reader = db.clone();
        db.tx(|tx| {
            Box::pin(async move {
                tx.execute_unprepared("INSERT INTO t (k, v) VALUES (1, 1)").await?;
                assert_eq!(keys(&reader).await, [0; 0]);
                Ok::<(), DbErr>(())
            })
        })
        .await
        .unwrap();
        assert_eq!(keys(&db).await, [1]);
    }

    async fn closing_keeps_what_was_written(url: String) {
        let db = open(&url).await;
        execute(&db, "INSERT INTO t (k, v) VALUES (1, 1)", []).await.unwrap();
        let log = db.sqlite_path().map(|path| format!("{path}-wal"));
        db.close().await.unwrap();
        if let Some(log) = log {
            assert!(!std::path::Path::new(&log).exists(), "the log was not checkpointed");
        }
        assert_eq!(keys(&Db::connect(&url).await.unwrap()).await, [1]);
    }
}

// On SQLite only the one writer writes: a reader that could would not wait for its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_do_not_write() {
    let database = molecule_testkit::sqlite::database();
    let db = open(database.url()).await;
    execute(&db, "INSERT INTO t (k, v) VALUES (1, 1)", []).await.unwrap();
    // Every connection of the pool, not only the first.
    let mut held = Vec::new();
    for _ in 0..8 {
        let reader = db.reader().begin().await.unwrap();
        for sql in [
            "INSERT INTO t (k, v) VALUES (2, 2)",
            "DELETE FROM t",
            "CREATE TABLE u (x)",
            "PRAGMA user_version = 9",
        ] {
            assert!(reader.execute_unprepared(sql).await.is_err(), "{sql}");
        }
        let pragma = async |name: &str| {
            let row = reader
                .query_one_raw(db.statement(&format!("PRAGMA {name}"), []))
                .await
                .unwrap()
                .unwrap();
            row.try_get_by_index::<i64>(0).unwrap()
        };
        assert_eq!((pragma("query_only").await, pragma("foreign_keys").await), (1, 1));
        held.push(reader);
    }
    drop(held);
    assert_eq!(keys(&db).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_is_in_wal_mode_with_foreign_keys() {
    let database = molecule_testkit::sqlite::database();
    let db = open(database.url()).await;
    assert_eq!(
        column::<String>(&db, "SELECT journal_mode AS v FROM pragma_journal_mode").await,
        ["wal"]
    );
    execute(&db, "CREATE TABLE child (k bigint REFERENCES t (k))", [])
        .await
        .unwrap();
    assert!(execute(&db, "INSERT INTO child (k) VALUES (7)", []).await.is_err());
    let relaxed =
        db.tx_relaxed(|tx| Box::pin(async move { tx.execute_unprepared("INSERT INTO child (k) VALUES (7)").await }));
    assert!(relaxed.await.is_err());
}

/// Ends every session of the database but the one that asks.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

// PostgreSQL may be restarted at any time; whoever comes a moment later does not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_are_replaced() {
    let Some(database) = molecule_testkit::postgres::database_for("connections::cut_connections_are_replaced") else {
        return;
    };
    let db = open(database.url()).await;
    let mut several = Vec::new();
    for _ in 0..4 {
        several.push(db.reader().begin().await.unwrap());
    }
    drop(several);
    // By the server's own clock, the connections have been idle for longer than they are trusted.
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND (state <> 'idle' OR now() - state_change < interval '2 seconds')";
    while database.sql(busy) != "0" {}
    assert!(!database.sql(CUT).is_empty());
    for key in 0..5 {
        execute(&db, "INSERT INTO t (k, v) VALUES ($1, 0)", [key.into()])
            .await
            .unwrap();
    }
    assert_eq!(keys(&db).await, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_has_a_kind() {
    let Some(database) = molecule_testkit::postgres::database_for("connections::a_lost_connection_has_a_kind") else {
        return;
    };
    let db = open(database.url()).await;
    let lost = db
        .tx(|tx| {
            Box::pin(async move {
                let sql = "SELECT pg_terminate_backend(pg_backend_pid())";
                tx.execute_unprepared(sql).await
            })
        })
        .await
        .unwrap_err();
    assert_eq!(DbErrorKind::of(&lost), DbErrorKind::Connection, "{lost:?}");
}

molecule_testkit::both_engines! {
    // D19: whoever comes second is told so, does not hang, and has changed nothing.
    async fn one_server_at_a_time(url: String) {
        let (first, second) = (open(&url).await, Db::connect(&url).await.unwrap());
        let mut held = first.exclusive_lock().await.unwrap();
        assert!(matches!(second.exclusive_lock().await, Err(DbError::InUse)));
        assert_eq!(held.verify().await.unwrap(), Hold::Kept);
        // Its schema can be looked at and brought up all the same.
        let up = molecule_db::migrate::up(&second, NOTHING);
        tokio::time::timeout(PATIENCE, up).await.unwrap().unwrap();
        drop(held);
        // The server notices a connection's end when it reads from it.
        taken_at_last(&second).await;
    }
}

// D19: a file has one lock, however it is named.
#[tokio::test]
async fn a_file_by_another_name_is_in_use() {
    let database = molecule_testkit::sqlite::database();
    let first = open(database.url()).await;
    let link = database.directory().join("link.db");
    std::os::unix::fs::symlink(first.sqlite_path().unwrap(), &link).unwrap();
    let second = Db::connect(&format!("sqlite://{}", link.display())).await.unwrap();
    let held = first.exclusive_lock().await.unwrap();
    assert!(matches!(second.exclusive_lock().await, Err(DbError::InUse)));
    drop(held);
    second.exclusive_lock().await.unwrap();
}

// D19: a session that PostgreSQL ended has lost its lock, which is noticed: it is taken again, or another server has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lock_is_noticed() {
    let Some(database) = molecule_testkit::postgres::database_for("connections::a_lost_lock_is_noticed") else {
        return;
    };
    let db = open(database.url()).await;
    let mut held = db.exclusive_lock().await.unwrap();
    let cut = || assert!(!database.sql(CUT).is_empty());
    cut();
    assert_eq!(answer(&mut held).await.unwrap(), Hold::Retaken);
    assert_eq!(answer(&mut held).await.unwrap(), Hold::Kept);
    cut();
    let other = Db::connect(database.url()).await.unwrap();
    let theirs = taken_at_last(&other).await;
    assert!(matches!(answer(&mut held).await, Err(DbError::InUse)));
    drop(theirs);
}

/// The lock, once its last holder is known to be gone.
async fn taken_at_last(db: &Db) -> molecule_db::ExclusiveLock {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match db.exclusive_lock().await {
            Ok(lock) => return lock,
            Err(error) => assert!(
                matches!(error, DbError::InUse) && tokio::time::Instant::now() < deadline,
                "{error}"
            ),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// What becomes of the lock, once the database answers.
async fn answer(lock: &mut molecule_db::ExclusiveLock) -> Result<Hold, DbError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match lock.verify().await {
            Err(error) if !matches!(error, DbError::InUse) => {
                assert!(tokio::time::Instant::now() < deadline, "{error}");
            }
            found => return found,
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

const NOTHING: History = History {
    table: "nothing_migrations",
    migrations: &[],
};
