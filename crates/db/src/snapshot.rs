//! A copy of a SQLite database while others write to it.

use std::path::Path;

use sea_orm::{
    DbErr,
    sqlx::{Connection, SqliteConnection, query, sqlite::SqliteConnectOptions},
};

use crate::DbError;

/// Copies the database at `database` into a new file, as it stands at one moment: whatever was committed before is in
/// it, nothing of what others are about to commit. The copy is compact and has no write-ahead log.
///
/// # Errors
/// The database cannot be opened or read, or `into` exists or cannot be written.
pub async fn snapshot(database: &Path, into: &Path) -> Result<(), DbError> {
    let failed = |error: sea_orm::sqlx::Error| DbError::Connect(DbErr::Custom(error.to_string()));
    let into = into.to_str().ok_or(DbError::NotAFile)?;
    let options = SqliteConnectOptions::new().filename(database).create_if_missing(false);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    // One read transaction over the whole database, which in WAL mode hinders nobody.
    let copied = query("VACUUM INTO ?1").bind(into).execute(&mut connection).await;
    connection.close().await.map_err(failed)?;
    copied.map(|_| ()).map_err(failed)
}
