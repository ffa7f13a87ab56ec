//! The organisation templates on disk.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use molecule_core::{Runtime, text::Quoted};
use serde::Serialize;

use super::{
    document::OrgDocument,
    error::OrgYamlError,
    include,
    plan::{self, OrgPlan, PlanContext},
    requirement::{EnvRequirement, Requirements, aggregate},
};
use crate::templates::{Catalogue, Found, RestartLookups, paths};

/// Accepted names of the file, in order (PROV-132, PROV-O14).
const FILES: [&str; 2] = ["org.yaml", "org.yml"];

/// Organisation templates in one or more root directories, looked up in order: an operator's shadow the shipped ones.
#[derive(Debug, Clone)]
pub struct OrgLibrary {
    roots: Vec<PathBuf>,
}

/// One row of `GET /org/templates` (PROV-131).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrgSummary {
    /// Directory name; what an import names.
    pub dir: String,
    /// Display name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Workspaces at any depth.
    pub workspaces: usize,
    /// Without these no import.
    pub required_env: Vec<EnvRequirement>,
    /// Better with these.
    pub recommended_env: Vec<EnvRequirement>,
}

/// A parsed organisation template.
#[derive(Debug, Clone)]
pub struct OrgTemplate {
    pub(super) dir: Option<PathBuf>,
    /// What it says, includes expanded.
    pub document: OrgDocument,
}

impl OrgLibrary {
    /// A library over `roots`, first match wins. Roots need not exist.
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
        }
    }

    /// Every template that parses, ascending by directory; others are skipped with a log line that names them
    /// (PROV-131, PROV-132).
    #[must_use]
    pub fn list(&self) -> Vec<OrgSummary> {
        self.templates()
            .into_iter()
            .map(|(dir, template)| OrgSummary::new(dir, &template.document))
            .collect()
    }

    /// Reads the template in `dir` (PROV-133).
    ///
    /// # Errors
    /// [`OrgYamlError`].
    pub fn open(&self, dir: &str) -> Result<OrgTemplate, OrgYamlError> {
        for root in &self.roots {
            let found = paths::dir_inside(root, dir).map_err(|paths::Escape| OrgYamlError::Escape(dir.to_owned()))?;
            if let Some((path, file)) = found.and_then(|path| org_file(&path).map(|file| (path, file))) {
                return OrgTemplate::read(path, &file);
            }
        }
        molecule_core::validate::inside(Path::new("/"), dir).ok_or_else(|| OrgYamlError::Escape(dir.to_owned()))?;
        Err(OrgYamlError::NotFound(dir.to_owned()))
    }

    /// The role directory of a workspace of that name, whatever the case, in the first template that has one; labelled
    /// `org-templates/<dir>/<files_dir>` (PROV-47 row 3, LIFE-130).
    #[must_use]
    pub fn role_dir(&self, workspace: &str) -> Option<Found> {
        let wanted = workspace.trim().to_lowercase();
        self.templates().into_iter().find_map(|(dir, template)| {
            let mut found = None;
            template.document.for_each(|node| {
                if found.is_none() && node.name.trim().to_lowercase() == wanted && !node.files_dir.trim().is_empty() {
                    found = template.role_files(&dir, node.files_dir.trim());
                }
            });
            found
        })
    }

    fn templates(&self) -> Vec<(String, OrgTemplate)> {
        let names: BTreeSet<String> = self.roots.iter().flat_map(|root| paths::subdirectories(root)).collect();
        names
            .into_iter()
            .filter_map(|name| self.try_open(&name).map(|template| (name, template)))
            .collect()
    }

    fn try_open(&self, name: &str) -> Option<OrgTemplate> {
        match self.open(name) {
            Ok(template) => Some(template),
            Err(OrgYamlError::NotFound(_)) => {
                if self.roots.iter().any(|root| root.join(name).join(".git").exists()) {
                    tracing::warn!(
                        org = name,
                        "org template has .git but neither org.yaml nor org.yml: half a checkout?"
                    );
                }
                None
            }
            Err(error) => {
                tracing::warn!(org = name, %error, "org template skipped");
                None
            }
        }
    }
}

impl OrgTemplate {
    /// A template sent with the request; it has no directory, so it can neither include nor name files (PROV-127,
    /// PROV-144).
    ///
    /// # Errors
    /// Not the shape of an organisation, or without a name (PROV-133).
    pub fn inline(template: &serde_json::Value) -> Result<Self, OrgYamlError> {
        let invalid = |message: String| OrgYamlError::invalid("inline template", None, message);
        let document: OrgDocument =
            serde_path_to_error::deserialize(template).map_err(|error| invalid(error.to_string()))?;
        if document.name.trim().is_empty() {
            return Err(invalid("name is missing".to_owned()));
        }
        Ok(Self { dir: None, document })
    }

    /// Resolves every workspace: inheritance, prompts, files, secrets, positions.
    ///
    /// # Errors
    /// A workspace without a name; a file reference in an inline template.
    pub fn plan(&self, context: PlanContext<'_>) -> Result<OrgPlan, OrgYamlError> {
        plan::resolve(self, context)
    }

    fn read(dir: PathBuf, file: &Path) -> Result<Self, OrgYamlError> {
        let value = include::load(&dir, file)?;
        let document = serde_path_to_error::deserialize(value).map_err(|error| {
            let line = error_line(file);
            OrgYamlError::invalid(include::display(&dir, file), line, error.to_string())
        })?;
        Ok(Self {
            dir: Some(dir),
            document,
        })
    }

    fn role_files(&self, org: &str, files_dir: &str) -> Option<Found> {
        let dir = paths::dir_inside(self.dir.as_deref()?, files_dir).ok()??;
        Some(Found {
            id: format!("org-templates/{org}/{files_dir}"),
            dir,
        })
    }
}

/// The line of a shape error. The expanded tree has lost its positions, but the file alone has them, unless the error is
/// in what it includes.
fn error_line(file: &Path) -> Option<usize> {
    let bytes = paths::read_bounded(file).ok()?;
    let error = yaml_serde::from_slice::<OrgDocument>(&bytes).err()?;
    // With an include in the way the parser may stop at that instead.
    let includes = bytes.windows(8).any(|part| part == b"!include");
    error.location().filter(|_| !includes).map(|at| at.line())
}

fn org_file(dir: &Path) -> Option<PathBuf> {
    FILES
        .iter()
        .find_map(|name| paths::existing_inside(dir, name).ok()?.filter(|path| path.is_file()))
}

impl OrgSummary {
    fn new(dir: String, document: &OrgDocument) -> Self {
        let Requirements { required, recommended } = aggregate(document);
        Self {
            dir,
            name: document.name.clone(),
            description: document.description.clone(),
            workspaces: document.count(),
            required_env: required,
            recommended_env: recommended,
        }
    }
}

/// The look-ups of a restart's configuration source, on disk.
#[derive(Debug, Clone, Copy)]
pub struct RestartSources<'a> {
    /// Workspace templates.
    pub catalogue: &'a Catalogue,
    /// Organisation templates.
    pub orgs: &'a OrgLibrary,
}

impl RestartLookups for RestartSources<'_> {
    fn template(&self, template: &str) -> Option<Found> {
        let found = self.catalogue.resolve(template).unwrap_or_default();
        if found.is_none() {
            tracing::warn!(template = %Quoted(template), "template of a restart is invalid or missing; falling through");
        }
        found
    }

    fn by_name(&self, name: &str) -> Option<Found> {
        self.catalogue.by_name(name)
    }

    fn org_role(&self, name: &str) -> Option<Found> {
        self.orgs.role_dir(name)
    }

    fn runtime_default(&self, runtime: Runtime) -> Option<Found> {
        self.catalogue.runtime_default(runtime)
    }
}
