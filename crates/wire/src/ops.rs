//! Operations: health, build, liveness.

use std::collections::BTreeMap;

use molecule_core::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /health` (SEC-210).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// `GET /buildinfo` (SEC-211).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BuildInfo {
    /// Commit the binary was built from; `dev` when unstamped.
    pub git_sha: String,
}

/// `GET /admin/liveness` (SEC-213).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Liveness {
    /// Every loop that has ticked, by name.
    pub subsystems: BTreeMap<String, Subsystem>,
}

/// One background loop.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Subsystem {
    /// When its last iteration began.
    pub last_tick_at: Timestamp,
    /// Seconds since then.
    pub seconds_ago: u64,
    /// When an iteration last ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// What the last failed iteration said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Longest time between the beginnings of two iterations, milliseconds; absent for a loop that only waits for work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_ms: Option<u64>,
    /// Why the last iteration began: `period` or `woken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reason: Option<String>,
    /// How long the last iteration took, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duration_ms: Option<u64>,
    /// When the iteration in progress began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Timestamp>,
    /// What the last iteration did: counts by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_report: Option<serde_json::Value>,
    /// Iterations begun since the server started.
    #[serde(default)]
    pub iterations: u64,
}
