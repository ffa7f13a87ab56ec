//! What the watcher of a boot reports.

use serde::{Deserialize, Serialize};

use crate::patch::null_is_default;

/// Body of `POST /admin/workspaces/:id/bootstrap-failed` (LIFE-172).
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BootstrapFailed {
    /// What went wrong; blank means nobody knows.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub error: String,
    /// The end of the instance's output.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub log_tail: String,
}

/// 200 of the same.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BootstrapNoted {
    /// `true`.
    pub ok: bool,
    /// `true`: no start was under way, and nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_change: Option<bool>,
}
