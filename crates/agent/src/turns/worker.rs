//! What runs the turns.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use molecule_core::redact::redact;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Finished, Ledger, Phase, State, Turn, canceled, end};
use crate::{
    pulse::Pulse,
    runtimes::{Adapter, Category, Output, Reply, TurnError},
};

/// How often a promised turn is started before it counts as one that ends the process.
pub(super) const STARTS: u32 = 3;
/// How long after the end of a killed program the agent's own stop may still come.
const STOP_NOTICE: Duration = Duration::from_secs(1);
/// Exit code of a program that SIGTERM ended.
const TERMINATED: i32 = 128 + 15;
/// What an engine without words answers (RUN-53).
pub(super) const NO_RESPONSE: &str = "(no response generated)";

/// Takes turns from the queue, one at a time.
pub(super) struct Worker {
    pub(super) adapter: Arc<dyn Adapter>,
    pub(super) ledger: Ledger,
    pub(super) pulse: Pulse,
    pub(super) timeout: Option<Duration>,
    pub(super) stop: CancellationToken,
    pub(super) abort: CancellationToken,
}

impl Worker {
    pub(super) async fn run(self, mut queue: mpsc::Receiver<Arc<Turn>>) {
        loop {
            let turn = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                turn = queue.recv() => match turn {
                    Some(turn) => turn,
                    None => return,
                },
            };
            if !turn.take() {
                continue;
            }
            let Some(finished) = self.execute(&turn).await else {
                return;
            };
            self.ledger.settle(&turn, finished).await;
        }
    }

    /// Runs one turn. `None`: given up because the agent stops.
    async fn execute(&self, turn: &Turn) -> Option<Finished> {
        if turn.starts >= STARTS {
            let text = format!("The agent ended {STARTS} times during this task, which is given up.");
            return Some(end(turn, State::Failed, text));
        }
        if let Err(error) = self.ledger.journal.started(&turn.key).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, task = turn.input.task_id, "the start of a turn was not recorded");
        }
        turn.set_phase(Phase::Working);
        let _busy = self.pulse.begin(&turn.input.text);
        let output = Output::new(turn.progress.clone());
        let work = AssertUnwindSafe(self.adapter.turn(&turn.input, &output)).catch_unwind();
        let limit = async {
            match self.timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            biased;
            () = self.abort.cancelled() => return None,
            () = turn.cancel.cancelled() => return Some(canceled(turn)),
            result = work => result.unwrap_or_else(|_| Err(TurnError::new(Category::Internal, "the turn panicked"))),
            () = limit => Err(TurnError::new(Category::Timeout, format!("no reply within {:?}", self.timeout))),
        };
        Some(match result {
            Ok(reply) => {
                self.pulse.clear_wedge();
                completed(turn, reply)
            }
            Err(error) if self.brought_down(&error).await => {
                tracing::warn!(task = turn.input.task_id, category = %error.category, "the turn broke off with the agent");
                return None;
            }
            Err(error) => {
                tracing::error!(
                    task = turn.input.task_id,
                    category = %error.category,
                    detail = %redact(&error.detail).0,
                    "turn failed"
                );
                self.pulse.failed(&error.to_string());
                end(turn, State::Failed, error.to_string())
            }
        })
    }

    /// Did the turn fail because the agent stops? Whoever stops the agent signals the programs it runs as well, and they
    /// may be gone before the agent knows. Such a turn has no answer (D14).
    async fn brought_down(&self, error: &TurnError) -> bool {
        if matches!(error.category, Category::Subprocess | Category::Exit(TERMINATED)) {
            tokio::time::timeout(STOP_NOTICE, self.stop.cancelled()).await.ok();
        }
        self.stop.is_cancelled()
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
        ..end(turn, State::Completed, text)
    }
}
