//! Workspace templates as users handle them: listed, added.

use std::sync::Arc;

use molecule_core::Word;
use molecule_templates::{Catalogue, ModelEntry, ProviderEntry, TemplateConfig};
use molecule_wire::templates::{self as wire, ImportTemplate, ImportedTemplate, TemplateSummary};

pub use molecule_templates::ImportError;

/// The templates service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Templates {
    catalogue: Arc<Catalogue>,
}

impl Templates {
    /// Over a catalogue.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        Self { catalogue }
    }

    /// Every template, by id (PROV-100…104). Reads files.
    #[must_use]
    pub fn list(&self) -> Vec<TemplateSummary> {
        let listed = self.catalogue.list();
        listed
            .into_iter()
            .map(|(found, config)| summary(found.id, config))
            .collect()
    }

    /// Adds a folder of files as a template (PROV-105…107). Writes files.
    ///
    /// # Errors
    /// [`ImportError`]; nothing was added.
    pub fn import(&self, request: ImportTemplate) -> Result<ImportedTemplate, ImportError> {
        let ImportTemplate { name, files } = request;
        let imported = self.catalogue.import(&name, &files)?;
        Ok(ImportedTemplate {
            status: "imported".to_owned(),
            id: imported.id,
            name,
        })
    }
}

fn summary(id: String, config: TemplateConfig) -> TemplateSummary {
    let model = config.listed_model().to_owned();
    let TemplateConfig {
        name,
        description,
        tier,
        runtime,
        skills,
        providers,
        runtime_config,
        ..
    } = config;
    TemplateSummary {
        id,
        name,
        description,
        tier,
        runtime: Word::from(runtime),
        model,
        models: runtime_config.models.into_iter().map(model_entry).collect(),
        required_env: runtime_config.required_env,
        providers: runtime_config.providers,
        provider_registry: providers.into_iter().map(provider_entry).collect(),
        skill_count: skills.len(),
        skills,
        provision_timeout_seconds: runtime_config.provision_timeout_seconds.max(0),
    }
}

fn model_entry(entry: ModelEntry) -> wire::ModelEntry {
    wire::ModelEntry {
        id: entry.id,
        name: entry.name,
        required_env: entry.required_env,
    }
}

fn provider_entry(entry: ProviderEntry) -> wire::ProviderEntry {
    wire::ProviderEntry {
        name: entry.name,
        auth_mode: entry.auth_mode,
        model_prefixes: entry.model_prefixes,
        model_aliases: entry.model_aliases,
        base_url: entry.base_url,
        auth_env: entry.auth_env,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn list_has_the_shape_of_the_table() {
        // PROV-100, PROV-101, PROV-102
        let root = tempfile::tempdir().unwrap();
        for (id, config) in [
            ("zz", "name: Z\n"),
            (
                "aa",
                "name: A\ndescription: d\ntier: 2\nruntime: hermes\nskills: [s1, s2]\n\
                 providers:\n- {name: p2, auth_mode: api_key, model_prefixes: [x-], base_url: null, auth_env: [K]}\n- {name: p1}\n\
                 runtime_config:\n  model: rc\n  providers: [b, a]\n  required_env: [K]\n  provision_timeout_seconds: 30\n  \
                 models: [{id: m1, name: M, required_env: [K]}, {id: m2}]\n",
            ),
        ] {
            fs::create_dir(root.path().join(id)).unwrap();
            fs::write(root.path().join(id).join("config.yaml"), config).unwrap();
        }
        let templates = Templates::new(Arc::new(Catalogue::new([root.path().to_owned()])));
        assert_eq!(
            serde_json::to_value(templates.list()).unwrap(),
            json!([
                {
                    "id": "aa", "name": "A", "description": "d", "tier": 2, "runtime": "hermes", "model": "rc",
                    "models": [{"id": "m1", "name": "M", "required_env": ["K"]}, {"id": "m2"}],
                    "required_env": ["K"], "providers": ["b", "a"],
                    "provider_registry": [
                        {"name": "p2", "auth_mode": "api_key", "model_prefixes": ["x-"], "model_aliases": [], "base_url": "", "auth_env": ["K"]},
                        {"name": "p1", "auth_mode": "", "model_prefixes": [], "model_aliases": [], "base_url": "", "auth_env": []}
                    ],
                    "skills": ["s1", "s2"], "skill_count": 2, "provision_timeout_seconds": 30
                },
                {"id": "zz", "name": "Z", "description": "", "tier": 0, "runtime": "", "model": "", "skills": [], "skill_count": 0}
            ])
        );
    }
}
