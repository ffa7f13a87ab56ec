//! Applies migrations, and refuses databases that know more than this binary.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement};

use crate::{Db, DbError, Engine, lock, now};

/// How the tables of one crate came to be. Each crate has a history of its own, with a table of its own that says which
/// part of it a database has been through.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// Name of the table of applied migrations. Never changes once released.
    pub table: &'static str,
    /// Oldest first.
    pub migrations: &'static [Migration],
}

/// One step of a [`History`]: frozen literals, so that an upgraded database and a fresh one are the same. Never edited
/// once released.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its name in the table of applied migrations, such as `m0001_initial`. Sorts as the history goes.
    pub name: &'static str,
    /// What it executes, spelled by [`Dialect::spell`].
    pub statements: &'static [&'static str],
}

#[derive(FromQueryResult)]
struct Applied {
    version: String,
}

/// Key of the advisory lock that lets one server at a time migrate a PostgreSQL database: "migrate!" in ASCII. Not the
/// key of the server's own lock, which is held for as long as a server runs.
const LOCK: i64 = 0x6d69_6772_6174_6521;

/// Brings the schema up to date. Idempotent, all or nothing, and safe when several servers begin at once.
///
/// # Errors
/// [`DbError::Newer`] when a migration is recorded that `history` does not know; [`DbError::Migrate`] when one fails.
/// The schema is as it was.
pub async fn up(db: &Db, history: History) -> Result<(), DbError> {
    db.tx(move |tx| Box::pin(apply(tx, history))).await
}

async fn apply(tx: &DatabaseTransaction, history: History) -> Result<(), DbError> {
    if tx.get_database_backend() == DbBackend::Postgres {
        // A table may be large, and another server's migration is waited for.
        tx.execute_unprepared("SET LOCAL statement_timeout = 0")
            .await
            .map_err(DbError::Migrate)?;
    }
    lock(tx, LOCK).await.map_err(DbError::Migrate)?;
    let applied = applied(tx, history.table).await?;
    if let Some(newer) = applied
        .iter()
        .find(|name| history.migrations.iter().all(|migration| migration.name != **name))
    {
        return Err(DbError::Newer(newer.clone()));
    }
    for migration in history.migrations {
        if !applied.iter().any(|name| name == migration.name) {
            run(tx, history.table, migration).await.map_err(DbError::Migrate)?;
        }
    }
    Ok(())
}

/// Names of the migrations that the database has been through, oldest first. The table is there afterwards.
async fn applied(tx: &DatabaseTransaction, table: &str) -> Result<Vec<String>, DbError> {
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {table} (version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)"
    );
    tx.execute_unprepared(&create).await.map_err(DbError::Migrate)?;
    let select = format!("SELECT version FROM {table} ORDER BY version");
    let rows = Applied::find_by_statement(Statement::from_string(tx.get_database_backend(), select))
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

async fn run(tx: &DatabaseTransaction, table: &str, migration: &Migration) -> Result<(), DbErr> {
    let dialect = Dialect::of(tx)?;
    for statement in migration.statements {
        tx.execute_unprepared(&dialect.spell(statement)).await?;
    }
    let seconds = now().micros() / 1_000_000;
    let record = format!("INSERT INTO {table} (version, applied_at) VALUES ($1, $2)");
    let values = [migration.name.into(), seconds.into()];
    tx.execute_raw(Statement::from_sql_and_values(
        tx.get_database_backend(),
        record,
        values,
    ))
    .await
    .map(|_| ())
}

/// Spelling of column types in frozen migration SQL, which is otherwise the same on both engines.
#[derive(Debug, Clone, Copy)]
pub struct Dialect(Engine);

impl Dialect {
    /// The dialect of a migration's connection.
    ///
    /// # Errors
    /// The connection is neither SQLite nor PostgreSQL.
    pub fn of(connection: &impl ConnectionTrait) -> Result<Self, DbErr> {
        match connection.get_database_backend() {
            DbBackend::Sqlite => Ok(Self(Engine::Sqlite)),
            DbBackend::Postgres => Ok(Self(Engine::Postgres)),
            other => Err(DbErr::Custom(format!("unsupported engine {other:?}"))),
        }
    }

    /// Replaces `{uuid}`, `{bytes}`, `{int}`, `{bigint}`, `{real}`, `{bool}`, `{false}` and `{strict}` (SQLite's strict
    /// typing).
    #[must_use]
    pub fn spell(self, sql: &str) -> String {
        let types: [(&str, &str); 8] = match self.0 {
            Engine::Sqlite => [
                ("{uuid}", "BLOB"),
                ("{bytes}", "BLOB"),
                ("{int}", "INTEGER"),
                ("{bigint}", "INTEGER"),
                ("{real}", "REAL"),
                ("{bool}", "INTEGER"),
                ("{false}", "0"),
                ("{strict}", "STRICT"),
            ],
            Engine::Postgres => [
                ("{uuid}", "uuid"),
                ("{bytes}", "bytea"),
                ("{int}", "integer"),
                ("{bigint}", "bigint"),
                ("{real}", "double precision"),
                ("{bool}", "boolean"),
                ("{false}", "false"),
                ("{strict}", ""),
            ],
        };
        types
            .iter()
            .fold(sql.to_owned(), |sql, (name, spelled)| sql.replace(name, spelled))
    }
}
