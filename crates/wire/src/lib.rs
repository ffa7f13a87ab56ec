//! Request and response types of the HTTP API, shared by the server, the typed client and the agent.
//!
//! Requests ignore unknown fields unless the specification refuses them (SEC-196). Lists are never `null` (ACT-2).

pub mod a2a;
pub mod activity;
pub mod agents;
pub mod audit;
pub mod auth;
pub mod canvas;
pub mod events;
pub mod ops;
pub mod orgs;
pub mod patch;
pub mod registry;
pub mod secrets;
pub mod templates;
pub mod words;
pub mod workspaces;

pub use patch::Patch;

use serde::{Deserialize, Serialize};

/// Body of every error answer (ACT-1). Some routes add named members beside `error`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// What went wrong, fit to be shown to a person.
    pub error: String,
    /// Stable code, where the specification leaves the body open (D11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<words::ErrorCode>)]
    pub code: Option<String>,
}

/// `{"status": "..."}`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StatusBody {
    /// Outcome word, per route.
    pub status: String,
}
