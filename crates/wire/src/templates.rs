//! Workspace templates (`provisioning.md` §9).

use std::collections::BTreeMap;

use molecule_core::{Runtime, Word};
use serde::{Deserialize, Serialize};

/// One row of `GET /templates` (PROV-100).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TemplateSummary {
    /// Directory name.
    pub id: String,
    /// Display name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Privilege and size class.
    pub tier: i64,
    /// Runtime name as written.
    #[schema(value_type = String)]
    pub runtime: Word<Runtime>,
    /// Top-level `model`, else `runtime_config.model`.
    pub model: String,
    /// Models to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelEntry>,
    /// Credentials, one of several acceptable ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_env: Vec<String>,
    /// Provider slugs from `runtime_config.providers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// The top-level `providers` list; neither list is made from the other (PROV-101).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider_registry: Vec<ProviderEntry>,
    /// Skill ids.
    pub skills: Vec<String>,
    /// Length of `skills`.
    pub skill_count: usize,
    /// Declared start time limit, seconds.
    #[serde(default, skip_serializing_if = "is_undeclared")]
    pub provision_timeout_seconds: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_undeclared(seconds: &i64) -> bool {
    *seconds <= 0
}

/// A model a user may choose (PROV-100).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ModelEntry {
    /// Model id.
    pub id: String,
    /// Display name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Credentials this model needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_env: Vec<String>,
}

/// One entry of the top-level `providers` list (PROV-100). `base_url: null` is the empty string (PROV-102).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ProviderEntry {
    /// Provider name.
    pub name: String,
    /// How it authenticates.
    pub auth_mode: String,
    /// Model ids with one of these prefixes are this provider's.
    pub model_prefixes: Vec<String>,
    /// Short names of its models.
    pub model_aliases: Vec<String>,
    /// Endpoint; empty means the provider's default.
    pub base_url: String,
    /// Credentials it accepts, in order of preference.
    pub auth_env: Vec<String>,
}

/// `POST /templates/import` (PROV-105).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportTemplate {
    /// Its name; the directory's name is made from it.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// Contents by path below the template's directory; 1 to 200 of them.
    pub files: BTreeMap<String, String>,
}

/// The template that was added.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportedTemplate {
    /// `imported`.
    pub status: String,
    /// Its directory, by which workspaces are created from it.
    pub id: String,
    /// Its name.
    pub name: String,
}
