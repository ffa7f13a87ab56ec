//! How a call to an agent fails, and what is said of it in rows, logs, metrics and answers.

use std::error::Error as _;

use molecule_a2a::upstream::TransportFailure;

use crate::dial::{DialError, NotLive, ResolveError, TlsError};

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

    /// Its kind as metrics label it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NotRoutable => "not_routable",
            Self::NotLive => "not_live",
            Self::Transport(failure) => label_transport(failure),
            Self::Body { cause, .. } => cause.label(),
        }
    }

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

    /// Its kind as metrics label it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Broken => "body_broken",
            Self::TooLong => "body_too_long",
            Self::Expired(failure) => label_transport(failure),
            Self::NoMemory => "no_memory",
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

fn label_transport(failure: TransportFailure) -> &'static str {
    match failure {
        TransportFailure::Deadline => "deadline",
        TransportFailure::Idle => "idle",
        TransportFailure::ConnectTimeout => "connect_timeout",
        TransportFailure::HeaderTimeout => "header_timeout",
        TransportFailure::Eof => "eof",
        TransportFailure::Reset => "reset",
        TransportFailure::Refused => "refused",
        TransportFailure::Dns => "dns",
        TransportFailure::Tls => "tls",
        TransportFailure::Other => "transport",
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

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use molecule_core::netguard::Refusal;

    use super::*;

    #[test]
    fn each_cause_is_what_it_is() {
        // A2A-62, A2A-64, A2A-87
        use TransportFailure::{ConnectTimeout, Dns, Refused, Tls};
        let of = |cause: &(dyn std::error::Error + 'static)| failure_of(cause, true);
        assert_eq!(of(&NotLive), Some(PushFailure::NotLive));
        assert_eq!(of(&TlsError("no".into())), Some(PushFailure::Transport(Tls)));
        assert_eq!(of(&ResolveError::Refused(Refusal::Own)), Some(PushFailure::NotRoutable));
        let unresolvable = ResolveError::Unresolvable(ErrorKind::NotFound.into());
        assert_eq!(of(&unresolvable), Some(PushFailure::Transport(Dns)));
        for (kind, failure) in [
            (ErrorKind::TimedOut, ConnectTimeout),
            (ErrorKind::ConnectionRefused, Refused),
        ] {
            assert_eq!(of(&Error::from(kind)), Some(PushFailure::Transport(failure)));
        }
        assert_eq!(of(&std::fmt::Error), None);
    }
}
