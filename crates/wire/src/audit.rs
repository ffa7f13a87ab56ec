//! The audit of changes: who changed what, and whether the record of it is whole.

use molecule_core::{AuditId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One change, or the attempt at one.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditRecord {
    /// Its place in the chain, from 1.
    pub seq: i64,
    /// The record.
    pub id: AuditId,
    /// When the change was begun.
    pub at: Timestamp,
    /// Who made it: `admin`, `session:<id>`, `member:<id>`, `org-token:<prefix>`, `workspace:<id>`, `local` or
    /// `anonymous`.
    pub actor: String,
    /// What was done, such as `workspace.delete`.
    pub action: String,
    /// Method and pattern of the route.
    pub route: String,
    /// The workspace it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
    /// What was changed or made, where that is no workspace or a part of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Address of whoever asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Trace of the request, as the log shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Status of the answer. Absent while the change is under way, or if it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was there before, as far as it changed. Secrets appear by their names only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What was there afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// Its seal, hexadecimal.
    pub hmac: String,
}

/// 200 of `GET /admin/audit`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditPage {
    /// Newest first.
    pub records: Vec<AuditRecord>,
    /// `before` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// 200 of `GET /admin/audit/verify`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditVerdict {
    /// The chain is whole, from its first record to its last.
    pub valid: bool,
    /// Records that were looked at.
    pub checked: i64,
    /// The first record that is wrong or missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<i64>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Changes that are under way or were interrupted.
    pub unfinished: u64,
    /// Records that another key sealed, which this server cannot judge but for their order.
    pub other_keys: u64,
    /// Seal of the last record that was looked at, hexadecimal. Kept elsewhere, it proves later that nothing before it was
    /// changed.
    pub head: String,
}

/// One plugin that an org allows (SEC-151).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AllowedPlugin {
    /// The plugin.
    pub plugin_name: String,
    /// Who allowed it.
    pub enabled_by: String,
    /// When.
    pub enabled_at: Timestamp,
}

/// 200 of `GET /orgs/:id/plugins/allowlist`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PluginAllowlist {
    /// The org.
    pub org_id: WorkspaceId,
    /// By name.
    pub plugins: Vec<AllowedPlugin>,
    /// There is no list: every plugin is allowed.
    pub allow_all: bool,
}

/// Body of `PUT /orgs/:id/plugins/allowlist`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplaceAllowlist {
    /// The plugins; empty allows all.
    #[serde(default, deserialize_with = "crate::patch::null_is_default")]
    #[schema(nullable)]
    pub plugins: Vec<String>,
    /// Who allows them.
    #[serde(default, deserialize_with = "crate::patch::null_is_default")]
    #[schema(required = true, min_length = 1)]
    pub enabled_by: String,
}

/// 200 of `PUT /orgs/:id/plugins/allowlist`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReplacedAllowlist {
    /// The org.
    pub org_id: WorkspaceId,
    /// By name.
    pub plugins: Vec<String>,
    /// There is no list: every plugin is allowed.
    pub allow_all: bool,
}

/// 200 of `POST /admin/secrets/rotate`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotatedSecrets {
    /// Id of the key that seals now.
    pub key_id: String,
    /// A new key was made. `false`: an earlier change of the key was completed.
    pub new_key: bool,
    /// Values that were sealed anew.
    pub resealed: u64,
    /// Values that open with no key this server has; they stay as they are.
    pub failed: Vec<String>,
    /// Whether the old keys are needed any more.
    pub complete: bool,
    /// What is left to do.
    pub message: String,
}
