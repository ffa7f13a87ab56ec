//! What the agent tells its backend through files: where it listens and why it ended (D13, D19).

use std::{
    io::{Error, ErrorKind},
    num::NonZeroU16,
    path::Path,
};

pub use molecule_core::contract::Exit;
use molecule_core::contract::{Endpoint, file};

use crate::fsio;

/// Announces the port by atomic rename, so that the backend never reads half a file.
///
/// # Errors
/// The backend could not find the agent: the caller must end.
pub fn write_endpoint(state_dir: &Path, port: u16) -> std::io::Result<()> {
    let port = NonZeroU16::new(port).ok_or_else(|| Error::new(ErrorKind::InvalidInput, "port 0"))?;
    let endpoint = Endpoint {
        port,
        pid: std::process::id(),
    };
    fsio::write_private(&state_dir.join(file::ENDPOINT), &serde_json::to_vec(&endpoint)?)
}

/// Leaves word of the reason. The process ends either way, so a failure is only logged.
pub fn write_exit(state_dir: &Path, exit: &Exit) {
    let written = serde_json::to_vec(exit)
        .map_err(Error::from)
        .and_then(|body| fsio::write_private(&state_dir.join(file::EXIT), &body));
    if let Err(error) = written {
        tracing::error!(%error, code = exit.code, reason = exit.reason, "the exit file could not be written");
    }
}

/// Removes what an earlier instance left, so that nobody mistakes it for this one's.
pub fn clear(state_dir: &Path) {
    for name in [file::ENDPOINT, file::EXIT] {
        if let Err(error) = std::fs::remove_file(state_dir.join(name))
            && error.kind() != ErrorKind::NotFound
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
        let text = std::fs::read_to_string(dir.path().join(file::ENDPOINT)).unwrap();
        assert_eq!(text, format!(r#"{{"port":4711,"pid":{}}}"#, std::process::id()));
        write_exit(dir.path(), &Exit::failed("why"));
        assert_eq!(
            std::fs::read_to_string(dir.path().join(file::EXIT)).unwrap(),
            r#"{"code":1,"reason":"why"}"#
        );
        clear(dir.path());
        clear(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
