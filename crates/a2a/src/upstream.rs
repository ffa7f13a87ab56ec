//! Judging a failed call: which statuses mean a dead agent, what a caller is told, which failures mean "busy".

use std::io;

use http::StatusCode;

use crate::reply::Reply;

/// Whether a status of the agent's address means that nothing lives there (A2A-80): gateways and edges answer with these
/// for an origin that does not.
#[must_use]
pub const fn is_dead_status(status: u16) -> bool {
    matches!(status, 502 | 503 | 504 | 521 | 522 | 523 | 524)
}

/// What the caller is told about an agent's answer of status ≥ 300 (A2A-86): the agent's own `error` text, else the
/// standard reason phrase, else the number. Never empty; nothing else of the agent's body is relayed.
#[must_use]
pub fn error_text(status: u16, body: &[u8]) -> String {
    if let Some(text) = Reply::parse(body).and_then(|reply| reply.error_text()) {
        return text;
    }
    match StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
    {
        Some(reason) => reason.to_owned(),
        None => format!("upstream returned status {status}"),
    }
}

/// How a call failed before a complete answer was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportFailure {
    /// The caller's deadline or the ceiling of the call passed.
    Deadline,
    /// Nothing was heard of the agent for its idle time.
    Idle,
    /// Connecting took too long.
    ConnectTimeout,
    /// Connected, but no response headers came in time.
    HeaderTimeout,
    /// The connection ended, orderly, before the answer did.
    Eof,
    /// The connection was reset.
    Reset,
    /// Nobody listens.
    Refused,
    /// The name does not resolve.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// Anything else.
    Other,
}

impl TransportFailure {
    /// Whether the agent counts as busy, so that the message is queued; otherwise it is unreachable, and the caller gets
    /// 502 (A2A-87).
    #[must_use]
    pub const fn is_busy(self) -> bool {
        match self {
            Self::Deadline | Self::Idle | Self::ConnectTimeout | Self::HeaderTimeout | Self::Eof | Self::Reset => true,
            Self::Refused | Self::Dns | Self::Tls | Self::Other => false,
        }
    }

    /// The failure that an I/O error stands for. Timeouts carry no phase; they are read as the header timeout.
    #[must_use]
    pub fn of_io(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::ConnectionReset => Self::Reset,
            io::ErrorKind::UnexpectedEof => Self::Eof,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::HeaderTimeout,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_statuses_are_exactly_these() {
        // A2A-80
        let dead: Vec<u16> = (100..1000).filter(|status| is_dead_status(*status)).collect();
        assert_eq!(dead, [502, 503, 504, 521, 522, 523, 524]);
    }

    #[test]
    fn callers_hear_the_agents_error_or_the_reason() {
        // A2A-86
        for (status, body, text) in [
            (500, r#"{"error":"boom"}"#, "boom"),
            (500, r#"{"error":{"code":1}}"#, "Internal Server Error"),
            (404, "<html>secret</html>", "Not Found"),
            (302, "", "Found"),
            (500, r#"{"error":""}"#, "Internal Server Error"),
            (521, "", "upstream returned status 521"),
            (520, r#"{"error":"edge"}"#, "edge"),
            (999, "", "upstream returned status 999"),
        ] {
            assert_eq!(error_text(status, body.as_bytes()), text, "{status} {body}");
        }
        // A2A-86: never empty, whatever the status
        assert!((300..1000).all(|status| !error_text(status, b"").is_empty()));
    }

    #[test]
    fn busy_class() {
        // A2A-87
        use TransportFailure::*;
        for failure in [Deadline, Idle, ConnectTimeout, HeaderTimeout, Eof, Reset] {
            assert!(failure.is_busy(), "{failure:?}");
        }
        for failure in [Refused, Dns, Tls, Other] {
            assert!(!failure.is_busy(), "{failure:?}");
        }
        assert!(TransportFailure::of_io(io::ErrorKind::ConnectionReset).is_busy());
        assert!(TransportFailure::of_io(io::ErrorKind::UnexpectedEof).is_busy());
        assert!(TransportFailure::of_io(io::ErrorKind::TimedOut).is_busy());
        assert!(!TransportFailure::of_io(io::ErrorKind::ConnectionRefused).is_busy());
        assert!(!TransportFailure::of_io(io::ErrorKind::PermissionDenied).is_busy());
    }
}
