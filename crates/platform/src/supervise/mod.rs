//! Background work: supervised loops and tracked tasks.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use molecule_core::Timestamp;
use molecule_store::{DbError, DbErrorKind, StoreError, now};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// First pause before a panicked loop is restarted; doubles up to [`BACKOFF_MAX`] (LIFE-175).
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A loop that ran this long is healthy again (OP-18).
const HEALTHY: Duration = Duration::from_secs(300);

/// Time the loops that stop last have for their last iteration.
const LAST_LOOPS: Duration = Duration::from_secs(10);

/// What is known of a loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopStatus {
    /// When its last iteration began.
    pub last_tick_at: Timestamp,
    /// When an iteration last ended well.
    pub last_success_at: Option<Timestamp>,
    /// What kind of failure the last iteration was; `None` after a good one. What it said is in the log (SEC-147).
    pub last_error: Option<&'static str>,
}

/// A failure that can be told without telling what the engine said.
pub trait Failure: std::fmt::Display {
    /// Its kind, in a few words that are the same every time.
    fn class(&self) -> &'static str {
        "failed"
    }
}

impl Failure for StoreError {
    fn class(&self) -> &'static str {
        match self.kind() {
            DbErrorKind::DiskFull => "no disk space",
            DbErrorKind::Connection => "database unreachable",
            DbErrorKind::Unique | DbErrorKind::ForeignKey | DbErrorKind::Other => "database error",
        }
    }
}

impl Failure for DbError {
    fn class(&self) -> &'static str {
        match self {
            Self::InUse => "database in use",
            Self::NoAnswer | Self::Connect(_) => "database unreachable",
            _ => "database error",
        }
    }
}

/// A loop's body panicked.
struct Panicked<'a>(&'a str);

impl std::fmt::Display for Panicked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Failure for Panicked<'_> {
    fn class(&self) -> &'static str {
        "panicked"
    }
}

/// Runs loops and tracks detached tasks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    stop: CancellationToken,
    loops: TaskTracker,
    tasks: TaskTracker,
    /// Cancelled when nothing is left that could need the loops that stop last.
    stop_last: CancellationToken,
    last_loops: TaskTracker,
    status: Arc<Mutex<BTreeMap<&'static str, LoopStatus>>>,
}

/// Handle by which a loop reports its iterations.
#[derive(Debug, Clone)]
pub struct Beat {
    name: &'static str,
    status: Arc<Mutex<BTreeMap<&'static str, LoopStatus>>>,
}

impl Beat {
    /// An iteration begins.
    pub fn tick(&self) {
        let at = now();
        let mut status = self.status.lock();
        status
            .entry(self.name)
            .and_modify(|status| status.last_tick_at = at)
            .or_insert(LoopStatus {
                last_tick_at: at,
                last_success_at: None,
                last_error: None,
            });
    }

    /// An iteration ended.
    pub fn done<E: Failure>(&self, outcome: Result<(), E>) {
        let mut status = self.status.lock();
        let Some(status) = status.get_mut(self.name) else {
            return;
        };
        match outcome {
            Ok(()) => {
                status.last_success_at = Some(now());
                status.last_error = None;
            }
            Err(error) => {
                tracing::warn!(subsystem = self.name, %error, "iteration failed, the loop goes on");
                status.last_error = Some(error.class());
            }
        }
    }
}

impl Supervisor {
    /// Cancelled when the server stops.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a loop until it returns or the server stops. A panic is logged with the loop's name and the loop begun
    /// again after a pause; a clean return is not restarted (LIFE-175).
    pub fn run<F, L>(&self, name: &'static str, body: F)
    where
        F: Fn(CancellationToken, Beat) -> L + Send + 'static,
        L: Future<Output = ()> + Send + 'static,
    {
        self.supervise(name, &self.loops, self.stop.clone(), body);
    }

    /// The same for a loop that work in flight depends on: it is stopped only once that has ended.
    pub fn run_last<F, L>(&self, name: &'static str, body: F)
    where
        F: Fn(CancellationToken, Beat) -> L + Send + 'static,
        L: Future<Output = ()> + Send + 'static,
    {
        self.supervise(name, &self.last_loops, self.stop_last.clone(), body);
    }

    fn supervise<F, L>(&self, name: &'static str, tracker: &TaskTracker, stop: CancellationToken, body: F)
    where
        F: Fn(CancellationToken, Beat) -> L + Send + 'static,
        L: Future<Output = ()> + Send + 'static,
    {
        let beat = Beat {
            name,
            status: self.status.clone(),
        };
        tracker.spawn(async move {
            let mut pause = BACKOFF_FIRST;
            loop {
                let begun = Instant::now();
                let run = AssertUnwindSafe(body(stop.clone(), beat.clone())).catch_unwind();
                let outcome = tokio::select! {
                    // The body sees the same token and may finish its iteration; it is given the chance first.
                    outcome = run => outcome,
                    () = aborted(&stop) => return,
                };
                let Err(panic) = outcome else { return };
                let reason = panic_text(&*panic);
                tracing::error!(subsystem = name, reason, "background loop panicked; restarting it");
                beat.tick();
                beat.done(Err(Panicked(reason)));
                if begun.elapsed() >= HEALTHY {
                    pause = BACKOFF_FIRST;
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(BACKOFF_MAX);
            }
        });
    }

    /// Runs `iterate` now and then every `period`. Errors are reported and do not end the loop (LIFE-176).
    pub fn every<F, I, E>(&self, name: &'static str, period: Duration, iterate: F)
    where
        F: Fn() -> I + Send + Sync + Clone + 'static,
        I: Future<Output = Result<(), E>> + Send + 'static,
        E: Failure + Send + 'static,
    {
        self.repeat(name, Duration::ZERO, period, iterate);
    }

    /// The same, but the first time is one `period` from now.
    pub fn every_later<F, I, E>(&self, name: &'static str, period: Duration, iterate: F)
    where
        F: Fn() -> I + Send + Sync + Clone + 'static,
        I: Future<Output = Result<(), E>> + Send + 'static,
        E: Failure + Send + 'static,
    {
        self.repeat(name, period, period, iterate);
    }

    fn repeat<F, I, E>(&self, name: &'static str, first: Duration, period: Duration, iterate: F)
    where
        F: Fn() -> I + Send + Sync + Clone + 'static,
        I: Future<Output = Result<(), E>> + Send + 'static,
        E: Failure + Send + 'static,
    {
        self.run(name, move |stop, beat| {
            let iterate = iterate.clone();
            async move {
                let mut ticks = tokio::time::interval_at(Instant::now() + first, period);
                ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        _ = ticks.tick() => {}
                    }
                    beat.tick();
                    beat.done(iterate().await);
                }
            }
        });
    }

    /// Runs a detached task that a shutdown waits for. A panic is logged and ends only the task.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> tokio::task::JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(async move {
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(output) => Some(output),
                Err(panic) => {
                    tracing::error!(task = name, reason = panic_text(&*panic), "task panicked");
                    None
                }
            }
        })
    }

    /// Every loop that has ticked.
    #[must_use]
    pub fn status(&self) -> BTreeMap<&'static str, LoopStatus> {
        self.status.lock().clone()
    }

    /// Stops the loops and waits for tasks in flight, at most `drain`. `false`: some did not end in time.
    pub async fn shutdown(&self, drain: Duration) -> bool {
        self.stop.cancel();
        self.loops.close();
        self.tasks.close();
        self.last_loops.close();
        let drained = tokio::time::timeout(drain, async {
            self.tasks.wait().await;
            self.loops.wait().await;
        })
        .await
        .is_ok();
        self.stop_last.cancel();
        drained && tokio::time::timeout(LAST_LOOPS, self.last_loops.wait()).await.is_ok()
    }
}

/// Resolves some time after `stop`, for loops that do not watch it themselves.
async fn aborted(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
}

/// What a panic said. The stack is written by the panic hook.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panicked_loop_is_begun_again() {
        // LIFE-175, SEC-214
        let supervisor = Supervisor::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        supervisor.run("shaky", move |stop, beat| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                beat.tick();
                assert!(run >= 2, "boom");
                stop.cancelled().await;
            }
        });
        while runs.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // SEC-147: what it said is nobody's business.
        assert_eq!(supervisor.status()["shaky"].last_error, Some("panicked"));
        assert!(supervisor.shutdown(Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_loop_waits_for_its_first_time() {
        // ACT-13
        let supervisor = Supervisor::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        supervisor.every_later("later", Duration::from_secs(60), move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Err::<(), _>(StoreError::WriterClosed) }
        });
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(supervisor.status()["later"].last_error, Some("database error"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clean_return_is_not_restarted() {
        // LIFE-175
        let supervisor = Supervisor::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        supervisor.run("once", move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            async {}
        });
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_waits_for_tasks_and_says_when_it_gave_up() {
        let supervisor = Supervisor::default();
        let done = Arc::new(AtomicUsize::new(0));
        let counted = done.clone();
        let task = supervisor.spawn("slow", async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            counted.fetch_add(1, Ordering::SeqCst);
        });
        assert!(supervisor.shutdown(Duration::from_secs(30)).await);
        assert_eq!(done.load(Ordering::SeqCst), 1);
        drop(task);

        let supervisor = Supervisor::default();
        let stuck = supervisor.spawn("stuck", std::future::pending::<()>());
        assert!(!supervisor.shutdown(Duration::from_secs(1)).await);
        drop(stuck);
    }
}
