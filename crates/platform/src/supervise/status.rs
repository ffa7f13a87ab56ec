//! What is known of each loop of the house.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use molecule_core::Timestamp;
use molecule_store::{DbError, DbErrorKind, StoreError, now};
use parking_lot::Mutex;
use serde_json::Value;

/// Why an activation began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its time had come.
    Period,
    /// Somebody asked for it: work has arrived.
    Woken,
}

impl Reason {
    /// The wire spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Period => "period",
            Self::Woken => "woken",
        }
    }
}

/// What is known of a loop.
#[derive(Debug, Clone, PartialEq)]
pub struct LoopStatus {
    /// What it is for.
    pub description: &'static str,
    /// Longest time between two activations; `None` for a loop that only waits for work.
    pub period: Option<Duration>,
    /// When it last showed that it runs: at the beginning of an iteration, and every period during a long one.
    pub last_tick_at: Timestamp,
    /// When an iteration last ended well.
    pub last_success_at: Option<Timestamp>,
    /// What kind of failure the last iteration was; `None` after a good one. What it said is in the log (SEC-147).
    pub last_error: Option<&'static str>,
    /// Why the last iteration began; `None` for a loop that is no job.
    pub last_reason: Option<Reason>,
    /// How long the last iteration that ended took.
    pub last_duration: Option<Duration>,
    /// When the iteration in progress began.
    pub running_since: Option<Timestamp>,
    /// What the last iteration that ended did, an object of counts.
    pub last_report: Option<Value>,
    /// Iterations begun since the server started.
    pub iterations: u64,
}

impl LoopStatus {
    fn new(of: &Registered, at: Timestamp) -> Self {
        Self {
            description: of.description,
            period: of.period,
            last_tick_at: at,
            last_success_at: None,
            last_error: None,
            last_reason: None,
            last_duration: None,
            running_since: None,
            last_report: None,
            iterations: 0,
        }
    }
}

/// A failure that can be told without telling what the engine said.
pub trait Failure: fmt::Display {
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

/// Of a loop that cannot fail.
impl Failure for std::convert::Infallible {}

/// A loop's body panicked.
pub(super) struct Panicked<'a>(pub(super) &'a str);

impl fmt::Display for Panicked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Failure for Panicked<'_> {
    fn class(&self) -> &'static str {
        "panicked"
    }
}

/// A loop as it was begun.
#[derive(Debug)]
struct Registered {
    description: &'static str,
    period: Option<Duration>,
    /// Known from the first iteration on (LIFE-177).
    status: Option<LoopStatus>,
}

/// Every loop of a supervisor, by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Board(Arc<Mutex<BTreeMap<&'static str, Registered>>>);

impl Board {
    /// A loop begins. The handle by which it reports its iterations.
    pub(super) fn register(&self, name: &'static str, description: &'static str, period: Option<Duration>) -> Beat {
        let entry = Registered {
            description,
            period,
            status: None,
        };
        let before = self.0.lock().insert(name, entry);
        debug_assert!(before.is_none(), "two loops are named {name}");
        Beat {
            name,
            board: self.clone(),
        }
    }

    /// Every loop that has ticked.
    pub(super) fn status(&self) -> BTreeMap<&'static str, LoopStatus> {
        let board = self.0.lock();
        let ticked = board
            .iter()
            .filter_map(|(name, entry)| Some((*name, entry.status.clone()?)));
        ticked.collect()
    }
}

/// Handle by which a loop reports its iterations.
#[derive(Debug, Clone)]
pub struct Beat {
    name: &'static str,
    board: Board,
}

impl Beat {
    fn change(&self, change: impl FnOnce(&mut LoopStatus, Timestamp)) {
        let at = now();
        let mut board = self.board.0.lock();
        let Some(entry) = board.get_mut(self.name) else { return };
        if entry.status.is_none() {
            entry.status = Some(LoopStatus::new(entry, at));
        }
        if let Some(status) = &mut entry.status {
            change(status, at);
        }
    }

    /// An iteration begins.
    pub fn tick(&self) {
        self.change(|status, at| {
            status.last_tick_at = at;
            status.iterations += 1;
        });
    }

    /// An iteration of a loop that is no job ended.
    pub fn done<E: Failure>(&self, outcome: Result<(), E>) {
        self.change(|status, at| conclude(self.name, status, at, outcome));
    }

    /// An activation begins.
    pub(super) fn begin(&self, reason: Reason) {
        self.change(|status, at| {
            status.last_tick_at = at;
            status.iterations += 1;
            status.last_reason = Some(reason);
            status.running_since = Some(at);
        });
    }

    /// The activation in progress takes long.
    pub(super) fn alive(&self) {
        self.change(|status, at| status.last_tick_at = at);
    }

    /// The activation ended.
    pub(super) fn end<E: Failure>(&self, outcome: Result<(), E>, took: Duration, report: Option<Value>) {
        self.change(|status, at| {
            status.running_since = None;
            status.last_duration = Some(took);
            status.last_report = report;
            conclude(self.name, status, at, outcome);
        });
    }
}

fn conclude<E: Failure>(name: &'static str, status: &mut LoopStatus, at: Timestamp, outcome: Result<(), E>) {
    let ended = outcome.as_ref().err().map_or("ok", E::class).replace(' ', "_");
    metrics::counter!("molecule_job_runs_total", "job" => name, "outcome" => ended).increment(1);
    match outcome {
        Ok(()) => {
            status.last_success_at = Some(at);
            status.last_error = None;
        }
        Err(error) => {
            tracing::warn!(subsystem = name, %error, "iteration failed, the loop goes on");
            status.last_error = Some(error.class());
        }
    }
}
