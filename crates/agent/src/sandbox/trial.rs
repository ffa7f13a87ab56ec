//! Tries the sandbox, as an agent that means harm would: what a kernel is said to do is no proof that it does it here.

use std::{
    fs::File,
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use rustix::process::{getppid, getpriority_process, setpriority_process, test_kill_process};
use serde::{Deserialize, Serialize};

use super::{apply, describe};
use crate::env::{Settings, Vars};

/// What is tried, beside what needs no naming.
#[derive(Debug, Default)]
pub struct Targets {
    /// Files and directories of the server.
    pub paths: Vec<PathBuf>,
    /// A Unix socket on which somebody listens.
    pub socket: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Why no agent would start, if none would.
    pub refused: Option<String>,
    /// What an agent can do that it should not, in words.
    pub open: Vec<String>,
    /// What was asked for and the system does not give, in words.
    pub missing: Vec<String>,
}

/// Confines this process like an agent with this environment, then tries to get out. Must be called while the process
/// has one thread.
#[must_use]
pub fn run(vars: Vars, targets: &Targets) -> Report {
    let refused = |error: &dyn std::error::Error| Report {
        refused: Some(describe(error)),
        ..Report::default()
    };
    let settings = match Settings::from_vars(vars) {
        Ok(settings) => settings,
        Err(error) => return refused(&error),
    };
    let confinement = match apply(&settings) {
        Ok(confinement) => confinement,
        Err(error) => return refused(&error),
    };
    let missing = confinement
        .and_then(|confinement| confinement.terminals?.err())
        .map(|reason| format!("terminals of its own ({reason})"));
    Report {
        refused: None,
        open: open(targets),
        missing: missing.into_iter().collect(),
    }
}

fn open(targets: &Targets) -> Vec<String> {
    let mut open: Vec<String> = targets
        .paths
        .iter()
        .filter(|path| File::open(path).is_ok())
        .map(|path| format!("{} can be read", path.display()))
        .collect();
    if File::open("/dev/tty").is_ok() || terminals_of_others() {
        open.push("terminals of this machine can be opened".to_owned());
    }
    if targets.socket.as_deref().is_some_and(connects) {
        open.push("Unix sockets of other programs can be connected to".to_owned());
    }
    if let Some(parent) = getppid() {
        if test_kill_process(parent).is_ok() {
            open.push("signals can be sent to the server".to_owned());
        }
        let same = getpriority_process(Some(parent)).and_then(|nice| setpriority_process(Some(parent), nice));
        if same.is_ok() {
            open.push("priorities and limits of other processes can be changed".to_owned());
        }
    }
    open
}

/// The first terminal of a private `/dev/pts` would be the agent's own; nobody has opened one here.
fn terminals_of_others() -> bool {
    let Ok(entries) = std::fs::read_dir("/dev/pts") else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name() != "ptmx")
}

fn connects(socket: &Path) -> bool {
    match UnixStream::connect(socket) {
        Ok(_) => true,
        // It got there; nobody answers.
        Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn whoever_is_not_confined_is_said_to_get_out() {
        // D32
        let dir = tempfile::tempdir().unwrap();
        let (file, socket) = (dir.path().join("file"), dir.path().join("socket"));
        std::fs::write(&file, "").unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        let targets = |socket| Targets {
            paths: vec![file.clone(), dir.path().to_owned(), dir.path().join("absent")],
            socket: Some(socket),
        };
        let found = open(&targets(socket));
        let said = |text: &str| found.iter().any(|line| line.contains(text));
        assert!(said(&format!("{} can", file.display())) && said(&format!("{} can", dir.path().display())));
        assert!(said("Unix sockets") && !said("absent"), "{found:?}");
        assert!(
            !open(&targets(dir.path().join("absent")))
                .iter()
                .any(|line| line.contains("Unix"))
        );
    }
}
