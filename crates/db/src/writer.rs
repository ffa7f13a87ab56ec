use std::{future::Future, pin::Pin, sync::Arc};

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::Db;

/// A boxed future, as transaction closures return them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Serialises the writers of one SQLite file within this process, first come first served. SQLite's own lock would
/// do, but it makes the losers sleep in growing steps.
#[derive(Debug, Clone, Default)]
pub struct WriteGate(Arc<Mutex<()>>);

impl WriteGate {
    /// Waits for the turn, asynchronously.
    pub async fn enter(&self) -> OwnedMutexGuard<()> {
        self.0.clone().lock_owned().await
    }

    /// Waits for the turn on a thread of one's own.
    #[must_use]
    pub fn enter_blocking(&self) -> OwnedMutexGuard<()> {
        self.0.clone().blocking_lock_owned()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Writer {
    connection: DatabaseConnection,
    /// Present on SQLite.
    gate: Option<WriteGate>,
}

impl Writer {
    pub(crate) fn exclusive(connection: DatabaseConnection) -> Self {
        Self {
            connection,
            gate: Some(WriteGate::default()),
        }
    }

    pub(crate) fn pooled(connection: DatabaseConnection) -> Self {
        Self { connection, gate: None }
    }

    pub(crate) fn gate(&self) -> Option<WriteGate> {
        self.gate.clone()
    }

    pub(crate) fn into_connection(self) -> DatabaseConnection {
        self.connection
    }

    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        if self.gate.is_none() {
            return self.connection.begin().await;
        }
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.connection.begin_with_options(immediate).await
    }
}

impl Db {
    /// Runs `work` in one write transaction: committed if it returns `Ok`, rolled back otherwise and when dropped.
    /// No network call and no second write belong inside: on SQLite everybody else waits.
    ///
    /// # Errors
    /// Whatever `work` returns, or the engine's error on begin and commit.
    pub async fn tx<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, E>> + Send,
        E: From<DbErr>,
    {
        let writer = self.writer();
        let _turn = match &writer.gate {
            Some(gate) => Some(gate.enter().await),
            None => None,
        };
        let tx = writer.begin().await?;
        match work(&tx).await {
            Ok(value) => {
                tx.commit().await?;
                Ok(value)
            }
            Err(error) => {
                if let Err(rollback) = tx.rollback().await {
                    tracing::warn!(error = %rollback, "rollback failed; the connection discards the transaction");
                }
                Err(error)
            }
        }
    }
}
