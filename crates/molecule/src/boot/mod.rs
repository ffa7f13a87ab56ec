//! What happens before the server is wired: the data directory, its lock and version, generated keys, the listening
//! socket and the log. Each function does one thing and fails with a text that says what to do.

mod data_dir;
mod database;
mod endpoint;
mod files;
mod keys;
mod listen;
mod logging;
mod naming;
mod sandbox;
pub(crate) mod templates;
mod vault;

pub use data_dir::{Anchor, DataDir, DataLock};
pub use database::reach_database;
pub use endpoint::{Endpoint, EndpointFile};
pub use files::allow_files;
pub(crate) use keys::{ADMIN_TOKEN_FILE, KEY_FILES, SECRETS_KEY_FILE, check_secrets_key, forget_retired_keys};
pub use keys::{admin_token, audit_key, retired_keys, secrets_key, stored_secrets_key};
pub use listen::{bind, plain_http};
pub use logging::{AGENT_LOG, LogHandle, init_agent_logging, init_logging};
pub use naming::name_workspaces;
pub use sandbox::{Landlock, exposure, is_root, landlock};
pub use vault::FileVault;

use std::{io, path::PathBuf};

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The data directory cannot be created or written.
    #[error("the data directory {path} cannot be used: {reason}; choose another with --data-dir or MOLECULE_DATA_DIR")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another server runs on it.
    #[error("another server{} uses the data directory {path}; stop it, or choose another directory with --data-dir",
            pid.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other server, if it could be read.
        pid: Option<u32>,
    },
    /// Written by a newer version.
    #[error("the data directory {path} was written by Molecule {found}, this is {ours}; upgrade this program")]
    NewerData {
        /// The directory.
        path: PathBuf,
        /// Version that wrote it.
        found: String,
        /// Version of this program.
        ours: String,
    },
    /// A file of the server is damaged or cannot be written.
    #[error("{path} cannot be used: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Secrets are stored, and the key that sealed them is gone. A new one would hide that until an agent needs them.
    #[error(
        "secrets are stored, but {path} is gone, without which they cannot be read; restore it from a backup, or set \
             SECRETS_ENCRYPTION_KEY to it. If it is lost for good, set SECRETS_ENCRYPTION_KEY to a new key and store the \
             secrets again"
    )]
    KeyGone {
        /// Where the key was.
        path: PathBuf,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Address and port.
        address: std::net::SocketAddr,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No database server answers.
    #[error("no database answers at {address}: {reason}; start it, or correct DATABASE_URL")]
    Database {
        /// Host and port.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The log cannot be set up.
    #[error("the log cannot be set up: {0}")]
    Log(String),
}

impl BootError {
    fn file(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::File {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// What an I/O error means for a directory, in plain words.
fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => "its file system is read-only".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not write to it".to_owned(),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "it is not a directory".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    }
}
