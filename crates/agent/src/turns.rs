//! Turns: one at a time, in order, each message once (D14, RUN-70).

mod worker;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use molecule_a2a::jsonrpc::Usage;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::worker::Worker;
use crate::{
    journal::{Begin, Journal, JournalError, Key},
    pulse::Pulse,
    runtimes::{Adapter, ToolTrace, TurnInput},
};

/// Messages that may wait for their turn.
pub const QUEUE: usize = 256;
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

/// The end of a turn: what the journal keeps and every asker of the same message gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Text so far.
    pub text: String,
    /// Where each piece of it ends, bytes: streams show the text as it was said.
    pub ends: Vec<usize>,
    /// State.
    pub phase: Phase,
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

/// A turn that waits, runs or has ended.
pub struct Turn {
    /// What it answers.
    pub input: TurnInput,
    key: Key,
    /// Starts in earlier processes.
    starts: u32,
    cancel: CancellationToken,
    /// Somebody sees to its end: the worker that runs it, or the one who cancelled it while it waited.
    taken: AtomicBool,
    progress: watch::Sender<Progress>,
}

impl Turn {
    fn new(input: TurnInput, key: Key) -> Arc<Self> {
        Self::again(input, key, 0)
    }

    fn again(input: TurnInput, key: Key, starts: u32) -> Arc<Self> {
        Arc::new(Self {
            input,
            key,
            starts,
            cancel: CancellationToken::new(),
            taken: AtomicBool::new(false),
            progress: watch::Sender::default(),
        })
    }

    /// Takes charge of the turn's end; `false` if somebody else has.
    fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::AcqRel)
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

    fn set_phase(&self, phase: Phase) {
        self.progress.send_modify(|progress| progress.phase = phase);
    }
}

/// A message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Too many wait already.
    #[error("too many messages are waiting")]
    Full,
    /// The process is ending.
    #[error("the agent is stopping")]
    Stopping,
    /// It could not be recorded, so it must not run.
    #[error("the message could not be recorded")]
    Journal(#[from] JournalError),
}

/// Why a cancellation did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelError {
    /// No such task.
    Unknown,
    /// It ended before.
    Ended,
}

/// The turns that wait or run, and the journal that keeps their ends.
#[derive(Clone)]
struct Ledger {
    journal: Journal,
    live: Arc<Mutex<HashMap<Key, Arc<Turn>>>>,
}

impl Ledger {
    /// Durable first, then told to everybody who waits (D14).
    async fn settle(&self, turn: &Turn, finished: Finished) {
        let stored = match serde_json::to_string(&finished) {
            Ok(reply) => self.journal.finish(&turn.key, reply).await,
            Err(_) => Err(JournalError::Unreadable),
        };
        if let Err(error) = stored {
            // The answer exists; withholding it would lose it for certain.
            tracing::error!(
                error = &error as &dyn std::error::Error,
                task = finished.task_id,
                "the reply could not be stored"
            );
        }
        turn.set_phase(Phase::Done(Arc::new(finished)));
        self.live.lock().remove(&turn.key);
    }
}

/// The queue of turns and its one worker.
pub struct Turns {
    ledger: Ledger,
    /// Looking a message up and recording it is one step, so that two copies cannot both be fresh.
    gate: tokio::sync::Mutex<()>,
    queue: mpsc::Sender<Arc<Turn>>,
    stop: CancellationToken,
    abort: CancellationToken,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Turns {
    /// Starts the worker of an engine, with the turns that an earlier process promised (D14). `timeout` bounds each.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn start(
        adapter: Arc<dyn Adapter>,
        journal: Journal,
        pulse: Pulse,
        timeout: Option<Duration>,
    ) -> Result<Arc<Self>, JournalError> {
        let promised = promised(&journal)?;
        let (queue, receiver) = mpsc::channel(QUEUE + promised.len());
        let ledger = Ledger {
            journal,
            live: Arc::default(),
        };
        for turn in promised {
            tracing::info!(
                task = turn.input.task_id,
                "a turn that was promised before the restart is queued"
            );
            ledger.live.lock().insert(turn.key.clone(), Arc::clone(&turn));
            // Room was made for all of them.
            queue.try_send(turn).ok();
        }
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let worker = Worker {
            adapter,
            ledger: ledger.clone(),
            pulse,
            timeout,
            stop: stop.clone(),
            abort: abort.clone(),
        };
        let worker = tokio::spawn(worker.run(receiver));
        Ok(Arc::new(Self {
            ledger,
            gate: tokio::sync::Mutex::new(()),
            queue,
            stop,
            abort,
            worker: Mutex::new(Some(worker)),
        }))
    }

    /// Takes a message: joins the running turn of the same message, returns the stored end, or queues a new turn
    /// (D14). `content` is what tells messages with equal ids apart. A `promised` turn is one whose sender is answered
    /// before it ends: it runs even if this process ends.
    ///
    /// # Errors
    /// See [`SubmitError`]; nothing will run.
    pub async fn submit(&self, mut input: TurnInput, content: &[u8], promised: bool) -> Result<Arc<Turn>, SubmitError> {
        let key = Key::new(&input.message_id, content);
        let _gate = self.gate.lock().await;
        if self.stop.is_cancelled() {
            return Err(SubmitError::Stopping);
        }
        let running = self.ledger.live.lock().get(&key).cloned();
        if let Some(turn) = running {
            tracing::info!(task = turn.input.task_id, "repeated message joins the running turn");
            if promised {
                self.ledger.journal.promise(&key, written(&turn.input)?).await?;
            }
            return Ok(turn);
        }
        // Room first: what is recorded as running must run.
        let room = self.queue.try_reserve().map_err(|full| match full {
            mpsc::error::TrySendError::Full(()) => SubmitError::Full,
            mpsc::error::TrySendError::Closed(()) => SubmitError::Stopping,
        })?;
        let kept = promised.then(|| written(&input)).transpose()?;
        let begun = self.ledger.journal.begin(&key, &input.task_id, kept).await?;
        if let Begin::Answered { task_id, reply } = begun {
            if let Ok(finished) = serde_json::from_str::<Finished>(&reply) {
                tracing::info!(task = task_id, "repeated message gets the stored reply");
                input.task_id = task_id;
                input.context_id.clone_from(&finished.context_id);
                let turn = Turn::new(input, key);
                turn.progress.send_modify(|progress| progress.push(&finished.text));
                turn.set_phase(Phase::Done(Arc::new(finished)));
                return Ok(turn);
            }
            return Err(SubmitError::Journal(JournalError::Unreadable));
        }
        let turn = Turn::new(input, key.clone());
        self.ledger.live.lock().insert(key, Arc::clone(&turn));
        room.send(Arc::clone(&turn));
        Ok(turn)
    }

    /// A turn that waits or runs.
    #[must_use]
    pub fn live(&self, task_id: &str) -> Option<Arc<Turn>> {
        self.ledger
            .live
            .lock()
            .values()
            .find(|turn| turn.input.task_id == task_id)
            .cloned()
    }

    /// The end of a turn that is over.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn ended(&self, task_id: &str) -> Result<Option<Finished>, JournalError> {
        let Some(reply) = self.ledger.journal.answered_task(task_id).await? else {
            return Ok(None);
        };
        serde_json::from_str(&reply)
            .map(Some)
            .map_err(|_| JournalError::Unreadable)
    }

    /// Cancels a turn that waits or runs and returns its end (RUN-70).
    ///
    /// # Errors
    /// See [`CancelError`].
    pub async fn cancel(&self, task_id: &str) -> Result<Arc<Finished>, CancelError> {
        let Some(turn) = self.live(task_id) else {
            return match self.ended(task_id).await {
                Ok(Some(_)) => Err(CancelError::Ended),
                _ => Err(CancelError::Unknown),
            };
        };
        turn.cancel.cancel();
        if turn.take() {
            // It waits behind others, which is no reason to wait for its end. On a task of its own, because nobody else
            // ends it if the caller goes away.
            let (ledger, turn) = (self.ledger.clone(), Arc::clone(&turn));
            tokio::spawn(async move { ledger.settle(&turn, canceled(&turn)).await });
        }
        let finished = turn.finished().await.ok_or(CancelError::Unknown)?;
        if finished.state == State::Canceled {
            Ok(finished)
        } else {
            Err(CancelError::Ended)
        }
    }

    /// Takes no more messages, lets the running turn finish within `grace`, gives the rest up.
    pub async fn shut_down(&self, grace: Duration) {
        self.stop.cancel();
        let worker = self.worker.lock().take();
        if let Some(mut worker) = worker
            && tokio::time::timeout(grace, &mut worker).await.is_err()
        {
            tracing::warn!("the running turn did not end in time and is given up");
            self.abort.cancel();
            if let Err(error) = worker.await {
                tracing::error!(%error, "the turn worker crashed");
            }
        }
        for (_, turn) in self.ledger.live.lock().drain() {
            turn.set_phase(Phase::Abandoned);
        }
    }
}

/// Turns that an earlier process promised, oldest first.
fn promised(journal: &Journal) -> Result<Vec<Arc<Turn>>, JournalError> {
    let promises = journal.promises()?.into_iter();
    let turns = promises.filter_map(|promise| match serde_json::from_str(&promise.input) {
        Ok(input) => Some(Turn::again(input, promise.key, promise.starts)),
        Err(error) => {
            tracing::error!(%error, "a promised turn cannot be understood and is given up");
            None
        }
    });
    Ok(turns.collect())
}

fn written(input: &TurnInput) -> Result<String, JournalError> {
    serde_json::to_string(input).map_err(|_| JournalError::Unreadable)
}

fn canceled(turn: &Turn) -> Finished {
    end(turn, State::Canceled, "The task was canceled.".to_owned())
}

fn end(turn: &Turn, state: State, text: String) -> Finished {
    Finished {
        task_id: turn.input.task_id.clone(),
        context_id: turn.input.context_id.clone(),
        reply_id: Uuid::new_v4().to_string(),
        state,
        text,
        tool_trace: Vec::new(),
        usage: None,
    }
}

#[cfg(test)]
mod tests;
