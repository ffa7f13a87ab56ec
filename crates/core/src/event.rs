//! The event catalogue (ACT §2.4): names, and what each event says.

mod payload;

pub use payload::{
    ActivityLogged, AgentMessage, Answered, Assigned, Beat, CardUpdated, Child, Collapsed, Degraded, Event, Expanded,
    External, FailureDetail, FailureSource, Hibernated, Lost, MovedAgent, Nothing, Online, OtherEnd, Paused,
    ProvisionFailed, Provisioning, Removed, Replaced, TaskUpdated,
};

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;

/// Every event the platform emits. The wire name is the variant in SCREAMING_SNAKE_CASE.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
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
    WorkspacePaused,
    WorkspaceHibernated,
    WorkspaceExpanded,
    WorkspaceCollapsed,
    AgentAssigned,
    AgentReplaced,
    AgentRemoved,
    AgentMoved,
    AgentCardUpdated,
    TaskUpdated,
    WorkspaceHeartbeat,
    ActivityLogged,
    #[serde(rename = "A2A_RESPONSE")]
    A2aResponse,
    AgentMessage,
}

vocabulary!(EventType);

impl EventType {
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
