//! How a message ended, in a word for those who count.

use super::{Crowded, Delivered, MessagingError};

/// The word of what became of a message.
pub(super) fn of(result: &Result<Delivered, MessagingError>) -> &'static str {
    match result {
        Ok(Delivered::Reply { status, .. }) if *status >= 300 => "agent_error",
        Ok(Delivered::Reply { .. }) => "answered",
        Ok(Delivered::Stream(_)) => "streaming",
        Ok(Delivered::Polled { .. }) => "left_for_poll",
        Err(error) => of_error(error),
    }
}

fn of_error(error: &MessagingError) -> &'static str {
    match error {
        MessagingError::Caller(_) => "caller_refused",
        MessagingError::AccessDenied => "access_denied",
        MessagingError::OverBudget => "over_budget",
        MessagingError::Invalid(_) => "invalid",
        MessagingError::NotFound => "unknown_target",
        MessagingError::NoUrl { .. } => "no_address",
        MessagingError::NotRoutable => "not_routable",
        MessagingError::NotLive(_) => "not_live",
        MessagingError::Restarting => "restarting",
        MessagingError::Waking => "waking",
        MessagingError::Crowded(Crowded::Agent) => "agent_crowded",
        MessagingError::Crowded(Crowded::Server) => "server_crowded",
        MessagingError::BusyNativeSession | MessagingError::Busy => "busy",
        MessagingError::Unreachable => "unreachable",
        MessagingError::Upstream { .. } => "agent_error",
        MessagingError::UnreadableReply { .. } => "reply_unreadable",
        MessagingError::NotStored(_) => "not_stored",
        MessagingError::Store(_) => "store_failed",
    }
}
