//! Instances that this server started or adopted, and the watch over each of them (D19).

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use molecule_core::WorkspaceId;
use parking_lot::Mutex;
use tokio::{
    io::unix::AsyncFd,
    sync::watch,
    task::AbortHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    Inner, blocking,
    identity::{ProcessHandle, ProcessKey, reap},
    record::Record,
    state,
};
use crate::Exit;

/// How often the log of a running instance is held against its limit.
const LOG_PERIOD: Duration = Duration::from_secs(30);

/// What is being done with an instance; decides who learns of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The start waits for it and reports its end.
    Starting,
    /// Nobody asked for an end: it is reported as an exit.
    Running,
    /// Its end was asked for.
    Stopping,
}

#[derive(Debug, Clone)]
struct Life {
    phase: Phase,
    /// Why it ended, once it has and its process is reaped.
    ended: Option<String>,
}

/// An instance under watch.
pub(super) struct Live {
    pub(super) id: WorkspaceId,
    generation: i64,
    pub(super) key: ProcessKey,
    /// Phase and end change together under one lock, so that an end is told to exactly one.
    life: watch::Sender<Life>,
    watcher: OnceLock<AbortHandle>,
}

impl Live {
    /// Watches a process that is being started.
    pub(super) fn starting(inner: &Arc<Inner>, record: &Record, handle: ProcessHandle) -> io::Result<Arc<Self>> {
        Self::watch(inner, record, handle, Phase::Starting)
    }

    /// Watches a process that an earlier server started.
    pub(super) fn adopted(inner: &Arc<Inner>, record: &Record, handle: ProcessHandle) -> io::Result<Arc<Self>> {
        Self::watch(inner, record, handle, Phase::Running)
    }

    fn watch(inner: &Arc<Inner>, record: &Record, handle: ProcessHandle, phase: Phase) -> io::Result<Arc<Self>> {
        let live = Arc::new(Self {
            id: record.workspace,
            generation: record.generation,
            key: handle.key,
            life: watch::Sender::new(Life { phase, ended: None }),
            watcher: OnceLock::new(),
        });
        let process = handle.into_async()?;
        let task = tokio::spawn(watch(Arc::downgrade(inner), Arc::clone(&live), process));
        live.watcher.get_or_init(|| task.abort_handle());
        Ok(live)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.life.borrow().ended.is_some()
    }

    /// The instance is ready: from now on its end is reported as an exit.
    ///
    /// # Errors
    /// It has ended already; the reason.
    pub(super) fn confirm(&self) -> Result<(), String> {
        let mut ended = None;
        self.life.send_modify(|life| {
            ended.clone_from(&life.ended);
            if ended.is_none() {
                life.phase = Phase::Running;
            }
        });
        ended.map_or(Ok(()), Err)
    }

    /// Its end is wanted: it will not be reported.
    pub(super) fn expect_end(&self) {
        self.life.send_modify(|life| life.phase = Phase::Stopping);
    }

    /// Waits until the process has ended and is reaped; the reason.
    pub(super) async fn ended(&self) -> String {
        let mut life = self.life.subscribe();
        match life.wait_for(|life| life.ended.is_some()).await {
            Ok(life) => life.ended.clone().unwrap_or_default(),
            Err(_) => unreachable!("the sender is a field of self"),
        }
    }

    /// Records the end; whether it must be reported.
    fn end(&self, reason: &str) -> bool {
        let mut report = false;
        self.life.send_modify(|life| {
            life.ended = Some(reason.to_owned());
            report = life.phase == Phase::Running;
        });
        report
    }

    /// Ends the watch, not the instance.
    pub(super) fn unwatch(&self) {
        if let Some(watcher) = self.watcher.get() {
            watcher.abort();
        }
    }
}

/// What the backend keeps for one workspace.
#[derive(Default)]
pub(super) struct Slot {
    /// Held during every operation. The caller promises one at a time; what follows an unasked end is one more.
    pub(super) operation: Arc<tokio::sync::Mutex<()>>,
    pub(super) live: Mutex<Option<Arc<Live>>>,
}

async fn watch(inner: Weak<Inner>, live: Arc<Live>, process: AsyncFd<OwnedFd>) {
    // The start has looked at the log already.
    let mut period = interval_at(Instant::now() + LOG_PERIOD, LOG_PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ready = process.readable() => match ready {
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(workspace = %live.id, %error, "the watch over an instance broke");
                    return;
                }
            },
            _ = period.tick() => trim_log(&inner, live.id).await,
        }
    }
    let status = reap(process.get_ref());
    let Some(inner) = inner.upgrade() else { return };
    let directory = inner.volume(live.id).state();
    let reason = blocking(move || Ok(state::exit_reason(&directory, status.as_ref()))).await;
    let reason = reason.unwrap_or_else(|error| format!("ended; the reason could not be read: {error}"));
    if live.end(&reason) {
        tracing::info!(workspace = %live.id, generation = live.generation, %reason, "instance ended unasked");
        inner.report(Exit {
            id: live.id,
            generation: live.generation,
            reason,
        });
        inner.clear_away(&live).await;
    }
}

async fn trim_log(inner: &Weak<Inner>, id: WorkspaceId) {
    let Some(inner) = inner.upgrade() else { return };
    let (log, limit) = (inner.log(id), inner.config.log_limit);
    if let Err(error) = blocking(move || log.trim(limit)).await {
        tracing::warn!(workspace = %id, %error, "the log could not be trimmed");
    }
}
