//! `/ws` (`activity.md` §2.3).

use std::time::Duration;

use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use http::{HeaderMap, StatusCode, header};
use molecule_core::{WorkspaceId, credential::parse_bearer};
use molecule_platform::{
    credentials::{ClaimError, Identity, Principal},
    events::{Frame, Missed, Subscription},
};
use molecule_wire::{ErrorBody, auth::TicketPurpose, events::EventEnvelope, words::ErrorCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::{
    error::ApiError,
    extract::{Peer, Query, Who},
    guard::admin,
    limits::{Holder, Seat},
    metrics::OpenSocket,
    scope::Scope,
    state::ApiState,
};

/// Edges cut sockets that are silent for about 100 s (ACT-82).
const PING_EVERY: Duration = Duration::from_secs(30);
/// A client that takes no frame for so long is gone.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// Clients send nothing of use; this is enough for a pong or a close.
const INBOUND_BYTES: usize = 4 << 10;
/// What is gathered of frames before it goes to the network; every open socket may hold so much.
const OUTBOUND_BYTES: usize = 16 << 10;
/// Frames that are taken at a time.
const BATCH: usize = 256;

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    /// Sees everything.
    Canvas,
    /// Sees what happens to one workspace: what its ticket was bought for.
    Watcher(WorkspaceId),
    /// Sees what happens to a workspace and to those below it: what an org token reaches.
    Part(WorkspaceId),
    /// Sees what concerns those it may talk to (ACT-78).
    Agent(WorkspaceId),
}

/// Live events, one `EventEnvelope` per text frame.
///
/// People open it with a ticket; agents with their bearer and `X-Workspace-ID`. What is sent is ignored.
#[utoipa::path(
    get, path = "/ws", operation_id = "event_socket", tag = "events",
    params(
        ("ticket" = Option<String>, Query, description = "A single-use ticket for `events`."),
        ("X-Workspace-ID" = Option<WorkspaceId>, Header, description = "The listening workspace."),
    ),
    responses(
        (status = 101, description = "The socket is open.", body = EventEnvelope),
        (status = 400, description = "Not a WebSocket request.", body = ErrorBody),
        (
            status = 429,
            description = "Too many requests, or (`too_many_sockets`) too many open sockets of one credential.",
            body = ErrorBody,
        ),
        (status = 426, description = "The connection cannot be upgraded.", body = ErrorBody),
    )
)]
pub(crate) async fn open(
    State(state): State<ApiState>,
    Who(identity): Who,
    Peer(peer): Peer,
    query: Query,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    // What is no socket must not use a ticket up.
    let upgrade = upgrade.map_err(|rejection| match rejection {
        WebSocketUpgradeRejection::ConnectionNotUpgradable(_) => {
            ApiError::new(StatusCode::UPGRADE_REQUIRED, "the connection cannot be upgraded")
                .code(ErrorCode::NotUpgradable)
        }
        _ => ApiError::bad_request("not a WebSocket request").code(ErrorCode::NotAWebsocket),
    })?;
    // Before the ticket is used up: it opens a socket as soon as another one is closed.
    let seat = state.limits().seats.take(Holder::of(&identity, peer)).ok_or_else(|| {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many open sockets for one credential",
        )
        .code(ErrorCode::TooManySockets)
    })?;
    let (listener, bearer) = admit(&state, &identity, &query, &headers).await?;
    let session = Session {
        // Subscribed before the answer: a client that saw the socket open misses nothing after that.
        frames: state.platform().events.subscribe(),
        listener,
        bearer,
        seat,
        gauge: state.metrics().socket(),
        state: state.clone(),
        lost: 0,
    };
    let upgrade = upgrade
        .max_message_size(INBOUND_BYTES)
        .max_frame_size(INBOUND_BYTES)
        .write_buffer_size(OUTBOUND_BYTES);
    let tracked = state.serving().sockets.token();
    Ok(upgrade.on_upgrade(move |socket| async move {
        session.run(socket).await;
        drop(tracked);
    }))
}

/// Decides before the upgrade (ACT-77 as D2 has it), and keeps the bearer that the socket lives by.
async fn admit(
    state: &ApiState,
    identity: &Identity,
    query: &Query,
    headers: &HeaderMap,
) -> Result<(Listener, Option<SecretString>), ApiError> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| parse_bearer(value.to_str().ok()?));
    let bearer = bearer.map(SecretString::from);
    if let Some(header) = headers.get("x-workspace-id").filter(|value| !value.is_empty()) {
        let named = header.to_str().ok().and_then(|header| header.parse().ok());
        return Ok((agent(state, identity, named).await?, bearer));
    }
    if let Some(ticket) = query.get("ticket") {
        let invalid = ApiError::invalid_ticket;
        let grant = state.codes().tickets.redeem(ticket).map_err(|_| invalid())?;
        if !grant.opens(TicketPurpose::Events, None) {
            return Err(invalid());
        }
        // Bought with a bearer, it is worth what that is worth today.
        if grant.bearer.is_some() {
            admin(identity).map_err(|_| invalid())?;
        }
        let listener = match grant.what.workspace_id {
            Some(watched) => {
                Scope::of(identity).require(state, Some(watched)).await?;
                Listener::Watcher(watched)
            }
            None => person(identity),
        };
        return Ok((listener, grant.bearer));
    }
    // The bearer proves whose it is; a header would only name it (SEC-96).
    if let Some(workspace) = identity.workspace() {
        return Ok((Listener::Agent(workspace), bearer));
    }
    admin(identity)?;
    Ok((person(identity), bearer))
}

/// Whoever is no workspace sees what it reaches.
fn person(identity: &Identity) -> Listener {
    Scope::of(identity).top().map_or(Listener::Canvas, Listener::Part)
}

async fn agent(state: &ApiState, identity: &Identity, named: Option<WorkspaceId>) -> Result<Listener, ApiError> {
    let named = named.ok_or_else(|| identity.refusal())?;
    match state.platform().credentials.admit_workspace(identity, named).await {
        Ok(()) => Ok(Listener::Agent(named)),
        Err(ClaimError::Refused(refusal)) => Err(refusal.into()),
        Err(ClaimError::Store(error)) => Err(ApiError::store("auth check failed", &error)),
    }
}

/// Why a socket ends from our side.
enum End {
    /// It is broken or the client closed it.
    Client,
    /// The server stops.
    Stopping,
    /// The credential it was opened with is withdrawn.
    Withdrawn,
}

/// An open socket.
struct Session {
    frames: Subscription,
    listener: Listener,
    bearer: Option<SecretString>,
    seat: Seat,
    gauge: OpenSocket,
    state: ApiState,
    /// Events that were dropped because it did not take them in time.
    lost: u64,
}

/// Waits until others had time to gather, then takes what is there. Cancel-safe.
async fn receive(from: &mut Subscription, frames: &mut Vec<Frame>, gathered: Instant) -> Result<(), Missed> {
    sleep_until(gathered).await;
    from.recv_many(frames, BATCH).await
}

/// Hands over all of them, and only then to the network.
async fn write<S: Sink<Message> + Unpin>(socket: &mut S, messages: Vec<Message>) -> Result<(), S::Error> {
    for message in messages {
        socket.feed(message).await?;
    }
    socket.flush().await
}

impl Session {
    async fn run(mut self, mut socket: WebSocket) {
        let frame = |code, reason: &'static str| {
            Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            }))
        };
        let end = self.relay(&mut socket).await;
        if self.lost > 0 {
            tracing::info!(listener = ?self.listener, lost = self.lost, "events were dropped for a slow socket");
        }
        let farewell = match end {
            End::Client => return,
            End::Stopping => frame(close_code::AWAY, "server is stopping"),
            End::Withdrawn => frame(close_code::POLICY, "credential was withdrawn"),
        };
        // The client may be gone already.
        timeout(Duration::from_secs(1), socket.send(farewell)).await.ok();
        drop((self.seat, self.gauge));
    }

    async fn relay<S>(&mut self, socket: &mut S) -> End
    where
        S: Stream<Item = Result<Message, axum::Error>> + Sink<Message> + Unpin,
    {
        let stopping = self.state.platform().supervisor.stopping();
        let closing = self.state.serving().closing.clone();
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut frames = Vec::new();
        let mut gathered = Instant::now();
        loop {
            let messages = tokio::select! {
                biased;
                () = closing.cancelled() => return End::Stopping,
                () = stopping.cancelled() => return End::Stopping,
                inbound = socket.next() => match inbound {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Client,
                    // Read and ignored (ACT-80); pings are answered below us.
                    Some(Ok(_)) => continue,
                },
                _ = pings.tick() => {
                    if self.is_withdrawn().await {
                        return End::Withdrawn;
                    }
                    vec![Message::Ping(axum::body::Bytes::new())]
                }
                received = receive(&mut self.frames, &mut frames, gathered) => match received {
                    // What happened to the workspace may be its end.
                    Ok(()) if frames.iter().any(|frame| self.is_own(frame)) && self.is_withdrawn().await => {
                        return End::Withdrawn;
                    }
                    Ok(()) => {
                        gathered = Instant::now() + self.state.platform().events.pace();
                        self.messages(&mut frames).await
                    }
                    Err(Missed::Dropped(lost)) => {
                        self.missed(lost);
                        continue;
                    }
                    Err(Missed::Closed) => return End::Stopping,
                },
            };
            if messages.is_empty() {
                continue;
            }
            match timeout(SEND_LIMIT, write(socket, messages)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return End::Client,
            }
        }
    }

    /// The frames that concern the listener, as they go out; `frames` is empty afterwards.
    async fn messages(&self, frames: &mut Vec<Frame>) -> Vec<Message> {
        let mut messages = Vec::with_capacity(frames.len());
        for frame in frames.drain(..) {
            if self.concerns(&frame).await
                && let Ok(text) = Utf8Bytes::try_from(frame.text)
            {
                messages.push(Message::Text(text));
            }
        }
        messages
    }

    /// Counted, and told once for each socket and once more at its end.
    fn missed(&mut self, lost: u64) {
        if self.lost == 0 {
            tracing::warn!(listener = ?self.listener, lost, "socket too slow, events are dropped for it");
        }
        self.lost += lost;
    }

    /// Is an event about the agent that listens?
    fn is_own(&self, frame: &Frame) -> bool {
        matches!(self.listener, Listener::Agent(own) if frame.workspace_id == Some(own))
    }

    /// An agent sees an event only of somebody it may talk to; a failed lookup means no (ACT-78).
    async fn concerns(&self, frame: &Frame) -> bool {
        let platform = self.state.platform();
        match (self.listener, frame.workspace_id) {
            (Listener::Canvas, _) => true,
            (Listener::Watcher(watched), subject) => subject == Some(watched),
            (Listener::Part(top), Some(subject)) => platform.is_within(top, subject).await.unwrap_or(false),
            (Listener::Agent(own), Some(subject)) => platform.registry.check_access(own, subject).await,
            (Listener::Part(_) | Listener::Agent(_), None) => false,
        }
    }

    /// Is the credential no longer what it was? A failed lookup changes nothing.
    async fn is_withdrawn(&self) -> bool {
        let Some(bearer) = &self.bearer else { return false };
        let found = self
            .state
            .platform()
            .credentials
            .authenticate(bearer.expose_secret())
            .await;
        match (found, self.listener) {
            (Ok(Some(Principal::Workspace { workspace, .. })), Listener::Agent(own)) => workspace != own,
            (Ok(Some(principal)), Listener::Canvas | Listener::Watcher(_) | Listener::Part(_)) => !principal.is_admin(),
            (Ok(_), _) => true,
            (Err(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests;
