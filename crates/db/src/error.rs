use sea_orm::{DbErr, RuntimeErr, SqlErr};

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
            _ if is_disk_full(error) => Self::DiskFull,
            _ => Self::Other,
        }
    }
}

/// SQLITE_FULL (13), or PostgreSQL's `disk_full` (53100).
fn is_disk_full(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    cause
        .as_database_error()
        .and_then(|e| e.code().map(|code| code == "13" || code == "53100"))
        .unwrap_or(false)
}
