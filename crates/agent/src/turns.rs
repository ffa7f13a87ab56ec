//! Turns: within a conversation one at a time and in order, each message once (D14, D22, RUN-70).

mod runner;
mod schedule;
mod sessions;
mod turn;

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::turn::{Finished, Phase, Progress, State, Turn};
use self::{runner::Runner, schedule::Schedule, sessions::Sessions};
use crate::{
    engine::{Adapter, TurnInput},
    journal::{Begin, Journal, JournalError, Key},
    pulse::Pulse,
};

/// Messages that may wait for their turn.
pub const QUEUE: usize = 256;

/// What the turns of an engine may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest turn.
    pub timeout: Option<Duration>,
    /// Turns at once, each of another conversation (D22).
    pub at_once: usize,
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

/// The turns of an engine.
pub struct Turns {
    runner: Arc<Runner>,
    /// Looking a message up and recording it is one step, so that two copies cannot both be fresh.
    gate: tokio::sync::Mutex<()>,
}

impl Turns {
    /// Runs the turns of an engine, first those that an earlier process promised (D14).
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn start(
        adapter: Arc<dyn Adapter>,
        journal: Journal,
        pulse: Pulse,
        limits: Limits,
    ) -> Result<Arc<Self>, JournalError> {
        let promised = promised(&journal)?;
        let runner = Arc::new(Runner {
            sessions: Sessions::new(adapter),
            ledger: Ledger {
                journal,
                live: Arc::default(),
            },
            pulse,
            timeout: limits.timeout,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            schedule: Mutex::new(Schedule::new(limits.at_once)),
            tasks: TaskTracker::new(),
        });
        for turn in &promised {
            let task = &turn.input.task_id;
            tracing::info!(task, "a turn that was promised before the restart is queued");
            runner.ledger.live.lock().insert(turn.key.clone(), Arc::clone(turn));
        }
        for turn in &promised {
            runner.add(turn);
        }
        Ok(Arc::new(Self {
            runner,
            gate: tokio::sync::Mutex::new(()),
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
        let ledger = &self.runner.ledger;
        let _gate = self.gate.lock().await;
        if self.runner.stop.is_cancelled() {
            return Err(SubmitError::Stopping);
        }
        let running = ledger.live.lock().get(&key).cloned();
        if let Some(turn) = running {
            tracing::info!(task = turn.input.task_id, "repeated message joins the running turn");
            if promised {
                ledger.journal.promise(&key, written(&turn.input)?).await?;
            }
            return Ok(turn);
        }
        // Room first: what is recorded as running must run. Only who holds the gate fills it.
        if self.runner.schedule.lock().waiting() >= QUEUE {
            return Err(SubmitError::Full);
        }
        let kept = promised.then(|| written(&input)).transpose()?;
        let begun = ledger.journal.begin(&key, &input.task_id, kept).await?;
        if let Begin::Answered { task_id, reply } = begun {
            let finished: Finished = serde_json::from_str(&reply).map_err(|_| JournalError::Unreadable)?;
            tracing::info!(task = task_id, "repeated message gets the stored reply");
            input.task_id = task_id;
            input.context_id.clone_from(&finished.context_id);
            return Ok(Turn::over(input, key, finished));
        }
        let turn = Turn::new(input, key.clone());
        ledger.live.lock().insert(key, Arc::clone(&turn));
        self.runner.add(&turn);
        Ok(turn)
    }

    /// A turn that waits or runs.
    #[must_use]
    pub fn live(&self, task_id: &str) -> Option<Arc<Turn>> {
        let live = self.runner.ledger.live.lock();
        live.values().find(|turn| turn.input.task_id == task_id).cloned()
    }

    /// The end of a turn that is over.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn ended(&self, task_id: &str) -> Result<Option<Finished>, JournalError> {
        let Some(reply) = self.runner.ledger.journal.answered_task(task_id).await? else {
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
            self.runner
                .schedule
                .lock()
                .remove(|waiting| Arc::ptr_eq(waiting, &turn));
            let (runner, turn) = (Arc::clone(&self.runner), Arc::clone(&turn));
            tokio::spawn(async move { runner.ledger.settle(&turn, turn.canceled()).await });
        }
        let finished = turn.finished().await.ok_or(CancelError::Unknown)?;
        if finished.state == State::Canceled {
            Ok(finished)
        } else {
            Err(CancelError::Ended)
        }
    }

    /// Takes no more messages, lets the running turns finish within `grace`, gives the rest up, closes the engine.
    pub async fn shut_down(&self, grace: Duration) {
        let runner = &self.runner;
        runner.stop.cancel();
        runner.tasks.close();
        if tokio::time::timeout(grace, runner.tasks.wait()).await.is_err() {
            tracing::warn!("what runs did not end in time and is given up");
            runner.abort.cancel();
            runner.tasks.wait().await;
        }
        runner.sessions.close().await;
        for (_, turn) in runner.ledger.live.lock().drain() {
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

#[cfg(test)]
mod tests;
