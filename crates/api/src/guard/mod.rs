//! Everything that happens to a request before and after its handler, in one service per route (SEC-208): origin,
//! credential and rate, tenant, gate, handler; then status, headers and numbers. One service instead of a stack keeps
//! messages and heartbeats cheap: the route is matched once, and nothing is looked up by name.

mod gate;
mod headers;
mod identify;
mod metrics;
mod origin;
mod rate;
mod tenant;

pub(crate) use gate::admin;
pub(crate) use identify::peer_of;
pub(crate) use metrics::{HttpMetrics, OpenSocket};
use metrics::{RouteMetrics, UNMATCHED};
pub(crate) use origin::Origins;
pub(crate) use rate::{Allowance, Windows, address_key};

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::Body,
    extract::{FromRequestParts, RawPathParams, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{StatusCode, request::Parts};
use molecule_core::WorkspaceId;
use molecule_platform::supervise::panic_text;
use origin::Verdict;
use tower::{Layer, Service};

use crate::{
    error::ApiError,
    limits::{Holder, Share, Taken, Unreadable},
    routes::{Class, Route},
    state::ApiState,
};

/// A bearer that was withdrawn because its workspace was removed, shown for that very workspace (LIFE-89a).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Departed;

/// The workspace that `{id}` of the path names, decoded as handlers decode it; `None` for what is no id, which no token
/// proves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject(pub Option<WorkspaceId>);

/// A request that may be answered, and its part of the memory.
struct Admitted {
    request: Request,
    share: Option<Arc<Share>>,
}

/// What a guard knows of its route.
pub(crate) struct Guarded {
    state: ApiState,
    /// For logs.
    name: &'static str,
    class: Class,
    /// Registrations and heartbeats do not count (D2).
    unmetered: bool,
    /// Counts with what the binary holds.
    built_in: bool,
    /// Tells withdrawn bearers of the workspace that it is gone.
    tells_departed: bool,
    /// Leaves something behind although it is a GET, which browsers send for any page without asking.
    mints: bool,
    /// Bytes of a request body; 0 if none is read.
    body: usize,
    /// The path has an `{id}`.
    has_subject: bool,
    metrics: Arc<RouteMetrics>,
}

/// Puts a guard in front of a handler.
#[derive(Clone)]
pub(crate) struct GuardLayer(Arc<Guarded>);

impl GuardLayer {
    /// Of a route of the table.
    pub(crate) fn of(state: &ApiState, route: &Route) -> Self {
        let metrics = state.metrics().route(route.verb.as_str(), route.path);
        Self(Arc::new(Guarded {
            state: state.clone(),
            name: route.path,
            class: route.class,
            unmetered: route.unmetered,
            built_in: route.built_in,
            tells_departed: route.tells_departed,
            mints: route.mints,
            body: route.body,
            has_subject: route.path.contains("{id}"),
            metrics,
        }))
    }

    /// Of what no route matches.
    pub(crate) fn unmatched(state: &ApiState) -> Self {
        Self(Arc::new(Guarded {
            state: state.clone(),
            name: UNMATCHED,
            class: Class::Public,
            unmetered: false,
            built_in: false,
            tells_departed: false,
            mints: false,
            body: 0,
            has_subject: false,
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
    S::Future: Send,
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
    async fn serve<S>(&self, inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send,
        S::Future: Send,
    {
        let begun = Instant::now();
        let policy = headers::policy_of(request.uri().path());
        let verdict = self.state.origins().judge(request.headers());
        let mut allowance = None;
        let by_other_page = self.mints && self.state.origins().is_foreign_page(request.headers());
        let mut response = if verdict == Verdict::Refused || by_other_page {
            StatusCode::FORBIDDEN.into_response()
        } else if origin::is_preflight(&request) {
            let mut response = StatusCode::NO_CONTENT.into_response();
            headers::preflight(response.headers_mut());
            response
        } else {
            let admitted = self.admit(request, begun, &mut allowance).await;
            match admitted {
                Ok(Admitted { request, share: _share }) => self.call(inner, request).await,
                Err(refusal) => refusal,
            }
        };
        headers::complete(&mut response, policy, &verdict, allowance);
        self.metrics.observe(response.status(), begun.elapsed());
        response
    }

    /// Credential, rate, tenant, gate, body: the request with its identity, or the refusal. What is handed on has its
    /// body in memory, or none.
    async fn admit(
        &self,
        request: Request,
        now: Instant,
        allowance: &mut Option<Allowance>,
    ) -> Result<Admitted, Response> {
        // Apart from its body, which cannot be shared between threads.
        let (mut head, body) = request.into_parts();
        let identity = self.identify(&head).await.map_err(IntoResponse::into_response)?;
        let peer = peer_of(&head.extensions);
        let granted = self.meter(&identity, peer, now);
        *allowance = Some(granted);
        if granted.exceeded {
            return Err(ApiError::rate_limited(granted.reset).into_response());
        }
        if !tenant::admits(self.state.config().org_id.as_deref(), self.state.origins(), &head) {
            return Err(StatusCode::NOT_FOUND.into_response());
        }
        let subject = self.subject_of(&mut head).await;
        let departed = self.gate(&identity, subject, &head).await;
        let departed = departed.map_err(IntoResponse::into_response)?;
        head.extensions.insert(subject);
        if let Some(departed) = departed {
            head.extensions.insert(departed);
        }
        let taken = self.take(body, Holder::of(&identity, peer)).await;
        let taken = taken.map_err(IntoResponse::into_response)?;
        head.extensions.insert(identity);
        Ok(Admitted {
            request: Request::from_parts(head, Body::from(taken.bytes)),
            share: taken.share,
        })
    }

    /// The body of a request that passed its gate: whoever proves nothing makes the server hold nothing.
    async fn take(&self, body: Body, holder: Holder) -> Result<Taken, ApiError> {
        if self.body == 0 {
            return Ok(Taken {
                bytes: Bytes::new(),
                share: None,
            });
        }
        let read = self.state.bodies().read(body, self.body, holder).await;
        read.map_err(|unreadable| match (unreadable, self.class) {
            // A2A-2
            (Unreadable::TooLong, Class::Message) => ApiError::bad_request("invalid JSON"),
            (unreadable, _) => unreadable.into(),
        })
    }

    async fn subject_of(&self, head: &mut Parts) -> Subject {
        if !self.has_subject {
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
    async fn call<S>(&self, mut inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        match AssertUnwindSafe(inner.call(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => {
                tracing::error!(route = self.name, reason = panic_text(&*panic), "handler panicked");
                ApiError::internal().into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tower::service_fn;

    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_panic_is_one_answer_and_no_more() {
        // SEC-148, SEC-208
        let (state, _database) = testing::state().await;
        let handler = service_fn(|request: Request| async move {
            assert_ne!(request.uri().path(), "/panics", "boom");
            Ok(StatusCode::NO_CONTENT.into_response())
        });
        let mut guard = GuardLayer::unmatched(&state).layer(handler);
        let mut ask = async |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            guard.call(request).await.unwrap()
        };
        let response = ask("/panics").await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["x-frame-options"], "DENY");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({ "code": "internal", "error": "internal error" })
        );
        assert_eq!(ask("/").await.status(), StatusCode::NO_CONTENT);
        let mut text = String::new();
        state.metrics().render(&mut text);
        assert!(
            text.contains(r#"{method="any",path="unmatched",status="500"} 1"#),
            "{text}"
        );
    }
}
