use molecule_db::DbErrorKind;
use sea_orm::DbErr;

/// Why a query did not succeed. Texts are for the log, never for clients (SEC-147).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine refused or could not be reached.
    #[error("database error: {0}")]
    Db(#[from] DbErr),
    /// A stored value is outside the closed set it was written from.
    #[error("unreadable value {value:?} in {column}")]
    Corrupt {
        /// `table.column`.
        column: &'static str,
        /// What was found.
        value: String,
    },
    /// The parent named by a new or changed row does not exist.
    #[error("unknown parent workspace")]
    UnknownParent,
    /// The workspace the row is for does not exist or is removed.
    #[error("unknown workspace")]
    UnknownWorkspace,
    /// The change would make a workspace its own ancestor.
    #[error("a workspace cannot be its own ancestor")]
    CyclicParent,
    /// A workspace would have access to a directory that it does not name.
    #[error("access without a workspace directory")]
    AccessWithoutDirectory,
    /// The commit did not come to its end; the log says why.
    #[error("the commit was interrupted")]
    Interrupted,
    /// The activity writer has stopped.
    #[error("the activity writer is closed")]
    WriterClosed,
    /// The activity writer could not store the row.
    #[error("activity row not stored: {reason}")]
    NotRecorded {
        /// What the failure means.
        kind: DbErrorKind,
        /// What the engine said.
        reason: String,
    },
    /// The system's random number generator failed.
    #[error("no randomness: {0}")]
    NoRandomness(String),
}

/// What an error of a service means, whose cause may be one of the store.
#[must_use]
pub fn kind_of(error: &(dyn std::error::Error + 'static)) -> DbErrorKind {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(store) = error.downcast_ref::<StoreError>() {
            return store.kind();
        }
        if let Some(db) = error.downcast_ref::<DbErr>() {
            return DbErrorKind::of(db);
        }
        cause = error.source();
    }
    DbErrorKind::Other
}

impl StoreError {
    /// Is there no such workspace, or none any more?
    #[must_use]
    pub const fn is_unknown_workspace(&self) -> bool {
        matches!(self, Self::UnknownWorkspace)
    }

    /// What the error means to a caller who can act on it.
    #[must_use]
    pub fn kind(&self) -> DbErrorKind {
        match self {
            Self::Db(error) => DbErrorKind::of(error),
            Self::NotRecorded { kind, .. } => *kind,
            _ => DbErrorKind::Other,
        }
    }
}
