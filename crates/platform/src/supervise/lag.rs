//! How far the server is behind its own clock.

use std::{sync::Arc, time::Duration};

use molecule_core::{Timestamp, limits};
use molecule_store::now;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::seldom::Seldom;

/// Length of a window; the worst of this one and of the one before it is told.
const WINDOW: Duration = Duration::from_secs(60);

/// What jobs measure that begin later than they were due: nothing else keeps them waiting but a server that has more to
/// do than it can. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LagMeter(Arc<Mutex<Measured>>);

#[derive(Debug)]
struct Measured {
    window: Instant,
    worst: Duration,
    worst_before: Duration,
    behind_at: Option<Timestamp>,
    warned: Seldom,
}

/// How far the server is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// The most that work was late within the last one to two minutes.
    pub worst: Duration,
    /// When work was last late by [`limits::SERVER_BEHIND`] or more: what others did or did not do until then proves
    /// nothing (D34).
    pub behind_at: Option<Timestamp>,
}

impl Default for LagMeter {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Measured {
            window: Instant::now(),
            worst: Duration::ZERO,
            worst_before: Duration::ZERO,
            behind_at: None,
            warned: Seldom::default(),
        })))
    }
}

impl LagMeter {
    /// Work began so late.
    pub(super) fn measured(&self, late: Duration) {
        metrics::gauge!("molecule_server_lag_seconds").set(late.as_secs_f64());
        let mut measured = self.0.lock();
        measured.turn();
        measured.worst = measured.worst.max(late);
        if late < limits::SERVER_BEHIND {
            return;
        }
        measured.behind_at = Some(now());
        metrics::counter!("molecule_server_behind_total").increment(1);
        if let Some(times) = measured.warned.due() {
            tracing::warn!(
                lag_ms = late.as_millis(),
                times,
                "the server is behind: silence is not judged until it has caught up"
            );
        }
    }

    pub(super) fn read(&self) -> Lag {
        let mut measured = self.0.lock();
        measured.turn();
        Lag {
            worst: measured.worst.max(measured.worst_before),
            behind_at: measured.behind_at,
        }
    }
}

impl Measured {
    fn turn(&mut self) {
        let age = self.window.elapsed();
        if age < WINDOW {
            return;
        }
        self.worst_before = if age < 2 * WINDOW { self.worst } else { Duration::ZERO };
        self.worst = Duration::ZERO;
        self.window = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_worst_is_told_for_a_while_and_the_last_bad_moment_for_ever() {
        // D34
        let meter = LagMeter::default();
        assert_eq!(
            meter.read(),
            Lag {
                worst: Duration::ZERO,
                behind_at: None
            }
        );
        meter.measured(limits::SERVER_BEHIND - Duration::from_millis(1));
        assert_eq!(meter.read().behind_at, None);
        meter.measured(limits::SERVER_BEHIND);
        meter.measured(Duration::ZERO);
        let behind = meter.read();
        assert_eq!(behind.worst, limits::SERVER_BEHIND);
        assert!(behind.behind_at.is_some());
        tokio::time::advance(WINDOW).await;
        assert_eq!(meter.read(), behind);
        tokio::time::advance(WINDOW).await;
        assert_eq!(
            meter.read(),
            Lag {
                worst: Duration::ZERO,
                ..behind
            }
        );
    }
}
