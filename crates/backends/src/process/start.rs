//! Starting an instance.

use std::{
    convert::Infallible,
    fs::File,
    io,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use molecule_core::{Runtime, WorkspaceId};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    Inner, TierLimits, blocking,
    environment::{Environment, WorkDir},
    identity::ProcessHandle,
    instance::{Live, Slot},
    io_error,
    launch::{behind_the_server, in_own_session},
    record::Record,
    state,
    volume::Contents,
};
use crate::{BackendError, Started, WorkspaceSpec};

/// How often the endpoint file is looked for.
const READY_POLL: Duration = Duration::from_millis(20);
/// How much of the log goes into the error of a failed start.
const LAST_LINES: usize = 10;
const LAST_BYTES: u64 = 2 << 10;

/// A start whose input was found good; nothing was done yet.
struct Plan {
    record: Record,
    work: WorkDir,
    limits: Option<TierLimits>,
    environment: Environment,
    contents: Contents,
}

impl Plan {
    fn new(inner: &Inner, spec: &WorkspaceSpec) -> Result<Self, BackendError> {
        if spec.runtime == Runtime::External {
            return Err(BackendError::InvalidSpec(
                "external agents are not started here".to_owned(),
            ));
        }
        let volume = inner.volume(spec.id);
        let instance = Uuid::new_v4();
        let work = WorkDir::resolve(&inner.config, spec, &volume)?;
        Ok(Self {
            environment: Environment::assemble(&inner.config, spec, &volume, &work, instance)?,
            contents: Contents::new(spec, volume)?,
            work,
            limits: inner.config.limits_of(spec.tier),
            record: Record {
                workspace: spec.id,
                generation: spec.generation,
                instance,
                boot_id: inner.boot_id.clone(),
                process: None,
                endpoint: None,
            },
        })
    }
}

/// A process that was just spawned.
struct Spawned {
    child: Child,
    handle: ProcessHandle,
    /// Where its output begins in the log.
    log_begin: u64,
}

/// When to give a start up.
pub(super) struct Cancel {
    /// Closed when the future of whoever wanted the start is dropped (D17).
    pub(super) abandoned: oneshot::Receiver<Infallible>,
    /// True once the backend takes no more starts.
    pub(super) closed: watch::Receiver<bool>,
}

impl Cancel {
    async fn requested(&mut self) -> BackendError {
        tokio::select! {
            _ = &mut self.abandoned => BackendError::Engine("the start was cancelled".to_owned()),
            _ = self.closed.wait_for(|closed| *closed) => closing(),
        }
    }
}

fn closing() -> BackendError {
    BackendError::Engine("the backend is shutting down".to_owned())
}

impl Inner {
    /// Runs in a task of its own, so that a start that is abandoned still ends in a known state. The workspace's slot
    /// is held until then: a stop that follows finds either an instance or nothing.
    pub(super) async fn start(
        self: Arc<Self>,
        spec: WorkspaceSpec,
        mut cancel: Cancel,
    ) -> Result<Started, BackendError> {
        let id = spec.id;
        let slot = self.slot(id);
        let _operation = slot.operation.lock().await;
        if *cancel.closed.borrow() {
            return Err(closing());
        }
        let inner = Arc::clone(&self);
        let plan = blocking(move || Ok(Plan::new(&inner, &spec)))
            .await
            .map_err(io_error("checking the start"))??;
        self.halt(id, &slot).await?;
        let result = self.launch(&slot, plan, &mut cancel).await;
        if let Err(cause) = &result
            && let Err(error) = self.halt(id, &slot).await
        {
            tracing::error!(workspace = %id, %error, %cause, "a failed start could not be cleared away");
        }
        result
    }

    /// Only the wait for readiness can be cancelled: every step before it must end, so that it is known what it left.
    async fn launch(self: &Arc<Self>, slot: &Slot, plan: Plan, cancel: &mut Cancel) -> Result<Started, BackendError> {
        let mut record = plan.record.clone();
        let inner = Arc::clone(self);
        let spawned = blocking(move || Ok(inner.spawn(&plan)))
            .await
            .map_err(io_error("spawning the agent"))??;
        let Spawned {
            mut child,
            handle,
            log_begin,
        } = spawned;
        record.process = Some(handle.key);
        let live = match Live::starting(self, &record, handle) {
            Ok(live) => live,
            Err(error) => {
                discard(&mut child);
                return Err(io_error("watching the agent")(error));
            }
        };
        *slot.live.lock() = Some(Arc::clone(&live));
        self.keep(record.clone()).await?;
        let endpoint = self.ready(&live, log_begin, cancel).await?;
        record.endpoint = Some(endpoint.clone());
        let instance_ref = Some(record.instance.to_string());
        self.keep(record).await?;
        match live.confirm() {
            Ok(()) => Ok(Started {
                endpoint: Some(endpoint),
                instance_ref,
            }),
            Err(reason) => Err(self.ended_during_start(live.id, reason, log_begin).await),
        }
    }

    async fn keep(self: &Arc<Self>, record: Record) -> Result<(), BackendError> {
        let inner = Arc::clone(self);
        blocking(move || inner.records.write(&record))
            .await
            .map_err(io_error("writing the instance record"))
    }

    /// Waits for the endpoint file, for the end of the process or for the wish to give up, whichever is first.
    async fn ready(&self, live: &Live, log_begin: u64, cancel: &mut Cancel) -> Result<String, BackendError> {
        let state = self.volume(live.id).state();
        let poll = async {
            loop {
                let dir = state.clone();
                match blocking(move || state::endpoint(&dir)).await {
                    Ok(Some(endpoint)) => return Ok(endpoint),
                    Ok(None) => sleep(READY_POLL).await,
                    Err(error) => return Err(io_error("reading the endpoint of the agent")(error)),
                }
            }
        };
        let limit = self.config.ready_timeout();
        tokio::select! {
            result = timeout(limit, poll) => result.unwrap_or(Err(BackendError::NotReady(limit))),
            reason = live.ended() => Err(self.ended_during_start(live.id, reason, log_begin).await),
            error = cancel.requested() => Err(error),
        }
    }

    async fn ended_during_start(&self, id: WorkspaceId, reason: String, log_begin: u64) -> BackendError {
        let log = self.log(id);
        let lines = blocking(move || log.last_lines(log_begin, LAST_LINES, LAST_BYTES)).await;
        let lines = lines.unwrap_or_else(|error| format!("(the log could not be read: {error})"));
        let text = if lines.is_empty() {
            reason
        } else {
            format!("{reason}; its last output:\n{lines}")
        };
        BackendError::EndedDuringStart(text)
    }

    fn spawn(&self, plan: &Plan) -> Result<Spawned, BackendError> {
        self.records
            .write(&plan.record)
            .map_err(io_error("writing the instance record"))?;
        plan.contents
            .write()
            .map_err(io_error("preparing the workspace's directories"))?;
        let log = self.log(plan.record.workspace);
        let (file, log_begin) = log
            .open(self.config.log_limit)
            .map_err(io_error("opening the instance log"))?;
        let mut child = self
            .command(plan, file)
            .and_then(|mut command| command.spawn())
            .map_err(|error| io_error(format!("starting {}", self.config.agent_binary.display()))(error))?;
        match ProcessHandle::of_child(&child) {
            Ok(handle) => Ok(Spawned {
                child,
                handle,
                log_begin,
            }),
            Err(error) => {
                discard(&mut child);
                Err(io_error("identifying the agent")(error))
            }
        }
    }

    fn command(&self, plan: &Plan, log: File) -> io::Result<Command> {
        let mut command = Command::new(&self.config.agent_binary);
        command
            .args(&self.config.agent_args)
            .env_clear()
            .envs(plan.environment.iter())
            .current_dir(&plan.work.path)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        in_own_session(&mut command);
        let groups = match (&self.groups, plan.limits) {
            (Some(groups), Some(limits)) => groups.make(plan.record.workspace, limits)?,
            _ => Vec::new(),
        };
        behind_the_server(&mut command, groups);
        Ok(command)
    }
}

/// Ends a child that cannot be watched.
fn discard(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::error!(pid = child.id(), %error, "a child that could not be watched could not be ended");
    }
}
