use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};

/// What an agent answers.
#[derive(Clone)]
enum Says {
    Json(u16, String),
    /// JSON, once released.
    Held(String),
    /// What is sent through the channel.
    Stream,
}

struct Shared {
    says: Says,
    heard: Mutex<Vec<HeaderMap>>,
    release: Semaphore,
    frames: Mutex<Option<mpsc::UnboundedReceiver<Bytes>>>,
}

/// An external agent on a port of its own.
#[derive(Clone)]
pub(crate) struct Agent {
    port: u16,
    shared: Arc<Shared>,
    sender: mpsc::UnboundedSender<Bytes>,
}

impl Agent {
    pub(crate) async fn json(status: u16, body: &str) -> Self {
        Self::new(Says::Json(status, body.to_owned())).await
    }

    pub(crate) async fn held(body: &str) -> Self {
        Self::new(Says::Held(body.to_owned())).await
    }

    pub(crate) async fn streaming() -> Self {
        Self::new(Says::Stream).await
    }

    async fn new(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, frames) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            says,
            heard: Mutex::default(),
            release: Semaphore::new(0),
            frames: Mutex::new(Some(frames)),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shared, sender }
    }

    /// By name, as external agents on this machine report it.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}/agent", self.port)
    }

    pub(crate) fn heard(&self) -> Vec<HeaderMap> {
        self.shared.heard.lock().clone()
    }

    pub(crate) async fn until_heard(&self) {
        super::eventually("a message", async || !self.heard().is_empty()).await;
    }

    pub(crate) fn release(&self) {
        self.shared.release.add_permits(1);
    }

    /// Sends a piece of the stream.
    pub(crate) fn chunk(&self, text: &str) {
        self.sender.send(text.to_owned().into()).unwrap();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.heard.lock().push(request.headers().clone());
    let json = |status: u16, body: String| {
        (
            StatusCode::from_u16(status).unwrap(),
            [(header::CONTENT_TYPE, "application/json")],
            body,
        )
            .into_response()
    };
    match shared.says.clone() {
        Says::Json(status, body) => json(status, body),
        Says::Held(body) => {
            shared.release.acquire().await.unwrap().forget();
            json(200, body)
        }
        Says::Stream => {
            let frames = shared.frames.lock().take().unwrap();
            let stream = futures_util::stream::unfold(frames, async |mut frames| {
                let frame = frames.recv().await?;
                Some((Ok::<_, Infallible>(frame), frames))
            });
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)).into_response()
        }
    }
}
