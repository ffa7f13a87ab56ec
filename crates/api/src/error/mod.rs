//! Error answers. [`ApiError`] is the envelope (ACT-1); the sibling modules map every error of the services to a
//! status.

mod keys;
mod map;
mod workspaces;

use std::{borrow::Cow, error::Error, fmt::Display};

pub(crate) use map::{SecretAct, secret_error};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use molecule_core::text::Quoted;
use molecule_wire::{a2a::UPSTREAM_STATUS_HEADER, words::ErrorCode};
use serde::Serialize;
use serde_json::{Map, Value};

/// An error answer: status, text, and whatever members the specification puts beside it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Body,
    /// Seconds.
    retry_after: Option<u32>,
    /// The agent's status, if it is an agent's answer.
    upstream: Option<u16>,
}

#[derive(Debug)]
enum Body {
    /// `{"error": …}` and members beside it.
    Envelope(Cow<'static, str>, Map<String, Value>),
    /// A body of its own shape.
    Json(Value),
    /// JSON text that somebody else wrote.
    Text(String),
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            body: Body::Envelope(text.into(), Map::new()),
            retry_after: None,
            upstream: None,
        }
    }

    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn unauthorized(text: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    pub(crate) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// SEC-106.
    pub(crate) fn invalid_workspace_id() -> Self {
        Self::bad_request("invalid workspace ID")
    }

    /// What is answered when nothing fit for clients is known of a failure.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error").code(ErrorCode::Internal)
    }

    /// 500 with the route's text; the cause goes to the log only (SEC-147). A full disk has an answer of its own,
    /// the same on every route: it is the operator's to mend.
    pub(crate) fn store(text: impl Into<Cow<'static, str>>, cause: &(dyn Error + 'static)) -> Self {
        let text = text.into();
        let root = root_of(cause);
        if molecule_platform::is_disk_full(cause) {
            tracing::error!(error = %Quoted(&root.to_string()), answer = &*text, "request failed: the database's disk is full");
            return Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "the server has no disk space left; nothing was changed",
            )
            .code(ErrorCode::DiskFull);
        }
        // What failed may quote what was sent.
        tracing::error!(error = %Quoted(&root.to_string()), answer = &*text, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// A credential could not be looked up (SEC-52).
    pub(crate) fn platform_unavailable(route: &'static str, cause: &dyn Display) -> Self {
        tracing::error!(error = %Quoted(&cause.to_string()), route, "credential lookup failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "platform datastore unavailable — retry shortly",
        )
        .code(ErrorCode::PlatformUnavailable)
    }

    /// A ticket that opens nothing here (D2).
    pub(crate) fn invalid_ticket() -> Self {
        Self::unauthorized("ticket is invalid or expired").code(ErrorCode::InvalidTicket)
    }

    /// SEC-205.
    pub(crate) fn rate_limited(retry_after: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded").retry_after(retry_after)
    }

    /// A body of its own shape, which is JSON by construction.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_value(body) {
            Ok(body) => Self {
                status,
                body: Body::Json(body),
                retry_after: None,
                upstream: None,
            },
            Err(error) => Self::store("internal error", &error),
        }
    }

    /// Marks an agent's answer as such (A2A-86).
    pub(crate) fn upstream(mut self, status: u16) -> Self {
        self.upstream = Some(status);
        self
    }

    /// A stable code, where the specification leaves the body open (D11).
    pub(crate) fn code(self, code: ErrorCode) -> Self {
        self.with("code", code.as_str())
    }

    /// A member beside `error`.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Body::Envelope(_, members) = &mut self.body {
            members.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Seconds after which a repetition makes sense: header and member.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self.with("retry_after", seconds)
    }
}

/// What an error came from.
fn root_of<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = match self.body {
            Body::Json(body) => body.to_string(),
            Body::Text(body) => body,
            Body::Envelope(text, members) => {
                let mut envelope = Map::with_capacity(members.len() + 1);
                envelope.insert("error".to_owned(), Value::from(&*text));
                envelope.extend(members);
                Value::Object(envelope).to_string()
            }
        };
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut response = (self.status, [json], body).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(status) = self.upstream {
            response
                .headers_mut()
                .insert(UPSTREAM_STATUS_HEADER, HeaderValue::from(status));
        }
        response
    }
}
