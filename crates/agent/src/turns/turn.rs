//! One turn: what is asked, how far it is, how it ended.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use molecule_a2a::jsonrpc::{Message, Usage};
use molecule_core::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    engine::{Sink, ToolTrace, TurnInput},
    journal::Key,
};

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// With an answer.
    Completed,
    /// With an error shown to the user (RUN-57).
    Failed,
    /// By `tasks/cancel`.
    Canceled,
}

impl State {
    /// Its name in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// The end of a turn: what the journal keeps and every asker of the same message gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The task.
    pub task_id: String,
    /// The conversation.
    pub context_id: String,
    /// Id of the reply message, the same for everybody.
    pub reply_id: String,
    /// How it ended.
    pub state: State,
    /// The reply's text.
    pub text: String,
    /// Tools used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_trace: Vec<ToolTrace>,
    /// Tokens used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The message that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Box<Message>>,
    /// When it ended; the beginning of time for turns of earlier versions.
    #[serde(default = "long_ago")]
    pub ended: Timestamp,
}

fn long_ago() -> Timestamp {
    Timestamp::from_micros(0)
}

/// Where a turn stands.
#[derive(Debug, Clone, Default)]
pub enum Phase {
    /// Waiting for earlier ones.
    #[default]
    Queued,
    /// At work.
    Working,
    /// Over.
    Done(Arc<Finished>),
    /// Given up because the agent stops; the message may be sent again.
    Abandoned,
}

/// What watchers of a turn see.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Text so far.
    pub text: String,
    /// Where each piece of it ends, bytes: streams show the text as it was said.
    pub ends: Vec<usize>,
    /// State.
    pub phase: Phase,
    /// When it came into this state.
    pub since: Timestamp,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            text: String::new(),
            ends: Vec::new(),
            phase: Phase::default(),
            since: now(),
        }
    }
}

impl Progress {
    /// Adds text.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// The pieces that a reader who has `seen` so many of them still lacks.
    pub fn pieces(&self, seen: usize) -> impl Iterator<Item = &str> {
        let start = |n: usize| if n == 0 { 0 } else { self.ends[n - 1] };
        (seen..self.ends.len()).map(move |n| &self.text[start(n)..self.ends[n]])
    }
}

/// An engine's text goes to those who watch.
struct Watched(watch::Sender<Progress>);

impl Sink for Watched {
    fn chunk(&self, text: &str) {
        self.0.send_modify(|progress| progress.push(text));
    }
}

/// A turn that waits, runs or has ended.
pub struct Turn {
    /// What it answers.
    pub input: TurnInput,
    pub(super) key: Key,
    /// Tells which of a task's turns came first: times of arrival, and where these are equal it does not matter.
    pub(super) number: Timestamp,
    /// Starts in earlier processes.
    pub(super) starts: u32,
    pub(super) cancel: CancellationToken,
    /// Somebody sees to its end: the runner that runs it, or the one who cancelled it while it waited.
    taken: AtomicBool,
    progress: watch::Sender<Progress>,
}

impl Turn {
    pub(super) fn new(input: TurnInput, key: Key) -> Arc<Self> {
        Self::again(input, key, 0)
    }

    pub(super) fn again(input: TurnInput, key: Key, starts: u32) -> Arc<Self> {
        Arc::new(Self {
            input,
            key,
            number: now(),
            starts,
            cancel: CancellationToken::new(),
            taken: AtomicBool::new(false),
            progress: watch::Sender::default(),
        })
    }

    /// One that ended in the past.
    pub(super) fn over(input: TurnInput, key: Key, finished: Finished) -> Arc<Self> {
        let turn = Self::new(input, key);
        turn.progress.send_modify(|progress| {
            progress.push(&finished.text);
            progress.since = finished.ended;
            progress.phase = Phase::Done(Arc::new(finished));
        });
        turn
    }

    /// Takes charge of the turn's end; `false` if somebody else has.
    pub(super) fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::AcqRel)
    }

    /// Where its engine puts text.
    pub(super) fn sink(&self) -> Arc<dyn Sink> {
        Arc::new(Watched(self.progress.clone()))
    }

    /// Follows the turn from its beginning.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Waits for the end. `None`: given up because the agent stops.
    pub async fn finished(&self) -> Option<Arc<Finished>> {
        let mut watch = self.watch();
        let ended = watch
            .wait_for(|progress| matches!(progress.phase, Phase::Done(_) | Phase::Abandoned))
            .await;
        match &ended.ok()?.phase {
            Phase::Done(finished) => Some(Arc::clone(finished)),
            _ => None,
        }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.progress.send_modify(|progress| {
            progress.since = match &phase {
                Phase::Done(finished) => finished.ended,
                _ => now(),
            };
            progress.phase = phase;
        });
    }

    /// Its end in this state, with this text.
    pub(super) fn end(&self, state: State, text: String) -> Finished {
        Finished {
            task_id: self.input.task_id.clone(),
            context_id: self.input.context_id.clone(),
            reply_id: Uuid::new_v4().to_string(),
            state,
            text,
            tool_trace: Vec::new(),
            usage: None,
            asked: self.input.asked.clone(),
            ended: now(),
        }
    }

    pub(super) fn canceled(&self) -> Finished {
        self.end(State::Canceled, "The task was canceled.".to_owned())
    }
}

fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}
