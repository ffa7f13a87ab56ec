//! Child processes that play a part: the fake agent, the bare proxy, nginx. Processes of their own, so that the
//! kernel shares the processor among them as it would in production.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use crate::watchers;

const START_LIMIT: Duration = Duration::from_secs(10);

/// This program in another part. Ends when dropped, or when this process ends in any way: its standard input does.
pub(crate) struct Part {
    child: Child,
    port: u16,
}

impl Part {
    pub(crate) async fn upstream() -> anyhow::Result<Self> {
        Self::start(&["upstream"]).await
    }

    pub(crate) async fn proxy(upstream: u16) -> anyhow::Result<Self> {
        Self::start(&["proxy", "--upstream", &upstream.to_string()]).await
    }

    pub(crate) async fn floor() -> anyhow::Result<Self> {
        Self::start(&["floor"]).await
    }

    async fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {arguments:?}"))?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let port = line
            .with_context(|| format!("{arguments:?} ended without a port"))?
            .parse()?;
        Ok(Self { child, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// This program as people who watch: open event sockets.
pub(crate) struct Watchers {
    child: Child,
    output: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Watchers {
    /// Returns once all sockets are open. `authorization` is the header line of a credential that may watch.
    pub(crate) async fn open(address: SocketAddr, authorization: &str, count: usize) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("watchers")
            .args(["--address", &address.to_string(), "--count", &count.to_string()])
            .env(watchers::AUTHORIZATION, authorization)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the watchers")?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut output = BufReader::new(stdout).lines();
        output
            .next_line()
            .await?
            .context("the watchers ended before their sockets were open")?;
        Ok(Self { child, output })
    }

    /// Lets them go; returns how many events they got.
    pub(crate) async fn close(mut self) -> anyhow::Result<u64> {
        drop(self.child.stdin.take());
        let line = self.output.next_line().await?.context("a count of events")?;
        self.child.wait().await?;
        Ok(line.parse()?)
    }
}

/// nginx with `proxy_pass` and keep-alive to the upstream.
pub(crate) struct Nginx {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Nginx {
    /// `None` when nginx is not installed.
    pub(crate) async fn start(upstream: u16) -> anyhow::Result<Option<Self>> {
        let directory = tempfile::Builder::new().prefix("molecule-bench-").tempdir()?;
        let port = free_port()?;
        let configuration = directory.path().join("nginx.conf");
        std::fs::write(&configuration, configure(directory.path(), port, upstream))?;
        let spawned = Command::new("nginx")
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&configuration)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("start nginx"),
        };
        let mut nginx = Self {
            child,
            port,
            _directory: directory,
        };
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(nginx.address()).await.is_err() {
            if let Some(status) = nginx.child.try_wait()? {
                bail!("nginx ended with {status}");
            }
            anyhow::ensure!(Instant::now() < deadline, "nginx does not listen on port {port}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Some(nginx))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // TERM, not KILL: the master has to end its workers.
        if let Err(error) = signal(&self.child, Signal::TERM) {
            eprintln!("bench: nginx is still running: {error:#}");
        }
    }
}

fn configure(directory: &Path, port: u16, upstream: u16) -> String {
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {}/{kind};\n", directory.display()))
        .concat();
    format!(
        "daemon off;\nworker_processes auto;\npid {dir}/pid;\nevents {{ worker_connections 1024; }}\nhttp {{\n{temp}\
         \x20   access_log off;\n    keepalive_requests 1000000000;\n\
         \x20   upstream agent {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}\n\
         \x20   server {{\n        listen 127.0.0.1:{port};\n        location / {{\n            proxy_pass http://agent;\n\
         \x20           proxy_http_version 1.1;\n            proxy_set_header Connection \"\";\n        }}\n    }}\n}}\n",
        dir = directory.display(),
    )
}

/// Sends a signal to a child that is still there.
pub(crate) fn signal(child: &Child, signal: Signal) -> anyhow::Result<()> {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else {
        return Ok(()); // it has ended and was waited for
    };
    kill_process(pid, signal).context("kill")
}

/// A port that was free a moment ago, for programs that cannot say which one they took.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
