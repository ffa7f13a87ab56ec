//! What the agent tells its backend through files: where it listens and why it ended (D13, D19).

use std::path::Path;

use serde::Serialize;

use crate::fsio;

/// Name of the endpoint file.
pub const ENDPOINT_FILE: &str = "endpoint.json";
/// Name of the exit file.
pub const EXIT_FILE: &str = "exit.json";

#[derive(Serialize)]
struct Endpoint {
    port: u16,
    pid: u32,
}

/// An end that was decided, with what the operator reads about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// Process exit code.
    pub code: u8,
    /// Why, in words.
    pub reason: String,
}

impl Exit {
    /// A configuration or start problem.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self {
            code: 1,
            reason: reason.into(),
        }
    }

    /// The platform no longer knows this workspace.
    #[must_use]
    pub fn disowned(reason: impl Into<String>) -> Self {
        Self {
            code: 2,
            reason: reason.into(),
        }
    }

    /// Asked to stop.
    #[must_use]
    pub fn stopped(reason: impl Into<String>) -> Self {
        Self {
            code: 0,
            reason: reason.into(),
        }
    }
}

/// Announces the port by atomic rename, so that the backend never reads half a file.
///
/// # Errors
/// The backend could not find the agent: the caller must end.
pub fn write_endpoint(state_dir: &Path, port: u16) -> std::io::Result<()> {
    let endpoint = Endpoint {
        port,
        pid: std::process::id(),
    };
    fsio::write_private(&state_dir.join(ENDPOINT_FILE), &serde_json::to_vec(&endpoint)?)
}

/// Leaves word of the reason. The process ends either way, so a failure is only logged.
pub fn write_exit(state_dir: &Path, exit: &Exit) {
    let written = serde_json::to_vec(exit)
        .map_err(std::io::Error::from)
        .and_then(|body| fsio::write_private(&state_dir.join(EXIT_FILE), &body));
    if let Err(error) = written {
        tracing::error!(%error, code = exit.code, reason = exit.reason, "the exit file could not be written");
    }
}

/// Removes what an earlier instance left, so that nobody mistakes it for this one's.
pub fn clear(state_dir: &Path) {
    for name in [ENDPOINT_FILE, EXIT_FILE] {
        if let Err(error) = std::fs::remove_file(state_dir.join(name))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = name, %error, "a file of an earlier instance could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_what_the_backend_reads() {
        // D13, D19
        let dir = tempfile::tempdir().unwrap();
        write_endpoint(dir.path(), 4711).unwrap();
        let text = std::fs::read_to_string(dir.path().join(ENDPOINT_FILE)).unwrap();
        assert_eq!(text, format!(r#"{{"port":4711,"pid":{}}}"#, std::process::id()));
        write_exit(dir.path(), &Exit::failed("why"));
        assert_eq!(
            std::fs::read_to_string(dir.path().join(EXIT_FILE)).unwrap(),
            r#"{"code":1,"reason":"why"}"#
        );
        clear(dir.path());
        clear(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
