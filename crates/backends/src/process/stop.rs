//! Ending an instance with everything it started.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use molecule_core::WorkspaceId;
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::{
    Inner, blocking,
    identity::{ProcessHandle, ProcessKey, reap},
    instance::{Live, Slot},
    io_error,
    record::Record,
    table::Mark,
};
use crate::BackendError;

/// Time that processes have to vanish after SIGKILL; one that is stuck in the kernel does not.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
/// Pause after the first round of SIGKILL; each further one is twice as long, up to the longest.
const KILL_PAUSE: Duration = Duration::from_millis(10);
const KILL_PAUSE_LONGEST: Duration = Duration::from_millis(250);
/// Tables in a row without a process of the instance before it counts as gone: a process just executing a program has
/// no readable environment for a moment.
const CLEAN_TABLES: u32 = 2;

impl Inner {
    /// Ends whatever of the workspace runs and forgets the instance. The caller holds the slot's operation.
    pub(super) async fn halt(self: &Arc<Self>, id: WorkspaceId, slot: &Slot) -> Result<(), BackendError> {
        let live = slot.live.lock().clone();
        if let Some(live) = &live {
            live.expect_end();
        }
        let record = self.record_or_damaged(id).await?;
        let process = record.as_ref().and_then(|record| record.process_in(&self.boot_id));
        let mark = Mark {
            state_dir: self.volume(id).state(),
            instance: record.as_ref().map(|record| record.instance),
            main: live.as_ref().map(|live| live.key).or(process),
        };
        self.terminate(id, &mark, live.as_deref()).await?;
        let inner = Arc::clone(self);
        let removal = blocking(move || {
            if let Some(groups) = &inner.groups {
                groups.remove(id);
            }
            inner.records.remove(id)
        });
        removal.await.map_err(io_error("removing the instance record"))?;
        *slot.live.lock() = None;
        Ok(())
    }

    /// A damaged record names no process, but those of the workspace are still found by their state directory.
    async fn record_or_damaged(self: &Arc<Self>, id: WorkspaceId) -> Result<Option<Record>, BackendError> {
        let inner = Arc::clone(self);
        match blocking(move || inner.records.read(id)).await {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::error!(workspace = %id, %error, "the instance record is damaged and is given up");
                Ok(None)
            }
            result => result.map_err(io_error("reading the instance record")),
        }
    }

    /// What follows an unasked end: what the agent left behind is ended as well.
    pub(super) async fn clear_away(self: &Arc<Self>, live: &Arc<Live>) {
        let slot = self.slot(live.id);
        let _operation = slot.operation.lock().await;
        let current = slot
            .live
            .lock()
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, live));
        if current && let Err(error) = self.halt(live.id, &slot).await {
            tracing::warn!(workspace = %live.id, %error, "processes of an ended instance may be left");
        }
    }

    /// SIGTERM to everything, time for the agent to leave in order, then SIGKILL until nothing is left. Every signal
    /// goes through a descriptor whose process was identified, never to a bare number.
    async fn terminate(&self, id: WorkspaceId, mark: &Mark, live: Option<&Live>) -> Result<(), BackendError> {
        let table = self
            .scanner
            .fresh()
            .await
            .map_err(io_error("reading the process table"))?;
        let known = table.members(mark).map_err(io_error("reading the process table"))?;
        if known.is_empty() && live.is_none() {
            return Ok(());
        }
        signal_all(id, &known, Signal::TERM);
        let grace = self.config.stop_grace;
        let left = match (live, mark.main) {
            (Some(live), _) => timeout(grace, live.ended()).await.map(drop).is_ok(),
            (None, Some(main)) => timeout(grace, gone(main)).await.is_ok(),
            (None, None) => true,
        };
        if !left {
            tracing::warn!(workspace = %id, ?grace, "the agent did not leave when asked and is killed");
        }
        self.kill(id, mark, &known).await?;
        if let Some(live) = live {
            let reaped = timeout(KILL_DEADLINE, live.ended()).await;
            reaped.map_err(|_| BackendError::Engine(format!("process {} was killed but not reaped", live.key.pid)))?;
        }
        Ok(())
    }

    /// `known`: found before the first signal. Some of them may be recognisable only by a parent that has left.
    async fn kill(&self, id: WorkspaceId, mark: &Mark, known: &[ProcessKey]) -> Result<(), BackendError> {
        let begin = Instant::now();
        let mut clean = 0;
        let mut pause = KILL_PAUSE;
        while clean < CLEAN_TABLES {
            let table = self
                .scanner
                .fresh()
                .await
                .map_err(io_error("reading the process table"))?;
            let mut rest = table.members(mark).map_err(io_error("reading the process table"))?;
            for key in known {
                if !rest.contains(key) && key.is_alive().map_err(io_error("looking at a process"))? {
                    rest.push(*key);
                }
            }
            if rest.is_empty() {
                clean += 1;
                continue;
            }
            if begin.elapsed() > KILL_DEADLINE {
                let pids: Vec<i32> = rest.iter().map(|key| key.pid).collect();
                return Err(BackendError::Engine(format!(
                    "processes {pids:?} did not end when killed"
                )));
            }
            clean = 0;
            signal_all(id, &rest, Signal::KILL);
            sleep(pause).await;
            pause = KILL_PAUSE_LONGEST.min(pause * 2);
        }
        Ok(())
    }
}

fn signal_all(id: WorkspaceId, processes: &[ProcessKey], signal: Signal) {
    for key in processes {
        let result = ProcessHandle::open(*key).and_then(|handle| handle.map_or(Ok(()), |handle| handle.signal(signal)));
        if let Err(error) = result {
            // Not the end of it: the caller looks again whether the process is left.
            tracing::warn!(workspace = %id, pid = key.pid, ?signal, %error, "a process could not be signalled");
        }
    }
}

/// Waits until a process that is not watched has ended, and reaps it in case it is a child. A failure to wait counts
/// as the end of waiting, as the table tells afterwards what is left.
async fn gone(key: ProcessKey) {
    let wait = async {
        if let Some(handle) = ProcessHandle::open(key)? {
            let process = handle.into_async()?;
            process.readable().await?.retain_ready();
            reap(process.get_ref());
        }
        io::Result::Ok(())
    };
    if let Err(error) = wait.await {
        tracing::warn!(pid = key.pid, %error, "the end of a process could not be waited for");
    }
}
