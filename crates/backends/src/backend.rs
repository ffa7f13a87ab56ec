//! The contract between the platform and the places where workspaces run.

use std::{collections::BTreeMap, error::Error, fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;
use molecule_core::{Runtime, WorkspaceId, validate::WorkspaceAccess};
use secrecy::SecretString;
use tokio::sync::mpsc;

/// Everything a backend needs to start one workspace; the same for all backends.
#[derive(Debug, Clone)]
pub struct WorkspaceSpec {
    /// The workspace.
    pub id: WorkspaceId,
    /// Which incarnation this is. Every restart raises it; an instance of an older generation is killed, not adopted
    /// (D17).
    pub generation: i64,
    /// Engine that runs the agent.
    pub runtime: Runtime,
    /// Privilege and size class (PROV-63).
    pub tier: i32,
    /// Assembled environment: secrets, model, role, parent. Wins over the backend's base environment (PROV-61).
    pub env: BTreeMap<String, SecretString>,
    /// Configuration, those of a template included, by relative path already checked to stay inside (PROV-45): content,
    /// because no backend but one shares a file system with the server. The path is kept as text with `/` separators.
    pub files: BTreeMap<String, ConfigFile>,
    /// The workspace's own token, delivered as `.auth_token`, mode 0600 (PROV-53).
    pub auth_token: SecretString,
    /// What the platform presents to the agent, delivered as `.platform_inbound_secret`, mode 0600 (PROV-54).
    pub inbound_secret: SecretString,
    /// Where the agent finds the platform.
    pub platform_url: String,
    /// Host directory to mount as the working directory.
    pub workspace_dir: Option<PathBuf>,
    /// How it may be used.
    pub workspace_access: WorkspaceAccess,
    /// Discard the session state of a `claude-code` workspace first (LIFE-126).
    pub reset_session: bool,
}

/// A file of a workspace's configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

impl ConfigFile {
    /// A file that its owner reads and writes.
    pub fn plain(content: impl Into<Vec<u8>>) -> Self {
        Self {
            content: content.into(),
            mode: 0o600,
        }
    }
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, mode {:o}", self.content.len(), self.mode)
    }
}

/// How [`Backend::stop_all`] went.
#[derive(Debug, Default)]
pub struct StopAll {
    /// Workspaces of which nothing runs any more.
    pub stopped: Vec<WorkspaceId>,
    /// Workspaces of which something may still run.
    pub failed: Vec<(WorkspaceId, BackendError)>,
}

/// A start that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Address assigned by the backend (D13). `None` when the agent reports it by registering.
    pub endpoint: Option<String>,
    /// The backend's own name for the instance, if it must be remembered.
    pub instance_ref: Option<String>,
}

/// Is the instance running? Uncertainty is its own answer, because it must never recycle a healthy agent.
#[derive(Debug)]
pub enum Running {
    /// Definitely yes.
    Yes,
    /// Definitely not.
    No,
    /// The backend could not tell.
    Unknown(BackendError),
}

/// An instance found by [`Backend::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The workspace it belongs to.
    pub id: WorkspaceId,
    /// Generation it was started with.
    pub generation: i64,
    /// Its assigned address, if known.
    pub endpoint: Option<String>,
}

/// An instance ended on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The workspace.
    pub id: WorkspaceId,
    /// Generation of the instance that ended.
    pub generation: i64,
    /// What is known of the reason, in words fit for an operator: "exit code 1: <reason>", "killed by signal 9".
    pub reason: String,
}

/// The end of an instance's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    /// The last bytes, cut at a line boundary; invalid UTF-8 replaced.
    pub text: String,
    /// Earlier output exists that is not in `text`.
    pub truncated: bool,
}

/// What can go wrong in a backend. Texts are for the log: they may carry paths and are never sent to clients.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The instance ended before it was ready; its configuration was written.
    #[error("instance ended during start: {0}")]
    EndedDuringStart(String),
    /// The instance did not become ready in time; its configuration was written.
    #[error("instance was not ready within {0:?}")]
    NotReady(Duration),
    /// The request cannot be carried out as given.
    #[error("invalid workspace specification: {0}")]
    InvalidSpec(String),
    /// The operating system or engine refused.
    #[error("{context}")]
    Io {
        /// What was being done.
        context: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Anything an engine reports in words of its own.
    #[error("{0}")]
    Engine(String),
    /// Something else went wrong below.
    #[error("{context}")]
    Failed {
        /// What was being done.
        context: String,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A place where workspaces run: what every backend can do. What only some can is a trait of its own, reached through a
/// method that says whether this one can (D26).
///
/// The caller guarantees one operation at a time per workspace (D17); different workspaces run concurrently.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Stable name, as in `MOLECULE_BACKEND`.
    fn name(&self) -> &'static str;

    /// Do instances have a network of their own, in which the server's host is not `localhost`?
    fn own_network(&self) -> bool {
        false
    }

    /// Does it give instances their addresses ([`Started::endpoint`]), so that what they report of themselves does not
    /// count (D13)?
    fn assigns_endpoint(&self) -> bool;

    /// Time a start may take in all. The backend gives up in time to clear away by then; a caller that waits longer waits
    /// in vain (PROV-12).
    fn start_deadline(&self) -> Duration;

    /// Starts the workspace and returns once it can be reached or, where the backend cannot know, once it was
    /// created. An instance of the same workspace that still exists is replaced.
    ///
    /// # Errors
    /// After an error nothing of this start is left running.
    async fn start(&self, spec: &WorkspaceSpec) -> Result<Started, BackendError>;

    /// Stops the workspace's instance, with everything it started. Idempotent: nothing running is success.
    ///
    /// # Errors
    /// Something may still run.
    async fn stop(&self, id: WorkspaceId) -> Result<(), BackendError>;

    /// Stops every instance of this installation, those of earlier servers included, all at the same time; running starts
    /// are cancelled and none is taken afterwards. For the end of `molecule up` (D19).
    ///
    /// # Errors
    /// The instances could not be listed; none was stopped.
    async fn stop_all(&self) -> Result<StopAll, BackendError>;

    /// Is an instance running? Yes must hold at the moment of the question, not only until the end has got about: a
    /// connection that was made to the instance's address just before is trusted to lead to the instance (D32).
    async fn running(&self, id: WorkspaceId) -> Running;

    /// Instances that exist, those started by an earlier server included, so that they can be adopted or killed.
    ///
    /// # Errors
    /// The listing failed; the caller must not conclude that nothing runs.
    async fn list(&self) -> Result<Vec<Instance>, BackendError>;

    /// Takes over an instance found by [`Backend::list`]: from now on its end is reported like that of one started
    /// here.
    ///
    /// # Errors
    /// The instance is gone or is another generation's.
    async fn adopt(&self, instance: &Instance) -> Result<(), BackendError>;

    /// Does the workspace's configuration volume hold a `config.yaml`? (PROV-28)
    ///
    /// # Errors
    /// The volume could not be looked at; absent is `Ok(false)` and creates nothing.
    async fn has_config(&self, id: WorkspaceId) -> Result<bool, BackendError>;

    /// Deletes the workspace's volumes. Nothing there is success.
    ///
    /// # Errors
    /// Data may be left.
    async fn remove_data(&self, id: WorkspaceId) -> Result<(), BackendError>;

    /// Ends of instances that nobody asked for. The receiver can be taken once; `None` afterwards, and for backends
    /// that must be polled through [`Backend::running`].
    fn exits(&self) -> Option<mpsc::UnboundedReceiver<Exit>>;

    /// What instances print, where this backend keeps it.
    fn console(&self) -> Option<&dyn Console> {
        None
    }
}

/// What instances print.
#[async_trait]
pub trait Console: Send + Sync {
    /// At most `max_bytes` of the end of the instance's output. No log yet is empty text.
    ///
    /// # Errors
    /// The log could not be read.
    async fn logs(&self, id: WorkspaceId, max_bytes: usize) -> Result<LogTail, BackendError>;
}
