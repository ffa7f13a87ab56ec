use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};

/// Holds the named lock until the end of `tx`, alone. Take it before any row lock, or two transactions can wait for
/// each other. On SQLite there is nothing to do: writers are serialised anyway.
///
/// # Errors
/// The connection was lost.
pub async fn lock(tx: &DatabaseTransaction, key: i64) -> Result<(), DbErr> {
    advise(tx, "SELECT pg_advisory_xact_lock($1)", key).await
}

/// Like [`lock`], together with others that take it shared.
///
/// # Errors
/// The connection was lost.
pub async fn lock_shared(tx: &DatabaseTransaction, key: i64) -> Result<(), DbErr> {
    advise(tx, "SELECT pg_advisory_xact_lock_shared($1)", key).await
}

async fn advise(tx: &DatabaseTransaction, sql: &'static str, key: i64) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    if backend == DbBackend::Postgres {
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, [key.into()]))
            .await?;
    }
    Ok(())
}
