//! The workspace templates on disk (provisioning.md §3, §9).

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use molecule_core::{Runtime, text::Quoted};
use yaml_serde::Value;

use crate::{
    config::TemplateConfig,
    import::{ImportError, Imported, import},
    paths::{self, Escape},
};

/// A caller-supplied template path leaves the catalogue (PROV-41). The text is what the API answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid template")]
pub struct InvalidTemplate;

impl From<Escape> for InvalidTemplate {
    fn from(_: Escape) -> Self {
        Self
    }
}

/// Workspace templates in one or more root directories, looked up in order: what an operator put into `CONFIGS_DIR`
/// shadows what ships in the binary (see [`crate::materialise_embedded`]).
#[derive(Debug, Clone)]
pub struct Catalogue {
    roots: Vec<PathBuf>,
}

/// A template directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Directory name, or the relative path it was asked for by.
    pub id: String,
    /// The directory, symbolic links resolved.
    pub dir: PathBuf,
}

/// What a template fills in when a creation names neither (PROV-42, LIFE-65).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateDefaults {
    /// Top-level `runtime`, not yet allowlisted.
    pub runtime: Option<String>,
    /// `runtime_config.model`, else top-level `model` (LIFE-65 decides the order).
    pub model: Option<String>,
}

impl Catalogue {
    /// A catalogue over `roots`, first match wins. Roots need not exist.
    pub fn new(roots: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
        }
    }

    /// The roots in lookup order.
    #[must_use]
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Adds a template to the first root (PROV-105…107).
    ///
    /// # Errors
    /// [`ImportError`]; nothing was added.
    pub fn import(&self, name: &str, files: &BTreeMap<String, String>) -> Result<Imported, ImportError> {
        let (root, others) = self.roots.split_first().ok_or(ImportError::NoDirectory)?;
        import(root, others, name, files)
    }

    /// Every template that has a readable `config.yaml`, ascending by id (PROV-100…104). One that does not decode is
    /// skipped with a log line that names it.
    #[must_use]
    pub fn list(&self) -> Vec<(Found, TemplateConfig)> {
        let ids: BTreeSet<String> = self.roots.iter().flat_map(|root| paths::subdirectories(root)).collect();
        ids.into_iter()
            .filter_map(|id| self.with_config(&id))
            .filter_map(|found| read_config(&found).map(|config| (found, config)))
            .collect()
    }

    /// The directory of a template named by a caller; `None` when there is none of that name (PROV-40, PROV-41,
    /// PROV-O8, LIFE-128).
    ///
    /// # Errors
    /// The name is empty, absolute, names a root itself, or leaves it lexically or through a link.
    pub fn resolve(&self, template: &str) -> Result<Option<Found>, InvalidTemplate> {
        for root in &self.roots {
            let lexical = molecule_core::validate::inside(root, template).ok_or(InvalidTemplate)?;
            if lexical == *root {
                return Err(InvalidTemplate);
            }
            if let Some(dir) = paths::dir_inside(root, template)? {
                return Ok(Some(Found {
                    id: template.to_owned(),
                    dir,
                }));
            }
        }
        // Without any root the shape of the name still decides.
        molecule_core::validate::inside(Path::new("/"), template)
            .map(|_| None)
            .ok_or(InvalidTemplate)
    }

    /// `<runtime>-default`, if it exists (PROV-41, LIFE-69, LIFE-131). The runtime is a closed type, so nothing
    /// unvetted reaches the path (PROV-49, LIFE-3).
    #[must_use]
    pub fn runtime_default(&self, runtime: Runtime) -> Option<Found> {
        self.directory(&format!("{runtime}-default"))
    }

    /// The template that rebuilds an empty configuration volume: `<runtime>-default`, then `<runtime>`, the first that
    /// holds a `config.yaml` (PROV-29, LIFE-134).
    #[must_use]
    pub fn recover(&self, runtime: Runtime) -> Option<Found> {
        [format!("{runtime}-default"), runtime.to_string()]
            .iter()
            .filter_map(|id| self.directory(id))
            .find(|found| has_config(&found.dir))
    }

    /// The template of a workspace name: a directory named like it, lower case with `-` for spaces, else the first
    /// (not `ws-*`) whose `config.yaml` has that `name`, whatever the case (PROV-46, LIFE-129).
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Found> {
        let slug = name.to_lowercase().replace(' ', "-");
        if is_single_name(&slug)
            && let Some(found) = self.directory(&slug)
        {
            return Some(found);
        }
        let wanted = name.to_lowercase();
        self.list()
            .into_iter()
            .filter(|(found, _)| !found.id.starts_with("ws-"))
            .find(|(_, config)| !wanted.is_empty() && config.name.to_lowercase() == wanted)
            .map(|(found, _)| found)
    }

    /// Reads `runtime` and `model` of a template for a creation that names neither (PROV-42, LIFE-65). An unreadable
    /// file is logged and fills in nothing.
    #[must_use]
    pub fn defaults(&self, template: &Found) -> TemplateDefaults {
        let path = template.dir.join("config.yaml");
        let parsed = paths::read_bounded(&path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| yaml_serde::from_slice::<Value>(&bytes).map_err(|error| error.to_string()));
        match parsed {
            Ok(config) => TemplateDefaults {
                runtime: scalar(config.get("runtime")),
                model: scalar(config.get("runtime_config").and_then(|inner| inner.get("model")))
                    .or_else(|| scalar(config.get("model"))),
            },
            Err(error) => {
                tracing::warn!(template = %Quoted(&template.id), error, "template config.yaml is unreadable; nothing is filled in from it");
                TemplateDefaults::default()
            }
        }
    }

    /// Variables of which one lets agents of that runtime reach a model, as its own template lists them; none for a
    /// runtime that needs none.
    #[must_use]
    pub fn credentials(&self, runtime: Runtime) -> Vec<String> {
        let Some(config) = self.recover(runtime).and_then(|found| read_config(&found)) else {
            return Vec::new();
        };
        let of_models = config.runtime_config.models.into_iter().map(|model| model.required_env);
        let of_providers = config.providers.into_iter().map(|provider| provider.auth_env);
        let mut names = Vec::new();
        for name in of_models
            .chain(of_providers)
            .chain([config.runtime_config.required_env])
            .flatten()
        {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The parsed configuration of the template of that id (PROV-98).
    #[must_use]
    pub fn config(&self, id: &str) -> Option<TemplateConfig> {
        let found = self.directory(id)?;
        read_config(&found)
    }

    /// The first directory of that plain name.
    fn directory(&self, id: &str) -> Option<Found> {
        self.directories(id).next()
    }

    /// The first directory of that name with a `config.yaml`: a directory without one is no template (PROV-104) and
    /// hides none.
    fn with_config(&self, id: &str) -> Option<Found> {
        self.directories(id).find(|found| has_config(&found.dir))
    }

    fn directories<'a>(&'a self, id: &'a str) -> impl Iterator<Item = Found> + 'a {
        let plain = is_single_name(id);
        self.roots.iter().filter(move |_| plain).filter_map(move |root| {
            let dir = paths::dir_inside(root, id).ok()??;
            Some(Found { id: id.to_owned(), dir })
        })
    }
}

/// A template dir is a configuration source when it has a regular `config.yaml` (PROV-28).
pub(crate) fn has_config(dir: &Path) -> bool {
    matches!(paths::existing_inside(dir, "config.yaml"), Ok(Some(path)) if path.is_file())
}

/// Why a template has no `config.yaml` to go by.
pub(crate) enum NoConfig {
    Missing,
    Unreadable(io::Error),
    Malformed(yaml_serde::Error),
}

pub(crate) fn config_of(dir: &Path) -> Result<TemplateConfig, NoConfig> {
    let path = paths::existing_inside(dir, "config.yaml").map_err(|_| NoConfig::Missing)?;
    let path = path.ok_or(NoConfig::Missing)?;
    let bytes = paths::read_bounded(&path).map_err(NoConfig::Unreadable)?;
    TemplateConfig::parse(&bytes).map_err(NoConfig::Malformed)
}

fn read_config(found: &Found) -> Option<TemplateConfig> {
    match config_of(&found.dir) {
        Ok(config) => return Some(config),
        Err(NoConfig::Missing) => {}
        // PROV-104: skipped silently for clients; the operator can still find out.
        Err(NoConfig::Unreadable(error)) => {
            tracing::debug!(template = %Quoted(&found.id), %error, "template config.yaml cannot be read");
        }
        Err(NoConfig::Malformed(error)) => {
            tracing::warn!("templates list: skip {}: yaml.Unmarshal: {error}", found.id);
        }
    }
    None
}

/// One path component that is neither `.` nor `..`, not hidden and without a separator.
fn is_single_name(id: &str) -> bool {
    !id.is_empty() && !id.starts_with('.') && !id.contains(['/', '\0'])
}

fn scalar(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
