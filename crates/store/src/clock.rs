//! The time that lifecycles are judged by.

use std::time::{Duration, Instant};

use molecule_core::Timestamp;
use tokio::sync::watch;

/// Tells the time and waits for it. What is stored of workspaces, and whatever judges how old that is, goes by the one
/// clock of its store, so that a test lets hours pass at once and nothing waits for real ones. Cheap to clone; clones
/// show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    /// How far it is ahead of the machine's clock. Nothing on a server.
    ahead: watch::Sender<Duration>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            ahead: watch::Sender::new(Duration::ZERO),
        }
    }
}

impl Clock {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        molecule_db::now().plus(self.ahead())
    }

    /// The time for spans.
    #[must_use]
    pub fn instant(&self) -> Instant {
        machine() + self.ahead()
    }

    /// Waits for a span.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.instant() + span).await;
    }

    /// Waits until then.
    pub async fn sleep_until(&self, at: Instant) {
        let mut ahead = self.ahead.subscribe();
        loop {
            let skipped = *ahead.borrow_and_update();
            if machine() + skipped >= at {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until((at - skipped).into()) => {}
                // An error means that nobody can put the clock forward any more; this handle can.
                _ = ahead.changed() => {}
            }
        }
    }

    /// The output of `work`, if it comes within the span; else `work` is dropped.
    pub async fn within<F: Future>(&self, span: Duration, work: F) -> Option<F::Output> {
        let until = self.instant() + span;
        tokio::select! {
            biased;
            output = work => Some(output),
            () = self.sleep_until(until) => None,
        }
    }

    /// Puts the clock forward and ends whatever waited for that time: for tests.
    pub fn advance(&self, by: Duration) {
        self.ahead.send_modify(|ahead| *ahead += by);
    }

    fn ahead(&self) -> Duration {
        *self.ahead.borrow()
    }
}

/// The machine's clock as the runtime reads it, which tests may pause.
fn machine() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn whoever_waits_is_let_go_when_the_time_is_put_forward() {
        let clock = Clock::default();
        let begun = clock.now();
        let (waiting, until) = (clock.clone(), clock.instant() + HOUR);
        let mut task = tokio::spawn(async move { waiting.sleep_until(until).await });
        clock.advance(HOUR / 2);
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        clock.advance(HOUR / 2);
        (&mut task).await.unwrap();
        assert!(clock.now().since(begun) >= HOUR);
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_given_up() {
        let clock = Clock::default();
        assert_eq!(clock.within(HOUR, async { 7 }).await, Some(7));
        let ticking = clock.clone();
        let never = async move {
            ticking.advance(HOUR);
            std::future::pending::<()>().await;
        };
        assert_eq!(clock.within(HOUR, never).await, None);
    }
}
