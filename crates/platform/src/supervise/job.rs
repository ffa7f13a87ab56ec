//! Jobs: work that is done again and again.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Backoff, aborted,
    lag::LagMeter,
    panic_text,
    status::{Beat, Failure, Panicked, Reason},
};

/// Work that is done again and again, at least once every period and whenever it is woken. One activation looks at
/// what there is and does what is due: it takes no hint about what changed, does no harm when it is repeated, and does
/// not try again what failed; the next activation does.
pub trait Job: Send + 'static {
    /// Its name, unique in the house.
    const NAME: &'static str;
    /// What it is for, one line for operators.
    const DESCRIPTION: &'static str;
    /// What an activation did: an object of counts, readable at `/admin/liveness`.
    type Report: Default + Serialize + Send;
    /// Why an activation failed.
    type Error: Failure + Send;

    /// Longest time between the beginnings of two activations.
    fn period(&self) -> Duration;

    /// Time before the first activation.
    fn first_after(&self) -> Duration {
        Duration::ZERO
    }

    /// What wakes it before its time.
    fn waker(&self) -> Waker {
        Waker::default()
    }

    /// Does what is due now. What is in `report` counts also after a failure.
    fn activate(&mut self, report: &mut Self::Report) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Wakes a job. Cheap to clone; any number of calls before an activation begins lead to one.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Calls>);

/// Numbers of calls.
#[derive(Debug)]
struct Calls {
    made: watch::Sender<u64>,
    /// An activation that began after this one was made has ended.
    answered: watch::Sender<u64>,
}

impl Default for Waker {
    fn default() -> Self {
        Self(Arc::new(Calls {
            made: watch::Sender::new(0),
            answered: watch::Sender::new(0),
        }))
    }
}

impl Waker {
    /// Asks for an activation that begins after this call.
    pub fn wake(&self) {
        self.call();
    }

    fn call(&self) -> u64 {
        let mut number = 0;
        self.0.made.send_modify(|made| {
            *made += 1;
            number = *made;
        });
        number
    }

    /// Asks for an activation and waits until it has ended.
    pub(super) async fn run(&self) {
        let mut answered = self.0.answered.subscribe();
        let number = self.call();
        // The sender lives as long as this handle.
        answered.wait_for(|answered| *answered >= number).await.ok();
    }

    fn made(&self) -> u64 {
        *self.0.made.borrow()
    }

    fn answer(&self, upto: u64) {
        self.0.answered.send_replace(upto);
    }
}

/// Whoever still waits for an activation is let go when the job ends.
struct LastAnswer(Waker);

impl Drop for LastAnswer {
    fn drop(&mut self) {
        self.0.answer(u64::MAX);
    }
}

/// Activates the job until it is to stop. A panic is an outcome like any other, followed by a growing pause (LIFE-175);
/// errors do not end a job (LIFE-176).
pub(super) async fn run<J: Job>(mut job: J, waker: Waker, beat: Beat, lag: LagMeter, stop: CancellationToken) {
    let waker = LastAnswer(waker);
    let mut calls = waker.0.0.made.subscribe();
    let mut answered = 0;
    let period = job.period();
    let mut due = Instant::now() + job.first_after();
    let mut backoff = Backoff::new();
    loop {
        let reason = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = async { calls.wait_for(|made| *made > answered).await.map(drop).unwrap_or_default() } => Reason::Woken,
            () = tokio::time::sleep_until(due) => Reason::Period,
        };
        if reason == Reason::Period {
            lag.measured(due.elapsed());
        }
        answered = waker.0.made();
        due = Instant::now() + period;
        let span = tracing::info_span!("job", name = J::NAME, reason = reason.as_str());
        let panicked = tokio::select! {
            // The job may finish what it has begun; it is given the chance first.
            panicked = activate(&mut job, reason, &beat).instrument(span) => panicked,
            () = aborted(&stop) => return,
        };
        waker.0.answer(answered);
        // It keeps nobody else waiting that this activation took longer than a period.
        due = due.max(Instant::now());
        if panicked {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
            backoff.resumed();
            due = Instant::now();
        }
    }
}

/// One activation; tells whether it panicked.
async fn activate<J: Job>(job: &mut J, reason: Reason, beat: &Beat) -> bool {
    beat.begin(reason);
    let begun = Instant::now();
    let mut report = J::Report::default();
    let mut ticks = tokio::time::interval_at(begun + job.period(), job.period());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outcome = {
        let mut work = std::pin::pin!(AssertUnwindSafe(job.activate(&mut report)).catch_unwind());
        loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                // LIFE-177: on long work ticks go on.
                _ = ticks.tick() => beat.alive(),
            }
        }
    };
    let report = serde_json::to_value(report)
        .inspect_err(|error| tracing::error!(job = J::NAME, %error, "the report is not JSON"))
        .ok();
    match outcome {
        Ok(outcome) => {
            beat.end(outcome, begun.elapsed(), report);
            false
        }
        Err(panic) => {
            let reason = panic_text(&*panic);
            tracing::error!(subsystem = J::NAME, reason, "job panicked; it goes on after a pause");
            beat.end(Err(Panicked(reason)), begun.elapsed(), report);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use molecule_store::StoreError;

    use super::*;
    use crate::supervise::{LoopStatus, Supervisor};

    const PERIOD: Duration = Duration::from_secs(60);

    /// Counts its activations; every one of them does what the script says.
    struct Scripted {
        runs: Arc<AtomicU64>,
        script: fn(u64) -> Result<Duration, StoreError>,
        first_after: Duration,
        waker: Waker,
    }

    impl Scripted {
        fn new(script: fn(u64) -> Result<Duration, StoreError>) -> Self {
            Self {
                runs: Arc::default(),
                script,
                first_after: Duration::ZERO,
                waker: Waker::default(),
            }
        }
    }

    #[derive(Default, Serialize)]
    struct Ran {
        run: u64,
    }

    impl Job for Scripted {
        const NAME: &'static str = "scripted";
        const DESCRIPTION: &'static str = "Does what a test says";
        type Report = Ran;
        type Error = StoreError;

        fn period(&self) -> Duration {
            PERIOD
        }

        fn first_after(&self) -> Duration {
            self.first_after
        }

        fn waker(&self) -> Waker {
            self.waker.clone()
        }

        async fn activate(&mut self, report: &mut Ran) -> Result<(), StoreError> {
            report.run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep((self.script)(report.run)?).await;
            Ok(())
        }
    }

    fn begin(job: Scripted) -> (Supervisor, Arc<AtomicU64>, Waker) {
        let supervisor = Supervisor::default();
        let (runs, waker) = (job.runs.clone(), job.waker.clone());
        supervisor.job(job);
        (supervisor, runs, waker)
    }

    fn status(supervisor: &Supervisor) -> LoopStatus {
        supervisor.status().remove(Scripted::NAME).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_waits_for_its_first_time_and_says_how_it_fared() {
        // ACT-13, LIFE-176, LIFE-177
        let (supervisor, runs, _) = begin(Scripted {
            first_after: PERIOD,
            ..Scripted::new(|run| {
                if run == 1 {
                    Err(StoreError::WriterClosed)
                } else {
                    Ok(Duration::from_secs(3))
                }
            })
        });
        tokio::time::sleep(PERIOD - Duration::from_secs(1)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        assert!(supervisor.status().is_empty(), "known from the first tick on");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let failed = status(&supervisor);
        assert_eq!(
            (failed.last_error, failed.last_success_at),
            (Some("database error"), None)
        );
        assert_eq!(
            failed.last_report,
            Some(serde_json::json!({ "run": 1 })),
            "what was done before it failed"
        );
        tokio::time::sleep(PERIOD + Duration::from_secs(3)).await;
        let good = status(&supervisor);
        assert_eq!(
            (good.last_error, good.last_duration),
            (None, Some(Duration::from_secs(3)))
        );
        assert_eq!((good.period, good.last_reason), (Some(PERIOD), Some(Reason::Period)));
        assert_eq!(
            (good.iterations, good.running_since, good.description),
            (2, None, Scripted::DESCRIPTION)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn calls_lead_to_one_activation_that_begins_after_them() {
        let (supervisor, runs, waker) = begin(Scripted::new(|_| Ok(Duration::from_secs(5))));
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The first activation is under way and may have missed what these are about.
        (0..10).for_each(|_| waker.wake());
        let begun = Instant::now();
        let after = supervisor.run_job(Scripted::NAME).await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert_eq!(begun.elapsed().as_secs(), 9, "the rest of the first, and the second");
        assert_eq!((after.last_reason, after.iterations), (Some(Reason::Woken), 2));
        tokio::time::sleep(PERIOD - Duration::from_secs(6)).await;
        assert_eq!(
            runs.load(Ordering::SeqCst),
            2,
            "a period counts from the last activation"
        );
        assert_eq!(supervisor.run_job("unknown").await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_an_outcome_and_the_job_goes_on() {
        // LIFE-175, SEC-147, SEC-214
        let (supervisor, runs, _) = begin(Scripted::new(|run| {
            assert!(run > 2, "boom");
            Ok(Duration::ZERO)
        }));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(status(&supervisor).last_error, Some("panicked"));
        // Pauses of one and two seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert_eq!(status(&supervisor).last_error, None);
    }

    #[tokio::test(start_paused = true)]
    async fn long_work_goes_on_ticking_and_is_waited_for() {
        // LIFE-177
        let (supervisor, runs, _) = begin(Scripted::new(|_| Ok(3 * PERIOD)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = status(&supervisor);
        assert!(before.running_since.is_some());
        std::thread::sleep(Duration::from_millis(2));
        tokio::time::sleep(2 * PERIOD).await;
        assert!(status(&supervisor).last_tick_at > before.last_tick_at);
        assert!(
            !supervisor.shutdown(Duration::from_secs(1)).await,
            "it is in the middle of something"
        );
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_server_that_is_held_up_knows_it() {
        // D34
        let supervisor = Supervisor::default();
        supervisor.job(Scripted {
            first_after: Duration::from_millis(1),
            ..Scripted::new(|_| Ok(Duration::ZERO))
        });
        tokio::task::yield_now().await;
        // Nothing else runs meanwhile.
        std::thread::sleep(molecule_core::limits::SERVER_BEHIND + Duration::from_millis(50));
        while supervisor.status().is_empty() {
            tokio::task::yield_now().await;
        }
        let lag = supervisor.lag();
        assert!(
            lag.worst >= molecule_core::limits::SERVER_BEHIND && lag.behind_at.is_some(),
            "{lag:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_job_that_ends_is_let_go() {
        let (supervisor, _, _) = begin(Scripted::new(|_| Ok(Duration::ZERO)));
        assert!(supervisor.shutdown(Duration::from_secs(1)).await);
        assert!(
            supervisor
                .run_job(Scripted::NAME)
                .await
                .is_none_or(|status| status.iterations <= 1)
        );
    }
}
