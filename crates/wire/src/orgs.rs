//! Org templates and import (`provisioning.md` §12), workspace templates (§9).

use molecule_core::{Runtime, Word, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::registry::Raw;

/// `POST /org/import` (PROV-133). Give `dir` or `template`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportOrg {
    /// Org template directory, relative to the org templates root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// An org template given inline.
    // Raw: it may have megabytes, and is taken apart once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub template: Option<Raw>,
    /// Run every managed workspace of the template on this runtime instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub runtime: Option<Word<Runtime>>,
    /// What happens when there are root workspaces of the names that the template's have.
    #[serde(default, skip_serializing_if = "IfExists::is_default")]
    pub if_exists: IfExists,
    /// Give every managed workspace of the template this model instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What an import does when its organisation seems to be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IfExists {
    /// It creates another one of the same names.
    #[default]
    Create,
    /// It is refused with 409, which names what is there.
    Refuse,
    /// It creates another one, whose root workspaces are told apart by a number.
    Number,
}

impl IfExists {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    fn is_default(&self) -> bool {
        *self == Self::Create
    }
}

/// 201 or 207 of `POST /org/import`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportedOrg {
    /// Name of the org.
    pub org: String,
    /// Created workspaces, parents first.
    pub workspaces: Vec<ImportedWorkspace>,
    /// Their number.
    pub count: usize,
    /// Why the import stopped early (207).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One workspace of an import.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImportedWorkspace {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: i32,
}

/// One row of `GET /org/templates` (PROV-131).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrgTemplateView {
    /// Directory, as `POST /org/import` takes it.
    pub dir: String,
    /// Name of the org.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Workspaces in it, at any depth.
    pub workspaces: usize,
    /// Environment it cannot do without: names, or `{any_of: [...]}`.
    #[schema(value_type = Vec<Value>)]
    pub required_env: Vec<Value>,
    /// Environment it is better with.
    #[schema(value_type = Vec<Value>)]
    pub recommended_env: Vec<Value>,
}

/// 412 of `POST /org/import`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MissingEnv {
    /// `missing required environment variables`.
    pub error: String,
    /// What is missing.
    #[schema(value_type = Vec<Value>)]
    pub missing_env: Vec<Value>,
    /// What is required.
    #[schema(value_type = Vec<Value>)]
    pub required_env: Vec<Value>,
    /// Which template.
    pub template: String,
    /// How to provide it.
    pub suggestion: String,
}
