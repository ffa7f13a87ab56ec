//! A language model that says what a test wrote down: a real HTTP server that speaks OpenAI chat completions and
//! Anthropic messages, streamed and whole, on good days and bad.
//!
//! ```no_run
//! # async fn example() {
//! use molecule_testkit::llm::{ScriptedLlm, Turn};
//! let llm = ScriptedLlm::start().await;
//! llm.say(Turn::tool("read_file", &serde_json::json!({"path": "a.txt"})));
//! llm.say(Turn::status(429).retry_after(0));
//! llm.say(Turn::text("It says hello."));
//! // … point the program under test at `llm.openai_url()` or `llm.anthropic_url()` …
//! assert_eq!(llm.requests().len(), 3);
//! # }
//! ```

mod anthropic;
pub mod odd;
mod openai;
mod recorded;
mod script;
mod wire;

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

use self::script::Ending;
pub use self::{
    recorded::Recorded,
    script::{Piece, Turn},
    wire::Wire,
};
use crate::PATIENCE;

/// Bytes of one piece of an odd stream: fewer than most of its lines have.
const RAW_PIECE: usize = 11;

/// The server. It ends when dropped.
pub struct ScriptedLlm {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Script {
    turns: VecDeque<Turn>,
    otherwise: Option<Turn>,
    requests: Vec<Recorded>,
}

struct Shared {
    state: Mutex<Script>,
    /// One permit lets one stalled answer go on.
    released: Semaphore,
    /// One permit per answer that has come to its stall.
    stalled: Semaphore,
    arrived: tokio::sync::Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Script> {
        // A test that panicked with the lock held has failed already; others may still look.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptedLlm {
    /// Listens on a free port of the loopback.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            released: Semaphore::new(0),
            stalled: Semaphore::new(0),
            arrived: tokio::sync::Notify::new(),
        });
        let router = Router::new()
            .route("/v1/models", get(models_route))
            .route("/v1/chat/completions", post(openai_route))
            .route("/v1/messages", post(anthropic_route))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("the listener keeps accepting");
        });
        Self {
            address,
            shared,
            server,
        }
    }

    /// Base address for clients of OpenAI: ends in `/v1`.
    #[must_use]
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Base address for clients of Anthropic, which append `/v1` themselves.
    #[must_use]
    pub fn anthropic_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds an answer to the script.
    pub fn say(&self, turn: Turn) {
        self.shared.state().turns.push_back(turn);
    }

    /// The answer to every request beyond the script; without one they get status 400.
    pub fn otherwise(&self, turn: Turn) {
        self.shared.state().otherwise = Some(turn);
    }

    /// What was asked so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// Waits until `count` requests have come.
    ///
    /// # Panics
    /// When they do not come within [`PATIENCE`].
    pub async fn asked(&self, count: usize) {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let arrived = self.shared.arrived.notified();
                if self.shared.state().requests.len() >= count {
                    return;
                }
                arrived.await;
            }
        })
        .await
        .expect("the requests come");
    }

    /// Waits until an answer has come to its stall.
    ///
    /// # Panics
    /// When none does within [`PATIENCE`].
    pub async fn stalled(&self) {
        let permit = tokio::time::timeout(PATIENCE, self.shared.stalled.acquire())
            .await
            .expect("an answer stalls");
        permit.expect("the semaphore is never closed").forget();
    }

    /// Lets one stalled answer go on.
    pub fn release(&self) {
        self.shared.released.add_permits(1);
    }
}

impl Drop for ScriptedLlm {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The list a local OpenAI-compatible server gives: one model.
async fn models_route() -> Json<Value> {
    Json(json!({ "object": "list", "data": [{ "id": "scripted", "object": "model" }] }))
}

async fn openai_route(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    answer(shared, Wire::OpenAi, &headers, body)
}

async fn anthropic_route(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    answer(shared, Wire::Anthropic, &headers, body)
}

fn answer(shared: Arc<Shared>, wire: Wire, headers: &HeaderMap, body: Value) -> Response {
    let recorded = Recorded::new(wire, headers, body);
    let streamed = recorded.streamed();
    let model = recorded.model().to_owned();
    let with_usage = recorded.wants_usage();
    let turn = {
        let mut state = shared.state();
        state.requests.push(recorded);
        state.turns.pop_front().or_else(|| state.otherwise.clone())
    };
    shared.arrived.notify_waiters();
    let Some(turn) = turn else {
        return failure(wire, 400, "the script has nothing left to say", None);
    };
    if let Some(status) = turn.status {
        return failure(
            wire,
            status,
            turn.problem.as_deref().unwrap_or("scripted failure"),
            turn.retry_after,
        );
    }
    if let Some((content_type, body)) = turn.raw {
        let pieces = body
            .into_bytes()
            .chunks(RAW_PIECE)
            .map(Bytes::copy_from_slice)
            .collect::<Vec<_>>();
        let pieces = stream::iter(pieces).then(|piece| async {
            // Lets the server flush what came before.
            tokio::task::yield_now().await;
            io::Result::Ok(piece)
        });
        return ([(header::CONTENT_TYPE, content_type)], Body::from_stream(pieces)).into_response();
    }
    if streamed {
        let frames = match wire {
            Wire::OpenAi => openai::frames(&turn, &model, with_usage),
            Wire::Anthropic => anthropic::frames(&turn, &model),
        };
        return (
            [(header::CONTENT_TYPE, "text/event-stream")],
            Body::from_stream(paced(shared, frames, turn.ending)),
        )
            .into_response();
    }
    let whole = match wire {
        Wire::OpenAi => openai::whole(&turn, &model),
        Wire::Anthropic => anthropic::whole(&turn, &model),
    };
    let text = if turn.ending == Ending::Garbage {
        "{\"choices\": [oops".to_owned()
    } else {
        whole.to_string()
    };
    // Two halves, so that a cut or a stall has a middle.
    let (head, tail) = text.split_at(text.len() / 2);
    let body = Body::from_stream(paced(shared, vec![head.to_owned(), tail.to_owned()], turn.ending));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The frames, up to where the script has its accident.
fn paced(
    shared: Arc<Shared>,
    frames: Vec<String>,
    ending: Ending,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static {
    let again = frames.last().filter(|_| ending == Ending::Endless).cloned();
    let frames = frames.into_iter().chain(again.into_iter().cycle());
    stream::iter(frames.enumerate()).then(move |(n, frame)| {
        let shared = Arc::clone(&shared);
        async move {
            // Lets the server flush what came before: frames arrive one by one, and a cut comes after them.
            tokio::task::yield_now().await;
            match ending {
                Ending::CutAfter(frames) if n >= frames => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by the script"));
                }
                Ending::StallAfter(frames) if n == frames => {
                    shared.stalled.add_permits(1);
                    if let Ok(permit) = shared.released.acquire().await {
                        permit.forget();
                    }
                }
                _ => {}
            }
            Ok(Bytes::from(frame))
        }
    })
}

/// An error in the wire's own shape.
fn failure(wire: Wire, status: u16, text: &str, retry_after: Option<u64>) -> Response {
    let kind = match status {
        401 | 403 => "authentication_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    };
    let body = match wire {
        Wire::OpenAi => json!({"error": {"message": text, "type": kind, "param": null, "code": null}}),
        Wire::Anthropic => json!({"type": "error", "error": {"type": kind, "message": text}}),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Text in pieces of at most `size` characters.
fn fragments(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests;
