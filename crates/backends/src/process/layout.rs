//! Where things lie in the data directory (D18).

use std::path::{Path, PathBuf};

use molecule_core::WorkspaceId;

/// Directory of all instance records; the server's, agents are kept out of it.
pub(super) fn instances(data_dir: &Path) -> PathBuf {
    data_dir.join("server/instances")
}

/// Directory of all instance logs; the server's, agents only hold their own file open.
pub(super) fn logs(data_dir: &Path) -> PathBuf {
    data_dir.join("server/logs")
}

/// Directory of all workspaces' own directories.
pub(super) fn workspaces(data_dir: &Path) -> PathBuf {
    data_dir.join("workspaces")
}

/// A workspace's own directories, the only ones its agent can write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volume(PathBuf);

impl Volume {
    pub(super) fn new(data_dir: &Path, id: WorkspaceId) -> Self {
        Self(workspaces(data_dir).join(id.to_string()))
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// `HOME`: logins, caches, sessions of the engines.
    pub(super) fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    /// `TMPDIR`, emptied at every start.
    pub(super) fn tmp(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// Working directory unless the host's is used.
    pub(super) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// Configuration and credentials.
    pub(super) fn configs(&self) -> PathBuf {
        self.0.join("configs")
    }

    /// What agent and server tell each other.
    pub(super) fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}
