//! Everything that happens to a request before and after its handler, in one service per route (SEC-208): origin,
//! tenant, credential and rate, gate, body, handler; then status, headers and numbers. One service instead of a stack
//! keeps messages and heartbeats cheap: the route is matched once, and nothing is looked up by name.

mod actor;
mod gate;
mod headers;
mod identify;
mod tenant;

pub(crate) use actor::Actor;
pub(crate) use gate::admin;

use std::{
    collections::HashSet,
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use axum::{
    body::Body,
    extract::{FromRequestParts, RawPathParams, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, StatusCode, Uri, header, request::Parts};
use molecule_platform::{AuthMode, credentials::Identity, supervise::panic_text, trace};
use tower::{Layer, Service};
use tracing::{
    Instrument, Span,
    field::{Empty, display},
};

use self::headers::Policy;
use crate::{
    audit::{Ended, Recording},
    error::ApiError,
    limits::{Allowance, Holder, Share, Taken, Unreadable, Verdict, is_local, is_preflight},
    metrics::{RouteMetrics, UNMATCHED},
    request::{Caller, Subject, peer_of},
    route::{Class, Route, Verb, first_segment},
    state::ApiState,
};

/// What stands for requests that no row matches.
static NO_ROUTE: Route = Route::plain(Verb::Get, UNMATCHED, Class::Public);

/// The same where somebody else serves what no row matches.
static PROXIED: Route = Route {
    streams: true,
    own_task: true,
    ..Route::plain(Verb::Get, UNMATCHED, Class::Public)
};

/// The page of somebody else's web UI and its files: who signs in there names no org yet (SEC-58).
static PROXIED_PAGE: Route = Route {
    page: true,
    streams: true,
    own_task: true,
    any_org: true,
    ..Route::plain(Verb::Get, UNMATCHED, Class::Public)
};

/// Headers that decide who asks: of two, a proxy may have judged by the one and we by the other.
const ONCE: [HeaderName; 3] = [header::AUTHORIZATION, header::ORIGIN, header::HOST];

/// A request that may be answered, and its part of the memory.
struct Admitted {
    request: Request,
    share: Option<Arc<Share>>,
}

/// A guard and the row it stands for.
pub(crate) struct Guarded {
    state: ApiState,
    route: &'static Route,
    /// Of what no row matches: first segments of the API's paths.
    served: Option<HashSet<&'static str>>,
    metrics: Arc<RouteMetrics>,
}

/// Puts a guard in front of a handler.
#[derive(Clone)]
pub(crate) struct GuardLayer(Arc<Guarded>);

impl GuardLayer {
    /// Of a route of the table.
    pub(crate) fn of(state: &ApiState, route: &'static Route) -> Self {
        Self(Arc::new(Guarded {
            state: state.clone(),
            route,
            served: None,
            metrics: state.metrics().route(route.verb.as_str(), route.path),
        }))
    }

    /// Of the web UI that somebody else serves.
    pub(crate) fn web_ui(state: &ApiState, route: &Route) -> Self {
        Self(Arc::new(Guarded {
            state: state.clone(),
            route: &PROXIED_PAGE,
            served: None,
            metrics: state.metrics().route("any", route.path),
        }))
    }

    /// Of what no route matches; `served` are the first segments of the API's paths.
    pub(crate) fn unmatched(state: &ApiState, served: HashSet<&'static str>) -> Self {
        let proxied = state.upstreams().canvas.is_some();
        Self(Arc::new(Guarded {
            state: state.clone(),
            route: if proxied { &PROXIED } else { &NO_ROUTE },
            served: Some(served),
            metrics: state.metrics().route("any", UNMATCHED),
        }))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            guarded: self.0.clone(),
        }
    }
}

/// A guarded handler.
#[derive(Clone)]
pub(crate) struct Guard<S> {
    inner: S,
    guarded: Arc<Guarded>,
}

impl<S> Service<Request> for Guard<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The clone that was polled ready serves this request.
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        let guarded = self.guarded.clone();
        Box::pin(async move { Ok(guarded.serve(inner, request).await) })
    }
}

impl Guarded {
    /// In a span of its own, which says who asks for what about whom; every line that is logged meanwhile shows it.
    async fn serve<S>(&self, inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let context = {
            let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
            trace::enter(text("traceparent"), text("tracestate"))
        };
        let span = tracing::info_span!(
            "request",
            method = %request.method(),
            route = self.route.path,
            trace = %context.trace_id(),
            address = Empty,
            actor = Empty,
            workspace = Empty,
        );
        trace::scope(context, self.answer(inner, request).instrument(span)).await
    }

    async fn answer<S>(&self, inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let begun = Instant::now();
        let policy = self.policy_of(request.uri());
        let origins = &self.state.limits().origins;
        let verdict = origins.judge(request.headers());
        let twice = ONCE
            .into_iter()
            .find(|name| request.headers().get_all(name).iter().count() > 1);
        let by_other_page = self.route.mints && origins.is_foreign_page(request.headers());
        let mut allowance = None;
        let caller = self.caller_of(&request);
        let mut response = if let Some(name) = twice {
            ApiError::bad_request(format!("the header {name} was sent more than once")).into_response()
        } else if verdict == Verdict::Refused || by_other_page {
            StatusCode::FORBIDDEN.into_response()
        } else if is_preflight(&request) {
            let mut response = StatusCode::NO_CONTENT.into_response();
            headers::preflight(response.headers_mut());
            response
        } else {
            match self.admit(request, caller, begun, &mut allowance).await {
                Ok(admitted) => self.call(inner, admitted).await,
                Err(refusal) => refusal,
            }
        };
        if let Some(granted) = self.meter_refusal(&response, caller.address, begun) {
            allowance = Some(granted);
            if granted.exceeded {
                response = ApiError::rate_limited(granted.reset).into_response();
            }
        }
        headers::complete(&mut response, policy, &verdict, allowance);
        self.metrics.observe(response.status(), begun.elapsed());
        response
    }

    fn caller_of(&self, request: &Request) -> Caller {
        let peer = peer_of(request.extensions());
        let proxies = &self.state.limits().proxies;
        let client = proxies.client(peer, request.headers());
        let open = self.state.mode() == AuthMode::Open && !proxies.is_proxied(peer, request.headers());
        Caller {
            // Whom a proxy hides is counted as the proxy, and is never this machine.
            address: client.or(peer),
            local: open && is_local(client, request.headers()),
        }
    }

    fn policy_of(&self, uri: &Uri) -> HeaderValue {
        let beside_the_api = |served: &HashSet<_>| !served.contains(first_segment(uri.path()));
        let page = self.route.page || self.served.as_ref().is_some_and(beside_the_api);
        headers::policy(match (self.route.streams, page) {
            (true, true) => Policy::OthersPage,
            (true, false) if self.route.class == Class::Proxied => Policy::OthersPage,
            (false, true) => Policy::Page,
            (_, false) => Policy::Api,
        })
    }

    /// Tenant, credential, rate, gate, body: the request with its identity, or the refusal. What is handed on has its
    /// body in memory, or none.
    async fn admit(
        &self,
        request: Request,
        caller: Caller,
        now: Instant,
        allowance: &mut Option<Allowance>,
    ) -> Result<Admitted, Response> {
        // Apart from its body, which cannot be shared between threads.
        let (mut head, body) = request.into_parts();
        let subject = self.subject_of(&mut head).await;
        // Nobody is looked up for another org, and its cookie is shown to nobody.
        let org_id = self.state.config().org_id.as_deref();
        let ours = self.route.any_org || tenant::admits(org_id, &self.state.limits().origins, &head.headers);
        let identity = if ours {
            let identity = self.identify(&head, subject, caller.local).await;
            identity.map_err(IntoResponse::into_response)?
        } else {
            Identity {
                open: caller.local,
                ..Identity::default()
            }
        };
        self.show(&identity, subject, caller);
        let granted = self.meter(&identity, caller.address, now);
        *allowance = Some(granted);
        if granted.exceeded {
            return Err(ApiError::rate_limited(granted.reset).into_response());
        }
        if !ours {
            return Err(StatusCode::NOT_FOUND.into_response());
        }
        let departed = self.gate(&identity, subject, &head).await;
        let departed = departed.map_err(IntoResponse::into_response)?;
        self.use_up(&head).map_err(IntoResponse::into_response)?;
        head.extensions.insert(subject);
        if let Some(departed) = departed {
            head.extensions.insert(departed);
        }
        let (body, share) = if self.route.streams {
            (body, None)
        } else {
            let taken = self.take(body, Holder::of(&identity, caller.address)).await;
            let taken = taken.map_err(IntoResponse::into_response)?;
            (Body::from(taken.bytes), taken.share)
        };
        head.extensions.insert(caller);
        head.extensions.insert(identity);
        Ok(Admitted {
            request: Request::from_parts(head, body),
            share,
        })
    }

    /// Completes the span.
    fn show(&self, identity: &Identity, Subject(subject): Subject, caller: Caller) {
        let span = Span::current();
        if !span.is_disabled() {
            if let Some(address) = caller.address {
                span.record("address", display(address));
            }
            span.record("actor", display(Actor(identity)));
            if let Some(subject) = subject {
                span.record("workspace", display(subject));
            }
        }
    }

    /// The body of a request that passed its gate: whoever proves nothing makes the server hold nothing.
    async fn take(&self, body: Body, holder: Holder) -> Result<Taken, ApiError> {
        if self.route.body == 0 || self.route.later {
            return Ok(Taken {
                bytes: Bytes::new(),
                share: None,
            });
        }
        let read = self.state.limits().bodies.read(body, self.route.body, holder).await;
        read.map_err(|unreadable| match (unreadable, self.route.class) {
            // A2A-2
            (Unreadable::TooLong, Class::Message) => ApiError::bad_request("invalid JSON"),
            (unreadable, _) => unreadable.into(),
        })
    }

    async fn subject_of(&self, head: &mut Parts) -> Subject {
        if !self.route.names_workspace() {
            return Subject(None);
        }
        // A parameter that is no UTF-8 is no id either.
        let params = RawPathParams::from_request_parts(head, &()).await.ok();
        let named = params
            .as_ref()
            .and_then(|params| params.iter().find(|(name, _)| *name == "id"));
        Subject(named.and_then(|(_, id)| id.parse().ok()))
    }

    /// The handler. A panic becomes a 500 and ends nothing else (SEC-208).
    async fn call<S>(&self, mut inner: S, Admitted { request, share }: Admitted) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send + 'static,
    {
        let (state, row) = (self.state.clone(), self.route);
        let route = row.path;
        let answer = async move {
            // Also while what was made of the body is in use.
            let _share = share;
            let (mut head, body) = request.into_parts();
            let recording = match Recording::begin(&state, row, &mut head).await {
                Ok(recording) => recording,
                Err(refusal) => return refusal.into_response(),
            };
            let request = Request::from_parts(head, body);
            let handler = AssertUnwindSafe(inner.call(request)).catch_unwind();
            let response = match handler.await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(panic) => {
                    tracing::error!(route, reason = panic_text(&*panic), "handler panicked");
                    ApiError::internal().into_response()
                }
            };
            if let Some(recording) = recording {
                recording.end(Ended::of(&response)).await;
            }
            response
        };
        if self.route.outlives_its_client() {
            self.run(answer).await
        } else {
            answer.await
        }
    }

    /// Runs a change to its end even if the client hangs up (architecture §4). What is done at once runs in place; what
    /// has to wait moves into a tracked task, and a shutdown waits for it.
    async fn run(&self, answer: impl Future<Output = Response> + Send + 'static) -> Response {
        // A task of its own belongs to the same trace.
        let context = trace::current().unwrap_or_else(|| trace::enter(None, None));
        let mut answer = Box::pin(trace::scope(context, answer.in_current_span()));
        // The task polls again with a waker of its own.
        if let Poll::Ready(response) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return response;
        }
        match self.state.platform().supervisor.spawn(self.route.path, answer).await {
            Ok(Some(response)) => response,
            // The supervisor has logged the panic. A task is never aborted while the server runs.
            Ok(None) | Err(_) => ApiError::internal().into_response(),
        }
    }
}

#[cfg(test)]
mod tests;
