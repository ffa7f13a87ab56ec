use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use molecule_testkit::backend::Gate;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

/// What an agent answers.
#[derive(Clone)]
pub(crate) enum Reply {
    /// JSON with a status.
    Json(u16, String),
    /// A body of so many bytes.
    Big(usize),
    /// Somewhere else.
    Redirect(String),
    /// JSON, once the gate is open.
    Held(Gate, String),
    /// Never.
    Stall,
    /// An event stream; its chunks are sent through [`Agent::chunk`].
    Stream,
    /// JSON that begins and never ends.
    Unfinished,
}

/// A request as the agent saw it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

#[derive(Default)]
struct Shared {
    reply: Mutex<Option<Reply>>,
    heard: Mutex<Vec<Heard>>,
    chunks: Mutex<Option<mpsc::UnboundedSender<Bytes>>>,
}

/// An agent on a port of its own.
#[derive(Clone)]
pub(crate) struct Agent {
    port: u16,
    shared: Arc<Shared>,
}

impl Agent {
    pub(crate) async fn new(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        *shared.reply.lock() = Some(reply);
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shared }
    }

    pub(crate) async fn json(body: &str) -> Self {
        Self::new(Reply::Json(200, body.to_owned())).await
    }

    pub(crate) async fn status(status: u16, body: &str) -> Self {
        Self::new(Reply::Json(status, body.to_owned())).await
    }

    /// By address, as backends assign it.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/agent", self.port)
    }

    /// By name, as external agents on this machine report it.
    pub(crate) fn reported_url(&self) -> String {
        format!("http://localhost:{}/agent", self.port)
    }

    pub(crate) fn reply(&self, reply: Reply) {
        *self.shared.reply.lock() = Some(reply);
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().clone()
    }

    pub(crate) async fn until_heard(&self, count: usize) {
        super::eventually("a request", async || self.heard().len() >= count).await;
    }

    /// Sends a piece of the stream.
    pub(crate) fn chunk(&self, text: &str) {
        let chunks = self.shared.chunks.lock();
        chunks
            .as_ref()
            .expect("a stream is open")
            .send(text.to_owned().into())
            .expect("somebody reads it");
    }

    /// Ends the stream as it should.
    pub(crate) fn end_stream(&self) {
        *self.shared.chunks.lock() = None;
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let reply = shared.reply.lock().clone().expect("a reply is set");
    let stream = matches!(reply, Reply::Stream).then(|| {
        let (chunks, stream) = mpsc::unbounded_channel();
        *shared.chunks.lock() = Some(chunks);
        stream
    });
    shared.heard.lock().push(Heard {
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let json = |status: u16, body: String| {
        (
            StatusCode::from_u16(status).unwrap(),
            [(header::CONTENT_TYPE, "application/json")],
            body,
        )
            .into_response()
    };
    match reply {
        Reply::Json(status, body) => json(status, body),
        Reply::Big(bytes) => {
            let pieces = futures_util::stream::iter((0..bytes.div_ceil(1 << 16)).map(move |piece| {
                let left = bytes - piece * (1 << 16);
                Ok::<_, Infallible>(Bytes::from(vec![b' '; left.min(1 << 16)]))
            }));
            Body::from_stream(pieces).into_response()
        }
        Reply::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Reply::Held(gate, body) => {
            gate.pass().await;
            json(200, body)
        }
        Reply::Stall => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            json(200, "{}".to_owned())
        }
        Reply::Unfinished => {
            let begun = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
            Body::from_stream(begun.chain(futures_util::stream::pending())).into_response()
        }
        Reply::Stream => {
            let stream = tokio_stream(stream.expect("made above")).map(Ok::<_, Infallible>);
            (
                [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")],
                Body::from_stream(stream),
            )
                .into_response()
        }
    }
}

fn tokio_stream(receiver: mpsc::UnboundedReceiver<Bytes>) -> impl futures_util::Stream<Item = Bytes> {
    futures_util::stream::unfold(receiver, async |mut receiver| {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    })
}

/// An agent that answers with bytes as they are, then closes the connection: what no HTTP library would send.
pub(crate) struct RawAgent {
    port: u16,
}

impl RawAgent {
    pub(crate) async fn new(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut seen = Vec::new();
                // All of these tests' messages end so.
                while !seen.ends_with(b"}") {
                    if socket.read_buf(&mut seen).await.unwrap() == 0 {
                        break;
                    }
                }
                socket.write_all(answer).await.unwrap();
                socket.shutdown().await.ok();
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}
