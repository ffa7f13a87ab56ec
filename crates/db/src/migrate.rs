//! Applies migrations, and refuses databases that know more than this binary.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult, Statement};
use sea_orm_migration::{MigratorTrait, SchemaManager};

use crate::{Db, DbError, Engine, lock};

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
/// [`DbError::Newer`] when a migration is recorded that `M` does not know; [`DbError::Migrate`] when one fails. The
/// schema is as it was.
pub async fn up<M: MigratorTrait>(db: &Db) -> Result<(), DbError> {
    db.tx(|tx| Box::pin(async move { apply::<M>(tx).await })).await
}

async fn apply<M: MigratorTrait>(tx: &DatabaseTransaction) -> Result<(), DbError> {
    if tx.get_database_backend() == DbBackend::Postgres {
        // A table may be large, and another server's migration is waited for.
        tx.execute_unprepared("SET LOCAL statement_timeout = 0")
            .await
            .map_err(DbError::Migrate)?;
    }
    lock(tx, LOCK).await.map_err(DbError::Migrate)?;
    if SchemaManager::new(tx)
        .has_table("seaql_migrations")
        .await
        .map_err(DbError::Migrate)?
    {
        let known: Vec<String> = M::migrations()
            .iter()
            .map(|migration| migration.name().to_owned())
            .collect();
        let statement = Statement::from_string(
            tx.get_database_backend(),
            "SELECT version FROM seaql_migrations ORDER BY version",
        );
        let applied = Applied::find_by_statement(statement).all(tx).await?;
        if let Some(newer) = applied.into_iter().find(|applied| !known.contains(&applied.version)) {
            return Err(DbError::Newer(newer.version));
        }
    }
    M::up(tx, None).await.map_err(DbError::Migrate)
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
