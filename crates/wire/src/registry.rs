//! Registry: register, heartbeat, cards, discovery (`a2a.md` §2–6).

use std::collections::BTreeMap;

use molecule_core::{DeliveryMode, Word, WorkspaceId, WorkspaceStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    patch::{null_is_default, optional_object},
    words::{self, AskedDeliveryMode},
};

/// `POST /registry/register` (REG §3).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Register {
    /// The workspace; `workspace_id` is accepted as an alias.
    #[serde(alias = "workspace_id")]
    #[schema(value_type = WorkspaceId)]
    pub id: String,
    /// The agent's card, stored verbatim.
    // Raw: nothing is to be made of it before the caller is known.
    #[schema(schema_with = words::agent_card)]
    pub agent_card: Raw,
    /// Where the agent listens; `""` in poll mode.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub url: String,
    /// How messages are to reach it.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(value_type = Option<AskedDeliveryMode>)]
    pub delivery_mode: Word<DeliveryMode>,
}

/// 200 of register (REG-35).
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Registered {
    /// `registered`.
    pub status: String,
    /// Mode in force.
    pub delivery_mode: DeliveryMode,
    /// Only when one was minted; shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<String>,
    /// On every register (REG-33).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_inbound_secret: Option<String>,
}

impl std::fmt::Debug for Registered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registered")
            .field("delivery_mode", &self.delivery_mode)
            .finish_non_exhaustive()
    }
}

/// `POST /registry/heartbeat` (REG §4). Only `workspace_id` is required.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Heartbeat {
    /// The workspace.
    #[schema(value_type = WorkspaceId)]
    pub workspace_id: String,
    /// Share of failed requests since the last beat, 0…1.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub error_rate: f64,
    /// A recent error, `""` when none.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub sample_error: String,
    /// What the agent is doing, `""` when idle.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub current_task: String,
    /// Tasks running now.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub active_tasks: i64,
    /// Seconds since the agent started.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub uptime_seconds: i64,
    /// USD cents; 0 means no update.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub monthly_spend: i64,
    /// Only `wedged` has meaning.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub runtime_state: String,
    /// What the adapter can do; absent leaves the platform's overrides as they are.
    #[serde(
        default,
        deserialize_with = "optional_object",
        skip_serializing_if = "Option::is_none"
    )]
    pub runtime_metadata: Option<RuntimeMetadata>,
}

/// Overrides declared by the adapter (REG-57). An empty object clears them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RuntimeMetadata {
    /// `heartbeat scheduler session status_mgmt retry activity_decoration channel_dispatch`.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub capabilities: BTreeMap<String, bool>,
    /// Silence the proxy tolerates, seconds; ≤0 or absent clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<i64>,
}

/// 200 of a heartbeat (REG-55).
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeartbeatOk {
    /// `ok`.
    pub status: String,
    /// Redelivered on every beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_inbound_secret: Option<String>,
}

impl std::fmt::Debug for HeartbeatOk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeartbeatOk")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// `POST /registry/update-card` (REG-70).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UpdateCard {
    /// The workspace.
    #[schema(value_type = WorkspaceId)]
    pub workspace_id: String,
    /// The new card.
    #[schema(schema_with = words::agent_card)]
    pub agent_card: Raw,
}

/// `POST /registry/check-access` (REG-81).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CheckAccess {
    /// Who wants to talk; what is no id may nothing.
    #[schema(min_length = 1)]
    pub caller_id: String,
    /// To whom.
    #[schema(min_length = 1)]
    pub target_id: String,
}

/// 200 of check-access.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccessAnswer {
    /// The hierarchy allows it.
    pub allowed: bool,
}

/// 200 of `GET /registry/discover/:id` (REG-84, REG-85).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Discovered {
    /// The target.
    pub id: WorkspaceId,
    /// Where to send to.
    pub url: String,
    /// Its name.
    pub name: String,
}

/// One peer (REG-87).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Peer {
    /// The peer.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// What it is there for.
    pub role: Option<String>,
    /// Privilege and size class.
    pub tier: i32,
    /// State.
    pub status: WorkspaceStatus,
    /// Its card, verbatim.
    #[schema(value_type = Option<Object>)]
    pub agent_card: Option<Value>,
    /// Where it listens.
    pub url: String,
    /// Its parent.
    pub parent_id: Option<WorkspaceId>,
    /// Tasks running now.
    pub active_tasks: i64,
}

/// JSON kept as the bytes it came in.
pub type Raw = Box<RawValue>;

/// A value as the bytes that are sent.
#[must_use]
pub fn raw(value: &Value) -> Raw {
    // The text of a value always is JSON.
    RawValue::from_string(value.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
