//! The dispatch of a push message: dial, wait, classify.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use molecule_a2a::{
    VERSION_HEADER,
    upstream::{self, TransportFailure},
};
use molecule_core::limits;
use secrecy::ExposeSecret;
use tokio::sync::OwnedSemaphorePermit;

use super::{Delivered, MessagingError, Messenger, deliver::Call, relay};
use crate::dial::{DialError, Endpoint};

/// Read of a reply before its share of the budget is reserved: most replies are shorter.
const UNRESERVED_BYTES: usize = 64 << 10;

/// What the agent answered, before it is judged.
#[derive(Debug)]
pub struct Upstream {
    /// HTTP status.
    pub status: u16,
    /// Body, whole.
    pub body: Bytes,
    /// Keeps the share of the buffer budget until the reply has been handed on.
    pub(super) _budget: Option<OwnedSemaphorePermit>,
}

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFailure {
    /// The guard refused the address.
    NotRoutable,
    /// No answer.
    Transport(TransportFailure),
    /// Headers came, the body did not, or it was too long.
    Body {
        /// The agent answered 2xx or 3xx: it has the message.
        delivery_confirmed: bool,
    },
}

impl PushFailure {
    /// A word for logs and rows.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::NotRoutable => "address not allowed",
            Self::Transport(TransportFailure::Deadline) => "deadline exceeded",
            Self::Transport(TransportFailure::Idle) => "no sign of life within the idle timeout",
            Self::Transport(TransportFailure::ConnectTimeout) => "connect timeout",
            Self::Transport(TransportFailure::HeaderTimeout) => "response header timeout",
            Self::Transport(TransportFailure::Eof) => "connection closed before the answer",
            Self::Transport(TransportFailure::Reset) => "connection reset",
            Self::Transport(TransportFailure::Refused) => "connection refused",
            Self::Transport(TransportFailure::Dns) => "name does not resolve",
            Self::Transport(TransportFailure::Tls) => "TLS handshake failed",
            Self::Transport(TransportFailure::Other) => "transport error",
            Self::Body { .. } => "agent response unreadable",
        }
    }
}

/// The clocks of one call (A2A-64…67).
#[derive(Debug, Clone)]
pub(super) struct Clocks {
    begun: Instant,
    idle: Duration,
    ceiling: Option<Duration>,
}

impl Messenger {
    /// Runs a call to its end in a task of its own, so that a caller that hangs up cancels nothing (A2A-68).
    pub(super) async fn dispatch(&self, call: Call) -> Result<Delivered, MessagingError> {
        let this = self.clone();
        let task = self
            .inner
            .supervisor
            .spawn("a2a-dispatch", async move { this.run(call).await });
        // A panicked dispatch was logged by the supervisor.
        task.await.ok().flatten().unwrap_or(Err(MessagingError::Unreachable))
    }

    async fn run(&self, call: Call) -> Result<Delivered, MessagingError> {
        let clocks = self.clocks(&call);
        let response = match self.send(&call, &clocks).await {
            Ok(response) => response,
            Err(failure) => return Err(self.failed(&call, &clocks, failure).await),
        };
        let streams = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("text/event-stream"));
        if streams && response.status().is_success() {
            return relay::begin(self, call, clocks, response).await;
        }
        match self.read_body(&call, &clocks, response).await {
            Ok(upstream) => self.judge(&call, &clocks, upstream).await,
            Err(failure) => Err(self.failed(&call, &clocks, failure).await),
        }
    }

    fn clocks(&self, call: &Call) -> Clocks {
        let declared = self.inner.overrides.of(call.route.id).idle_timeout;
        let idle = declared.unwrap_or(self.inner.config.a2a_idle_timeout);
        Clocks {
            begun: Instant::now(),
            idle,
            ceiling: call.ceiling,
        }
    }

    async fn send(&self, call: &Call, clocks: &Clocks) -> Result<http::Response<Incoming>, PushFailure> {
        let (endpoint, request) = self.request(call).await?;
        let answer = self.inner.dialer.send(endpoint, request);
        // Assigned endpoints are governed by the idle timer alone (D13).
        let header_timeout = match endpoint {
            Endpoint::Reported => Some(self.inner.config.a2a_header_timeout),
            Endpoint::Assigned => None,
        };
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|error| classify(&error)),
            failure = self.expired(call, clocks, Instant::now()) => Err(PushFailure::Transport(failure)),
            () = optional_sleep(header_timeout) => Err(PushFailure::Transport(TransportFailure::HeaderTimeout)),
        }
    }

    /// No inbound header is forwarded (A2A-13); the platform proves itself to agents it started (D13).
    async fn request(&self, call: &Call) -> Result<(Endpoint, Request<Full<Bytes>>), PushFailure> {
        let body = call.request.body_for(call.target_version);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&*call.route.url)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if call.target_version.wire() != molecule_a2a::ProtocolVersion::V0_3 {
            request = request.header(VERSION_HEADER, call.target_version.header());
        }
        let mut endpoint = Endpoint::Reported;
        if call.route.url_assigned {
            endpoint = Endpoint::Assigned;
            match self.inner.inbound.read_or_heal(call.route.id).await {
                Ok(healed) => {
                    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", healed.secret.expose_secret()))
                        .map_err(|_| PushFailure::NotRoutable)?;
                    bearer.set_sensitive(true);
                    request = request.header(header::AUTHORIZATION, bearer);
                }
                // The agent will refuse, which says more than an answer of ours.
                Err(error) => tracing::error!(target = %call.route.id, %error, "no inbound secret"),
            }
        }
        let request = request.body(Full::new(body)).map_err(|_| PushFailure::NotRoutable)?;
        Ok((endpoint, request))
    }

    /// Resolves when the call has run out of time: its ceiling, or silence. Any event of the target resets the idle
    /// timer (A2A-65).
    pub(super) async fn expired(&self, call: &Call, clocks: &Clocks, active: Instant) -> TransportFailure {
        let ceiling = clocks.ceiling.map(|ceiling| clocks.begun + ceiling);
        loop {
            let heard = self
                .inner
                .events
                .last_heard(call.route.id)
                .unwrap_or(active)
                .max(active);
            let silent_at = heard + clocks.idle;
            let next = ceiling.map_or(silent_at, |ceiling| ceiling.min(silent_at));
            let at = Instant::now();
            if at >= next {
                return if ceiling.is_some_and(|ceiling| at >= ceiling) {
                    TransportFailure::Deadline
                } else {
                    TransportFailure::Idle
                };
            }
            tokio::time::sleep_until(next.into()).await;
        }
    }

    async fn read_body(
        &self,
        call: &Call,
        clocks: &Clocks,
        response: http::Response<Incoming>,
    ) -> Result<Upstream, PushFailure> {
        let status = response.status();
        let unreadable = PushFailure::Body {
            delivery_confirmed: status.as_u16() < 400,
        };
        let mut body = response.into_body();
        let length = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let mut buffer = BytesMut::new();
        let mut budget: Option<OwnedSemaphorePermit> = None;
        let mut active = Instant::now();
        loop {
            let frame = tokio::select! {
                biased;
                frame = body.frame() => frame,
                failure = self.expired(call, clocks, active) => return Err(PushFailure::Transport(failure)),
            };
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| unreadable)?.into_data() else {
                continue;
            };
            active = Instant::now();
            let read = buffer.len() + data.len();
            if length.unwrap_or(read).max(read) > limits::A2A_REPLY_BYTES {
                tracing::warn!(target = %call.route.id, limit = limits::A2A_REPLY_BYTES, "agent reply too long");
                return Err(unreadable);
            }
            if budget.is_none() && read > UNRESERVED_BYTES {
                budget = Some(tokio::select! {
                    biased;
                    budget = self.reserve(length.unwrap_or(limits::A2A_REPLY_BYTES)) => budget,
                    failure = self.expired(call, clocks, active) => return Err(PushFailure::Transport(failure)),
                });
            }
            buffer.extend_from_slice(&data);
        }
        Ok(Upstream {
            status: status.as_u16(),
            body: buffer.freeze(),
            _budget: budget,
        })
    }

    /// A share of the reply budget; waits while other replies use it up (D15). Taken once and whole: replies that each
    /// held a part of theirs and waited for the rest would wait for each other.
    async fn reserve(&self, bytes: usize) -> OwnedSemaphorePermit {
        let count = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        match self.inner.buffers.clone().acquire_many_owned(count).await {
            Ok(share) => share,
            Err(_) => unreachable!("the reply budget is never closed"),
        }
    }

    async fn judge(&self, call: &Call, clocks: &Clocks, upstream: Upstream) -> Result<Delivered, MessagingError> {
        let took = clocks.begun.elapsed();
        if (200..300).contains(&upstream.status) {
            self.record_reply(call, &upstream, took, None).await;
            let body = match call.request.reply_translator(call.target_version) {
                Some(translator) => translator.body(&upstream.body),
                None => upstream.body,
            };
            return Ok(Delivered::Reply {
                status: upstream.status,
                body,
            });
        }
        let text = upstream::error_text(upstream.status, &upstream.body);
        // The call is logged first, then the agent is looked at (A2A-82).
        self.record_reply(call, &upstream, took, Some(&text)).await;
        if upstream::is_dead_status(upstream.status)
            && self
                .inner
                .provisioner
                .check_running(call.route.id, call.route.generation)
                .await
        {
            return Err(MessagingError::Restarting);
        }
        Err(MessagingError::Upstream {
            status: upstream.status,
            text,
        })
    }

    /// Transport failure: look at the agent, record, then answer (A2A-91).
    pub(super) async fn failed(&self, call: &Call, clocks: &Clocks, failure: PushFailure) -> MessagingError {
        let PushFailure::Transport(transport) = failure else {
            self.record_failure(call, clocks.begun.elapsed(), failure).await;
            return match failure {
                PushFailure::Body { delivery_confirmed } => MessagingError::UnreadableReply { delivery_confirmed },
                _ => MessagingError::NotRoutable,
            };
        };
        let dead = self
            .inner
            .provisioner
            .check_running(call.route.id, call.route.generation)
            .await;
        self.record_failure(call, clocks.begun.elapsed(), failure).await;
        if dead {
            MessagingError::Restarting
        } else if !transport.is_busy() {
            MessagingError::Unreachable
        } else if self.inner.overrides.of(call.route.id).session {
            MessagingError::BusyNativeSession
        } else {
            MessagingError::Busy
        }
    }
}

impl Clocks {
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

async fn optional_sleep(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}

/// Finds the I/O error below the client's and judges it (A2A-87).
fn classify(error: &DialError) -> PushFailure {
    let DialError::Transport(error) = error else {
        return PushFailure::NotRoutable;
    };
    let mut source = error.source();
    let mut hyper_eof = false;
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::PermissionDenied => PushFailure::NotRoutable,
                std::io::ErrorKind::TimedOut if error.is_connect() => {
                    PushFailure::Transport(TransportFailure::ConnectTimeout)
                }
                kind => PushFailure::Transport(TransportFailure::of_io(kind)),
            };
        }
        hyper_eof |= cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_incomplete_message);
        source = cause.source();
    }
    PushFailure::Transport(if hyper_eof {
        TransportFailure::Eof
    } else {
        TransportFailure::Other
    })
}
