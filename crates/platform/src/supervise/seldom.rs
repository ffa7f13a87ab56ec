use std::time::Duration;

use tokio::time::Instant;

/// Least time between two warnings of one kind.
const EVERY: Duration = Duration::from_secs(60);

/// Counts what is warned of, so that a flood of it is a line now and then (D34).
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Option<Instant>,
    since: u64,
}

impl Seldom {
    /// It happened again. How often since the last warning, if another one is due.
    pub(crate) fn due(&mut self) -> Option<u64> {
        self.since += 1;
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_counted() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.due(), Some(1));
        assert_eq!((seldom.due(), seldom.due()), (None, None));
        tokio::time::advance(EVERY).await;
        assert_eq!(seldom.due(), Some(3));
    }
}
