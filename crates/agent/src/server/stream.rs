//! `message/stream` and `tasks/resubscribe`: a turn's progress as server-sent events.

use std::{convert::Infallible, sync::Arc};

use axum::response::{
    IntoResponse, Response as HttpResponse,
    sse::{Event as SseEvent, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use molecule_a2a::jsonrpc::{Event, RequestId, Response, RpcError};
use tokio::sync::mpsc;

use super::shape;
use crate::turns::{Phase, State, Turn};

/// Frames that may wait for a slow reader.
const BUFFER: usize = 16;

/// Streams a turn from its beginning. The turn goes on when the reader leaves.
pub(super) fn follow(turn: Arc<Turn>, id: RequestId) -> HttpResponse {
    let (sender, receiver) = mpsc::channel(BUFFER);
    tokio::spawn(async move {
        // An error means that the reader left.
        if pump(&turn, &sender).await.is_err() {
            tracing::debug!(task = turn.input.task_id, "stream reader left");
        }
    });
    Sse::new(frames(receiver, id))
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn frames(
    receiver: mpsc::Receiver<Result<Event, RpcError>>,
    id: RequestId,
) -> impl Stream<Item = Result<SseEvent, Infallible>> + Send {
    stream::unfold((receiver, id), |(mut receiver, id)| async move {
        let outcome = receiver.recv().await?;
        let response = Response {
            id: id.clone(),
            outcome,
        };
        let frame = SseEvent::default().json_data(&response).unwrap_or_else(|error| {
            tracing::error!(%error, "an event could not be written");
            SseEvent::default().comment("unwritable event")
        });
        Some((Ok(frame), (receiver, id)))
    })
}

type Gone = mpsc::error::SendError<Result<Event, RpcError>>;

async fn pump(turn: &Turn, events: &mpsc::Sender<Result<Event, RpcError>>) -> Result<(), Gone> {
    let mut watch = turn.watch();
    let mut sent = 0;
    let mut working = false;
    events.send(Ok(Event::Task(shape::submitted(turn)))).await?;
    loop {
        let (pieces, phase) = {
            let progress = watch.borrow_and_update();
            (
                progress.pieces(sent).map(str::to_owned).collect::<Vec<_>>(),
                progress.phase.clone(),
            )
        };
        if !working && !matches!(phase, Phase::Queued | Phase::Abandoned) {
            working = true;
            events.send(Ok(Event::StatusUpdate(shape::working(turn)))).await?;
        }
        for piece in pieces {
            let first = sent == 0;
            sent += 1;
            events
                .send(Ok(Event::ArtifactUpdate(shape::text(turn, piece, first, false))))
                .await?;
        }
        match phase {
            Phase::Queued | Phase::Working => {}
            Phase::Done(finished) => {
                // The reply is what counts: an engine that thought aloud, or said nothing before the end, is corrected.
                if finished.state == State::Completed && finished.text != watch.borrow().text {
                    let whole = shape::text(turn, finished.text.clone(), sent == 0, true);
                    events.send(Ok(Event::ArtifactUpdate(whole))).await?;
                }
                return events.send(Ok(Event::StatusUpdate(shape::last(&finished)))).await;
            }
            Phase::Abandoned => return events.send(Err(RpcError::internal("the agent is stopping"))).await,
        }
        if watch.changed().await.is_err() {
            return events.send(Err(RpcError::internal("the turn was lost"))).await;
        }
    }
}
