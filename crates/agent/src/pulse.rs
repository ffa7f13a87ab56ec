//! What the agent is doing now, as heartbeats report it (RUN-18, RUN-22, RUN-83).

use std::{sync::Arc, time::Instant};

use molecule_core::{WorkspaceId, redact::redact, text::preview};
use molecule_wire::registry::{Heartbeat, RuntimeMetadata};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Characters of a task that heartbeats carry.
const TASK_CHARS: usize = 120;
/// Characters of an error that heartbeats carry.
const ERROR_CHARS: usize = 300;

/// Shared between the turns, which change it, and the heartbeat, which reports it.
#[derive(Clone)]
pub struct Pulse {
    inner: Arc<Inner>,
}

struct Inner {
    started: Instant,
    state: Mutex<State>,
    /// Task start or end: beat at once (RUN-22).
    changed: Notify,
}

#[derive(Default)]
struct State {
    active: i64,
    task: String,
    requests: u64,
    errors: u64,
    sample_error: String,
    /// Rate of the last whole beat; pushes repeat it, because theirs would reset the real one.
    reported_rate: f64,
    wedged: Option<String>,
}

/// Counters of one beat, taken back from the totals once the platform has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    requests: u64,
    errors: u64,
}

impl Default for Pulse {
    fn default() -> Self {
        let inner = Inner {
            started: Instant::now(),
            state: Mutex::default(),
            changed: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Pulse {
    /// Begins a task. The guard ends it however the task ends: a count stuck at 1 would block the queue for ever.
    #[must_use]
    pub fn begin(&self, task: &str) -> TaskGuard {
        {
            let mut state = self.inner.state.lock();
            state.active += 1;
            state.requests += 1;
            state.task = preview(&redact(task.trim()).0, TASK_CHARS, "…");
        }
        self.inner.changed.notify_one();
        TaskGuard { pulse: self.clone() }
    }

    /// A task failed.
    pub fn failed(&self, error: &str) {
        let mut state = self.inner.state.lock();
        state.errors += 1;
        state.sample_error = preview(&redact(error).0, ERROR_CHARS, "…");
    }

    /// Only a restart can help; the first reason stays (RUN-83).
    pub fn mark_wedged(&self, reason: &str) {
        let mut state = self.inner.state.lock();
        if state.wedged.is_none() {
            tracing::error!(reason, "the agent is wedged");
            state.wedged = Some(preview(&redact(reason).0, ERROR_CHARS, "…"));
        }
    }

    /// A success was seen (RUN-83).
    pub fn clear_wedge(&self) {
        self.inner.state.lock().wedged = None;
    }

    /// Tasks running now.
    #[must_use]
    pub fn active(&self) -> i64 {
        self.inner.state.lock().active
    }

    /// Waits for a task to start or end. Changes while nobody waits are kept as one.
    pub async fn changed(&self) {
        self.inner.changed.notified().await;
    }

    /// The regular beat, with the counters it reports.
    #[must_use]
    pub fn beat(&self, id: WorkspaceId, metadata: RuntimeMetadata) -> (Heartbeat, Counted) {
        let mut state = self.inner.state.lock();
        let counted = Counted {
            requests: state.requests,
            errors: state.errors,
        };
        #[expect(clippy::cast_precision_loss, reason = "a ratio of small counters")]
        let rate = if counted.requests == 0 {
            // A task that was counted when it began may fail after that was reported.
            f64::from(u8::from(counted.errors > 0))
        } else {
            counted.errors as f64 / counted.requests as f64
        };
        state.reported_rate = rate.min(1.0);
        (self.compose(&state, id, Some(metadata)), counted)
    }

    /// A beat because a task started or ended: counters stay for the regular one (RUN-22).
    #[must_use]
    pub fn push(&self, id: WorkspaceId) -> Heartbeat {
        self.compose(&self.inner.state.lock(), id, None)
    }

    /// The platform has the counters of a regular beat (RUN-18).
    pub fn confirm(&self, counted: Counted) {
        let mut state = self.inner.state.lock();
        state.requests = state.requests.saturating_sub(counted.requests);
        state.errors = state.errors.saturating_sub(counted.errors);
        if state.errors == 0 {
            state.sample_error.clear();
        }
    }

    fn compose(&self, state: &State, id: WorkspaceId, metadata: Option<RuntimeMetadata>) -> Heartbeat {
        let wedged = state.wedged.as_deref();
        Heartbeat {
            workspace_id: id.to_string(),
            error_rate: state.reported_rate,
            sample_error: wedged.unwrap_or(&state.sample_error).to_owned(),
            current_task: state.task.clone(),
            active_tasks: state.active,
            uptime_seconds: i64::try_from(self.inner.started.elapsed().as_secs()).unwrap_or(i64::MAX),
            monthly_spend: 0,
            runtime_state: if wedged.is_some() {
                "wedged".to_owned()
            } else {
                String::new()
            },
            runtime_metadata: metadata,
        }
    }
}

/// A running task.
pub struct TaskGuard {
    pulse: Pulse,
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        {
            let mut state = self.pulse.inner.state.lock();
            state.active = (state.active - 1).max(0);
            if state.active == 0 {
                state.task.clear();
            }
        }
        self.pulse.inner.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> WorkspaceId {
        WorkspaceId::random()
    }

    #[tokio::test]
    async fn tasks_count_and_push_both_ways() {
        // RUN-22
        let pulse = Pulse::default();
        let guard = pulse.begin("write the report");
        pulse.changed().await;
        let beat = pulse.push(id());
        assert_eq!((beat.active_tasks, beat.current_task.as_str()), (1, "write the report"));
        assert!(
            beat.runtime_metadata.is_none(),
            "absent leaves the platform's overrides as they are"
        );
        let task = tokio::spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        pulse.changed().await;
        let beat = pulse.push(id());
        assert_eq!((beat.active_tasks, beat.current_task.as_str()), (0, ""));
    }

    #[test]
    fn rate_is_per_beat_and_pushes_do_not_reset_it() {
        // RUN-18, RUN-22
        let pulse = Pulse::default();
        for n in 0..4 {
            drop(pulse.begin("x"));
            if n == 0 {
                pulse.failed("boom");
            }
        }
        assert_eq!(pulse.push(id()).error_rate, 0.0, "only whole beats report a rate");
        let (beat, counted) = pulse.beat(id(), RuntimeMetadata::default());
        assert_eq!((beat.error_rate, beat.sample_error.as_str()), (0.25, "boom"));
        let (again, _) = pulse.beat(id(), RuntimeMetadata::default());
        assert_eq!(again.error_rate, 0.25, "kept until confirmed");
        drop(pulse.begin("y"));
        pulse.confirm(counted);
        assert_eq!(pulse.push(id()).error_rate, 0.25);
        let (fresh, _) = pulse.beat(id(), RuntimeMetadata::default());
        assert_eq!((fresh.error_rate, fresh.sample_error.as_str()), (0.0, ""));
    }

    #[test]
    fn a_failure_counts_though_its_task_was_reported_before() {
        // RUN-18
        let pulse = Pulse::default();
        let task = pulse.begin("long");
        let (_, counted) = pulse.beat(id(), RuntimeMetadata::default());
        pulse.confirm(counted);
        pulse.failed("refused");
        drop(task);
        let (beat, counted) = pulse.beat(id(), RuntimeMetadata::default());
        assert_eq!((beat.error_rate, beat.sample_error.as_str()), (1.0, "refused"));
        pulse.confirm(counted);
        assert_eq!(pulse.beat(id(), RuntimeMetadata::default()).0.error_rate, 0.0);
    }

    #[test]
    fn the_first_wedge_stays() {
        // RUN-83
        let pulse = Pulse::default();
        pulse.mark_wedged("first");
        pulse.mark_wedged("second");
        let beat = pulse.push(id());
        assert_eq!(
            (beat.runtime_state.as_str(), beat.sample_error.as_str()),
            ("wedged", "first")
        );
        pulse.clear_wedge();
        assert_eq!(pulse.push(id()).runtime_state, "");
    }

    #[test]
    fn tasks_are_redacted_and_short() {
        let pulse = Pulse::default();
        let _guard = pulse.begin(&format!("use sk-{} {}", "a".repeat(30), "long ".repeat(100)));
        let beat = pulse.push(id());
        assert!(!beat.current_task.contains("aaaa") && beat.current_task.chars().count() <= TASK_CHARS + 1);
    }
}
