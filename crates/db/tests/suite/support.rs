//! A table to write to.

use molecule_db::{Db, DbErr};
use sea_orm::{ConnectionTrait, TryGetable, Value};

/// Opens the database and makes the table `t (k, v)`.
pub(crate) async fn open(url: &str) -> Db {
    let db = Db::connect(url).await.unwrap();
    execute(&db, "CREATE TABLE t (k bigint PRIMARY KEY, v bigint NOT NULL)", [])
        .await
        .unwrap();
    db
}

pub(crate) async fn execute(db: &Db, sql: &str, values: impl IntoIterator<Item = Value>) -> Result<u64, DbErr> {
    let statement = db.statement(sql, values);
    db.tx(|tx| Box::pin(async move { Ok(tx.execute_raw(statement).await?.rows_affected()) }))
        .await
}

/// The column `v` of every row.
pub(crate) async fn column<T: TryGetable>(db: &Db, sql: &str) -> Vec<T> {
    let rows = db.reader().query_all_raw(db.statement(sql, [])).await.unwrap();
    rows.iter().map(|row| row.try_get("", "v").unwrap()).collect()
}

pub(crate) async fn keys(db: &Db) -> Vec<i64> {
    column(db, "SELECT k AS v FROM t ORDER BY k").await
}
