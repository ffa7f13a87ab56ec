//! JSON-RPC: from a body to an answer (RUN-51). Protocol errors are answers with status 200, as A2A clients expect.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, Uri},
    response::Response as HttpResponse,
};
use molecule_a2a::{
    Method, ProtocolVersion,
    jsonrpc::{Call, Event, Message, Request, RpcError, SendParams, Task, TaskParams},
    translate,
};

use super::{
    Server,
    caller::{self, Caller},
    inbound, list, shape, stream,
};
use crate::turns::{CancelError, State, SubmitError, Turn};

/// Answer to a message that says nothing (RUN-52).
const NO_CONTENT: &str = "Error: message contained no text content.";

pub(super) async fn answer(server: &Arc<Server>, headers: &HeaderMap, uri: &Uri, body: &Bytes) -> HttpResponse {
    let named = caller::version(headers, uri);
    let request = Request::parse(body);
    let (id, method) = match &request {
        Ok(request) => (request.answer_id(), Method::find(&request.method)),
        Err(error) => (error.id.clone(), None),
    };
    // The method is spelt differently in each version, so its name says which one is spoken.
    let spoken = method
        .map(|(_, version)| version)
        .or(named.as_ref().ok().copied().flatten());
    let caller = Caller {
        id,
        method: method.map(|(method, _)| method),
        version: spoken.unwrap_or(ProtocolVersion::V0_3).wire(),
    };
    if let Err(version) = named {
        return caller.refuse(StatusCode::OK, RpcError::version_not_supported(&version));
    }
    let request = match request {
        Ok(request) if caller.is_v1() => {
            if let Err(error) = inbound::check(&request) {
                return caller.refuse(StatusCode::OK, error);
            }
            Request::parse(&translate::request_to_v03(body))
        }
        request => request,
    };
    match request.and_then(|request| request.call()) {
        Ok(call) => serve(server, &caller, call).await,
        Err(error) => caller.refuse(StatusCode::OK, error.error),
    }
}

async fn serve(server: &Arc<Server>, caller: &Caller, call: Call) -> HttpResponse {
    match call {
        Call::Send(params) => send(server, caller, &params).await,
        Call::Stream(params) => match take(server, &params, false).await {
            Ok(turn) => stream::follow(server, caller, turn),
            Err(refusal) => refusal.answer(caller),
        },
        Call::Get(params) => caller.answer(get(server, caller, &params).await),
        Call::Cancel(params) => caller.answer(cancel(server, &params).await),
        Call::Resubscribe(params) => resubscribe(server, caller, &params).await,
        Call::List(params) => caller.answer(list::page(server, caller, &params).await),
        Call::Push => caller.answer::<()>(Err(RpcError::push_not_supported())),
        Call::ExtendedCard => caller.answer::<()>(Err(RpcError::unsupported("An extended card"))),
    }
}

async fn send(server: &Server, caller: &Caller, params: &SendParams) -> HttpResponse {
    let configuration = params.configuration.as_ref();
    let wait = configuration.and_then(|configuration| configuration.blocking) != Some(false);
    let turn = match take(server, params, !wait).await {
        Ok(turn) => turn,
        Err(refusal) => return refusal.answer(caller),
    };
    let history = shape::History::of(
        caller,
        configuration.and_then(|configuration| configuration.history_length),
    );
    let task = async |turn: &Turn| -> Result<Event, RpcError> {
        let task = view(server, &turn.input.task_id).await?;
        Ok(Event::Task(shape::task(&task, history)))
    };
    if !wait {
        return caller.answer(task(&turn).await);
    }
    match turn.finished().await {
        // RUN-53: a reply is a message. What failed is a failed task, and callers of v1.0 get tasks (D24).
        Some(finished) if finished.state == State::Completed && !caller.is_v1() => {
            caller.answer(Ok(Event::Message(shape::message(&finished))))
        }
        Some(finished) => caller.answer(Ok(Event::Task(shape::ended(&finished, history)))),
        None => Refusal::Submit(SubmitError::Stopping).answer(caller),
    }
}

async fn take(server: &Server, params: &SendParams, promised: bool) -> Result<Arc<Turn>, Refusal> {
    let Some(asked) = inbound::read(params, &server.inbox).map_err(Refusal::Content)? else {
        let message = Message::agent(NO_CONTENT).in_context(params.message.context_id.clone());
        return Err(Refusal::Empty(Box::new(message)));
    };
    server.turns.submit(asked, promised).await.map_err(Refusal::Submit)
}

/// A message that starts no turn.
enum Refusal {
    /// It says nothing; that is told in words (RUN-52).
    Empty(Box<Message>),
    /// It holds something that is not taken.
    Content(RpcError),
    /// It could not be taken.
    Submit(SubmitError),
}

impl Refusal {
    fn answer(self, caller: &Caller) -> HttpResponse {
        let error = match self {
            Self::Empty(message) if caller.method == Some(Method::Stream) => {
                let frame = caller.write(Ok(Event::Message(*message)));
                return caller.events(futures_util::stream::iter([frame]));
            }
            Self::Empty(message) => return caller.answer(Ok(Event::Message(*message))),
            Self::Content(error) => return caller.refuse(StatusCode::OK, error),
            Self::Submit(error) => error,
        };
        // Statuses tell the platform what the words tell people: another try may help, elsewhere or later.
        let (status, told) = match &error {
            SubmitError::Full => (StatusCode::TOO_MANY_REQUESTS, RpcError::internal(error.to_string())),
            SubmitError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, RpcError::internal(error.to_string())),
            SubmitError::Journal(cause) => {
                tracing::error!(error = cause as &dyn std::error::Error, "message refused");
                (StatusCode::INTERNAL_SERVER_ERROR, RpcError::internal(error.to_string()))
            }
            SubmitError::NoTask(id) => (StatusCode::OK, RpcError::task_not_found(id)),
            SubmitError::TaskOver(id) => (StatusCode::OK, RpcError::task_over(id)),
            SubmitError::OtherContext => {
                let problem = "is not the conversation of message.taskId";
                (StatusCode::OK, RpcError::invalid_member("message.contextId", problem))
            }
        };
        caller.refuse(status, told)
    }
}

/// A task as it is now.
async fn view(server: &Server, id: &str) -> Result<crate::turns::Task, RpcError> {
    match server.turns.task(id).await {
        Ok(Some(task)) => Ok(task),
        Ok(None) => Err(RpcError::task_not_found(id)),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the journal cannot be read");
            Err(RpcError::internal("the task could not be looked up"))
        }
    }
}

async fn get(server: &Server, caller: &Caller, params: &TaskParams) -> Result<Task, RpcError> {
    let task = view(server, &params.id).await?;
    Ok(shape::task(&task, shape::History::of(caller, params.history_length)))
}

/// Follows a task that goes on; of one that has ended there is only the end, which v1.0 does not want told twice (D24).
async fn resubscribe(server: &Arc<Server>, caller: &Caller, params: &TaskParams) -> HttpResponse {
    let task = match view(server, &params.id).await {
        Ok(task) => task,
        Err(error) => return caller.refuse(StatusCode::OK, error),
    };
    if let Some(turn) = task.current() {
        return stream::follow(server, caller, Arc::clone(turn));
    }
    if caller.is_v1() {
        return caller.refuse(StatusCode::OK, RpcError::task_over(&params.id));
    }
    let end = shape::task(&task, shape::History::All);
    caller.events(futures_util::stream::iter([caller.write(Ok(Event::Task(end)))]))
}

async fn cancel(server: &Server, params: &TaskParams) -> Result<Task, RpcError> {
    match server.turns.cancel(&params.id).await {
        Ok(finished) => Ok(shape::ended(&finished, shape::History::All)),
        Err(CancelError::Unknown) => Err(RpcError::task_not_found(&params.id)),
        Err(CancelError::Ended) => Err(RpcError::task_not_cancelable(&params.id)),
    }
}
