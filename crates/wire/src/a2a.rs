//! Platform answers of `POST /workspaces/:id/a2a` that are not the agent's own (`a2a.md` §10–12).

use molecule_core::DeliveryMode;
use serde::{Deserialize, Serialize};

/// Header of every answer that is an agent's own, with the HTTP status that the agent gave: what the status says is of
/// the agent, and not of the caller's credential or of the platform.
pub const UPSTREAM_STATUS_HEADER: &str = "x-molecule-upstream-status";

/// 200 for a poll-mode target (A2A-40).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PollQueued {
    /// `queued`.
    pub status: String,
    /// `poll`.
    pub delivery_mode: DeliveryMode,
    /// Method of the message, or `""`.
    pub method: String,
}

/// Error with a hint when to try again (A2A-81, A2A-90).
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aUnavailable {
    /// What is the matter.
    pub error: String,
    /// The agent was found dead and is being restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarting: Option<bool>,
    /// The agent is busy; nothing was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<bool>,
    /// A hibernated agent is being woken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waking: Option<bool>,
    /// The agent queues by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_session: Option<bool>,
    /// Whether the agent is known to have received the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_confirmed: Option<bool>,
    /// Status of a target without a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}
