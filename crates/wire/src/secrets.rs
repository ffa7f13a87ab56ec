//! Secrets, model and provider (`provisioning.md` §10, §11).

use molecule_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    patch::null_is_default,
    words::{SecretScope, SettingSource},
};

/// One key of a secret list; values are never listed (PROV-120).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SecretView {
    /// Name of the environment variable.
    pub key: String,
    /// Always `true`.
    pub has_value: bool,
    /// Whose it is.
    #[schema(value_type = SecretScope)]
    pub scope: String,
    /// First stored.
    pub created_at: Timestamp,
    /// Last stored.
    pub updated_at: Timestamp,
}

/// Body of the secret writes.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetSecret {
    /// Name of the environment variable: no `=`, no line break.
    #[serde(default)]
    #[schema(required = true, min_length = 1, pattern = r"^[^=\x00\x0a\x0d]+$")]
    pub key: String,
    /// The value, stored encrypted. With its name it fits one variable: 131 070 bytes together.
    #[serde(default)]
    #[schema(required = true, min_length = 1, pattern = r"^[^\x00]+$")]
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
    #[schema(value_type = Option<SecretScope>)]
    pub scope: Option<String>,
}

/// `GET /workspaces/:id/model`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelView {
    /// The slug, `""` for the default.
    pub model: String,
    /// Where it comes from.
    #[schema(value_type = SettingSource)]
    pub source: String,
}

/// `PUT /workspaces/:id/model`; empty clears.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetModel {
    /// The slug: one line, at most 100 bytes of UTF-8.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(nullable, max_length = 100, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$")]
    pub model: String,
}

/// `GET /workspaces/:id/provider`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProviderView {
    /// The provider, `""` for the default.
    pub provider: String,
    /// Where it comes from.
    #[schema(value_type = SettingSource)]
    pub source: String,
}

/// `PUT /workspaces/:id/provider`; empty clears.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SetProvider {
    /// The provider: one line, at most 100 bytes of UTF-8.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(nullable, max_length = 100, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$")]
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
