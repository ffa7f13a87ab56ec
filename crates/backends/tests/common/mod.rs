//! A process backend over temporary data, with a small shell program as the agent.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use molecule_backends::{
    ConfigFile,
    conformance::{Harness, eventually},
    process::{ProcessBackend, ProcessConfig},
};
use molecule_core::WorkspaceId;
use tempfile::TempDir;

/// Ends by itself when its data is removed, so that a failed test leaves nothing running.
const AGENT: &str = include_str!("agent.sh");

pub(crate) struct ProcessHarness {
    backend: Option<ProcessBackend>,
    pub(crate) config: ProcessConfig,
    pub(crate) root: TempDir,
}

impl ProcessHarness {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut ProcessConfig)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("agent.sh");
        fs::write(&program, AGENT).unwrap();
        // Run by a shell that is not written by the test: a program file that some other test's fork holds open for
        // writing cannot be executed.
        let mut config = ProcessConfig::new(root.path().join("data"), "/bin/sh");
        config.agent_args = vec![program.into(), "agent".into()];
        change(&mut config);
        let backend = Some(ProcessBackend::new(config.clone()).unwrap());
        Self { backend, config, root }
    }

    pub(crate) fn volume(&self, id: WorkspaceId) -> PathBuf {
        self.config
            .data_dir
            .canonicalize()
            .unwrap()
            .join("workspaces")
            .join(id.to_string())
    }

    pub(crate) fn state(&self, id: WorkspaceId, name: &str) -> PathBuf {
        self.volume(id).join("state").join(name)
    }

    /// The agent's process, as the server remembers it.
    pub(crate) fn pid(&self, id: WorkspaceId) -> i32 {
        let record: serde_json::Value = serde_json::from_slice(&fs::read(self.record(id)).unwrap()).unwrap();
        record["process"]["pid"].as_i64().unwrap().try_into().unwrap()
    }

    pub(crate) fn record(&self, id: WorkspaceId) -> PathBuf {
        self.config.data_dir.join(format!("server/instances/{id}.json"))
    }

    /// Waits for a file that the agent renames into place.
    pub(crate) async fn state_file(&self, id: WorkspaceId, name: &str) -> String {
        let path = self.state(id, name);
        eventually(name, || async { path.exists() }).await;
        fs::read_to_string(path).unwrap()
    }

    /// Processes that carry the workspace's mark, by a reading of `/proc` that is not the backend's.
    pub(crate) fn processes(&self, id: WorkspaceId) -> Vec<i32> {
        let mark = format!("MOLECULE_STATE_DIR={}", self.volume(id).join("state").display());
        let pids = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok());
        pids.filter(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes())
        })
        .collect()
    }
}

pub(crate) fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[async_trait]
impl Harness for ProcessHarness {
    type Backend = ProcessBackend;

    fn backend(&self) -> &ProcessBackend {
        self.backend.as_ref().unwrap()
    }

    async fn restart_server(mut self) -> Self {
        drop(self.backend.take());
        self.backend = Some(ProcessBackend::new(self.config.clone()).unwrap());
        self
    }

    async fn environment(&self, id: WorkspaceId) -> BTreeMap<String, String> {
        let text = self.state_file(id, "env").await;
        text.split_terminator('\0')
            .map(|pair| {
                pair.split_once('=')
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .unwrap()
            })
            .collect()
    }

    async fn config_file(&self, id: WorkspaceId, path: &str) -> Option<ConfigFile> {
        let path = self.volume(id).join("configs").join(path);
        let mode = fs::symlink_metadata(&path).ok()?.permissions().mode() & 0o7777;
        Some(ConfigFile {
            content: fs::read(path).unwrap(),
            mode,
        })
    }

    async fn crash(&self, id: WorkspaceId, code: i32) {
        let (temporary, path) = (self.state(id, "crash.tmp"), self.state(id, "crash"));
        fs::write(&temporary, code.to_string()).unwrap();
        fs::rename(temporary, path).unwrap();
    }

    async fn is_alive(&self, id: WorkspaceId) -> bool {
        !self.processes(id).is_empty()
    }
}
