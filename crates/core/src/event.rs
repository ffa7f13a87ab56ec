//! The event catalogue (ACT §2.4).

use serde::{Deserialize, Serialize};

/// Every event the platform emits. The wire name is the variant in SCREAMING_SNAKE_CASE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(
    missing_docs,
    reason = "the names are the documentation; payloads are in the catalogue"
)]
pub enum EventType {
    WorkspaceProvisioning,
    WorkspaceOnline,
    WorkspaceAwaitingAgent,
    WorkspaceOffline,
    WorkspaceDegraded,
    WorkspaceRemoved,
    WorkspaceProvisionFailed,
    AgentCardUpdated,
    TaskUpdated,
    WorkspaceHeartbeat,
    ActivityLogged,
    #[serde(rename = "A2A_RESPONSE")]
    A2aResponse,
    AgentMessage,
}

impl EventType {
    /// Every event.
    pub const ALL: [Self; 13] = [
        Self::WorkspaceProvisioning,
        Self::WorkspaceOnline,
        Self::WorkspaceAwaitingAgent,
        Self::WorkspaceOffline,
        Self::WorkspaceDegraded,
        Self::WorkspaceRemoved,
        Self::WorkspaceProvisionFailed,
        Self::AgentCardUpdated,
        Self::TaskUpdated,
        Self::WorkspaceHeartbeat,
        Self::ActivityLogged,
        Self::A2aResponse,
        Self::AgentMessage,
    ];

    /// The stored and wire spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkspaceProvisioning => "WORKSPACE_PROVISIONING",
            Self::WorkspaceOnline => "WORKSPACE_ONLINE",
            Self::WorkspaceAwaitingAgent => "WORKSPACE_AWAITING_AGENT",
            Self::WorkspaceOffline => "WORKSPACE_OFFLINE",
            Self::WorkspaceDegraded => "WORKSPACE_DEGRADED",
            Self::WorkspaceRemoved => "WORKSPACE_REMOVED",
            Self::WorkspaceProvisionFailed => "WORKSPACE_PROVISION_FAILED",
            Self::AgentCardUpdated => "AGENT_CARD_UPDATED",
            Self::TaskUpdated => "TASK_UPDATED",
            Self::WorkspaceHeartbeat => "WORKSPACE_HEARTBEAT",
            Self::ActivityLogged => "ACTIVITY_LOGGED",
            Self::A2aResponse => "A2A_RESPONSE",
            Self::AgentMessage => "AGENT_MESSAGE",
        }
    }

    /// Stored in `structure_events` before it is published; the rest are live only (ACT-70).
    #[must_use]
    pub const fn is_recorded(self) -> bool {
        !matches!(
            self,
            Self::TaskUpdated
                | Self::WorkspaceHeartbeat
                | Self::ActivityLogged
                | Self::A2aResponse
                | Self::AgentMessage
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_agree_with_serde() {
        for event in EventType::ALL {
            assert_eq!(
                serde_json::to_string(&event).unwrap(),
                format!("\"{}\"", event.as_str())
            );
        }
    }
}
