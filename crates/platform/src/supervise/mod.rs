//! Background work: jobs, the few supervised loops that cannot be jobs, and tracked tasks.

mod job;
mod lag;
mod seldom;
mod status;

pub use job::{Job, Waker};
pub use lag::Lag;
pub(crate) use seldom::Seldom;
pub use status::{Beat, Failure, LoopStatus, Reason};

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{lag::LagMeter, status::Board};

/// First pause before a panicked loop is restarted; doubles up to [`BACKOFF_MAX`] (LIFE-175).
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A loop that ran this long is healthy again (OP-18).
const HEALTHY: Duration = Duration::from_secs(300);

/// Time the jobs that stop last have for their last activation.
const LAST_JOBS: Duration = Duration::from_secs(10);

/// Runs jobs and loops, and tracks detached tasks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    stop: CancellationToken,
    jobs: TaskTracker,
    tasks: TaskTracker,
    /// Cancelled when nothing is left that could need the jobs that stop last.
    stop_last: CancellationToken,
    last_jobs: TaskTracker,
    board: Board,
    lag: LagMeter,
    /// Of the jobs, by name.
    wakers: Arc<Mutex<BTreeMap<&'static str, Waker>>>,
}

impl Supervisor {
    /// Cancelled when the server stops.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a job until the server stops.
    pub fn job<J: Job>(&self, job: J) {
        self.begin_job(job, &self.jobs, self.stop.clone());
    }

    /// The same for a job that work in flight depends on: it is stopped only once that has ended.
    pub fn last_job<J: Job>(&self, job: J) {
        self.begin_job(job, &self.last_jobs, self.stop_last.clone());
    }

    fn begin_job<J: Job>(&self, job: J, tracker: &TaskTracker, stop: CancellationToken) {
        let waker = job.waker();
        let beat = self.board.register(J::NAME, J::DESCRIPTION, Some(job.period()));
        self.wakers.lock().insert(J::NAME, waker.clone());
        tracker.spawn(job::run(job, waker, beat, self.lag.clone(), stop));
    }

    /// Activates a job now and waits until that has ended: for tests, which never wait for periods. What is known of it
    /// afterwards; `None` if no such job runs.
    pub async fn run_job(&self, name: &str) -> Option<LoopStatus> {
        let waker = self.wakers.lock().get(name).cloned()?;
        waker.run().await;
        self.board.status().remove(name)
    }

    /// Runs a loop that is no job because what it waits for cannot be looked at again: it must take each thing when it
    /// comes. It runs until it returns or the server stops. A panic is logged with the loop's name and the loop begun
    /// again after a pause; a clean return is not restarted (LIFE-175).
    pub fn run<F, L>(&self, name: &'static str, description: &'static str, body: F)
    where
        F: Fn(CancellationToken, Beat) -> L + Send + 'static,
        L: Future<Output = ()> + Send + 'static,
    {
        let beat = self.board.register(name, description, None);
        let stop = self.stop.clone();
        self.jobs.spawn(async move {
            let mut backoff = Backoff::new();
            loop {
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
                beat.done(Err(status::Panicked(reason)));
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(backoff.pause()) => {}
                }
                backoff.resumed();
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

    /// How far the server is behind its own clock.
    #[must_use]
    pub fn lag(&self) -> Lag {
        self.lag.read()
    }

    /// Every loop that has ticked.
    #[must_use]
    pub fn status(&self) -> BTreeMap<&'static str, LoopStatus> {
        self.board.status()
    }

    /// Stops the loops and waits for tasks in flight, at most `drain`. `false`: some did not end in time.
    pub async fn shutdown(&self, drain: Duration) -> bool {
        self.stop.cancel();
        self.jobs.close();
        self.tasks.close();
        self.last_jobs.close();
        let drained = tokio::time::timeout(drain, async {
            self.tasks.wait().await;
            self.jobs.wait().await;
        })
        .await
        .is_ok();
        self.stop_last.cancel();
        drained && tokio::time::timeout(LAST_JOBS, self.last_jobs.wait()).await.is_ok()
    }
}

/// The pauses after panics in a row.
struct Backoff {
    pause: Duration,
    since: Instant,
}

impl Backoff {
    fn new() -> Self {
        Self {
            pause: BACKOFF_FIRST,
            since: Instant::now(),
        }
    }

    /// The pause after a panic.
    fn pause(&mut self) -> Duration {
        if self.since.elapsed() >= HEALTHY {
            self.pause = BACKOFF_FIRST;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(BACKOFF_MAX);
        pause
    }

    /// The pause is over.
    fn resumed(&mut self) {
        self.since = Instant::now();
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
        supervisor.run("shaky", "Panics twice", move |stop, beat| {
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
    async fn a_clean_return_is_not_restarted() {
        // LIFE-175
        let supervisor = Supervisor::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        supervisor.run("once", "Ends by itself", move |_, _| {
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
