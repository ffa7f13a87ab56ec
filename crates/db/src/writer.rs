use std::{future::Future, pin::Pin, sync::Arc};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

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

    /// The turn to write, where there is one writer at a time.
    pub(crate) async fn turn(&self) -> Option<OwnedMutexGuard<()>> {
        match &self.exclusive {
            Some(exclusive) => Some(exclusive.gate.enter().await),
            None => None,
        }
    }

    pub(crate) async fn begin(&self, relaxed: bool) -> Result<DatabaseTransaction, DbErr> {
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
