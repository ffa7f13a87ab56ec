//! The agent's HTTP surface (RUN-51, D13): cards for everybody, everything else for the platform only.

mod caller;
mod inbound;
mod list;
mod rpc;
mod shape;
mod stream;
mod transcript;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderMap, StatusCode, Uri,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use molecule_a2a::{
    card::{CARD_PATH, LEGACY_CARD_PATH},
    jsonrpc::AgentCard,
};
use molecule_core::limits;
use serde_json::json;

pub use self::inbound::Inbox;
use crate::{platform::Platform, turns::Turns};

/// Bytes of a request that are read: what the platform admits, with room for the envelope.
const REQUEST_BYTES: usize = limits::A2A_REQUEST_BYTES + (64 << 10);

/// What the handlers work with.
pub struct Server {
    /// Takes messages.
    pub turns: Arc<Turns>,
    /// Knows the secret that callers must present.
    pub platform: Arc<Platform>,
    /// Shown to everybody.
    pub card: AgentCard,
    /// Where files that come along are.
    pub inbox: Inbox,
    /// Name of the engine.
    pub runtime: &'static str,
}

/// The routes.
pub fn router(server: Arc<Server>) -> Router {
    let guarded = Router::new()
        .route("/", post(call))
        .route("/a2a", post(call))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&server), admit));
    Router::new()
        .route(CARD_PATH, get(card))
        .route(LEGACY_CARD_PATH, get(card))
        // Has a gate of its own: the platform passes the caller's credential on (RUN-67).
        .route("/transcript", get(transcript::show))
        .merge(guarded)
        .fallback(async || (StatusCode::NOT_FOUND, Json(json!({"error": "not found"}))))
        .with_state(server)
}

/// Admits the holder of the inbound secret; the body of anybody else is not even read (D13, RUN-58).
async fn admit(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let authorization = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if server.platform.inbound.admits(authorization) {
        return next.run(request).await;
    }
    let challenge = [(WWW_AUTHENTICATE, "Bearer")];
    (
        StatusCode::UNAUTHORIZED,
        challenge,
        Json(json!({"error": "unauthorized"})),
    )
        .into_response()
}

async fn card(State(server): State<Arc<Server>>) -> Json<AgentCard> {
    Json(server.card.clone())
}

async fn call(State(server): State<Arc<Server>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    rpc::answer(&server, &headers, &uri, &body).await
}
