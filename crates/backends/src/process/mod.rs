//! The default backend: every workspace is one child process of the server, in a session of its own, reachable
//! on a loopback port of its choice (D12, D13, D17–D19).
//!
//! Agents outlive the server: their output goes to files, what is needed to find them again is in instance records,
//! and a later server adopts them.

mod config;
mod environment;
mod files;
mod groups;
mod identity;
mod instance;
mod launch;
mod layout;
mod log;
mod record;
mod start;
mod state;
mod stop;
mod table;
#[cfg(test)]
mod tests;
mod volume;

use std::{collections::HashMap, io, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use async_trait::async_trait;
use molecule_core::WorkspaceId;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
};

pub use self::{
    config::{INHERITED, LOG_LIMIT, ProcessConfig, START_DEADLINE, STOP_GRACE, TierLimits},
    groups::limits_of,
    launch::in_own_session,
};
use self::{
    files::Dir,
    groups::Groups,
    identity::{ProcessHandle, Stat},
    instance::{Live, Slot},
    layout::Volume,
    log::Log,
    record::{Record, Records},
    start::Cancel,
    table::Scanner,
};
use crate::{Backend, BackendError, Console, Exit, Instance, LogTail, Running, Started, StopAll, WorkspaceSpec};

/// Runs workspaces as local processes.
///
/// Dropping it ends the watch over the instances, not the instances.
pub struct ProcessBackend {
    inner: Arc<Inner>,
    exits: Mutex<Option<mpsc::UnboundedReceiver<Exit>>>,
}

struct Inner {
    config: ProcessConfig,
    boot_id: String,
    records: Records,
    scanner: Scanner,
    /// There only where limits are configured and the system has groups for them.
    groups: Option<Groups>,
    slots: Mutex<HashMap<WorkspaceId, Arc<Slot>>>,
    exits: mpsc::UnboundedSender<Exit>,
    /// True once no more starts are taken.
    closed: watch::Sender<bool>,
}

impl ProcessBackend {
    /// Opens the backend over a data directory, which the caller has locked (D19). Starts and stops nothing.
    ///
    /// # Errors
    /// The agent's program is not executable, the data directory cannot be used, or the kernel has no pidfds
    /// (Linux 5.4 or later has).
    pub fn new(mut config: ProcessConfig) -> Result<Self, BackendError> {
        // Agents have another working directory, and a later server may be called from another one.
        config.agent_binary =
            std::path::absolute(&config.agent_binary).map_err(io_error("resolving the agent binary"))?;
        let binary = config.agent_binary.display();
        let metadata = std::fs::metadata(&config.agent_binary).map_err(io_error(format!("agent binary {binary}")))?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            return Err(BackendError::Engine(format!(
                "agent binary {binary} is not an executable file"
            )));
        }
        let own = i32::try_from(std::process::id()).map_err(|_| BackendError::Engine("own pid".to_owned()))?;
        let own = Stat::read(own).map_err(io_error("reading /proc"))?;
        let probe = own.map_or(Ok(None), |own| ProcessHandle::open(own.key));
        probe.map_err(io_error("opening a pidfd, which the process backend needs"))?;

        Dir::create(&layout::workspaces(&config.data_dir)).map_err(io_error("creating the workspaces directory"))?;
        config.data_dir = config
            .data_dir
            .canonicalize()
            .map_err(io_error("resolving the data directory"))?;
        for path in &mut config.withheld {
            // What is not there yet is known by the name it was given.
            *path = path.canonicalize().unwrap_or_else(|_| path.clone());
        }
        Log::create_dir(&layout::logs(&config.data_dir)).map_err(io_error("creating the log directory"))?;
        let records = Records::open(layout::instances(&config.data_dir));
        let (exits, receiver) = mpsc::unbounded_channel();
        let inner = Inner {
            boot_id: identity::boot_id().map_err(io_error("reading the boot id"))?,
            records: records.map_err(io_error("opening the instance records"))?,
            scanner: Scanner::default(),
            groups: groups(&config),
            slots: Mutex::default(),
            exits,
            closed: watch::Sender::new(false),
            config,
        };
        Ok(Self {
            inner: Arc::new(inner),
            exits: Mutex::new(Some(receiver)),
        })
    }
}

#[async_trait]
impl Backend for ProcessBackend {
    fn name(&self) -> &'static str {
        "process"
    }

    fn assigns_endpoint(&self) -> bool {
        true
    }

    fn start_deadline(&self) -> Duration {
        self.inner.config.start_deadline
    }

    /// Dropping the future cancels the start: the instance is ended in the background, and the next operation on the
    /// workspace waits for that.
    async fn start(&self, spec: &WorkspaceSpec) -> Result<Started, BackendError> {
        let (wanted, abandoned) = oneshot::channel();
        let cancel = Cancel {
            abandoned,
            closed: self.inner.closed.subscribe(),
        };
        let result = tokio::spawn(Arc::clone(&self.inner).start(spec.clone(), cancel)).await;
        drop(wanted);
        result.unwrap_or_else(|error| Err(broken("the start broke off", error)))
    }

    async fn stop(&self, id: WorkspaceId) -> Result<(), BackendError> {
        self.inner.stop(id).await
    }

    async fn stop_all(&self) -> Result<StopAll, BackendError> {
        self.inner.closed.send_replace(true);
        let mut ids = self.inner.recorded().await?;
        ids.extend(self.inner.occupied());
        ids.sort_unstable();
        ids.dedup();
        let mut stops = JoinSet::new();
        for id in ids {
            let inner = Arc::clone(&self.inner);
            stops.spawn(async move { (id, inner.stop(id).await) });
        }
        let mut outcome = StopAll::default();
        while let Some(joined) = stops.join_next().await {
            match joined {
                Ok((id, Ok(()))) => outcome.stopped.push(id),
                Ok((id, Err(error))) => outcome.failed.push((id, error)),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => return Err(broken("a stop was cut short", error)),
            }
        }
        Ok(outcome)
    }

    async fn running(&self, id: WorkspaceId) -> Running {
        let live = self.inner.slot(id).live.lock().clone();
        if let Some(live) = live {
            return match live.key.holds_its_ports() {
                Ok(true) if !live.has_ended() => Running::Yes,
                Ok(_) => Running::No,
                Err(error) => Running::Unknown(io_error("looking at the agent's process")(error)),
            };
        }
        match self.inner.recorded_process(id).await {
            Ok(Some(_)) => Running::Yes,
            Ok(None) => Running::No,
            Err(error) => Running::Unknown(error),
        }
    }

    async fn list(&self) -> Result<Vec<Instance>, BackendError> {
        let mut instances = Vec::new();
        let mut ended = JoinSet::new();
        for id in self.inner.recorded().await? {
            match self.inner.recorded_process(id).await {
                Ok(Some((
                    Record {
                        generation, endpoint, ..
                    },
                    _,
                ))) => {
                    instances.push(Instance {
                        id,
                        generation,
                        endpoint,
                    });
                }
                Err(error) if !is_damaged(&error) => return Err(error),
                Ok(None) | Err(_) => {
                    ended.spawn(Arc::clone(&self.inner).clear_record(id));
                }
            }
        }
        ended.join_all().await;
        Ok(instances)
    }

    async fn adopt(&self, instance: &Instance) -> Result<(), BackendError> {
        let slot = self.inner.slot(instance.id);
        let _operation = slot.operation.lock().await;
        let found = self.inner.recorded_process(instance.id).await?;
        let Some((record, handle)) = found else {
            return Err(BackendError::Engine("the instance is gone".to_owned()));
        };
        if record.generation != instance.generation {
            let (found, wanted) = (record.generation, instance.generation);
            return Err(BackendError::Engine(format!(
                "the instance is of generation {found}, not {wanted}"
            )));
        }
        let mut current = slot.live.lock();
        if current.as_ref().is_none_or(|live| live.key != handle.key) {
            *current = Some(Live::adopted(&self.inner, &record, handle).map_err(io_error("watching the agent"))?);
        }
        Ok(())
    }

    async fn has_config(&self, id: WorkspaceId) -> Result<bool, BackendError> {
        let path = self.inner.volume(id).configs().join("config.yaml");
        let metadata = blocking(move || match std::fs::symlink_metadata(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            result => Ok(result?.is_file()),
        });
        metadata.await.map_err(io_error("looking for config.yaml"))
    }

    /// Refused while an instance runs.
    async fn remove_data(&self, id: WorkspaceId) -> Result<(), BackendError> {
        let slot = self.inner.slot(id);
        let _operation = slot.operation.lock().await;
        if self.inner.recorded_process(id).await?.is_some() {
            return Err(BackendError::Engine(
                "an instance of the workspace still runs".to_owned(),
            ));
        }
        self.inner.halt(id, &slot).await?;
        let (volume, log) = (self.inner.volume(id), self.inner.log(id));
        let removal = blocking(move || {
            files::remove_tree(volume.root())?;
            log.remove()
        });
        removal.await.map_err(io_error("removing the workspace's directories"))
    }

    fn exits(&self) -> Option<mpsc::UnboundedReceiver<Exit>> {
        self.exits.lock().take()
    }

    fn console(&self) -> Option<&dyn Console> {
        Some(self)
    }
}

#[async_trait]
impl Console for ProcessBackend {
    async fn logs(&self, id: WorkspaceId, max_bytes: usize) -> Result<LogTail, BackendError> {
        let log = self.inner.log(id);
        blocking(move || log.tail(max_bytes))
            .await
            .map_err(io_error("reading the instance log"))
    }
}

impl Inner {
    fn volume(&self, id: WorkspaceId) -> Volume {
        Volume::new(&self.config.data_dir, id)
    }

    fn log(&self, id: WorkspaceId) -> Log {
        Log::new(&layout::logs(&self.config.data_dir), id)
    }

    /// The workspace's slot. Those that nobody uses are dropped when a new one is made.
    fn slot(&self, id: WorkspaceId) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.get(&id) {
            return Arc::clone(slot);
        }
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.live.lock().is_some());
        Arc::clone(slots.entry(id).or_default())
    }

    /// Workspaces with an instance under watch or an operation under way.
    fn occupied(&self) -> Vec<WorkspaceId> {
        let slots = self.slots.lock();
        let occupied = slots
            .iter()
            .filter(|(_, slot)| slot.live.lock().is_some() || slot.operation.try_lock().is_err());
        occupied.map(|(id, _)| *id).collect()
    }

    fn report(&self, exit: Exit) {
        if let Err(mpsc::error::SendError(exit)) = self.exits.send(exit) {
            tracing::warn!(workspace = %exit.id, reason = %exit.reason, "nobody listens to the end of instances");
        }
    }

    async fn stop(self: &Arc<Self>, id: WorkspaceId) -> Result<(), BackendError> {
        let slot = self.slot(id);
        let _operation = slot.operation.lock().await;
        self.halt(id, &slot).await
    }

    async fn recorded(self: &Arc<Self>) -> Result<Vec<WorkspaceId>, BackendError> {
        let inner = Arc::clone(self);
        blocking(move || inner.records.ids())
            .await
            .map_err(io_error("listing the instance records"))
    }

    /// The workspace's record, if the process it names runs, with that process held.
    async fn recorded_process(
        self: &Arc<Self>,
        id: WorkspaceId,
    ) -> Result<Option<(Record, ProcessHandle)>, BackendError> {
        let inner = Arc::clone(self);
        let found = blocking(move || {
            let Some(record) = inner.records.read(id)? else {
                return Ok(None);
            };
            let Some(key) = record.process_in(&inner.boot_id) else {
                return Ok(None);
            };
            let handle = ProcessHandle::open(key)?;
            Ok(if key.is_alive()? {
                handle.map(|handle| (record, handle))
            } else {
                None
            })
        });
        found.await.map_err(io_error("reading the instance record"))
    }

    /// Clears a record away whose process is gone or that is damaged and so names none, unless an operation on the
    /// workspace is under way, which does so.
    async fn clear_record(self: Arc<Self>, id: WorkspaceId) {
        let slot = self.slot(id);
        let Ok(_operation) = slot.operation.try_lock() else {
            return;
        };
        let result = match self.recorded_process(id).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.halt(id, &slot).await,
            Err(error) if is_damaged(&error) => self.halt(id, &slot).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            tracing::warn!(workspace = %id, %error, "the record of an ended instance could not be cleared away");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for live in self
            .slots
            .get_mut()
            .values()
            .filter_map(|slot| slot.live.lock().clone())
        {
            live.unwatch();
        }
    }
}

fn groups(config: &ProcessConfig) -> Option<Groups> {
    if config.limits.is_empty() {
        return None;
    }
    Groups::open()
        .inspect_err(|reason| {
            tracing::warn!(
                reason,
                "the limits of tiers are not enforced; agents only stand back for the server"
            );
        })
        .ok()
}

/// Runs file work where it does not hold up the runtime. Once begun it ends, even if the caller does not wait for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn broken(context: &str, source: JoinError) -> BackendError {
    BackendError::Failed {
        context: context.to_owned(),
        source: Box::new(source),
    }
}

fn io_error(context: impl Into<String>) -> impl FnOnce(io::Error) -> BackendError {
    let context = context.into();
    move |source| BackendError::Io { context, source }
}

/// An instance record that is there but says nothing.
fn is_damaged(error: &BackendError) -> bool {
    matches!(error, BackendError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData)
}
