//! Workspace templates (`provisioning.md` §9).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `POST /templates/import` (PROV-105).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportTemplate {
    /// Its name; the directory's name is made from it.
    pub name: String,
    /// Contents by path below the template's directory.
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
