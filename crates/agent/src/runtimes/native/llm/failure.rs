//! Why an exchange failed, and what may be done about it.

use std::{error::Error as StdError, time::Duration};

use molecule_core::text::preview;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::engine::{Category, TurnError};

/// Characters of a provider's error that reach the log.
const DETAIL_CHARS: usize = 1_000;

/// May another try help?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// No.
    Never,
    /// Perhaps, at once: nothing says that the endpoint needs time.
    Once,
    /// Perhaps, after a while; the provider's own wish if it has one.
    Later(Option<Duration>),
}

/// An exchange without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) category: Category,
    pub(super) detail: String,
    pub(super) again: Again,
}

impl Failure {
    pub(super) fn new(category: Category, again: Again, detail: impl Into<String>) -> Self {
        Self {
            category,
            detail: preview(&detail.into(), DETAIL_CHARS, "…"),
            again,
        }
    }

    /// What the endpoint says is not what its protocol says. A gateway may have stumbled; the network has not.
    pub(super) fn nonsense(detail: impl Into<String>) -> Self {
        let detail = format!("the answer is not what the protocol says: {}", detail.into());
        Self::new(Category::Provider, Again::Once, detail)
    }

    /// The endpoint goes on for too long.
    pub(super) fn endless(limit: usize) -> Self {
        let detail = format!("the model says more than {limit} bytes in one turn");
        Self::new(Category::Provider, Again::Never, detail)
    }

    /// Nothing was heard for so long.
    pub(super) fn silence(time: Duration) -> Self {
        Self::new(
            Category::Timeout,
            Again::Later(None),
            format!("nothing was heard of the endpoint for {time:?}"),
        )
    }

    /// The connection broke, or there was none.
    pub(super) fn transport(error: &reqwest::Error) -> Self {
        let category = if error.is_timeout() {
            Category::Timeout
        } else {
            Category::Provider
        };
        // Addresses may carry credentials in their query: only the cause is told.
        Self::new(category, Again::Later(None), root_cause(error))
    }

    pub(super) fn of_status(status: u16, headers: &HeaderMap, body: &str) -> Self {
        let wish = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let (category, again) = match status {
            401 | 403 => (Category::AuthFailed, Again::Never),
            429 => (Category::RateLimited, Again::Later(wish)),
            408 | 504 => (Category::Timeout, Again::Later(wish)),
            500.. => (Category::Provider, Again::Later(wish)),
            400 | 413 if is_too_long(body) => (Category::SessionError, Again::Never),
            _ => (Category::Provider, Again::Never),
        };
        Self::new(category, again, format!("HTTP {status}: {body}"))
    }

    /// An error inside an answer that began with 200.
    pub(super) fn of_event(body: &str) -> Self {
        let (category, again) = if is_too_long(body) {
            (Category::SessionError, Again::Never)
        } else if body.contains("rate_limit") {
            (Category::RateLimited, Again::Later(None))
        } else if body.contains("authentication") || body.contains("permission") {
            (Category::AuthFailed, Again::Never)
        } else if ["overloaded", "server_error", "api_error"]
            .iter()
            .any(|word| body.contains(word))
        {
            (Category::Provider, Again::Later(None))
        } else {
            (Category::Provider, Again::Never)
        };
        Self::new(category, again, body)
    }
}

impl From<Failure> for TurnError {
    fn from(failure: Failure) -> Self {
        Self::new(failure.category, failure.detail)
    }
}

/// Does a provider say that the conversation exceeds what the model can read? Each has words of its own.
fn is_too_long(body: &str) -> bool {
    const WORDS: [&str; 6] = [
        "context_length_exceeded",
        "maximum context length",
        "context length",
        "context window",
        "context size",
        "prompt is too long",
    ];
    let body = body.to_ascii_lowercase();
    WORDS.iter().any(|words| body.contains(words))
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
