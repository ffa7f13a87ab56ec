#![doc = include_str!("../README.md")]

pub mod activity;
pub mod agents;
pub mod allowlists;
pub mod audit;
pub mod changes;
mod clock;
pub mod config;
mod entities;
mod error;
pub mod events;
pub mod migrations;
pub mod org_tokens;
#[cfg(test)]
mod plans;
pub mod pulse;
pub mod secrets;
pub mod sessions;
pub mod tokens;
pub mod viewport;
pub mod workspaces;

pub use clock::Clock;
pub use error::{StoreError, kind_of};
pub use molecule_db::{DbError, DbErrorKind, Engine, ExclusiveLock, Hold, Trim, WalTrimmer, now};

use molecule_db::Db;

use self::changes::Changes;

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
    changes: Changes,
    clock: Clock,
    transitions: workspaces::Group,
}

impl Store {
    /// Opens the database at `url` and brings its schema up to date.
    ///
    /// # Errors
    /// It cannot be opened, is from a newer version, or a migration fails.
    pub async fn open(url: &str) -> Result<Self, DbError> {
        let store = Self::connect(url).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Opens the database at `url` and leaves its schema as it is. Nothing else works before [`Store::migrate`].
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn connect(url: &str) -> Result<Self, DbError> {
        Ok(Self {
            db: Db::connect(url).await?,
            changes: Changes::default(),
            clock: Clock::default(),
            transitions: workspaces::Group::default(),
        })
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// It is from a newer version, or a migration fails; it is as it was.
    pub async fn migrate(&self) -> Result<(), DbError> {
        molecule_db::migrate::up(&self.db, migrations::HISTORY).await
    }

    /// Which engine is in use.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.db.engine()
    }

    /// Who is told when what is stored changes.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What tells the time of whatever happens to workspaces.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The connections below, for what the query modules do not cover (locks, tests).
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Closes every connection.
    ///
    /// # Errors
    /// A connection failed while closing.
    pub async fn close(self) -> Result<(), DbError> {
        self.db.close().await
    }
}
