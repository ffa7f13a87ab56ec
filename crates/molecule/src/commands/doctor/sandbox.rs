//! What an agent on this machine can reach: tried from inside the sandbox, not taken from what the kernel is said to do.

use std::{
    io,
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use molecule_agent::sandbox::trial::Report;
use molecule_backends::process::in_own_session;
use molecule_core::contract::{Allowance, Sandbox, env};

use super::{Check, Verdict};
use crate::{
    boot::{DataDir, exposure},
    config::{BackendChoice, ServerConfig},
};

const NAME: &str = "sandbox";
/// Time the trial has.
const PATIENCE: Duration = Duration::from_secs(20);
/// Any workspace's: none is touched.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const REMEDY: &str = "run as a user of its own, on Linux 6.12 or newer with Landlock and seccomp, and the sandbox on";

pub(super) async fn check(config: &ServerConfig) -> Check {
    if !matches!(config.backend, BackendChoice::Auto | BackendChoice::Process) {
        return Check::ok(NAME, "not needed by this backend");
    }
    if config.sandbox == Sandbox::Off {
        return Check::bad(NAME, Verdict::Warning, exposure(config).unwrap_or_default(), REMEDY);
    }
    match tried(config).await {
        Ok(report) => judge(config, &report),
        Err(error) => Check::bad(
            NAME,
            Verdict::Warning,
            format!("could not be tried: {error}"),
            "set MOLECULE_AGENT_BINARY to this version of the molecule program",
        ),
    }
}

fn judge(config: &ServerConfig, report: &Report) -> Check {
    if let Some(reason) = &report.refused {
        let remedy = "use a kernel with Landlock (Linux 5.13 or newer) and seccomp, or --sandbox best-effort";
        return Check::bad(NAME, Verdict::Failed, format!("no agent would start: {reason}"), remedy);
    }
    if !report.open.is_empty() {
        let found = format!("tried, and agents get out: {}", report.open.join("; "));
        return Check::bad(NAME, Verdict::Warning, found, REMEDY);
    }
    if let Some(warning) = exposure(config) {
        return Check::bad(NAME, Verdict::Warning, warning, REMEDY);
    }
    if !report.missing.is_empty() {
        let found = format!("closed, but agents will lack {}", report.missing.join("; "));
        let remedy = "allow unprivileged user namespaces, or run agents that need a terminal elsewhere";
        return Check::bad(NAME, Verdict::Warning, found, remedy);
    }
    let mut found =
        "tried: the server's files, terminals, sockets, signals and priorities are closed to agents".to_owned();
    if !config.sandbox_unix_sockets.is_empty() {
        let names: Vec<&str> = config
            .sandbox_unix_sockets
            .iter()
            .map(|runtime| runtime.as_str())
            .collect();
        found = format!("{found} (but Unix sockets open to {}, as configured)", names.join(", "));
    }
    Check::ok(NAME, found)
}

/// Runs the agent's program in an agent's sandbox, with targets that are the server's.
async fn tried(config: &ServerConfig) -> io::Result<Report> {
    let place = tempfile::tempdir()?;
    let outside = tempfile::tempdir()?;
    let socket = outside.path().join("socket");
    let _listener = UnixListener::bind(&socket)?;
    let mut command = tokio::process::Command::from(trial(config, place.path(), &socket)?);
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output())
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "the agent's program ended with {}",
            output.status
        )));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// `place` is the whole workspace of the agent that is played.
fn trial(config: &ServerConfig, place: &Path, socket: &Path) -> io::Result<Command> {
    let dir = DataDir::at(&config.data_dir);
    let withheld: Vec<_> = [config.data_dir.clone()]
        .into_iter()
        .chain(config.own_files())
        .collect();
    let allowed = if config.sandbox_terminals.is_empty() {
        ""
    } else {
        Allowance::Terminals.as_str()
    };
    let mut command = Command::new(&config.agent_binary);
    command
        .arg("sandbox-trial")
        .arg("--socket")
        .arg(socket)
        .args([dir.root(), &dir.server(), &dir.workspaces()])
        .arg(dir.server_file(crate::boot::ADMIN_TOKEN_FILE))
        .args(config.own_files())
        .env_clear()
        .env(env::WORKSPACE_ID, NOBODY)
        .envs([env::CREDENTIALS_DIR, env::CONFIG_DIR, env::STATE_DIR, env::WORK_DIR].map(|name| (name, place)))
        .envs(["HOME", "TMPDIR"].map(|name| (name, place)))
        .env(env::SANDBOX, config.sandbox.as_str())
        .env(env::SANDBOX_WITHHELD, serde_json::to_string(&withheld)?)
        .env(env::SANDBOX_ALLOW, allowed)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    in_own_session(&mut command);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Sources, load};

    #[test]
    fn what_was_found_is_said() {
        // D32
        let config = |vars: &[(&'static str, &'static str)]| {
            load(&Sources::of(
                Flags::default(),
                [("HOME", "/h")].into_iter().chain(vars.iter().copied()),
            ))
            .unwrap()
            .config
        };
        let usual = config(&[]);
        let refused = Report {
            refused: Some("no Landlock".into()),
            ..Report::default()
        };
        assert_eq!(judge(&usual, &refused).verdict, Verdict::Failed);
        let open = Report {
            open: vec!["/opt/data can be read".into()],
            ..Report::default()
        };
        let check = judge(&usual, &open);
        assert!(check.verdict == Verdict::Warning && check.found.contains("/opt/data can be read"));
        if exposure(&usual).is_none() {
            assert_eq!(judge(&usual, &Report::default()).verdict, Verdict::Ok);
            let allowed = config(&[("MOLECULE_SANDBOX_UNIX_SOCKETS", "exec")]);
            assert!(judge(&allowed, &Report::default()).found.contains("open to exec"));
        }
    }
}
