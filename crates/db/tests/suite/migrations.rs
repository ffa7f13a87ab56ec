//! Bringing a schema up.

use molecule_db::{
    Db, DbError,
    migrate::{self, History, Migration},
};
use tokio::task::JoinSet;

use crate::support::{column, execute};

const FIRST: Migration = Migration {
    name: "m1",
    statements: &["CREATE TABLE one (id {uuid} NOT NULL, b {bytes}, n {bigint}, f {bool} DEFAULT {false}) {strict}"],
};
const SECOND: Migration = Migration {
    name: "m2",
    statements: &["CREATE TABLE two (x {int}, y {real}) {strict}"],
};
const TWICE: Migration = Migration {
    name: "m3",
    statements: &["CREATE TABLE three (n {int})", "CREATE TABLE two (twice {int})"],
};

const fn history(migrations: &'static [Migration]) -> History {
    History {
        table: "seaql_migrations",
        migrations,
    }
}

const OLD: History = history(&[FIRST]);
const NEW: History = history(&[FIRST, SECOND]);
const BROKEN: History = history(&[FIRST, SECOND, TWICE]);
/// Of another crate, in the same database.
const OTHER: History = History {
    table: "other_migrations",
    migrations: &[Migration {
        name: "m1",
        statements: &["CREATE TABLE other (n {int})"],
    }],
};

async fn applied(db: &Db) -> Vec<String> {
    column(db, "SELECT version AS v FROM seaql_migrations ORDER BY version").await
}

molecule_testkit::both_engines! {
    async fn up_again_and_on(url: String) {
        let db = Db::connect(&url).await.unwrap();
        migrate::up(&db, OLD).await.unwrap();
        execute(
            &db,
            "INSERT INTO one (id, n) VALUES ($1, 5)",
            [sea_orm::prelude::Uuid::nil().into()],
        )
        .await
        .unwrap();
        migrate::up(&db, OLD).await.unwrap();
        assert_eq!(applied(&db).await, ["m1"]);
        migrate::up(&db, NEW).await.unwrap();
        assert_eq!(applied(&db).await, ["m1", "m2"]);
        assert_eq!(column::<i64>(&db, "SELECT n AS v FROM one").await, [5]);
    }

    // Refused before anything is touched.
    async fn a_newer_database_is_refused(url: String) {
        let db = Db::connect(&url).await.unwrap();
        migrate::up(&db, NEW).await.unwrap();
        let refused = migrate::up(&db, OLD).await.unwrap_err();
        assert!(
            matches!(&refused, DbError::Newer(version) if version == "m2"),
            "{refused}"
        );
        assert!(refused.to_string().contains("upgrade"), "{refused}");
        assert_eq!(applied(&db).await, ["m1", "m2"]);
    }

    // All or nothing: a half-made schema would be refused by every later start.
    async fn a_failed_migration_leaves_no_trace(url: String) {
        let db = Db::connect(&url).await.unwrap();
        let failed = migrate::up(&db, BROKEN).await.unwrap_err();
        assert!(matches!(failed, DbError::Migrate(_)), "{failed}");
        migrate::up(&db, NEW).await.unwrap();
        assert_eq!(applied(&db).await, ["m1", "m2"]);
    }

    async fn many_at_once_apply_each_once(url: String) {
        let db = Db::connect(&url).await.unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..6 {
            let url = url.clone();
            tasks.spawn(async move {
                let db = Db::connect(&url).await?;
                migrate::up(&db, NEW).await
            });
        }
        for outcome in tasks.join_all().await {
            outcome.unwrap();
        }
        assert_eq!(applied(&db).await, ["m1", "m2"]);
    }

    // Two crates share a database, and neither takes the other's migrations for its own.
    async fn each_history_has_its_own_table(url: String) {
        let db = Db::connect(&url).await.unwrap();
        migrate::up(&db, NEW).await.unwrap();
        migrate::up(&db, OTHER).await.unwrap();
        migrate::up(&db, NEW).await.unwrap();
        assert_eq!(applied(&db).await, ["m1", "m2"]);
        assert_eq!(column::<i64>(&db, "SELECT count(*) AS v FROM other").await, [0]);
        let of_other: Vec<String> = column(&db, "SELECT version AS v FROM other_migrations").await;
        assert_eq!(of_other, ["m1"]);
    }

    // The table as the migrator of earlier builds left it: what it records is not applied again.
    async fn a_database_of_an_earlier_build_goes_on(url: String) {
        let db = Db::connect(&url).await.unwrap();
        for sql in [
            r#"CREATE TABLE "seaql_migrations" ("version" varchar NOT NULL PRIMARY KEY, "applied_at" bigint NOT NULL)"#,
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m1', 1780000000)",
        ] {
            execute(&db, sql, []).await.unwrap();
        }
        migrate::up(&db, NEW).await.unwrap();
        assert_eq!(applied(&db).await, ["m1", "m2"]);
        assert_eq!(column::<i64>(&db, "SELECT count(*) AS v FROM two").await, [0]);
        assert!(execute(&db, "INSERT INTO one (n) VALUES (1)", []).await.is_err());
    }
}
