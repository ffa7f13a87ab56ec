//! Events as sockets and `GET /events` carry them (`activity.md` §2). What each says is [`molecule_core::event`].

use molecule_core::{EventId, EventType, Timestamp, Word, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One frame of `/ws` (ACT-71).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventEnvelope {
    /// What happened.
    #[schema(value_type = EventType)]
    pub event: Word<EventType>,
    /// The subject; empty when there is none.
    pub workspace_id: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Depends on the event.
    #[schema(value_type = Object)]
    pub payload: Value,
}

/// One row of `GET /events` (ACT-69).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventRow {
    /// The event.
    pub id: EventId,
    /// What happened.
    #[schema(value_type = EventType)]
    pub event_type: Word<EventType>,
    /// The subject.
    pub workspace_id: Option<WorkspaceId>,
    /// Depends on the event.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// When it happened.
    pub created_at: Timestamp,
}
