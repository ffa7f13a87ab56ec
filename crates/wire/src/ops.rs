//! Operations: health, build, liveness, what the server is.

use std::collections::BTreeMap;

use molecule_core::{Runtime, Timestamp};
use serde::{Deserialize, Serialize};

/// `GET /health` (SEC-210).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// `GET /ready`: 200 if all of it is so, else 503.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ready {
    /// `ready` or `not_ready`.
    pub status: String,
    /// The database answers.
    pub database: bool,
    /// What an earlier server left running has been taken over.
    pub settled: bool,
    /// The server is stopping: requests in flight are finished, new ones belong elsewhere.
    pub stopping: bool,
}

/// `GET` and `PUT /admin/log`: what the server writes into its log.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogFilter {
    /// A level, or levels by module: `info,molecule_platform=debug`.
    pub filter: String,
}

/// `GET /buildinfo` (SEC-211).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BuildInfo {
    /// Commit the binary was built from; `dev` when unstamped.
    pub git_sha: String,
}

/// `GET /admin/server`: what this server is, and what it can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerInfo {
    /// Version of the program.
    pub version: String,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// What runs the workspaces; absent where there are only external agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The sandbox of process agents: `required`, `best-effort` or `off`; absent with another backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Runtimes that workspaces can have here.
    pub runtimes: Vec<Runtime>,
}

/// One element of `GET /admin/models`: an endpoint that agents can think with, tried when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelEndpoint {
    /// The global secret that leads to it.
    pub credential: String,
    /// Its base address; `""` if that is unusable.
    pub url: String,
    /// How many models it names; absent if it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<usize>,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `GET /admin/liveness` (SEC-213).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Liveness {
    /// Every loop that has ticked, by name.
    pub subsystems: BTreeMap<String, Subsystem>,
    /// The most that the server's own work was late within the last one to two minutes, milliseconds.
    #[serde(default)]
    pub lag_ms: u64,
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
