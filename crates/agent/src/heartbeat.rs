//! Keeps the platform informed: registration until it works, a beat every 30 s and at each task change, and the end
//! of the process once the platform has disowned it (RUN-14, RUN-18…22).

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use molecule_client::ClientError;
use molecule_wire::registry::RuntimeMetadata;
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    platform::{Existence, Platform},
    pulse::Pulse,
    state::Exit,
};

/// Consecutive refusals after which the workspace counts as disowned (EXT-19).
const REFUSALS: u32 = 3;
/// Consecutive failures after which connections are made anew (RUN-19).
const REBUILD_AFTER: u32 = 10;

/// How often things happen.
#[derive(Debug, Clone, Copy)]
pub struct Cadence {
    /// Between beats (RUN-18).
    pub beat: Duration,
    /// First pause after a failure; doubled up to `retry_cap`.
    pub retry: Duration,
    /// Longest pause after a failure.
    pub retry_cap: Duration,
}

impl Default for Cadence {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(30),
            retry: Duration::from_secs(1),
            retry_cap: Duration::from_secs(30),
        }
    }
}

/// What is announced.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The agent card.
    pub card: Value,
    /// Where the agent can be reached.
    pub url: String,
    /// What the runtime can do (RUN-21).
    pub metadata: RuntimeMetadata,
}

/// The loop.
pub struct Heart {
    platform: Arc<Platform>,
    pulse: Pulse,
    identity: Identity,
    cadence: Cadence,
    /// Has the platform our card and address? Whoever must reach this agent through it waits for that.
    registered: watch::Sender<bool>,
    failures: u32,
    refusals: u32,
    unknown: u32,
}

/// What one exchange with the platform came to.
enum Outcome {
    Ok,
    Failed,
    End(Exit),
}

impl Heart {
    /// A heart that has not beaten yet.
    #[must_use]
    pub fn new(platform: Arc<Platform>, pulse: Pulse, identity: Identity, cadence: Cadence) -> Self {
        let registered = watch::Sender::new(false);
        Self {
            platform,
            pulse,
            identity,
            cadence,
            registered,
            failures: 0,
            refusals: 0,
            unknown: 0,
        }
    }

    /// Follows whether the agent is registered.
    #[must_use]
    pub fn registration(&self) -> watch::Receiver<bool> {
        self.registered.subscribe()
    }

    /// Beats until `stop`, or until the platform no longer knows the workspace: then the reason is returned. A panic
    /// is logged and the loop goes on (RUN-19).
    pub async fn run(mut self, stop: CancellationToken) -> Option<Exit> {
        loop {
            match AssertUnwindSafe(self.beat_until_end(&stop)).catch_unwind().await {
                Ok(end) => return end,
                Err(_) => {
                    tracing::error!("the heartbeat crashed and starts again");
                    tokio::time::sleep(self.cadence.retry).await;
                }
            }
        }
    }

    async fn beat_until_end(&mut self, stop: &CancellationToken) -> Option<Exit> {
        loop {
            let outcome = until(stop, self.exchange()).await?;
            let pause = match outcome {
                Outcome::End(exit) => return Some(exit),
                Outcome::Ok => self.cadence.beat,
                Outcome::Failed => self.retry_pause(),
            };
            if self
                .wait(stop, Instant::now() + pause, self.failures == 0)
                .await
                .is_break()
            {
                return None;
            }
        }
    }

    /// Waits for the next regular exchange; task changes are pushed meanwhile, but only while the platform answers:
    /// a refused or unreachable heart must not be driven hot by its own tasks.
    async fn wait(&mut self, stop: &CancellationToken, next: Instant, pushing: bool) -> std::ops::ControlFlow<()> {
        loop {
            let changed = async {
                if pushing {
                    self.pulse.changed().await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return std::ops::ControlFlow::Break(()),
                () = sleep_until(next) => return std::ops::ControlFlow::Continue(()),
                () = changed => {}
            }
            let beat = self.pulse.push(self.platform.workspace());
            match until(stop, self.platform.heartbeat(&beat)).await {
                None => return std::ops::ControlFlow::Break(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    // The regular exchange, due now, finds out what it means.
                    tracing::debug!(%error, "a pushed heartbeat failed");
                    tokio::time::sleep(self.cadence.retry.min(Duration::from_millis(100))).await;
                    return std::ops::ControlFlow::Continue(());
                }
            }
        }
    }

    fn retry_pause(&self) -> Duration {
        let doubled = self
            .cadence
            .retry
            .saturating_mul(1 << self.failures.saturating_sub(1).min(10));
        doubled.min(self.cadence.retry_cap)
    }

    /// Registers if need be, else beats.
    async fn exchange(&mut self) -> Outcome {
        if !*self.registered.borrow() {
            return match self.platform.register(&self.identity.card, &self.identity.url).await {
                Ok(_) => {
                    tracing::info!(url = self.identity.url, "registered with the platform");
                    self.registered.send_replace(true);
                    // The first beat follows at once: it carries the runtime's capabilities.
                    Box::pin(self.exchange()).await
                }
                Err(error) => self.failed("register", &error).await,
            };
        }
        let (beat, counted) = self
            .pulse
            .beat(self.platform.workspace(), self.identity.metadata.clone());
        match self.platform.heartbeat(&beat).await {
            Ok(_) => {
                if self.failures > 0 {
                    tracing::info!(failures = self.failures, "the platform answers again");
                }
                (self.failures, self.refusals, self.unknown) = (0, 0, 0);
                self.pulse.confirm(counted);
                Outcome::Ok
            }
            Err(error) => self.failed("heartbeat", &error).await,
        }
    }

    async fn failed(&mut self, what: &str, error: &ClientError) -> Outcome {
        self.failures = self.failures.saturating_add(1);
        if self.failures <= 3 || self.failures.is_multiple_of(10) {
            tracing::warn!(%error, failures = self.failures, "{what} failed");
        }
        if self.failures.is_multiple_of(REBUILD_AFTER) {
            self.platform.rebuild();
        }
        let status = error.status();
        self.refusals = if status == Some(401) { self.refusals + 1 } else { 0 };
        match status {
            Some(401) if self.refusals >= REFUSALS => self.disowned().await,
            Some(410) => Outcome::End(removed()),
            // A platform that lost this row, or was given another database: introduce ourselves again.
            Some(404) => self.unknown().await,
            _ => Outcome::Failed,
        }
    }

    /// Three refusals in a row: removed, or replaced by a newer instance (D17). Either way this one is over.
    async fn disowned(&mut self) -> Outcome {
        Outcome::End(match self.platform.existence().await {
            Existence::Removed | Existence::Unknown => removed(),
            Existence::Present | Existence::Unclear => Exit::disowned(
                "the platform refused this agent's token three times in a row: the token was revoked, or a newer \
                 instance of the workspace has taken over",
            ),
        })
    }

    async fn unknown(&mut self) -> Outcome {
        self.registered.send_replace(false);
        self.unknown += 1;
        match self.platform.existence().await {
            Existence::Removed => Outcome::End(removed()),
            Existence::Unknown if self.unknown >= REFUSALS => Outcome::End(removed()),
            _ => Outcome::Failed,
        }
    }
}

fn removed() -> Exit {
    Exit::disowned("this workspace was removed from the platform")
}

/// The future's result, or `None` when told to stop first.
async fn until<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        result = work => Some(result),
    }
}
