//! `POST /workspaces/:id/a2a` (`a2a.md` §8–12): the platform's own address of an agent.

use std::time::Duration;

use axum::{
    Json as Answer,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use molecule_core::{DeliveryMode, WorkspaceId};
use molecule_platform::messaging::{Delivered, FrameStream, Message, ReaderTooSlow};
use molecule_wire::{
    ErrorBody,
    a2a::{A2aAnswer, A2aRequest, A2aUnavailable, PollQueued, UPSTREAM_STATUS_HEADER},
};

use crate::{
    error::ApiError,
    extract::{Who, WorkspacePath, at_hand},
    state::ApiState,
};

/// Marks what an agent answered.
const UPSTREAM_STATUS: HeaderName = HeaderName::from_static(UPSTREAM_STATUS_HEADER);
/// A silent stream gets a comment line this often: edges cut connections idle for about 100 s (ACT-82).
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Sends a message to an agent and hands back its answer.
///
/// The body is A2A JSON-RPC (v0.2, v0.3 or v1.0). A streaming method is answered with the agent's events as they come.
#[utoipa::path(
    post, path = "/workspaces/{id}/a2a", operation_id = "send_message", tag = "messages",
    params(
        ("id" = WorkspaceId, Path, description = "To whom."),
        ("X-Workspace-ID" = Option<WorkspaceId>, Header, description = "The calling workspace; the bearer proves it."),
        ("A2A-Version" = Option<String>, Header, description = "The version the caller speaks."),
        ("X-Timeout" = Option<u64>, Header, description = "Seconds the caller waits; 0 is no limit."),
        ("traceparent" = Option<String>, Header, description = "W3C trace context to continue; the agent is told of it."),
    ),
    request_body(content = A2aRequest, description = "A JSON-RPC request."),
    responses(
        (
            status = 200,
            description = "The agent's answer; or `PollQueued`: the message waits in the feed of a polling agent.",
            content((A2aAnswer = "application/json"), (String = "text/event-stream")),
        ),
        (status = 400, description = "Not a JSON-RPC request, or a message without parts.", body = ErrorBody),
        (status = 402, description = "The target's budget is used up.", body = ErrorBody),
        (status = 403, description = "The two may not talk.", body = ErrorBody),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
        (status = 502, description = "The agent cannot be reached, or its answer not be read.", body = ErrorBody),
        (
            status = "default",
            description = "The agent refused: its own status, if it is one of an error, else 502. Every answer of the \
                           agent's has its status in the header `X-Molecule-Upstream-Status`.",
            body = ErrorBody,
        ),
        (status = 503, description = "Not now: restarting, busy, or without an address.", body = A2aUnavailable),
    )
)]
pub(crate) async fn send(
    State(state): State<ApiState>,
    WorkspacePath(target): WorkspacePath,
    Who(identity): Who,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    let message = Message {
        target,
        caller_header: text(headers, "x-workspace-id"),
        version_header: text(headers, "a2a-version"),
        timeout: headers.get("x-timeout").and_then(timeout_of),
        body: at_hand(request).await?,
    };
    let platform = state.platform();
    Ok(match platform.messenger.deliver(&identity, message).await? {
        Delivered::Reply { status, body } => reply(status, body),
        Delivered::Stream(frames) => event_stream(frames),
        Delivered::Polled { method } => {
            let status = "queued".to_owned();
            Answer(PollQueued {
                status,
                delivery_mode: DeliveryMode::Poll,
                method,
            })
            .into_response()
        }
    })
}

/// A header as text; one that is no text is invalid, not absent.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// `X-Timeout`: seconds, 0 for no ceiling; anything else is ignored (A2A-67).
fn timeout_of(value: &HeaderValue) -> Option<Option<Duration>> {
    let seconds: u64 = value.to_str().ok()?.trim().parse().ok()?;
    Some((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// A2A-14.
fn reply(status: u16, body: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (UPSTREAM_STATUS, HeaderValue::from(status)),
    ];
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    (status, headers, body).into_response()
}

/// The agent's frames as they come; proxies are asked not to collect them.
fn event_stream(frames: FrameStream) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (UPSTREAM_STATUS, HeaderValue::from(200u16)),
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, Body::from_stream(kept_alive(frames))).into_response()
}

/// Fills silence with comment lines, which clients skip.
fn kept_alive<S>(frames: S) -> impl Stream<Item = Result<Bytes, ReaderTooSlow>> + Send
where
    S: Stream<Item = Result<Bytes, ReaderTooSlow>> + Send + Unpin,
{
    stream::unfold(frames, |mut frames| async move {
        match tokio::time::timeout(KEEP_ALIVE, frames.next()).await {
            Ok(Some(frame)) => Some((frame, frames)),
            Ok(None) => None,
            Err(_) => Some((Ok(Bytes::from_static(b": keep-alive\n\n")), frames)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        // A2A-67
        let of = |text: &'static str| timeout_of(&HeaderValue::from_static(text));
        assert_eq!(of("30"), Some(Some(Duration::from_secs(30))));
        assert_eq!(of(" 30 "), Some(Some(Duration::from_secs(30))));
        assert_eq!(of("0"), Some(None));
        for ignored in ["-1", "x", "", "1.5", "99999999999999999999999"] {
            assert_eq!(of(ignored), None, "{ignored}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled() {
        // ACT-82
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
        let receiver = Box::pin(stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|frame| (Ok(frame), receiver))
        }));
        let mut stream = Box::pin(kept_alive(receiver));
        assert_eq!(stream.next().await.unwrap().unwrap(), ": keep-alive\n\n");
        sender.send(Bytes::from_static(b"data: x\n\n")).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), "data: x\n\n");
        drop(sender);
        assert!(stream.next().await.is_none());
    }
}
