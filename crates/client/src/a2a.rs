//! Messages to agents through the platform (`a2a.md` §8).

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use molecule_a2a::sse::Parser;
use molecule_core::{WorkspaceId, limits};
use reqwest::header::HeaderName;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Client, ClientError, SseFrame,
    call::{Answer, Call},
    error::StatusError,
};

const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-timeout");
const VERSION_HEADER: HeaderName = HeaderName::from_static("a2a-version");
const TRACE_HEADER: HeaderName = HeaderName::from_static("traceparent");
/// What the platform gets beyond the caller's deadline to say that it passed.
const ANSWER_GRACE: Duration = Duration::from_secs(10);

/// How a message is sent.
#[derive(Debug, Clone, Default)]
pub struct A2aOptions {
    /// How long the caller waits for the agent. Sent as `X-Timeout` (A2A-67), whole seconds, rounded up; the platform
    /// has a little longer to answer. `None` waits as long as the platform does.
    pub timeout: Option<Duration>,
    /// Protocol version the caller speaks, header `A2A-Version` (D7).
    pub version: Option<String>,
    /// W3C trace context to continue.
    pub traceparent: Option<String>,
}

/// A whole answer, of whatever status: the agent's own reply or one of the platform's.
#[derive(Debug, Clone)]
pub struct A2aReply {
    /// HTTP status.
    pub status: u16,
    /// The status that the agent gave, if this is its answer; `None`: the platform's own. An agent's 401 says nothing of
    /// the caller's credential.
    pub upstream_status: Option<u16>,
    /// `Retry-After`, seconds.
    pub retry_after: Option<u64>,
    /// The body, verbatim.
    pub body: Bytes,
}

impl A2aReply {
    /// 2xx, which includes the platform's "queued" (A2A-40, A2A-89).
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Reads the body, whatever the status.
    ///
    /// # Errors
    /// The body has another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| ClientError::Decode {
            request: "the A2A message".into(),
            reason: error.to_string(),
        })
    }

    /// The reply as an error, for callers to whom every other status is one.
    #[must_use]
    pub fn to_error(&self) -> StatusError {
        StatusError {
            upstream_status: self.upstream_status,
            ..StatusError::new(self.status, self.retry_after, &self.body)
        }
    }
}

/// Answer to a streaming message: the target may not stream, and the platform may answer instead.
#[derive(Debug)]
pub enum A2aAnswer {
    /// The agent streams.
    Stream(Box<SseStream>),
    /// A whole answer.
    Reply(A2aReply),
}

/// Frames as they arrive.
pub struct SseStream {
    answer: Answer,
    parser: Parser,
    parsed: Vec<SseFrame>,
    ready: VecDeque<SseFrame>,
}

impl std::fmt::Debug for SseStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SseStream")
            .field("request", &self.answer.name())
            .finish_non_exhaustive()
    }
}

impl SseStream {
    fn new(answer: Answer) -> Self {
        Self {
            answer,
            parser: Parser::new(limits::A2A_REPLY_BYTES),
            parsed: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// The next frame; `None` once the server ended the stream. Cancel safe.
    ///
    /// # Errors
    /// The connection broke, the deadline passed, or a frame is beyond the reply limit. Nothing follows.
    pub async fn next(&mut self) -> Result<Option<SseFrame>, ClientError> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            let Some(chunk) = self.answer.chunk().await? else {
                return Ok(None);
            };
            let outcome = self.parser.push(&chunk, &mut self.parsed);
            self.ready.extend(self.parsed.drain(..));
            outcome.map_err(|error| ClientError::TooLarge {
                request: self.answer.name().to_owned(),
                limit: error.limit,
            })?;
        }
    }
}

impl Client {
    /// `POST /workspaces/:id/a2a`. The body is sent as it is: a JSON-RPC request, or the shorthand the platform wraps.
    ///
    /// # Errors
    /// No answer was got. Every answer, error statuses included, is an [`A2aReply`].
    pub async fn send_a2a(
        &self,
        target: WorkspaceId,
        body: &(impl Serialize + ?Sized),
        options: &A2aOptions,
    ) -> Result<A2aReply, ClientError> {
        whole(self.a2a(target, body, options)?.send().await?).await
    }

    /// The same for `message/stream`: yields frames if the agent streams.
    ///
    /// # Errors
    /// As [`Client::send_a2a`].
    pub async fn stream_a2a(
        &self,
        target: WorkspaceId,
        body: &(impl Serialize + ?Sized),
        options: &A2aOptions,
    ) -> Result<A2aAnswer, ClientError> {
        let answer = self
            .a2a(target, body, options)?
            .accept("text/event-stream, application/json")
            .send()
            .await?;
        if answer.is_event_stream() && (200..300).contains(&answer.status()) {
            return Ok(A2aAnswer::Stream(Box::new(SseStream::new(answer))));
        }
        whole(answer).await.map(A2aAnswer::Reply)
    }

    fn a2a(
        &self,
        target: WorkspaceId,
        body: &(impl Serialize + ?Sized),
        options: &A2aOptions,
    ) -> Result<Call<'_>, ClientError> {
        let mut call = self
            .post(&["workspaces", &target.to_string(), "a2a"])
            .timeout(options.timeout.map(|timeout| timeout.saturating_add(ANSWER_GRACE)))
            .body(&body)?;
        if let Some(timeout) = options.timeout {
            let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
            call = call.header(TIMEOUT_HEADER, &seconds.to_string())?;
        }
        if let Some(version) = &options.version {
            call = call.header(VERSION_HEADER, version)?;
        }
        if let Some(traceparent) = &options.traceparent {
            call = call.header(TRACE_HEADER, traceparent)?;
        }
        Ok(call)
    }
}

async fn whole(answer: Answer) -> Result<A2aReply, ClientError> {
    let (status, retry_after, upstream_status) = (answer.status(), answer.retry_after(), answer.upstream_status());
    // Envelope and rewriting by the platform may add a little to the agent's reply.
    let body = answer.bytes(limits::A2A_REPLY_BYTES + (1 << 20)).await?;
    Ok(A2aReply {
        status,
        upstream_status,
        retry_after,
        body,
    })
}
