//! Secrets, model and provider (`provisioning.md` §10, §11).

use molecule_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::patch::null_is_default;

/// One key of a secret list; values are never listed (PROV-120).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SecretView {
    /// Name of the environment variable.
    pub key: String,
    /// Always `true`.
    pub has_value: bool,
    /// `workspace` or `global`.
    pub scope: String,
    /// First stored.
    pub created_at: Timestamp,
    /// Last stored.
    pub updated_at: Timestamp,
}

/// Body of the secret writes.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetSecret {
    /// Name of the environment variable.
    #[serde(default)]
    pub key: String,
    /// The value, stored encrypted.
    #[serde(default)]
    pub value: String,
}

impl std::fmt::Debug for SetSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetSecret")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Answer of the secret writes and deletes.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SecretChanged {
    /// `saved` or `deleted`.
    pub status: String,
    /// The key.
    pub key: String,
    /// `global` for global secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// `GET /workspaces/:id/model`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelView {
    /// The slug, `""` for the default.
    pub model: String,
    /// `default` or `workspace_secrets`.
    pub source: String,
}

/// `PUT /workspaces/:id/model`; empty clears.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetModel {
    /// The slug.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub model: String,
}

/// `GET /workspaces/:id/provider`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderView {
    /// The provider, `""` for the default.
    pub provider: String,
    /// `default` or `workspace_secrets`.
    pub source: String,
}

/// `PUT /workspaces/:id/provider`; empty clears.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetProvider {
    /// The provider.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub provider: String,
}

/// Answer of the model and provider writes.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SettingChanged {
    /// `saved` or `cleared`.
    pub status: String,
    /// What was saved, by `PUT …/model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What was saved, by `PUT …/provider`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}
