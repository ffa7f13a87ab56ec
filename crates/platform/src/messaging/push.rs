//! The dispatch of a push message: dial, wait, classify.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper::body::Incoming;
use molecule_a2a::{
    VERSION_HEADER,
    upstream::{self, TransportFailure},
};
use molecule_core::limits;
use secrecy::ExposeSecret;

use super::{Delivered, MessagingError, Messenger, deliver::Call, relay, reply::Upstream};
use crate::dial::{DialError, Endpoint, NotLive, ResolveError, TlsError};

/// How a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFailure {
    /// The guard refused the address.
    NotRoutable,
    /// The instance at the assigned address is not known to live (D32).
    NotLive,
    /// No answer.
    Transport(TransportFailure),
    /// Headers came, the body was not read to its end.
    Body {
        /// The agent answered 2xx or 3xx: it has the message.
        delivery_confirmed: bool,
        /// Why not.
        cause: BodyFailure,
    },
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFailure {
    /// The connection ended within it, or it is no event stream.
    Broken,
    /// Longer than [`limits::A2A_REPLY_BYTES`](molecule_core::limits::A2A_REPLY_BYTES).
    TooLong,
    /// The call ran out of time.
    Expired(TransportFailure),
    /// Other replies use the memory up (D15).
    NoMemory,
}

impl PushFailure {
    /// A word for logs and rows.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::NotRoutable => "address not allowed",
            Self::NotLive => "agent not known to run",
            Self::Transport(failure) => describe_transport(failure),
            Self::Body { cause, .. } => cause.describe(),
        }
    }
}

impl BodyFailure {
    /// A few words for logs, rows and callers.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Broken => "agent response unreadable",
            Self::TooLong => "agent response too long",
            Self::Expired(failure) => describe_transport(failure),
            Self::NoMemory => "platform is out of reply memory",
        }
    }
}

fn describe_transport(failure: TransportFailure) -> &'static str {
    match failure {
        TransportFailure::Deadline => "deadline exceeded",
        TransportFailure::Idle => "no sign of life within the idle timeout",
        TransportFailure::ConnectTimeout => "connect timeout",
        TransportFailure::HeaderTimeout => "response header timeout",
        TransportFailure::Eof => "connection closed before the answer",
        TransportFailure::Reset => "connection reset",
        TransportFailure::Refused => "connection refused",
        TransportFailure::Dns => "name does not resolve",
        TransportFailure::Tls => "TLS handshake failed",
        TransportFailure::Other => "transport error",
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
        let delivery_confirmed = response.status().as_u16() < 400;
        match self.read_reply(&call, &clocks, response).await {
            Ok(upstream) => self.judge(&call, &clocks, upstream).await,
            // The agent has answered: it is neither busy nor gone (A2A-71).
            Err(cause) => {
                let failure = PushFailure::Body {
                    delivery_confirmed,
                    cause,
                };
                Err(self.failed(&call, &clocks, failure).await)
            }
        }
    }

    fn clocks(&self, call: &Call) -> Clocks {
        let declared = self.inner.overrides.of(call.route.id).idle_timeout;
        let idle = declared.unwrap_or(self.inner.config.a2a_idle_timeout);
        // Callers and agents name any number of seconds; a clock does not reach that far.
        Clocks {
            begun: Instant::now(),
            idle: idle.min(limits::A2A_LONGEST_TIMEOUT),
            ceiling: call.ceiling.map(|ceiling| ceiling.min(limits::A2A_LONGEST_TIMEOUT)),
        }
    }

    async fn send(&self, call: &Call, clocks: &Clocks) -> Result<http::Response<Incoming>, PushFailure> {
        let request = self.request(call).await?;
        let answer = self.inner.dialer.send(&call.endpoint, request);
        // Assigned endpoints are governed by the idle timer alone (D13).
        let header_timeout = match call.endpoint {
            Endpoint::Reported(_) => Some(self.inner.config.a2a_header_timeout),
            Endpoint::Assigned(_) => None,
        };
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|error| PushFailure::of(&error)),
            failure = self.expired(call, clocks, Instant::now()) => Err(PushFailure::Transport(failure)),
            () = optional_sleep(header_timeout) => Err(PushFailure::Transport(TransportFailure::HeaderTimeout)),
        }
    }

    /// No inbound header is forwarded (A2A-13); the platform proves itself to agents it started (D13).
    async fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, PushFailure> {
        let body = call.request.body_for(call.target_version);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(call.endpoint.uri().map_err(|_| PushFailure::NotRoutable)?)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if call.target_version.wire() != molecule_a2a::ProtocolVersion::V0_3 {
            request = request.header(VERSION_HEADER, call.target_version.header());
        }
        if let Endpoint::Assigned(_) = call.endpoint {
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
        request.body(Full::new(body)).map_err(|_| PushFailure::NotRoutable)
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

    async fn judge(&self, call: &Call, clocks: &Clocks, upstream: Upstream) -> Result<Delivered, MessagingError> {
        let took = clocks.begun.elapsed();
        if (200..300).contains(&upstream.status) {
            self.record_reply(call, &upstream, took, None).await;
            let body = match call.request.reply_translator(call.target_version) {
                Some(translator) => translator.body(&upstream.body),
                None => upstream.body,
            };
            // The reader may take its time; a translation is about as long as what it translates.
            let body = match upstream.share {
                Some(share) => share.hold(body),
                None => body,
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
                .found_dead(call.route.id, call.route.generation)
                .await
        {
            return Err(MessagingError::Restarting);
        }
        Err(MessagingError::Upstream {
            status: upstream.status,
            text,
        })
    }

    /// No whole answer: look at the agent unless it has answered, record, then answer (A2A-91).
    pub(super) async fn failed(&self, call: &Call, clocks: &Clocks, failure: PushFailure) -> MessagingError {
        let unheard = matches!(failure, PushFailure::Transport(_) | PushFailure::NotLive);
        let dead = unheard
            && self
                .inner
                .provisioner
                .found_dead(call.route.id, call.route.generation)
                .await;
        self.record_failure(call, clocks.begun.elapsed(), failure).await;
        match failure {
            _ if dead => MessagingError::Restarting,
            PushFailure::NotRoutable => MessagingError::NotRoutable,
            PushFailure::NotLive => MessagingError::NotLive(NotLive),
            PushFailure::Body {
                delivery_confirmed,
                cause,
            } => MessagingError::UnreadableReply {
                delivery_confirmed,
                detail: cause.describe(),
            },
            PushFailure::Transport(failure) if !failure.is_busy() => MessagingError::Unreachable,
            PushFailure::Transport(_) if self.inner.overrides.of(call.route.id).session => {
                MessagingError::BusyNativeSession
            }
            PushFailure::Transport(_) => MessagingError::Busy,
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

impl PushFailure {
    /// Finds what is below the client's error and judges it (A2A-87).
    pub(crate) fn of(error: &DialError) -> Self {
        let DialError::Transport(error) = error else {
            return Self::NotRoutable;
        };
        let mut incomplete = false;
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(failure) = failure_of(cause, error.is_connect()) {
                return failure;
            }
            incomplete |= cause
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_incomplete_message);
            source = cause.source();
        }
        Self::Transport(if incomplete {
            TransportFailure::Eof
        } else {
            TransportFailure::Other
        })
    }
}

/// What a single error of the chain stands for, if it says so.
fn failure_of(cause: &(dyn std::error::Error + 'static), connecting: bool) -> Option<PushFailure> {
    if cause.is::<NotLive>() {
        return Some(PushFailure::NotLive);
    }
    if cause.is::<TlsError>() {
        return Some(PushFailure::Transport(TransportFailure::Tls));
    }
    match cause.downcast_ref::<ResolveError>() {
        Some(ResolveError::Refused(_)) => return Some(PushFailure::NotRoutable),
        Some(ResolveError::Unresolvable(_)) => return Some(PushFailure::Transport(TransportFailure::Dns)),
        None => {}
    }
    let kind = cause.downcast_ref::<std::io::Error>()?.kind();
    Some(PushFailure::Transport(match kind {
        std::io::ErrorKind::TimedOut if connecting => TransportFailure::ConnectTimeout,
        kind => TransportFailure::of_io(kind),
    }))
}
