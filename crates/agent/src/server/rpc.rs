//! JSON-RPC: from a body to an answer (RUN-51). Protocol errors are answers with status 200, as A2A clients expect.

use std::sync::Arc;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response as HttpResponse},
};
use molecule_a2a::jsonrpc::{
    Call, Event, Message, Request, RequestId, Response, RpcError, SendParams, Task, TaskParams,
};
use serde::Serialize;

use super::{Server, inbound, shape, stream};
use crate::turns::{CancelError, SubmitError, Turn};

/// Answer to a message that says nothing (RUN-52).
const NO_CONTENT: &str = "Error: message contained no text content.";

pub(super) async fn answer(server: &Server, body: &[u8]) -> HttpResponse {
    let request = match Request::parse(body) {
        Ok(request) => request,
        Err(error) => return Json(Response::<()>::from(error)).into_response(),
    };
    let id = request.answer_id();
    match request.call() {
        Err(error) => Json(Response::<()>::from(error)).into_response(),
        Ok(Call::Send(params)) => send(server, id, &params).await,
        Ok(Call::Stream(params)) => open_stream(server, id, &params).await,
        Ok(Call::Get(params)) => reply(id, get(server, &params).await),
        Ok(Call::Cancel(params)) => reply(id, cancel(server, &params).await),
        Ok(Call::Resubscribe(params)) => match server.turns.live(&params.id) {
            Some(turn) => stream::follow(turn, id),
            None => reply::<()>(id, Err(RpcError::task_not_found(&params.id))),
        },
    }
}

fn reply<T: Serialize>(id: RequestId, outcome: Result<T, RpcError>) -> HttpResponse {
    Json(Response { id, outcome }).into_response()
}

async fn send(server: &Server, id: RequestId, params: &SendParams) -> HttpResponse {
    let wait = params
        .configuration
        .as_ref()
        .and_then(|configuration| configuration.blocking)
        != Some(false);
    let turn = match take(server, params, !wait).await {
        Ok(turn) => turn,
        Err(refusal) => return refusal.answer(id),
    };
    if !wait {
        return reply(id, Ok(Event::Task(shape::current(&turn))));
    }
    match turn.finished().await {
        Some(finished) => reply(id, Ok(Event::Message(shape::message(&finished)))),
        None => Refusal::Submit(SubmitError::Stopping).answer(id),
    }
}

async fn open_stream(server: &Server, id: RequestId, params: &SendParams) -> HttpResponse {
    match take(server, params, false).await {
        Ok(turn) => stream::follow(turn, id),
        Err(refusal) => refusal.answer(id),
    }
}

async fn take(server: &Server, params: &SendParams, promised: bool) -> Result<Arc<Turn>, Refusal> {
    let Some(input) = inbound::read(params, &server.work_dir) else {
        let message = Message::agent(NO_CONTENT).in_context(params.message.context_id.clone());
        return Err(Refusal::Empty(Box::new(message)));
    };
    server
        .turns
        .submit(input, &inbound::content(params), promised)
        .await
        .map_err(Refusal::Submit)
}

/// A message that starts no turn.
enum Refusal {
    /// It says nothing; that is told in words (RUN-52).
    Empty(Box<Message>),
    /// It could not be taken.
    Submit(SubmitError),
}

impl Refusal {
    fn answer(self, id: RequestId) -> HttpResponse {
        let error = match self {
            Self::Empty(message) => return reply(id, Ok(Event::Message(*message))),
            Self::Submit(error) => error,
        };
        // Statuses tell the platform what the words tell people: another try may help, elsewhere or later.
        let status = match &error {
            SubmitError::Full => StatusCode::TOO_MANY_REQUESTS,
            SubmitError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            SubmitError::Journal(cause) => {
                tracing::error!(error = cause as &dyn std::error::Error, "message refused");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        (status, reply::<()>(id, Err(RpcError::internal(error.to_string())))).into_response()
    }
}

async fn get(server: &Server, params: &TaskParams) -> Result<Task, RpcError> {
    if let Some(turn) = server.turns.live(&params.id) {
        return Ok(shape::current(&turn));
    }
    match server.turns.ended(&params.id).await {
        Ok(Some(finished)) => Ok(shape::ended(&finished)),
        Ok(None) => Err(RpcError::task_not_found(&params.id)),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the journal cannot be read");
            Err(RpcError::internal("the task could not be looked up"))
        }
    }
}

async fn cancel(server: &Server, params: &TaskParams) -> Result<Task, RpcError> {
    server
        .turns
        .cancel(&params.id)
        .await
        .map(|finished| shape::ended(&finished))
        .map_err(|error| match error {
            CancelError::Unknown => RpcError::task_not_found(&params.id),
            CancelError::Ended => RpcError::task_not_cancelable(&params.id),
        })
}
