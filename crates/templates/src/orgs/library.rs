//! The organisation templates on disk.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    catalogue::Found,
    orgs::{
        document::OrgDocument,
        environment::{Requirements, aggregate},
        error::OrgYamlError,
        requirement::EnvRequirement,
        template::OrgTemplate,
    },
    paths,
};

/// Accepted names of the file, in order (PROV-132, PROV-O14).
const FILES: [&str; 2] = ["org.yaml", "org.yml"];

/// Organisation templates in one or more root directories, looked up in order: an operator's shadow the shipped ones.
#[derive(Debug, Clone)]
pub struct OrgLibrary {
    roots: Vec<PathBuf>,
}

/// One row of `GET /org/templates` (PROV-131).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

fn org_file(dir: &Path) -> Option<PathBuf> {
    FILES
        .iter()
        .find_map(|name| paths::existing_inside(dir, name).ok()?.filter(|path| path.is_file()))
}
