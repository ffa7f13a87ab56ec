#![doc = include_str!("../README.md")]

mod connect;
mod error;
mod exclusive;
mod lock;
pub mod migrate;
mod snapshot;
mod transaction;
mod wal;
mod writer;

pub use connect::{Db, Engine};
pub use error::{DbError, DbErrorKind};
pub use exclusive::{ExclusiveLock, Hold};
pub use lock::{lock, lock_shared};
pub use sea_orm::{DatabaseTransaction, DbErr};
pub use snapshot::snapshot;
pub use wal::{Trim, WalTrimmer};
pub use writer::{BoxFuture, WriteGate};

use molecule_core::Timestamp;

/// The current time. The one clock of everything that is stored.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}
