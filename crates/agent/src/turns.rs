//! Turns: within a conversation one at a time and in order, each message once (D14, D22, RUN-70).

mod runner;
mod schedule;
mod sessions;
mod task;
mod turn;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use molecule_a2a::jsonrpc::{Message, TaskState};
use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::{runner::Runner, schedule::Schedule, sessions::Sessions};
pub use self::{
    task::{Filter, Page, Place, Task},
    turn::{Finished, Phase, Progress, State, Turn},
};
use crate::{
    engine::{Adapter, HistoryTurn, TurnInput},
    journal::{Begin, Ending, Journal, JournalError, Key, Search},
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
    /// It is for a task that nobody knows.
    #[error("there is no task {0}")]
    NoTask(String),
    /// It is for a task that is over.
    #[error("the task {0} is over")]
    TaskOver(String),
    /// It is for a task of another conversation.
    #[error("the task belongs to another conversation")]
    OtherContext,
}

/// A message that wants an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its own id.
    pub message_id: String,
    /// The conversation, if it names one.
    pub context_id: Option<String>,
    /// The task it goes on with, if it does.
    pub task_id: Option<String>,
    /// What was said, for the engine.
    pub text: String,
    /// What was said before.
    pub history: Vec<HistoryTurn>,
    /// The message as it came.
    pub message: Box<Message>,
    /// What tells messages with equal ids apart.
    pub content: Vec<u8>,
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
            Ok(reply) => {
                let (outcome, ended) = (finished.state.as_str(), finished.ended);
                self.journal.finish(&turn.key, Ending { reply, outcome, ended }).await
            }
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
    /// (D14), of a task of its own or of the one it names (D24). A `promised` turn is one whose sender is answered before
    /// it ends: it runs even if this process ends.
    ///
    /// # Errors
    /// See [`SubmitError`]; nothing will run.
    pub async fn submit(&self, asked: Asked, promised: bool) -> Result<Arc<Turn>, SubmitError> {
        let key = Key::new(&asked.message_id, &asked.content);
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
        let mut input = self.place(asked, &key).await?;
        // Room first: what is recorded as running must run. Only who holds the gate fills it.
        if self.runner.schedule.lock().waiting() >= QUEUE {
            return Err(SubmitError::Full);
        }
        let kept = promised.then(|| written(&input)).transpose()?;
        let begun = ledger
            .journal
            .begin(&key, &input.task_id, &input.context_id, kept)
            .await?;
        if let Begin::Answered { task_id, reply } = begun {
            let finished = read(&reply)?;
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

    /// Puts a message into its task and its conversation. A message that was answered before is not looked at again: its
    /// task may be over since.
    async fn place(&self, asked: Asked, key: &Key) -> Result<TurnInput, SubmitError> {
        let fresh = || Uuid::new_v4().to_string();
        let (task_id, context_id) = match asked.task_id {
            Some(id) if !self.runner.ledger.journal.is_answered(key).await? => {
                let Some(task) = self.task(&id).await? else {
                    return Err(SubmitError::NoTask(id));
                };
                if asked.context_id.is_some_and(|given| given != task.context_id) {
                    return Err(SubmitError::OtherContext);
                }
                if task.current().is_none() {
                    return Err(SubmitError::TaskOver(id));
                }
                (id, task.context_id)
            }
            _ => (fresh(), asked.context_id.unwrap_or_else(fresh)),
        };
        Ok(TurnInput {
            task_id,
            context_id,
            message_id: asked.message_id,
            text: asked.text,
            history: asked.history,
            asked: Some(asked.message),
        })
    }

    /// The turns of a task that wait or run, oldest first.
    fn live(&self, task_id: &str) -> Vec<Arc<Turn>> {
        let live = self.runner.ledger.live.lock();
        let mut turns: Vec<_> = live
            .values()
            .filter(|turn| turn.input.task_id == task_id)
            .cloned()
            .collect();
        turns.sort_by_key(|turn| turn.number);
        turns
    }

    /// A task as it is now.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn task(&self, task_id: &str) -> Result<Option<Task>, JournalError> {
        let mut live = self.live(task_id);
        let replies = self.runner.ledger.journal.answered_task(task_id).await?;
        let mut ended = replies.iter().map(|reply| read(reply)).collect::<Result<Vec<_>, _>>()?;
        // What has ended meanwhile is told once, also where the journal could not keep it.
        live.retain(|turn| match &turn.watch().borrow().phase {
            Phase::Done(finished) => {
                if !ended.iter().any(|end| end.reply_id == finished.reply_id) {
                    ended.push(Finished::clone(finished));
                }
                false
            }
            _ => true,
        });
        let context_id = live
            .first()
            .map(|turn| &turn.input.context_id)
            .or_else(|| ended.first().map(|end| &end.context_id));
        Ok(context_id.cloned().map(|context_id| Task {
            id: task_id.to_owned(),
            context_id,
            ended,
            live,
        }))
    }

    /// The turn of a task that is the next after one that has ended.
    #[must_use]
    pub fn next_of(&self, ended: &Turn) -> Option<Arc<Turn>> {
        let mut live = self.live(&ended.input.task_id).into_iter();
        live.find(|turn| turn.number > ended.number)
    }

    /// At most `limit` tasks after a place, those whose state is newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn list(&self, filter: &Filter, after: Option<&Place>, limit: usize) -> Result<Page, JournalError> {
        let ids: BTreeSet<String> = {
            let live = self.runner.ledger.live.lock();
            live.values().map(|turn| turn.input.task_id.clone()).collect()
        };
        let mut live = Vec::new();
        for id in &ids {
            live.extend(self.task(id).await?.filter(|task| filter.admits(task)));
        }
        let search = Search {
            context_id: filter.context_id.clone(),
            outcome: filter.state.map(|state| outcome(state).to_owned()),
            since: filter.since,
            without: ids.into_iter().collect(),
        };
        let place = after.map(|place| (place.at, place.id.clone()));
        let (ended, over) = self.runner.ledger.journal.ended_tasks(search, place, limit + 1).await?;
        let total = live.len() + over;
        let mut places: Vec<Place> = ended.into_iter().map(|(id, at)| Place { at, id }).collect();
        places.extend(
            live.iter()
                .map(Place::of)
                .filter(|place| after.is_none_or(|after| place < after)),
        );
        places.sort_unstable_by(|a, b| b.cmp(a));
        let more = places.len() > limit;
        places.truncate(limit);
        let mut tasks = Vec::with_capacity(places.len());
        for place in &places {
            tasks.extend(self.task(&place.id).await?);
        }
        Ok(Page {
            tasks,
            next: places.pop().filter(|_| more),
            total,
        })
    }

    /// Cancels a turn that waits or runs and returns its end (RUN-70).
    ///
    /// # Errors
    /// See [`CancelError`].
    pub async fn cancel(&self, task_id: &str) -> Result<Arc<Finished>, CancelError> {
        let live = self.live(task_id);
        // Those that wait first: none of them is to run because the one before it ends.
        for turn in live.iter().rev() {
            turn.cancel.cancel();
            if turn.take() {
                // It waits behind others, which is no reason to wait for its end. On a task of its own, because nobody
                // else ends it if the caller goes away.
                self.runner.schedule.lock().remove(|waiting| Arc::ptr_eq(waiting, turn));
                let (runner, turn) = (Arc::clone(&self.runner), Arc::clone(turn));
                tokio::spawn(async move { runner.ledger.settle(&turn, turn.canceled()).await });
            }
        }
        let Some(last) = live.last() else {
            return match self.task(task_id).await {
                Ok(Some(_)) => Err(CancelError::Ended),
                _ => Err(CancelError::Unknown),
            };
        };
        for turn in &live {
            turn.finished().await.ok_or(CancelError::Unknown)?;
        }
        let finished = last.finished().await.ok_or(CancelError::Unknown)?;
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

fn read(reply: &str) -> Result<Finished, JournalError> {
    serde_json::from_str(reply).map_err(|_| JournalError::Unreadable)
}

/// What the journal calls an end in this state; of the others it has none.
fn outcome(state: TaskState) -> &'static str {
    [State::Completed, State::Failed, State::Canceled]
        .into_iter()
        .find(|end| TaskState::from(*end) == state)
        .map_or("none", State::as_str)
}

fn written(input: &TurnInput) -> Result<String, JournalError> {
    serde_json::to_string(input).map_err(|_| JournalError::Unreadable)
}

#[cfg(test)]
mod tests;
