//! A server under test: the real binary, a data directory of its own, a port of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use molecule_client::Client;
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_testkit::{PATIENCE, user::OrdinaryUser};
use molecule_wire::workspaces::WorkspaceListItem;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// The bearer of the servers under test.
pub(crate) const ADMIN: &str = "e2e-admin-token-e2e-admin-token-e2e";

/// A data directory on which servers are run, one after the other.
pub(crate) struct Site {
    pub(crate) data: TempDir,
    environment: Vec<(String, String)>,
    /// Who runs the program, if not whoever runs the tests.
    user: Option<OrdinaryUser>,
    program: PathBuf,
}

/// One run of the server. Killed when dropped; agents of the data directory too.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    lines: Lines,
    data: PathBuf,
}

/// A command that goes on until it is dropped.
pub(crate) struct Following {
    child: Child,
    lines: Lines,
}

/// Standard output of a process, line by line.
struct Lines {
    come: mpsc::Receiver<String>,
    /// What came so far.
    seen: Vec<String>,
}

/// How a command ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    /// On SQLite unless a URL says otherwise.
    pub(crate) fn new(database_url: Option<&str>) -> Self {
        let mut site = Self {
            data: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
            user: None,
            program: env!("CARGO_BIN_EXE_molecule").into(),
        };
        if let Some(url) = database_url {
            site.set("DATABASE_URL", url);
        }
        site
    }

    /// On a data directory below `parent`, of an ordinary user who runs everything.
    pub(crate) fn of_ordinary_user(parent: &Path) -> Self {
        let user = OrdinaryUser::default();
        let data = tempfile::tempdir_in(parent).unwrap();
        let program = user.program(Path::new(env!("CARGO_BIN_EXE_molecule")), data.path());
        user.owns(data.path());
        Self {
            data,
            environment: Vec::new(),
            user: Some(user),
            program,
        }
    }

    /// Sets a variable of the servers that are started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The program in an environment of its own, on this data directory.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.data.path())
            .env("MOLECULE_DATA_DIR", self.data.path())
            .env("ADMIN_TOKEN", ADMIN)
            .env("MOLECULE_LOG", "info")
            .env("MOLECULE_CREDENTIAL_RATE", "0")
            .env("MOLECULE_IMPORT_PAUSE_MS", "0")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(user) = self.user {
            user.runs(&mut command);
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "").await
    }

    /// The same with something on standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = tokio::process::Command::from(self.command(arguments));
        let mut child = command.stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command may end without having read it.
        stdin.write_all(input.as_bytes()).await.ok();
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Starts `molecule <verb>` and waits until it serves.
    pub(crate) fn start(&self, verb: &str) -> Server {
        self.serve(self.command(&[verb, "--port", "0"]))
    }

    /// The same with at most so many descriptors.
    pub(crate) fn start_with_descriptors(&self, verb: &str, most: u32) -> Server {
        let plain = self.command(&[verb, "--port", "0"]);
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\"")])
            .arg(&self.program)
            .args(plain.get_args())
            .env_clear()
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        self.serve(command)
    }

    /// The same with a terminal that the server's own process has as its controlling one, as in a shell of its own.
    pub(crate) fn start_on_terminal(&self, verb: &str) -> Server {
        let plain = self.command(&[verb, "--port", "0"]);
        let mut command = Command::new("script");
        let line = format!("exec {} {verb} --port 0", self.program.display());
        command
            .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
            .env_clear()
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(user) = self.user {
            user.runs(&mut command);
        }
        self.serve(command)
    }

    /// Starts `molecule <verb>` at the address of a server that has ended.
    pub(crate) fn start_in_place_of(&self, before: &Server, verb: &str) -> Server {
        let port = before.url.rsplit(':').next().unwrap();
        self.serve(self.command(&[verb, "--port", port]))
    }

    /// Starts a command that does not end by itself.
    pub(crate) fn follow(&self, arguments: &[&str]) -> Following {
        let mut child = self.command(arguments).stderr(Stdio::null()).spawn().unwrap();
        let lines = Lines::of(&mut child);
        Following { child, lines }
    }

    fn serve(&self, mut command: Command) -> Server {
        let mut child = command.stderr(log_file(&self.data)).spawn().unwrap();
        let lines = Lines::of(&mut child);
        let mut server = Server {
            child,
            url: String::new(),
            lines,
            data: self.data.path().to_path_buf(),
        };
        server.line_with("Molecule is running");
        let endpoint = std::fs::read_to_string(self.data.path().join("server/endpoint.json")).unwrap();
        let endpoint: Value = serde_json::from_str(&endpoint).unwrap();
        endpoint["url"].as_str().unwrap().clone_into(&mut server.url);
        server
    }
}

fn log_file(data: &TempDir) -> std::fs::File {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(data.path().join("server.log"))
        .unwrap()
}

impl Lines {
    fn of(child: &mut Child) -> Self {
        let stdout = child.stdout.take().unwrap();
        let (send, come) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { come, seen: Vec::new() }
    }

    /// The first one that contains `text`, waited for if it has not come yet.
    fn with(&mut self, text: &str) -> Option<String> {
        let mut found = self.seen.iter().find(|line| line.contains(text)).cloned();
        while found.is_none() {
            let line = self.come.recv_timeout(PATIENCE).ok()?;
            self.seen.push(line.clone());
            found = Some(line).filter(|line| line.contains(text));
        }
        found
    }
}

impl Following {
    /// Waits for a line with `text`; all that came up to it.
    pub(crate) fn until(&mut self, text: &str) -> &[String] {
        assert!(
            self.lines.with(text).is_some(),
            "no line with {text:?}: {:?}",
            self.lines.seen
        );
        &self.lines.seen
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // May have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// A line of standard output that contains `text`, waited for if it has not come yet.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        let line = self.lines.with(text);
        line.unwrap_or_else(|| panic!("no line with {text:?}; the log ends:\n{}", self.log_tail()))
    }

    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.data.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, Some(ADMIN.to_owned().into())).unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait for the end.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM)
    }

    /// Sends a signal that ends the server; the exit code.
    pub(crate) fn signal(&mut self, signal: rustix::process::Signal) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        self.ended()
    }

    /// Waits for its end; the exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // May have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        for pid in agent_pids(&self.data) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
            }
        }
    }
}

/// Everything in the list, by id.
pub(crate) async fn listed(client: &Client) -> Vec<WorkspaceId> {
    let all = client.list_workspaces().await.unwrap();
    all.into_iter().map(|item| item.workspace.id).collect()
}

/// Processes of agents started on this data directory, in order, found by their environment.
pub(crate) fn agent_pids(data: &Path) -> Vec<i32> {
    let marker = format!("MOLECULE_STATE_DIR={}", data.display());
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable.starts_with(marker.as_bytes()))
        {
            pids.push(pid);
        }
    }
    pids.sort_unstable();
    pids
}

/// Waits until `check` says `Some`; panics with the last thing it complained about.
pub(crate) async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, check: impl Fn() -> F) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match check().await {
            Ok(value) => return value,
            Err(reason) if tokio::time::Instant::now() > deadline => panic!("{what}: {reason}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Waits until `count` workspaces are online; by name.
pub(crate) async fn online(client: &Client, count: usize) -> Vec<WorkspaceListItem> {
    eventually("the organisation comes online", || async {
        let all = client.list_workspaces().await.map_err(|error| error.to_string())?;
        let up = all
            .iter()
            .filter(|item| item.workspace.status == WorkspaceStatus::Online)
            .count();
        if up == count && all.len() == count {
            return Ok(all);
        }
        let statuses: Vec<_> = all
            .iter()
            .map(|item| {
                format!(
                    "{} {} {}",
                    item.workspace.name, item.workspace.status, item.last_sample_error
                )
            })
            .collect();
        Err(format!("{up} of {count} online: {statuses:?}"))
    })
    .await
}

pub(crate) fn id_of(all: &[WorkspaceListItem], name: &str) -> WorkspaceId {
    all.iter()
        .find(|item| item.workspace.name == name)
        .unwrap()
        .workspace
        .id
}

/// A `message/send` of one text part.
pub(crate) fn message(id: &str, text: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "method": "message/send",
        "params": { "message": { "kind": "message", "role": "user", "messageId": id,
                                 "parts": [{ "kind": "text", "text": text }] } }
    })
}
