//! One organisation template, parsed.

use std::path::{Path, PathBuf};

use crate::{
    catalogue::Found,
    orgs::{document::OrgDocument, error::OrgYamlError, include},
    paths,
};

/// A parsed organisation template.
#[derive(Debug, Clone)]
pub struct OrgTemplate {
    /// Where it was read; `None` for an inline one.
    pub(crate) dir: Option<PathBuf>,
    /// What it says, includes expanded.
    pub document: OrgDocument,
}

impl OrgTemplate {
    /// A template sent with the request, as JSON; it has no directory, so it can neither include nor name files (PROV-127,
    /// PROV-144). `None`: without a name it is none (PROV-133).
    ///
    /// # Errors
    /// Not the shape of an organisation.
    pub fn inline(template: &str) -> Result<Option<Self>, OrgYamlError> {
        let mut parser = serde_json::Deserializer::from_str(template);
        let document: OrgDocument = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
            let path = error.path().to_string();
            let place = if path == "." {
                "template".to_owned()
            } else {
                format!("template.{path}")
            };
            let text = error.into_inner().to_string();
            // A position within what was cut out of the request leads nobody anywhere.
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
            OrgYamlError::Inline(format!("{place}: {text}"))
        })?;
        let named = !document.name.trim().is_empty();
        Ok(named.then_some(Self { dir: None, document }))
    }

    /// Reads `file`, which is in `dir`, and what it includes.
    ///
    /// # Errors
    /// Unreadable, not YAML, not an organisation, or a faulty include.
    pub(crate) fn read(dir: PathBuf, file: &Path) -> Result<Self, OrgYamlError> {
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

    /// The files of a role, labelled by the template's directory name (LIFE-130).
    pub(crate) fn role_files(&self, org: &str, files_dir: &str) -> Option<Found> {
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
