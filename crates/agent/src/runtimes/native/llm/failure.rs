//! Why an exchange failed, and what may be done about it.

use std::{error::Error as StdError, io, time::Duration};

use molecule_core::text::preview;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use url::Url;

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
    /// What the endpoint did, for people: nothing of what it wrote.
    pub(super) told: Option<String>,
}

impl Failure {
    pub(super) fn new(category: Category, again: Again, detail: impl Into<String>) -> Self {
        Self {
            category,
            detail: preview(&detail.into(), DETAIL_CHARS, "…"),
            again,
            told: None,
        }
    }

    fn telling(self, told: impl Into<String>) -> Self {
        Self {
            told: Some(told.into()),
            ..self
        }
    }

    /// As the turn's failure, with what that endpoint did.
    pub(super) fn at(self, endpoint: &Url) -> TurnError {
        let error = TurnError::new(self.category, self.detail);
        let Some(told) = self.told else { return error };
        let host = endpoint.host_str().unwrap_or_default();
        let port = endpoint.port().map_or_else(String::new, |port| format!(":{port}"));
        error.telling(format!("The model's endpoint {host}{port} {told}."))
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
        .telling("did not answer in time")
    }

    /// The connection broke, or there was none.
    pub(super) fn transport(error: &reqwest::Error) -> Self {
        let category = if error.is_timeout() {
            Category::Timeout
        } else {
            Category::Provider
        };
        // Addresses may carry credentials in their query: only the cause is told.
        Self::new(category, Again::Later(None), root_cause(error)).telling(in_words(error))
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
        let told = match (status, &category) {
            (_, Category::SessionError) => "cannot read a conversation this long".to_owned(),
            (401 | 403, _) => format!("refused the key (HTTP {status})"),
            (404, _) => "knows no such model or path (HTTP 404)".to_owned(),
            (429, _) => "wants fewer requests (HTTP 429)".to_owned(),
            _ => format!("answered with HTTP {status}"),
        };
        Self::new(category, again, format!("HTTP {status}: {body}")).telling(told)
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

/// What became of a connection. The causes' own texts are for programmers.
fn in_words(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "did not answer in time";
    }
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionRefused => return "refused the connection",
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => return "cannot be reached",
                io::ErrorKind::TimedOut => return "did not answer in time",
                _ => {}
            }
        }
        cause = inner.source();
    }
    if error.is_connect() {
        "cannot be connected to"
    } else {
        "broke the connection"
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn people_are_told_what_the_endpoint_did() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}/v1/chat", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let port = url.port().unwrap();
        drop(listener);
        let refused = reqwest::Client::new().get(url.clone()).send().await.unwrap_err();
        assert_eq!(
            Failure::transport(&refused).at(&url).to_string(),
            format!(
                "Agent error (provider_error) — see workspace logs for details. The model's endpoint 127.0.0.1:{port} \
                 refused the connection."
            )
        );
        let url: Url = "https://api.example.com/v1/".parse().unwrap();
        // RUN-57: what it wrote may hold a token.
        let error = Failure::of_status(401, &HeaderMap::new(), "bad key sk-secret").at(&url);
        assert!(
            error
                .to_string()
                .ends_with("api.example.com refused the key (HTTP 401)."),
            "{error}"
        );
        assert!(!error.to_string().contains("sk-secret") && error.detail.contains("sk-secret"));
    }
}
