//! Backups: everything that a server needs to go on elsewhere, in one file.
//!
//! A backup is a gzipped tar archive. It begins with a [`Manifest`]; after it come the database as it stood at one moment,
//! the templates that were added, the keys if they were asked for, and the files of the agents. What an agent has in its
//! directories is its own to arrange: nothing here follows a link that it may have laid.

mod postgres;
mod read;
mod tree;
mod write;

pub use read::{Found, Restored, restore};
pub use write::{Source, Written, write};

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Name of the archive's first entry.
const MANIFEST: &str = "molecule-backup.json";
/// Name of the server's own SQLite database.
const DATABASE: &str = "molecule.db";
/// Name of a PostgreSQL database's dump in the archive.
const DUMP: &str = "database.pgdump";
/// Version of the archive's layout.
const FORMAT: u32 = 1;

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Layout of the archive.
    pub format: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// `sqlite` or `postgres`.
    pub engine: String,
    /// Id of the key that seals secrets at the time, which the id of stored secrets can be compared with; absent where the
    /// server has none yet.
    pub secrets_key_id: Option<String>,
    /// Names of the key files in the archive.
    pub keys: Vec<String>,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file exists already.
    #[error("{} exists; choose another name, or remove it first", .0.display())]
    Exists(PathBuf),
    /// There is nothing to back up.
    #[error("there is no database in {}; choose the directory with --data-dir", .0.display())]
    NoData(PathBuf),
    /// A file or directory of the server cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The archive is damaged or no backup.
    #[error("{} is not a backup of Molecule, or is damaged: {reason}", path.display())]
    NotABackup {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Written by a newer version.
    #[error("the backup was written by Molecule {found}, this is {ours}; upgrade this program")]
    Newer {
        /// Version that wrote it.
        found: String,
        /// Version of this program.
        ours: &'static str,
    },
    /// The configured database is of another kind.
    #[error(
        "the backup is of a {backup} database, and the configured one is {configured}; set DATABASE_URL accordingly"
    )]
    OtherEngine {
        /// Engine of the backup.
        backup: String,
        /// Engine that is configured.
        configured: &'static str,
    },
    /// There is data already.
    #[error("{} holds data already; --replace sets it aside", .0.display())]
    Occupied(PathBuf),
    /// The PostgreSQL database has tables already.
    #[error("the database has tables already; --replace drops them")]
    OccupiedDatabase,
    /// PostgreSQL's own program failed or is missing.
    #[error("{program}: {reason}")]
    Program {
        /// `pg_dump` or `pg_restore`.
        program: &'static str,
        /// What it said.
        reason: String,
    },
    /// The database cannot be copied.
    #[error("the database cannot be copied: {0}")]
    Database(#[from] molecule_db::DbError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Boot(#[from] crate::boot::BootError),
}

impl BackupError {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { path, error }
    }
}

/// Where the configured database is.
pub enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A URL.
    Postgres(url::Url),
}

impl Database {
    /// Of a configured URL. Other URLs than SQLite's and PostgreSQL's were refused by the configuration.
    #[must_use]
    pub fn of(url: &str) -> Self {
        match url::Url::parse(url) {
            Ok(url) if url.scheme().starts_with("postgres") => Self::Postgres(url),
            _ => {
                let path = url.strip_prefix("sqlite:").unwrap_or(url);
                let path = path.strip_prefix("//").unwrap_or(path);
                Self::Sqlite(path.split('?').next().unwrap_or_default().into())
            }
        }
    }

    /// Its kind, as the API and backups spell it.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

#[cfg(test)]
mod tests;
