//! `message/stream` and `tasks/resubscribe`: a task's progress as server-sent events.

use std::sync::Arc;

use axum::response::Response as HttpResponse;
use futures_util::stream;
use molecule_a2a::jsonrpc::{Event, RpcError};
use tokio::sync::mpsc;

use super::{
    Server,
    caller::Caller,
    shape::{self, History},
};
use crate::turns::{Phase, State, Turn, Turns};

/// Frames that may wait for a slow reader.
const BUFFER: usize = 16;

/// Streams the task of a turn as it is now and what becomes of it. The turn goes on when the reader leaves.
pub(super) fn follow(server: &Server, caller: &Caller, turn: Arc<Turn>) -> HttpResponse {
    let (sender, receiver) = mpsc::channel(BUFFER);
    let turns = Arc::clone(&server.turns);
    tokio::spawn(async move {
        let task = turn.input.task_id.clone();
        // An error means that the reader left.
        if pump(&turns, turn, &sender).await.is_err() {
            tracing::debug!(task, "stream reader left");
        }
    });
    let writer = caller.clone();
    caller.events(stream::unfold(
        (receiver, writer),
        |(mut receiver, writer)| async move {
            let outcome: Result<Event, RpcError> = receiver.recv().await?;
            Some((writer.write(outcome), (receiver, writer)))
        },
    ))
}

type Events = mpsc::Sender<Result<Event, RpcError>>;
type Gone = mpsc::error::SendError<Result<Event, RpcError>>;

/// From the task as it is now to its end: the first event is the task, so that nothing before it is missed and nothing
/// comes twice (D24).
async fn pump(turns: &Turns, mut turn: Arc<Turn>, events: &Events) -> Result<(), Gone> {
    let task = match turns.task(&turn.input.task_id).await {
        Ok(Some(task)) => task,
        Ok(None) => return events.send(Err(RpcError::task_not_found(&turn.input.task_id))).await,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the journal cannot be read");
            return events
                .send(Err(RpcError::internal("the task could not be looked up")))
                .await;
        }
    };
    if task.current().is_none() {
        return events.send(Ok(Event::Task(shape::task(&task, History::All)))).await;
    }
    let mut place = task.ended.len();
    let mut sent = {
        let watch = turn.watch();
        let progress = watch.borrow().clone();
        let first = shape::under_way(&task, place, &progress);
        events.send(Ok(Event::Task(first))).await?;
        Sent {
            pieces: progress.ends.len(),
            working: place > 0 || !matches!(progress.phase, Phase::Queued),
        }
    };
    while let Some(next) = one(turns, &turn, place, &mut sent, events).await? {
        turn = next;
        place += 1;
        sent.pieces = 0;
    }
    Ok(())
}

/// What a reader has seen.
struct Sent {
    /// Of the text of the turn under way.
    pieces: usize,
    /// That the task is at work.
    working: bool,
}

/// Follows one turn. What it gives is the next one of the same task.
async fn one(
    turns: &Turns,
    turn: &Turn,
    place: usize,
    sent: &mut Sent,
    events: &Events,
) -> Result<Option<Arc<Turn>>, Gone> {
    let mut watch = turn.watch();
    loop {
        let (pieces, phase) = {
            let progress = watch.borrow_and_update();
            let pieces: Vec<_> = progress.pieces(sent.pieces).map(str::to_owned).collect();
            (pieces, progress.phase.clone())
        };
        if !sent.working && !matches!(phase, Phase::Queued | Phase::Abandoned) {
            sent.working = true;
            events.send(Ok(Event::StatusUpdate(shape::working(turn, None)))).await?;
        }
        for piece in pieces {
            let first = sent.pieces == 0;
            sent.pieces += 1;
            let more = shape::text(turn, place, piece, first, false);
            events.send(Ok(Event::ArtifactUpdate(more))).await?;
        }
        match phase {
            Phase::Queued | Phase::Working => {}
            Phase::Done(finished) => {
                // The reply is what counts: an engine that thought aloud, or said nothing before the end, is corrected.
                if finished.state == State::Completed && finished.text != watch.borrow().text {
                    let whole = shape::text(turn, place, finished.text.clone(), sent.pieces == 0, true);
                    events.send(Ok(Event::ArtifactUpdate(whole))).await?;
                }
                let next = turns.next_of(turn);
                let update = match &next {
                    Some(next) => shape::working(next, Some(&finished)),
                    None => shape::last(&finished),
                };
                events.send(Ok(Event::StatusUpdate(update))).await?;
                return Ok(next);
            }
            Phase::Abandoned => {
                events.send(Err(RpcError::internal("the agent is stopping"))).await?;
                return Ok(None);
            }
        }
        if watch.changed().await.is_err() {
            events.send(Err(RpcError::internal("the turn was lost"))).await?;
            return Ok(None);
        }
    }
}
