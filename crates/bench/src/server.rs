//! The server under measurement: the real binary, in a fresh or kept data directory.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::{param::clock_ticks_per_second, process::Signal};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    children::{free_port, loopback, signal},
    http1::{Connection, Reply, request},
};

/// The server drains for at most 30 s after SIGTERM (SEC-218).
const STOP_LIMIT: Duration = Duration::from_secs(40);
const START_LIMIT: Duration = Duration::from_secs(30);
/// Pause between attempts to reach a booting server: far below what is measured.
const POLL: Duration = Duration::from_millis(1);

/// Which way of starting the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `molecule server`: the control plane.
    Server,
    /// `molecule up`: the same for one person, with a login URL.
    Up,
}

/// A data directory and the credential that goes with it, for one or several boots.
pub(crate) struct Home {
    directory: TempDir,
    admin_token: String,
    /// Environment of the server, over what it gets anyway.
    settings: Vec<(&'static str, &'static str)>,
}

impl Home {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("molecule-bench-").tempdir()?;
        let admin_token = format!("bench-{:032x}", rand::random::<u128>());
        Ok(Self {
            directory,
            admin_token,
            settings: vec![],
        })
    }

    /// Adds a setting of the server.
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.settings.push((name, value));
        self
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    spawned: Instant,
    authorization: String,
    log: PathBuf,
    admin: Connection,
}

impl Server {
    /// Starts the process; it is not reachable yet.
    pub(crate) fn spawn(binary: &Path, home: &Home, mode: Mode) -> anyhow::Result<Self> {
        let port = free_port()?;
        let log = File::create(home.log())?;
        let mut command = Command::new(binary);
        // What the operator's shell has set must not decide what is measured.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("MOLECULE_") || matches!(&*text, "DATABASE_URL" | "MEMORY_PLUGIN_URL" | "RUST_LOG") {
                command.env_remove(&name);
            }
        }
        command
            .arg(if mode == Mode::Up { "up" } else { "server" })
            .arg("--data-dir")
            .arg(home.directory.path().join("data"))
            .args(["--port", &port.to_string()])
            .env("ADMIN_TOKEN", &home.admin_token)
            // The fake agents are on the loopback interface, where the URL guard lets nobody dial otherwise (A2A-62).
            .env("MOLECULE_ENV", "development")
            // A handful of credentials makes the requests of thousands of agents.
            .env("MOLECULE_CREDENTIAL_RATE", "0")
            // Nobody beats for the fake agents while messages are measured.
            .env("REMOTE_LIVENESS_STALE_AFTER", "3600")
            .envs(home.settings.iter().copied())
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .kill_on_drop(true);
        if mode == Mode::Up {
            command.stdout(Stdio::piped());
        } else {
            command.stdout(log);
        }
        let spawned = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("start {}; `make bench` builds it", binary.display()))?;
        let address = loopback(port);
        Ok(Self {
            child,
            address,
            spawned,
            authorization: format!("authorization: Bearer {}", home.admin_token),
            log: home.log(),
            admin: Connection::new(address),
        })
    }

    /// Starts the process and waits until it answers.
    pub(crate) async fn start(binary: &Path, home: &Home, mode: Mode) -> anyhow::Result<Self> {
        let mut server = Self::spawn(binary, home, mode)?;
        server.first_success("/health").await?;
        Ok(server)
    }

    /// Asks as admin until the first 200; returns the time since the process was started, and the answer.
    pub(crate) async fn first_success(&mut self, path: &str) -> anyhow::Result<(Duration, Reply)> {
        let mut last = String::from("no connection");
        while self.spawned.elapsed() < START_LIMIT {
            match self.exchange("GET", path, b"").await {
                Ok(reply) if reply.status == 200 => return Ok((self.spawned.elapsed(), reply)),
                Ok(reply) => last = reply.summary(),
                Err(error) => last = format!("{error:#}"),
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} while booting:\n{}", self.log_tail());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!(
            "no 200 from GET {path} within {START_LIMIT:?}; last: {last}\n{}",
            self.log_tail()
        )
    }

    /// Reads the lines of `molecule up` until the one with the login URL; returns the time since the start.
    pub(crate) async fn login_url(&mut self) -> anyhow::Result<Duration> {
        let stdout = self.child.stdout.take().context("only `up` has a login URL")?;
        let mut lines = BufReader::new(stdout).lines();
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        let mut seen = String::new();
        while let Ok(line) = tokio::time::timeout_at(deadline, lines.next_line()).await {
            let Some(line) = line? else { break };
            if is_login_url(&line) {
                let elapsed = self.spawned.elapsed();
                // Somebody has to read on, or the server blocks or fails on a full or closed pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(elapsed);
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        bail!(
            "no login URL (http://…#…) on standard output, only:\n{seen}\n{}",
            self.log_tail()
        )
    }

    /// A request as admin; any status is an answer.
    pub(crate) async fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let bytes = request(method, path, std::slice::from_ref(&self.authorization), body);
        tokio::time::timeout(START_LIMIT, self.admin.exchange(&bytes))
            .await
            .with_context(|| format!("no answer to {method} {path} within {START_LIMIT:?}"))?
            .with_context(|| format!("{method} {path}"))
    }

    /// A request as admin that must succeed; its JSON.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<serde_json::Value> {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(body)?
        };
        let reply = self.exchange(method, path, &bytes).await?;
        ensure!(
            reply.is_success(),
            "{method} {path} answered {}\n{}",
            reply.summary(),
            self.log_tail()
        );
        serde_json::from_slice(&reply.body).with_context(|| format!("{method} {path} answered {}", reply.summary()))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The header line of the admin's credential.
    pub(crate) fn authorization(&self) -> &str {
        &self.authorization
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGTERM, then waits for a clean end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        signal(&self.child, Signal::TERM)?;
        let status = tokio::time::timeout(STOP_LIMIT, self.child.wait())
            .await
            .with_context(|| format!("the server is still there {STOP_LIMIT:?} after SIGTERM"))??;
        ensure!(
            status.success(),
            "the server ended with {status} after SIGTERM:\n{}",
            self.log_tail()
        );
        Ok(())
    }

    /// The last lines of the server's output, for an error message.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// The one-time code is in the fragment (D2).
fn is_login_url(line: &str) -> bool {
    line.split_whitespace().any(|word| {
        let url = word.strip_prefix("http://").or_else(|| word.strip_prefix("https://"));
        url.and_then(|url| url.split_once('#'))
            .is_some_and(|(_, code)| !code.is_empty())
    })
}

/// Processor time that a process has used, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before the last parenthesis may contain spaces; after it, fields 14 and 15 of proc(5) are 11 and 12.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let [user, system] = [11, 12].map(|field| fields.get(field).and_then(|text| text.parse::<f64>().ok()));
    let ticks = user
        .zip(system)
        .map(|(user, system)| user + system)
        .context("fields of /proc/PID/stat")?;
    Ok(ticks / clock_ticks_per_second() as f64)
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS of /proc/PID/status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib << 10)
}

/// Every process below this one.
pub(crate) fn descendants(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that has just ended has no parent to ask for.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else {
            continue;
        };
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (process, parent)));
    }
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(&current) = found.get(at) {
        found.extend(
            parents
                .iter()
                .filter(|&&(_, parent)| parent == current)
                .map(|&(process, _)| process),
        );
        at += 1;
    }
    Ok(found.split_off(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_urls() {
        // D2
        assert!(is_login_url("  Open http://127.0.0.1:8080/login#code=abc to sign in"));
        for line in [
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080/login#",
            "see docs#abc",
            "",
        ] {
            assert!(!is_login_url(line), "{line}");
        }
    }

    #[test]
    fn a_process_can_be_measured() {
        let own = std::process::id();
        assert!(resident_bytes(own).unwrap() > 100_000);
        assert!(cpu_seconds(own).unwrap() >= 0.0);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(descendants(own).unwrap().contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
