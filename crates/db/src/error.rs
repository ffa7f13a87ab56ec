use std::path::PathBuf;

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr, sqlx};

/// Why the database refused or could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// `DATABASE_URL` names neither engine.
    #[error("DATABASE_URL must begin with sqlite:// or postgres:// (got scheme {0:?})")]
    UnknownEngine(String),
    /// A SQLite URL names no file, or one whose name is not UTF-8.
    #[error("DATABASE_URL must name a file after sqlite://, not a database in memory")]
    NotAFile,
    /// The database could not be opened.
    #[error("cannot open the database: {0}")]
    Connect(#[source] DbErr),
    /// The stored schema was written by a newer version.
    #[error("the database was written by a newer version of Molecule (unknown migration {0}); upgrade this binary")]
    Newer(String),
    /// Another server uses the database.
    #[error("another Molecule server uses this database; stop it first (one server per database)")]
    InUse,
    /// The file that keeps other servers off a SQLite database cannot be locked.
    #[error("cannot lock {}: {error}", path.display())]
    LockFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The database took too long.
    #[error("the database gave no answer in time")]
    NoAnswer,
    /// A migration failed.
    #[error("migrating the database failed: {0}")]
    Migrate(#[source] DbErr),
    /// A statement failed.
    #[error(transparent)]
    Statement(#[from] DbErr),
}

/// What a failed statement means to a caller who can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DbErrorKind {
    /// A unique key exists already.
    Unique,
    /// A referenced row does not exist.
    ForeignKey,
    /// No space left on the device.
    DiskFull,
    /// The connection was lost, refused or not to be had. What was being committed may be stored or not.
    Connection,
    /// Anything else.
    Other,
}

impl DbErrorKind {
    /// Classifies a statement's error.
    #[must_use]
    pub fn of(error: &DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Unique,
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Self::ForeignKey,
            _ if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) => Self::Connection,
            _ => cause(error).map_or(Self::Other, kind_of),
        }
    }
}

/// What the driver said.
fn cause(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => Some(cause),
        _ => None,
    }
}

fn kind_of(cause: &sqlx::Error) -> DbErrorKind {
    match cause {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => {
            DbErrorKind::Connection
        }
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // SQLITE_FULL, and PostgreSQL's `disk_full`.
            Some("13" | "53100") => DbErrorKind::DiskFull,
            // Class 08 (connection exception), too many connections, and a server that stops, crashed or starts.
            Some("53300" | "57P01" | "57P02" | "57P03") => DbErrorKind::Connection,
            Some(code) if code.len() == 5 && code.starts_with("08") => DbErrorKind::Connection,
            _ => DbErrorKind::Other,
        },
        _ => DbErrorKind::Other,
    }
}
