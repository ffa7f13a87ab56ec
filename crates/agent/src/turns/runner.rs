//! What runs the turns: each on a task of its own, in the session of its conversation.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use molecule_core::redact::redact;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Ledger,
    schedule::Schedule,
    sessions::{Closing, Sessions},
    turn::{Finished, Phase, State, Turn},
};
use crate::{
    engine::{Category, Output, Reply, Session, SessionContext, TurnError},
    pulse::Pulse,
};

/// How often a promised turn is started before it counts as one that ends the process.
pub(super) const STARTS: u32 = 3;
/// How long after the end of a killed program the agent's own stop may still come.
const STOP_NOTICE: Duration = Duration::from_secs(1);
/// Exit code of a program that SIGTERM ended.
const TERMINATED: i32 = 128 + 15;
/// What an engine without words answers (RUN-53).
pub(super) const NO_RESPONSE: &str = "(no response generated)";

/// Runs the turns of one engine.
pub(super) struct Runner {
    pub(super) sessions: Sessions,
    pub(super) ledger: Ledger,
    pub(super) pulse: Pulse,
    /// Longest turn.
    pub(super) timeout: Option<Duration>,
    /// Nothing new is begun.
    pub(super) stop: CancellationToken,
    /// What runs is given up.
    pub(super) abort: CancellationToken,
    pub(super) schedule: Mutex<Schedule<Arc<Turn>>>,
    pub(super) tasks: TaskTracker,
}

/// A conversation at work. When it is dropped, the next turn runs, whatever became of this one.
struct Seat {
    runner: Arc<Runner>,
    conversation: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.runner.schedule.lock().done(&self.conversation);
        self.runner.dispatch();
    }
}

impl Runner {
    /// Puts a turn behind what waits already.
    pub(super) fn add(self: &Arc<Self>, turn: &Arc<Turn>) {
        self.schedule.lock().add(&turn.input.context_id, Arc::clone(turn));
        self.dispatch();
    }

    /// Begins whatever may run now.
    pub(super) fn dispatch(self: &Arc<Self>) {
        while !self.stop.is_cancelled() {
            let Some(turn) = self.schedule.lock().next() else {
                return;
            };
            let seat = Seat {
                runner: Arc::clone(self),
                conversation: turn.input.context_id.clone(),
            };
            self.tasks.spawn(async move {
                seat.runner.serve(&turn).await;
                drop(seat);
            });
        }
    }

    async fn serve(&self, turn: &Turn) {
        if !turn.take() {
            return;
        }
        if let Some(finished) = self.execute(turn).await {
            self.ledger.settle(turn, finished).await;
        }
    }

    /// Runs one turn. `None`: given up because the agent stops.
    async fn execute(&self, turn: &Turn) -> Option<Finished> {
        if turn.starts >= STARTS {
            let text = format!("The agent ended {STARTS} times during this task, which is given up.");
            return Some(turn.end(State::Failed, text));
        }
        if let Err(error) = self.ledger.journal.started(&turn.key).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, task = turn.input.task_id, "the start of a turn was not recorded");
        }
        turn.set_phase(Phase::Working);
        let _busy = self.pulse.begin(&turn.input.text);
        let mut session = self.sessions.take(&turn.input.context_id);
        let limit = async {
            match self.timeout {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            biased;
            () = self.abort.cancelled() => None,
            () = turn.cancel.cancelled() => Some(Err(Broken::Canceled)),
            result = self.work(turn, &mut session) => Some(result),
            () = limit => {
                let detail = format!("no reply within {:?}", self.timeout);
                Some(Err(Broken::Failed(TurnError::new(Category::Timeout, detail))))
            }
        };
        if let Some(session) = session {
            self.keep(turn, session, result.as_ref()).await;
        }
        match result? {
            Ok(reply) => {
                self.pulse.clear_wedge();
                Some(completed(turn, reply))
            }
            Err(Broken::Canceled) => Some(turn.canceled()),
            Err(Broken::Failed(error)) if self.brought_down(&error).await => {
                tracing::warn!(task = turn.input.task_id, category = %error.category, "the turn broke off with the agent");
                None
            }
            Err(Broken::Failed(error)) => Some(self.failed(turn, &error)),
        }
    }

    /// The turn itself, in the session that is there or in a new one. What panics leaves no session behind.
    async fn work(&self, turn: &Turn, slot: &mut Option<Box<dyn Session>>) -> Result<Reply, Broken> {
        let output = Output::new(turn.sink());
        let work = async {
            let session = match slot {
                Some(session) => session,
                None => slot.insert(self.sessions.start(context(turn)).await?),
            };
            session.turn(&turn.input, &output).await
        };
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        outcome
            .unwrap_or_else(|_| {
                *slot = None;
                Err(TurnError::new(Category::Internal, "the turn panicked"))
            })
            .map_err(Broken::Failed)
    }

    /// Keeps a session for the conversation's next turn.
    async fn keep(&self, turn: &Turn, mut session: Box<dyn Session>, result: Option<&Result<Reply, Broken>>) {
        if let Some(Err(Broken::Failed(error))) = result
            && error.is_crash()
            && timeout(Closing::GRACE, session.reset()).await.is_err()
        {
            tracing::warn!(
                context = turn.input.context_id,
                "the session could not be reset in time"
            );
        }
        if let Some(oldest) = self.sessions.put(&turn.input.context_id, session) {
            self.tasks.spawn(oldest.finish());
        }
    }

    fn failed(&self, turn: &Turn, error: &TurnError) -> Finished {
        tracing::error!(
            task = turn.input.task_id,
            category = %error.category,
            detail = %redact(&error.detail).0,
            "turn failed"
        );
        self.pulse.failed(&error.to_string());
        turn.end(State::Failed, error.to_string())
    }

    /// Did the turn fail because the agent stops? Whoever stops the agent signals the programs it runs as well, and they
    /// may be gone before the agent knows. Such a turn has no answer (D14).
    async fn brought_down(&self, error: &TurnError) -> bool {
        if matches!(error.category, Category::Subprocess | Category::Exit(TERMINATED)) {
            timeout(STOP_NOTICE, self.stop.cancelled()).await.ok();
        }
        self.stop.is_cancelled()
    }
}

/// Why there is no reply.
enum Broken {
    Canceled,
    Failed(TurnError),
}

fn context(turn: &Turn) -> SessionContext {
    SessionContext {
        context_id: turn.input.context_id.clone(),
    }
}

fn completed(turn: &Turn, reply: Reply) -> Finished {
    let text = if reply.text.trim().is_empty() {
        NO_RESPONSE.to_owned()
    } else {
        reply.text
    };
    Finished {
        tool_trace: reply.tools,
        usage: reply.usage,
        ..turn.end(State::Completed, text)
    }
}
