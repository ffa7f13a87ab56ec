//! The keys of `config.yaml` that the platform reads; all others are the agent's business (PROV-98).

use serde::Deserialize;

use crate::lenient::{nullable, text, texts};

/// A template's `config.yaml` as far as the platform reads it. `shared_context` and every other key is ignored
/// (PROV-98, PROV-99), so a template can neither name nor influence a backend (PROV-164).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct TemplateConfig {
    /// Display name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// One line for people.
    #[serde(deserialize_with = "text")]
    pub description: String,
    /// Privilege and size class; 0 when absent.
    #[serde(deserialize_with = "nullable")]
    pub tier: i64,
    /// Runtime name as written; allowlisted at use.
    #[serde(deserialize_with = "text")]
    pub runtime: String,
    /// Top-level model id.
    #[serde(deserialize_with = "text")]
    pub model: String,
    /// Skill ids.
    #[serde(deserialize_with = "texts")]
    pub skills: Vec<String>,
    /// The provider registry; independent of [`RuntimeConfig::providers`] (PROV-101).
    #[serde(deserialize_with = "nullable")]
    pub providers: Vec<ProviderEntry>,
    /// Settings of the runtime.
    #[serde(deserialize_with = "nullable")]
    pub runtime_config: RuntimeConfig,
    /// Children made by team expand (PROV-151).
    #[serde(deserialize_with = "nullable")]
    pub sub_workspaces: Vec<SubWorkspace>,
}

/// The `runtime_config` mapping.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct RuntimeConfig {
    /// Model id.
    #[serde(deserialize_with = "text")]
    pub model: String,
    /// Models a user may choose from.
    #[serde(deserialize_with = "nullable")]
    pub models: Vec<ModelEntry>,
    /// Names of credentials; one of several acceptable ones.
    #[serde(deserialize_with = "texts")]
    pub required_env: Vec<String>,
    /// Provider slugs offered as suggestions.
    #[serde(deserialize_with = "texts")]
    pub providers: Vec<String>,
    /// How long a start may take, seconds; not positive means undeclared (PROV-92).
    #[serde(deserialize_with = "nullable")]
    pub provision_timeout_seconds: i64,
}

/// A model a user may choose (PROV-100).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct ModelEntry {
    /// Model id.
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// Display name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Credentials this model needs.
    #[serde(deserialize_with = "texts")]
    pub required_env: Vec<String>,
}

/// One entry of the top-level `providers` list (PROV-100). `base_url: null` is the empty string (PROV-102).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct ProviderEntry {
    /// Provider name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// How it authenticates.
    #[serde(deserialize_with = "text")]
    pub auth_mode: String,
    /// Model ids with one of these prefixes are this provider's.
    #[serde(deserialize_with = "texts")]
    pub model_prefixes: Vec<String>,
    /// Short names of its models.
    #[serde(deserialize_with = "texts")]
    pub model_aliases: Vec<String>,
    /// Endpoint; empty means the provider's default.
    #[serde(deserialize_with = "text")]
    pub base_url: String,
    /// Credentials it accepts, in order of preference.
    #[serde(deserialize_with = "texts")]
    pub auth_env: Vec<String>,
}

/// One entry of `sub_workspaces` (PROV-98).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct SubWorkspace {
    /// Template of the child.
    #[serde(deserialize_with = "text")]
    pub config: String,
    /// Its name; empty means its `config`.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Its role.
    #[serde(deserialize_with = "text")]
    pub role: String,
}

impl TemplateConfig {
    /// Parses a whole `config.yaml`. An empty file is all defaults.
    ///
    /// # Errors
    /// Not YAML, or a key of the wrong shape, with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, yaml_serde::Error> {
        yaml_serde::from_slice::<Option<Self>>(bytes).map(Option::unwrap_or_default)
    }

    /// The model as listings show it: top level first (PROV-100).
    #[must_use]
    pub fn listed_model(&self) -> &str {
        if self.model.is_empty() {
            &self.runtime_config.model
        } else {
            &self.model
        }
    }
}

/// `runtime_config.required_env` of an in-memory `config.yaml`, in declaration order, blanks dropped (PROV-24).
/// Unparseable YAML requires nothing and is logged; other keys of the file play no part.
#[must_use]
pub fn required_env(config_yaml: &[u8]) -> Vec<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Outer {
        #[serde(deserialize_with = "nullable")]
        runtime_config: Inner,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        #[serde(deserialize_with = "texts")]
        required_env: Vec<String>,
    }
    match yaml_serde::from_slice::<Option<Outer>>(config_yaml) {
        Ok(config) => {
            let names = config.unwrap_or_default().runtime_config.required_env;
            names
                .into_iter()
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect()
        }
        Err(error) => {
            tracing::warn!(%error, "config.yaml does not parse; no required environment is checked");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_legacy_keys_are_ignored() {
        // PROV-98, PROV-99, PROV-164, RUN-9
        let config = TemplateConfig::parse(
            b"name: A\ntier: 3\nshared_context: [x]\nbackend: docker\nruntime_config:\n  model: m\n  command: /bin/x\n",
        )
        .unwrap();
        assert_eq!(
            (config.name.as_str(), config.tier, config.listed_model()),
            ("A", 3, "m")
        );
        assert_eq!(TemplateConfig::parse(b"").unwrap(), TemplateConfig::default());
        assert_eq!(
            TemplateConfig::parse(b"# only a comment\n").unwrap(),
            TemplateConfig::default()
        );
    }

    #[test]
    fn null_is_the_default_and_scalars_are_text() {
        // PROV-101, PROV-102
        let config = TemplateConfig::parse(
            b"name: 42\ntier: null\nskills:\nproviders: [{name: p, base_url: null, auth_env: null}]\nruntime_config: ~\n",
        )
        .unwrap();
        assert_eq!(config.name, "42");
        assert_eq!(config.tier, 0);
        assert!(config.skills.is_empty());
        assert_eq!(config.providers[0].base_url, "");
    }

    #[test]
    fn a_string_where_a_list_of_objects_is_due_does_not_decode() {
        // PROV-103
        assert!(TemplateConfig::parse(b"providers: anthropic\n").is_err());
        assert!(TemplateConfig::parse(b"runtime_config:\n  models: [gpt-5]\n").is_err());
        let error = TemplateConfig::parse(b"name: x\ntier: two\n").unwrap_err();
        assert_eq!(error.location().unwrap().line(), 2);
    }

    #[test]
    fn required_env_reads_only_its_own_key() {
        // PROV-24
        assert_eq!(
            required_env(b"providers: broken\nruntime_config: {required_env: [B, ' ', A]}\n"),
            ["B", "A"]
        );
        assert!(required_env(b"name: x\n").is_empty());
        assert!(required_env(b"").is_empty());
        assert!(required_env(b"a: [unclosed\n").is_empty());
        assert!(required_env(b"runtime_config: {required_env: A}\n").is_empty());
    }
}
