use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement};

use crate::{Db, DbError, WriteGate, connect};

/// Size of a write-ahead log, bytes, beyond which it is emptied.
const LIMIT: u64 = 32 << 20;

/// What a look at the write-ahead log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// The log is small; nothing was done.
    Small,
    /// The log is empty.
    Emptied,
    /// A reader held on to the log for too long. The next attempt waits for as much growth again, because everybody
    /// who writes waits with each.
    Held,
}

/// Keeps SQLite's write-ahead log short. SQLite itself copies the log into the database as it grows, but begins it anew
/// only at an instant when nobody reads; with readers that overlap there is none, and the log would grow without bound.
#[derive(Debug)]
pub struct WalTrimmer {
    db: Db,
    log: String,
    gate: WriteGate,
    /// Size at which the log is looked at again.
    next: u64,
}

/// The row of `PRAGMA wal_checkpoint`.
#[derive(FromQueryResult)]
struct Checkpoint {
    busy: i64,
}

impl WalTrimmer {
    /// For a SQLite database; `None` on PostgreSQL.
    #[must_use]
    pub fn of(db: &Db) -> Option<Self> {
        let (path, gate) = db.sqlite_path().zip(db.write_gate())?;
        Some(Self {
            db: db.clone(),
            log: format!("{path}-wal"),
            gate,
            next: LIMIT,
        })
    }

    /// Empties the log if it has grown beyond its limit. Most of the work is done beside the writers; they wait only
    /// while the rest is copied and readers of the log end, `patience` at most.
    ///
    /// # Errors
    /// The database could not be opened or the copy failed; what is committed stays in the log.
    pub async fn trim(&mut self, patience: Duration) -> Result<Trim, DbError> {
        let size = std::fs::metadata(&self.log).map_or(0, |file| file.len());
        if size < self.next {
            return Ok(Trim::Small);
        }
        let connection = connect::open_checkpointer(self.db.url(), patience).await?;
        let outcome = self.empty(&connection).await;
        connection.close().await?;
        let emptied = outcome?;
        self.next = if emptied { LIMIT } else { size + LIMIT };
        Ok(if emptied { Trim::Emptied } else { Trim::Held })
    }

    async fn empty(&self, connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
        checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)").await?;
        let _turn = self.gate.enter().await;
        checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)").await
    }
}

/// Was the checkpoint as complete as its kind asks for?
async fn checkpoint(connection: &impl ConnectionTrait, pragma: &'static str) -> Result<bool, DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), pragma);
    let row = Checkpoint::find_by_statement(statement).one(connection).await?;
    Ok(row.is_some_and(|row| row.busy == 0))
}
