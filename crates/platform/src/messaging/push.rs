//! The dispatch of a push message: dial, wait, classify.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper::body::Incoming;
use molecule_a2a::{
    VERSION_HEADER,
    upstream::{self, TransportFailure},
};
use secrecy::ExposeSecret;
use tracing::Instrument;

use super::{Delivered, MessagingError, Messenger, PushFailure, call::Call, relay, reply::Upstream};
use crate::dial::{Endpoint, NotLive};

impl Messenger {
    /// Runs a call to its end in a task of its own, so that a caller that hangs up cancels nothing (A2A-68).
    pub(super) async fn dispatch(&self, call: Call) -> Result<Delivered, MessagingError> {
        let this = self.clone();
        let span = call.span();
        let task = self
            .inner
            .supervisor
            .spawn("a2a-dispatch", async move { this.run(call).await }.instrument(span));
        // A panicked dispatch was logged by the supervisor.
        task.await.ok().flatten().unwrap_or(Err(MessagingError::Unreachable))
    }

    async fn run(&self, call: Call) -> Result<Delivered, MessagingError> {
        let response = match self.ask(&call).await {
            Ok(response) => response,
            Err(failure) => return Err(self.failed(&call, failure).await),
        };
        let streams = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("text/event-stream"));
        if streams && response.status().is_success() {
            return Ok(Delivered::Stream(relay::begin(self, call, response).await));
        }
        let delivery_confirmed = response.status().as_u16() < 400;
        match self.read_reply(&call, response).await {
            Ok(upstream) => self.judge(&call, upstream).await,
            // The agent has answered: it is neither busy nor gone (A2A-71).
            Err(cause) => {
                let failure = PushFailure::Body {
                    delivery_confirmed,
                    cause,
                };
                Err(self.failed(&call, failure).await)
            }
        }
    }

    async fn ask(&self, call: &Call) -> Result<http::Response<Incoming>, PushFailure> {
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
            failure = self.expired(call, Instant::now()) => Err(PushFailure::Transport(failure)),
            () = optional_sleep(header_timeout) => Err(PushFailure::Transport(TransportFailure::HeaderTimeout)),
        }
    }

    /// No inbound header is forwarded (A2A-13); the platform proves itself to agents it started (D13).
    async fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, PushFailure> {
        let body = call.request.body_for(call.target_version);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(call.endpoint.uri().map_err(|_| PushFailure::NotRoutable)?)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("traceparent", call.trace.traceparent());
        if let Some(state) = call.trace.tracestate() {
            request = request.header("tracestate", state);
        }
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

    async fn judge(&self, call: &Call, upstream: Upstream) -> Result<Delivered, MessagingError> {
        if (200..300).contains(&upstream.status) {
            self.record_reply(call, &upstream, None).await;
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
        self.record_reply(call, &upstream, Some(&text)).await;
        if upstream::is_dead_status(upstream.status)
            && self
                .inner
                .provisioner
                .restart_if_gone(call.route.id, call.route.generation)
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
    pub(super) async fn failed(&self, call: &Call, failure: PushFailure) -> MessagingError {
        let unheard = matches!(failure, PushFailure::Transport(_) | PushFailure::NotLive);
        let dead = unheard
            && self
                .inner
                .provisioner
                .restart_if_gone(call.route.id, call.route.generation)
                .await;
        self.record_failure(call, failure).await;
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

async fn optional_sleep(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}
