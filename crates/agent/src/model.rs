//! Which model and provider a turn uses (RUN-6, RUN-7).

use molecule_core::{
    contract::env,
    model::{PROVIDER_DERIVED, PROVIDER_ORIGIN_VARIABLE, PROVIDER_VARIABLE},
};

use crate::{config::Config, env::Vars};

/// The model id, first hit wins: `MODEL`, `MODEL_PROVIDER`, `runtime_config.model`, `model` (RUN-6). The environment
/// beats the template's file, otherwise the template's default boots and asks for the wrong credential.
#[must_use]
pub fn model(vars: &Vars, config: &Config) -> Option<String> {
    vars.get(env::MODEL)
        .or_else(|| vars.get(env::OLDER_MODEL))
        .map(str::to_owned)
        .or_else(|| config.runtime_config.model.clone())
        .or_else(|| config.model.clone())
}

/// The provider's name if somebody chose one: `LLM_PROVIDER`, `runtime_config.provider`, `provider` (RUN-7).
/// `MODEL_PROVIDER` is a model slug, never a provider.
///
/// `None` as well for one that the platform derived at creation: the slug may have changed since, so the adapter
/// derives anew from the slug in force and the credentials present (RUN-80a). The file's provider belongs to the file's
/// model and does not stand in for it.
#[must_use]
pub fn provider(vars: &Vars, config: &Config) -> Option<String> {
    let set = vars.get(PROVIDER_VARIABLE);
    if set.is_some() && vars.get(PROVIDER_ORIGIN_VARIABLE) == Some(PROVIDER_DERIVED) {
        return None;
    }
    set.map(str::to_owned)
        .or_else(|| config.runtime_config.provider.clone())
        .or_else(|| config.provider.clone())
        .map(|name| name.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn order() {
        // RUN-6, RUN-7
        let config = Config::parse("model: top\nprovider: P\nruntime_config: {model: rc}", Path::new("/")).unwrap();
        assert_eq!(
            model(&vars(&[("MODEL", "m"), ("MODEL_PROVIDER", "mp")]), &config).unwrap(),
            "m"
        );
        assert_eq!(model(&vars(&[("MODEL_PROVIDER", "mp")]), &config).unwrap(), "mp");
        assert_eq!(model(&vars(&[]), &config).unwrap(), "rc");
        assert_eq!(provider(&vars(&[("MODEL_PROVIDER", "openai")]), &config).unwrap(), "p");
        assert_eq!(
            provider(&vars(&[("LLM_PROVIDER", "Anthropic")]), &config).unwrap(),
            "anthropic"
        );
        // RUN-80a
        let hint = [("LLM_PROVIDER", "openrouter"), ("LLM_PROVIDER_ORIGIN", "derived")];
        assert_eq!(provider(&vars(&hint), &config), None);
        assert_eq!(provider(&vars(&hint[1..]), &config).unwrap(), "p");
        let config = Config::parse("model: top", Path::new("/")).unwrap();
        assert_eq!(model(&vars(&[]), &config).unwrap(), "top");
        assert_eq!(provider(&vars(&[]), &config), None);
    }
}
