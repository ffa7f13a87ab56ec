//! What can go wrong, said so that a person knows what to do.

use std::{fmt, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a call failed. `Display` is fit for a terminal; no variant carries a credential.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configured address cannot be used.
    #[error("the server address is not usable: {0}; give one such as http://127.0.0.1:8080")]
    InvalidUrl(String),
    /// The credential cannot be sent in a header.
    #[error("the credential contains characters that an HTTP header cannot carry")]
    InvalidCredential,
    /// The request could not be built.
    #[error("the request could not be built: {0}")]
    InvalidRequest(String),
    /// Nobody listens there.
    #[error(
        "no server answers at {url} ({reason}); start one with `molecule up`, or name another with --url or MOLECULE_URL"
    )]
    Connect {
        /// Base address.
        url: String,
        /// Innermost cause.
        reason: String,
    },
    /// No (whole) answer in time.
    #[error("{url} did not answer in time{}", after.map_or_else(String::new, |span| format!(" ({} s)", span.as_secs())))]
    Timeout {
        /// Base address.
        url: String,
        /// How long was waited, if there was a limit of ours.
        after: Option<Duration>,
    },
    /// The connection broke after the request was sent: whether it took effect is unknown.
    #[error("the connection to {url} broke ({reason}); the request may or may not have taken effect")]
    Interrupted {
        /// Base address.
        url: String,
        /// Innermost cause.
        reason: String,
    },
    /// The server answered with an error status.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The answer is not what this client understands.
    #[error(
        "the server's answer is not understood ({reason}); are client and server of the same version? `molecule version` tells"
    )]
    Decode {
        /// Method and path.
        request: String,
        /// What was unexpected. Never holds values of credential routes.
        reason: String,
    },
    /// The answer is larger than a client takes.
    #[error("the server's answer is larger than {limit} bytes")]
    TooLarge {
        /// Method and path.
        request: String,
        /// The limit, bytes.
        limit: usize,
    },
}

impl ClientError {
    /// HTTP status, if the server answered with one. An agent's answer that it passed on is none of its own.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status(error) if error.upstream_status.is_none() => Some(error.status),
            _ => None,
        }
    }

    /// The server's answer, if there was one.
    #[must_use]
    pub fn as_status(&self) -> Option<&StatusError> {
        match self {
            Self::Status(error) => Some(error),
            _ => None,
        }
    }

    /// The server could not be reached or did not answer: trying later may help, whoever asks.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Timeout { .. } | Self::Interrupted { .. }
        )
    }
}

/// An error answer of the server.
#[derive(Debug, Clone, thiserror::Error)]
pub struct StatusError {
    /// HTTP status.
    pub status: u16,
    /// The status that an agent gave, if the answer is an agent's and not the platform's.
    pub upstream_status: Option<u16>,
    /// Text of the body's `error`, or the status' own phrase.
    pub message: String,
    /// What exactly is wrong, where the body says it beside a fixed text (D11).
    pub detail: Option<String>,
    /// Stable code, where the body has one (D11).
    pub code: Option<String>,
    /// When to try again, seconds: header `Retry-After`, else `retry_after` of the body.
    pub retry_after: Option<u64>,
    /// The body, for members beside `error`.
    pub body: String,
}

impl StatusError {
    pub(crate) fn new(status: u16, retry_after: Option<u64>, body: &[u8]) -> Self {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let member = |name: &str| json.as_ref().and_then(|value| value.get(name));
        // JSON-RPC errors hold an object under `error` (A2A-30).
        let message = match member("error") {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::Object(error)) => error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            // `confirmation_required` and the like put their text here (LIFE-99).
            _ => member("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        let message = if message.is_empty() {
            reqwest::StatusCode::from_u16(status)
                .ok()
                .and_then(|status| status.canonical_reason())
                .map_or_else(|| "error without a text".to_owned(), str::to_lowercase)
        } else {
            message
        };
        Self {
            status,
            upstream_status: None,
            message,
            detail: member("detail").and_then(Value::as_str).map(str::to_owned),
            code: member("code").and_then(Value::as_str).map(str::to_owned),
            retry_after: retry_after.or_else(|| member("retry_after").and_then(Value::as_u64)),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }

    /// Reads the body as one of the typed error answers, such as `MissingEnv` or `WorkspaceGone`.
    #[must_use]
    pub fn body_as<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.body).ok()
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        write!(f, " (HTTP {})", self.status)?;
        match (self.status, self.retry_after) {
            (401, _) => {
                f.write_str("; check the credential: ADMIN_TOKEN, MOLECULE_TOKEN or the server's admin_token file")
            }
            (403, _) => f.write_str("; this credential may not do that"),
            (_, Some(seconds)) => write!(f, "; try again in {seconds} s"),
            _ => Ok(()),
        }
    }
}

/// Text of the innermost cause: the outer ones of HTTP libraries only say that something failed.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_shape_of_error_body() {
        let plain = StatusError::new(409, None, br#"{"error":"taken","code":"name_taken"}"#);
        assert_eq!(
            (plain.message.as_str(), plain.code.as_deref()),
            ("taken", Some("name_taken"))
        );
        // A2A-30
        let rpc = StatusError::new(
            400,
            None,
            br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"params.message.parts"}}"#,
        );
        assert_eq!((rpc.message.as_str(), rpc.code), ("params.message.parts", None));
        // LIFE-99
        let confirm = StatusError::new(
            409,
            None,
            br#"{"status":"confirmation_required","message":"3 children"}"#,
        );
        assert_eq!(confirm.message, "3 children");
        // A2A-193: a hosted edge answers an empty 404.
        assert_eq!(StatusError::new(404, None, b"").message, "not found");
        assert_eq!(StatusError::new(524, None, b"<html>").message, "error without a text");
    }

    #[test]
    fn says_what_to_do() {
        let wait = StatusError::new(
            503,
            None,
            br#"{"error":"agent is restarting","restarting":true,"retry_after":15}"#,
        );
        assert_eq!(wait.to_string(), "agent is restarting (HTTP 503); try again in 15 s");
        assert_eq!(StatusError::new(429, Some(7), b"{}").retry_after, Some(7));
        let detailed = StatusError::new(
            400,
            None,
            br#"{"error":"invalid workspace fields","detail":"name is long"}"#,
        );
        assert_eq!(
            detailed.to_string(),
            "invalid workspace fields: name is long (HTTP 400)"
        );
        assert!(StatusError::new(401, None, b"{}").to_string().contains("ADMIN_TOKEN"));
        let connect = ClientError::Connect {
            url: "http://x".into(),
            reason: "Connection refused".into(),
        };
        assert!(connect.to_string().contains("molecule up"));
        assert!(connect.is_unreachable());
    }
}
