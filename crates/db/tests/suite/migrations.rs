//! Bringing a schema up.

use molecule_db::{
    Db, DbError,
    migrate::{self, Dialect},
};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait};
use tokio::task::JoinSet;

use crate::support::{column, execute};

/// A migration of one statement.
struct Step(&'static str, &'static str);

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let sql = Dialect::of(connection)?.spell(self.1);
        connection.execute_unprepared(&sql).await.map(|_| ())
    }
}

const FIRST: Step = Step(
    "m1",
    "CREATE TABLE one (id {uuid} NOT NULL, b {bytes}, n {bigint}, f {bool} DEFAULT {false}) {strict}",
);
const SECOND: Step = Step("m2", "CREATE TABLE two (x {int}, y {real}) {strict}");

macro_rules! migrator {
    ($name:ident: $($step:expr),+) => {
        struct $name;

        #[async_trait::async_trait]
        impl MigratorTrait for $name {
            fn migrations() -> Vec<Box<dyn MigrationTrait>> {
                vec![$(Box::new($step)),+]
            }
        }
    };
}
migrator!(Old: FIRST);
migrator!(New: FIRST, SECOND);
migrator!(Broken: FIRST, SECOND, Step("m3", "CREATE TABLE two (twice {int})"));

async fn applied(db: &Db) -> Vec<String> {
    column(db, "SELECT version AS v FROM seaql_migrations ORDER BY version").await
}

molecule_testkit::both_engines! {
    async fn up_again_and_on(url: String) {
        let db = Db::connect(&url).await.unwrap();
        migrate::up::<Old>(&db).await.unwrap();
        execute(&db, "INSERT INTO one (id, n) VALUES ($1, 5)", [sea_orm::prelude::Uuid::nil().into()]).await.unwrap();
        migrate::up::<Old>(&db).await.unwrap();
        assert_eq!(applied(&db).await, ["m1"]);
        migrate::up::<New>(&db).await.unwrap();
        assert_eq!(applied(&db).await, ["m1", "m2"]);
        assert_eq!(column::<i64>(&db, "SELECT n AS v FROM one").await, [5]);
    }

    // Refused before anything is touched.
    async fn a_newer_database_is_refused(url: String) {
        let db = Db::connect(&url).await.unwrap();
        migrate::up::<New>(&db).await.unwrap();
        let refused = migrate::up::<Old>(&db).await.unwrap_err();
        assert!(matches!(&refused, DbError::Newer(version) if version == "m2"), "{refused}");
        assert!(refused.to_string().contains("upgrade"), "{refused}");
        assert_eq!(applied(&db).await, ["m1", "m2"]);
    }

    // All or nothing: a half-made schema would be refused by every later start.
    async fn a_failed_migration_leaves_no_trace(url: String) {
        let db = Db::connect(&url).await.unwrap();
        let failed = migrate::up::<Broken>(&db).await.unwrap_err();
        assert!(matches!(failed, DbError::Migrate(_)), "{failed}");
        migrate::up::<New>(&db).await.unwrap();
        assert_eq!(applied(&db).await, ["m1", "m2"]);
    }

    async fn many_at_once_apply_each_once(url: String) {
        let db = Db::connect(&url).await.unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..6 {
            let url = url.clone();
            tasks.spawn(async move {
                let db = Db::connect(&url).await?;
                migrate::up::<New>(&db).await
            });
        }
        for outcome in tasks.join_all().await {
            outcome.unwrap();
        }
        assert_eq!(applied(&db).await, ["m1", "m2"]);
    }
}
