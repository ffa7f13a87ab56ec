//! What an agent tells the server through its state directory: its port when it is ready, its reason when it leaves.
//!
//! The directory is the agent's to write, so nothing in it is believed beyond what it is for.

use std::{io, path::Path};

use molecule_core::contract::{Endpoint, Exit, file};
use rustix::process::WaitIdStatus;

use super::files::Dir;

const MAX_BYTES: u64 = 64 << 10;
/// Characters of a reason that are kept.
const REASON_CHARS: usize = 500;

/// The address of an agent that is ready; `None` while it is not.
///
/// # Errors
/// The file is there and cannot be understood.
pub(super) fn endpoint(state: &Path) -> io::Result<Option<String>> {
    let Some(bytes) = read(state, file::ENDPOINT)? else {
        return Ok(None);
    };
    let endpoint: Endpoint = serde_json::from_slice(&bytes)?;
    Ok(Some(endpoint.loopback_url()))
}

/// Why an agent ended, in words. `status` is known of the server's own children only.
pub(super) fn exit_reason(state: &Path, status: Option<&WaitIdStatus>) -> String {
    let left: Option<Exit> = match read(state, file::EXIT) {
        Ok(bytes) => bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        Err(error) => {
            tracing::debug!(state = %state.display(), %error, "no usable exit file");
            None
        }
    };
    let end = match (status, &left) {
        (Some(status), _) => describe(status),
        (None, Some(exit)) => format!("exit code {}", exit.code),
        (None, None) => "ended; its exit status went to an earlier server".to_owned(),
    };
    match left
        .map(|exit| one_line(&exit.reason))
        .filter(|reason| !reason.is_empty())
    {
        Some(reason) => format!("{end}: {reason}"),
        None => end,
    }
}

fn describe(status: &WaitIdStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

fn read(state: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    match Dir::open(state) {
        Ok(dir) => dir.read(name, MAX_BYTES),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Text of an agent on one line of bounded length.
fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    molecule_core::text::preview(flat.trim(), REASON_CHARS, "…")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn endpoints() {
        // D13
        let state = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(state.path().join(file::ENDPOINT), text).unwrap();
        assert_eq!(endpoint(state.path()).unwrap(), None);
        assert_eq!(endpoint(&state.path().join("absent")).unwrap(), None);
        write(r#"{"port":4711,"pid":1}"#);
        assert_eq!(endpoint(state.path()).unwrap().unwrap(), "http://127.0.0.1:4711");
        for bad in [r#"{"port":0}"#, r#"{"port":65536}"#, r#"{"port":"1"}"#, "", "{}"] {
            write(bad);
            assert!(endpoint(state.path()).is_err(), "{bad}");
        }
    }

    #[test]
    fn reasons_are_one_bounded_line() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(
            exit_reason(state.path(), None),
            "ended; its exit status went to an earlier server"
        );
        let write = |text: &str| fs::write(state.path().join(file::EXIT), text).unwrap();
        write(r#"{"code":3,"reason":" no\nlogin\u001b "}"#);
        assert_eq!(exit_reason(state.path(), None), "exit code 3: no login");
        write(&format!(r#"{{"code":3,"reason":"{}"}}"#, "x".repeat(2_000)));
        assert!(exit_reason(state.path(), None).len() < 600);
        write("garbage");
        assert_eq!(
            exit_reason(state.path(), None),
            "ended; its exit status went to an earlier server"
        );
    }
}
