use std::{future::Future, pin::Pin, sync::Arc};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
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
    exclusive: Option<Exclusive>,
}

/// What SQLite's writers need in addition.
#[derive(Debug, Clone)]
struct Exclusive {
    gate: WriteGate,
    /// For commits that a power cut may undo. A connection of its own, because the setting belongs to the connection
    /// and must never be left behind by a transaction that is dropped half-way.
    relaxed: DatabaseConnection,
}

impl Writer {
    pub(crate) fn exclusive(connection: DatabaseConnection, relaxed: DatabaseConnection) -> Self {
        let exclusive = Exclusive {
            gate: WriteGate::default(),
            relaxed,
        };
        Self {
            connection,
            exclusive: Some(exclusive),
        }
    }

    pub(crate) fn pooled(connection: DatabaseConnection) -> Self {
        Self {
            connection,
            exclusive: None,
        }
    }

    pub(crate) fn gate(&self) -> Option<WriteGate> {
        self.exclusive.as_ref().map(|exclusive| exclusive.gate.clone())
    }

    pub(crate) async fn close(self) -> Result<(), DbErr> {
        if let Some(exclusive) = self.exclusive {
            exclusive.relaxed.close().await?;
        }
        self.connection.close().await
    }

    async fn begin(&self, relaxed: bool) -> Result<DatabaseTransaction, DbErr> {
        let Some(exclusive) = &self.exclusive else {
            let tx = self.connection.begin().await?;
            if relaxed {
                tx.execute_unprepared("SET LOCAL synchronous_commit = off").await?;
            }
            return Ok(tx);
        };
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let connection = if relaxed { &exclusive.relaxed } else { &self.connection };
        connection.begin_with_options(immediate).await
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
        self.transact(false, work).await
    }

    /// Like [`Db::tx`], but what it commits survives a killed process only: a power cut may undo it (D15). For what is
    /// observed again anyway, such as heartbeats, and too frequent to wait for the disk.
    ///
    /// # Errors
    /// Whatever `work` returns, or the engine's error on begin and commit.
    pub async fn tx_relaxed<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, E>> + Send,
        E: From<DbErr>,
    {
        self.transact(true, work).await
    }

    async fn transact<T, E, F>(&self, relaxed: bool, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, E>> + Send,
        E: From<DbErr>,
    {
        let writer = self.writer();
        let _turn = match &writer.exclusive {
            Some(exclusive) => Some(exclusive.gate.enter().await),
            None => None,
        };
        let tx = writer.begin(relaxed).await?;
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
