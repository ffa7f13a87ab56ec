//! One transaction: all of it or nothing, however it ends.

use molecule_db::{Db, DbErr, DbErrorKind, Engine, lock, lock_shared};
use molecule_testkit::PATIENCE;
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use tokio::{
    sync::oneshot,
    task::{JoinSet, yield_now},
    time::timeout,
};

use crate::support::{column, execute, keys, open};

async fn insert(tx: &DatabaseTransaction, key: i64) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    let statement =
        sea_orm::Statement::from_sql_and_values(backend, "INSERT INTO t (k, v) VALUES ($1, 0)", [key.into()]);
    tx.execute_raw(statement).await.map(|_| ())
}

molecule_testkit::both_engines! {
    async fn committed_or_rolled_back(url: String) {
        let db = open(&url).await;
        let returned = db
            .tx(|tx| {
                Box::pin(async move {
                    insert(tx, 1).await?;
                    Ok::<_, DbErr>("answer")
                })
            })
            .await;
        assert_eq!(returned.unwrap(), "answer");
        let refused: Result<(), DbErr> = db
            .tx(|tx| {
                Box::pin(async move {
                    insert(tx, 2).await?;
                    Err(DbErr::Custom("no".to_owned()))
                })
            })
            .await;
        assert_eq!(refused.unwrap_err().to_string(), "Custom Error: no");
        // A statement that fails in the middle.
        let failed = db
            .tx(|tx| {
                Box::pin(async move {
                    insert(tx, 3).await?;
                    insert(tx, 1).await
                })
            })
            .await;
        assert_eq!(DbErrorKind::of(&failed.unwrap_err()), DbErrorKind::Unique);
        assert_eq!(keys(&db).await, [1]);
    }

    // D15: relaxed commits are seen by everybody at once, and take turns with the others.
    async fn relaxed_commits_take_turns(url: String) {
        let db = open(&url).await;
        let mut tasks = JoinSet::new();
        for key in 0..40 {
            let db = db.clone();
            tasks.spawn(async move {
                if key % 2 == 0 {
                    db.tx(|tx| Box::pin(async move { insert(tx, key).await }))
                        .await
                        .unwrap();
                } else {
                    db.tx_relaxed(|tx| Box::pin(async move { insert(tx, key).await }))
                        .await
                        .unwrap();
                }
                assert!(keys(&db).await.contains(&key));
            });
        }
        timeout(PATIENCE, tasks.join_all()).await.unwrap();
        assert_eq!(keys(&db).await.len(), 40);
        let refused = db
            .tx_relaxed(|tx| {
                Box::pin(async move {
                    insert(tx, 100).await?;
                    insert(tx, 1).await
                })
            })
            .await;
        assert_eq!(DbErrorKind::of(&refused.unwrap_err()), DbErrorKind::Unique);
        assert!(!keys(&db).await.contains(&100));
        db.close().await.unwrap();
        assert_eq!(keys(&Db::connect(&url).await.unwrap()).await.len(), 40);
    }

    // A caller that goes away in the middle leaves nothing, and nobody waits for him.
    async fn dropped_in_the_middle(url: String) {
        let db = open(&url).await;
        for round in 0..10 {
            let (begun, has_begun) = oneshot::channel::<()>();
            let task = tokio::spawn({
                let db = db.clone();
                async move {
                    db.tx(|tx| {
                        Box::pin(async move {
                            insert(tx, round).await?;
                            begun.send(()).unwrap();
                            std::future::pending::<Result<(), DbErr>>().await
                        })
                    })
                    .await
                }
            });
            has_begun.await.unwrap();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            let next = execute(&db, "INSERT INTO t (k, v) VALUES (100, 0)", []);
            timeout(PATIENCE, next).await.unwrap().unwrap();
            assert_eq!(keys(&db).await, [100]);
            execute(&db, "DELETE FROM t", []).await.unwrap();
        }
    }

    // Cancelled at any moment: in the queue, at the begin, at a statement, at the commit. What was acknowledged is
    // there, and the connections stay good.
    async fn dropped_at_any_moment(url: String) {
        let db = open(&url).await;
        let mut tasks = JoinSet::new();
        let mut handles = Vec::new();
        for key in 0..150 {
            let db = db.clone();
            handles.push(tasks.spawn(async move {
                db.tx(|tx| {
                    Box::pin(async move {
                        insert(tx, key).await?;
                        insert(tx, key + 1_000).await
                    })
                })
                .await
                .unwrap();
                key
            }));
        }
        for (n, handle) in handles.iter().enumerate() {
            if n % 3 != 0 {
                for _ in 0..n % 7 {
                    yield_now().await;
                }
                handle.abort();
            }
        }
        let mut acknowledged = Vec::new();
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                match ended {
                    Ok(key) => acknowledged.push(key),
                    Err(error) => assert!(error.is_cancelled(), "{error}"),
                }
            }
        };
        timeout(PATIENCE, all).await.unwrap();
        assert!(acknowledged.len() >= 50);
        let (low, high): (Vec<_>, Vec<_>) = keys(&db).await.into_iter().partition(|key| *key < 1_000);
        assert_eq!(
            low.iter().map(|key| key + 1_000).collect::<Vec<_>>(),
            high,
            "both or neither"
        );
        assert!(acknowledged.iter().all(|key| low.contains(key)));
        execute(&db, "DELETE FROM t", []).await.unwrap();
    }

    async fn a_panic_inside_is_a_rollback(url: String) {
        let db = open(&url).await;
        let inner = db.clone();
        let task = tokio::spawn(async move {
            inner
                .tx(|tx| {
                    Box::pin(async move {
                        insert(tx, 1).await?;
                        assert!(tx.get_database_backend() == sea_orm::DbBackend::MySql, "on purpose");
                        Ok::<(), DbErr>(())
                    })
                })
                .await
        });
        assert!(task.await.unwrap_err().is_panic());
        timeout(PATIENCE, execute(&db, "INSERT INTO t (k, v) VALUES (2, 0)", []))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(keys(&db).await, [2]);
    }

    // Read, then write: on SQLite the write lock is taken at the beginning, so that nobody fails half-way.
    async fn read_then_write_loses_nothing(url: String) {
        let db = open(&url).await;
        execute(&db, "INSERT INTO t (k, v) VALUES (1, 0)", []).await.unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let db = db.clone();
            tasks.spawn(async move {
                db.tx(|tx| {
                    Box::pin(async move {
                        lock(tx, 42).await?;
                        let backend = tx.get_database_backend();
                        let read = sea_orm::Statement::from_string(backend, "SELECT v FROM t WHERE k = 1");
                        let value: i64 = tx.query_one_raw(read).await?.unwrap().try_get("", "v")?;
                        yield_now().await;
                        let write = "UPDATE t SET v = $1 WHERE k = 1";
                        let write = sea_orm::Statement::from_sql_and_values(backend, write, [(value + 1).into()]);
                        tx.execute_raw(write).await.map(|_| ())
                    })
                })
                .await
                .unwrap();
            });
        }
        timeout(PATIENCE, tasks.join_all()).await.unwrap();
        assert_eq!(column::<i64>(&db, "SELECT v FROM t").await, [20]);
    }

    // Shared holders are together; a lone holder waits for them, and they for it.
    async fn locks_are_shared_or_alone(url: String) {
        let db = open(&url).await;
        if db.engine() == Engine::Sqlite {
            // Nothing to do there: one transaction at a time.
            db.tx(|tx| {
                Box::pin(async move {
                    lock_shared(tx, 1).await?;
                    lock(tx, 1).await
                })
            })
            .await
            .unwrap();
            return;
        }
        let shared = |ready: oneshot::Sender<()>, release: oneshot::Receiver<()>| {
            let db = db.clone();
            tokio::spawn(async move {
                db.tx(|tx| {
                    Box::pin(async move {
                        lock_shared(tx, 1).await?;
                        ready.send(()).unwrap();
                        release.await.unwrap();
                        insert(tx, 1).await
                    })
                })
                .await
                .unwrap();
            })
        };
        let (ready, is_ready) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let first = shared(ready, released);
        is_ready.await.unwrap();
        // Another shared holder does not wait.
        let together = db.tx(|tx| Box::pin(async move { lock_shared(tx, 1).await }));
        timeout(PATIENCE, together).await.unwrap().unwrap();
        let alone = tokio::spawn({
            let db = db.clone();
            async move {
                // Only after the shared holder's row.
                db.tx(|tx| {
                    Box::pin(async move {
                        lock(tx, 1).await?;
                        Ok::<_, DbErr>(())
                    })
                })
                .await
                .unwrap();
                keys(&db).await
            }
        });
        let waiting = "SELECT COUNT(*) AS v FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        let waits = async {
            while column::<i64>(&db, waiting).await != [1] {
                yield_now().await;
            }
        };
        timeout(PATIENCE, waits).await.unwrap();
        release.send(()).unwrap();
        first.await.unwrap();
        assert_eq!(timeout(PATIENCE, alone).await.unwrap().unwrap(), [1]);
    }

    async fn errors_have_a_kind(url: String) {
        let db = open(&url).await;
        execute(&db, "CREATE TABLE child (k bigint NOT NULL REFERENCES t (k))", [])
            .await
            .unwrap();
        let kind = async |sql: &str| DbErrorKind::of(&execute(&db, sql, []).await.unwrap_err());
        assert_eq!(kind("INSERT INTO child (k) VALUES (9)").await, DbErrorKind::ForeignKey);
        assert_eq!(kind("INSERT INTO child (k) VALUES (NULL)").await, DbErrorKind::Other);
        assert_eq!(kind("INSERT INTO nowhere (k) VALUES (1)").await, DbErrorKind::Other);
        assert_eq!(
            kind("INSERT INTO t (k, v) VALUES (1, 1), (1, 2)").await,
            DbErrorKind::Unique
        );
        assert_eq!(full(&db).await, DbErrorKind::DiskFull);
        assert_eq!(keys(&db).await, [0; 0]);
    }
}

/// Writes until there is no space left. A full disk of a PostgreSQL server is hard to come by: there its error is
/// raised.
async fn full(db: &Db) -> DbErrorKind {
    let error = match db.engine() {
        Engine::Postgres => {
            let raise = "DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$";
            execute(db, raise, []).await.unwrap_err()
        }
        Engine::Sqlite => {
            let written = db
                .tx(|tx| {
                    Box::pin(async move {
                        tx.execute_unprepared("PRAGMA max_page_count = 1").await?;
                        tx.execute_unprepared("CREATE TABLE large AS SELECT randomblob(10000000) AS b")
                            .await
                    })
                })
                .await;
            written.unwrap_err()
        }
    };
    DbErrorKind::of(&error)
}

// When the disk is full, SQLite rolls back by itself, under the driver that believes to be in a transaction. What is
// committed afterwards is committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_sqlite_ended_itself_leave_no_trace() {
    let database = molecule_testkit::sqlite::database();
    let db = open(database.url()).await;
    for key in 1..=4 {
        let ended: Result<(), DbErr> = db.tx(|tx| Box::pin(ends(tx, key))).await;
        assert_eq!(ended.unwrap_err().to_string(), "Custom Error: full");
        let ended: Result<(), DbErr> = db.tx_relaxed(|tx| Box::pin(ends(tx, key))).await;
        assert_eq!(ended.unwrap_err().to_string(), "Custom Error: full");
    }
    db.tx(|tx| Box::pin(insert(tx, 10))).await.unwrap();
    db.tx_relaxed(|tx| Box::pin(insert(tx, 11))).await.unwrap();
    assert_eq!(keys(&db).await, [10, 11]);
}

async fn ends(tx: &DatabaseTransaction, key: i64) -> Result<(), DbErr> {
    // Every other one is ended before it fails, as SQLite does it.
    if key % 2 == 1 {
        tx.execute_unprepared("ROLLBACK").await?;
    }
    Err(DbErr::Custom("full".to_owned()))
}
