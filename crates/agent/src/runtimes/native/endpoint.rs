//! Which model endpoint the native engine talks to (RUN-6, RUN-7, RUN-80a).

use std::fmt;

use molecule_core::model::derive_provider;
use secrecy::SecretString;
use url::Url;

use crate::{config::Config, env::Vars, model};

/// The two wires that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI chat completions, and everything compatible with them.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
}

/// A provider this engine knows by name.
struct Provider {
    name: &'static str,
    wire: Wire,
    key: &'static str,
    /// Variable that replaces the address.
    base: &'static str,
    url: &'static str,
    /// Model when nobody names one (RUN-6: adapter default).
    model: Option<&'static str>,
}

const fn openai_like(name: &'static str, key: &'static str, base: &'static str, url: &'static str) -> Provider {
    Provider {
        name,
        wire: Wire::OpenAi,
        key,
        base,
        url,
        model: None,
    }
}

/// In the order in which credentials are looked for when neither provider nor model decides.
const PROVIDERS: [Provider; 8] = [
    Provider {
        name: "anthropic",
        wire: Wire::Anthropic,
        key: "ANTHROPIC_API_KEY",
        base: "ANTHROPIC_BASE_URL",
        url: "https://api.anthropic.com/v1/",
        model: Some("claude-sonnet-4-5"),
    },
    Provider {
        model: Some("gpt-4.1"),
        ..openai_like(
            "openai",
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "https://api.openai.com/v1/",
        )
    },
    openai_like(
        "openrouter",
        "OPENROUTER_API_KEY",
        "OPENROUTER_BASE_URL",
        "https://openrouter.ai/api/v1/",
    ),
    openai_like(
        "deepseek",
        "DEEPSEEK_API_KEY",
        "DEEPSEEK_BASE_URL",
        "https://api.deepseek.com/v1/",
    ),
    openai_like("xai", "XAI_API_KEY", "XAI_BASE_URL", "https://api.x.ai/v1/"),
    openai_like(
        "groq",
        "GROQ_API_KEY",
        "GROQ_BASE_URL",
        "https://api.groq.com/openai/v1/",
    ),
    openai_like(
        "gemini",
        "GEMINI_API_KEY",
        "GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
    ),
    openai_like("zai", "ZAI_API_KEY", "ZAI_BASE_URL", "https://api.z.ai/api/paas/v4/"),
];

/// Names under which people mean an endpoint of their own.
const LOCAL: [&str; 6] = ["local", "custom", "ollama", "lmstudio", "lm-studio", "vllm"];
/// What errors call it.
pub(super) const LOCAL_NAME: &str = LOCAL[0];
/// Address of an endpoint of one's own.
pub(super) const LOCAL_BASE: &str = "MOLECULE_LLM_BASE_URL";
/// Its key, if it wants one.
pub(super) const LOCAL_KEY: &str = "MOLECULE_LLM_API_KEY";

/// Variables of which each by itself leads to a model.
pub fn credentials() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|provider| provider.key).chain([LOCAL_BASE])
}

/// An endpoint for which there is a credential, whatever model is asked for.
#[derive(Debug, Clone)]
pub struct Configured {
    /// The variable that leads to it.
    pub credential: &'static str,
    /// Protocol.
    pub wire: Wire,
    /// Base address, ending in `/`.
    pub url: Result<Url, EndpointError>,
    /// Credential; `None` for endpoints that want none.
    pub key: Option<SecretString>,
}

/// Every endpoint that these variables lead to.
#[must_use]
pub fn configured(vars: &Vars) -> Vec<Configured> {
    let known = PROVIDERS
        .iter()
        .filter(|provider| has_key(vars, provider))
        .map(|provider| Configured {
            credential: provider.key,
            wire: provider.wire,
            url: url_of(vars, provider),
            key: vars.secret(provider.key),
        });
    let own = vars.get(LOCAL_BASE).map(|url| Configured {
        credential: LOCAL_BASE,
        wire: Wire::OpenAi,
        url: base_url(url).ok_or(EndpointError::BadUrl { variable: LOCAL_BASE }),
        key: vars.secret(LOCAL_KEY),
    });
    own.into_iter().chain(known).collect()
}

/// Where to ask, what and as whom.
#[derive(Clone)]
pub struct Endpoint {
    /// Protocol.
    pub wire: Wire,
    /// Base address, ending in `/`.
    pub url: Url,
    /// Model, as the endpoint calls it.
    pub model: String,
    /// Credential; `None` for endpoints that want none.
    pub key: Option<SecretString>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("wire", &self.wire)
            .field("host", &self.url.host_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// No endpoint can be determined; said so that an operator can mend it before the first message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No credential of any provider.
    #[error(
        "runtime native needs a model endpoint: set one of OPENAI_API_KEY, ANTHROPIC_API_KEY, OPENROUTER_API_KEY, \
         DEEPSEEK_API_KEY, XAI_API_KEY, GROQ_API_KEY, GEMINI_API_KEY, ZAI_API_KEY, or MOLECULE_LLM_BASE_URL for an \
         OpenAI-compatible endpoint without a key"
    )]
    NoCredential,
    /// The chosen provider has none.
    #[error("provider {provider:?} is chosen but {variable} is not set")]
    MissingKey {
        /// The provider.
        provider: String,
        /// Its variable.
        variable: &'static str,
    },
    /// Nobody knows it.
    #[error("provider {0:?} is not known to runtime native")]
    UnknownProvider(String),
    /// No model is named and the endpoint has no default.
    #[error("no model is set (MODEL, or `model` in config.yaml) and provider {0:?} has no default")]
    NoModel(String),
    /// The address is unusable.
    #[error("{variable} is not an http or https URL")]
    BadUrl {
        /// The variable.
        variable: &'static str,
    },
}

/// Determines the endpoint. A chosen provider wins, and without its credential nobody else gets to see the prompts.
/// Without a choice the model and the credentials present decide (RUN-80a).
///
/// # Errors
/// See [`EndpointError`].
pub fn resolve(vars: &Vars, config: &Config) -> Result<Endpoint, EndpointError> {
    let model = model::model(vars, config);
    let chosen = model::provider(vars, config).filter(|name| name != "auto");
    if let Some(name) = chosen.as_deref() {
        if LOCAL.contains(&name) {
            return local(vars, model.as_deref());
        }
        let provider = by_name(name).ok_or_else(|| EndpointError::UnknownProvider(name.to_owned()))?;
        if !has_key(vars, provider) {
            return Err(EndpointError::MissingKey {
                provider: name.to_owned(),
                variable: provider.key,
            });
        }
        return build(vars, provider, model.as_deref());
    }
    match derive(vars, model.as_deref()).ok_or(EndpointError::NoCredential)? {
        Target::Local => local(vars, model.as_deref()),
        Target::Known(provider) => build(vars, provider, model.as_deref()),
    }
}

enum Target {
    Local,
    Known(&'static Provider),
}

fn by_name(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

fn has_key(vars: &Vars, provider: &Provider) -> bool {
    vars.get(provider.key).is_some()
}

/// From what is there: an endpoint of one's own, the vendor in the model's name, the gateway that has every model, the
/// first credential.
fn derive(vars: &Vars, model: Option<&str>) -> Option<Target> {
    if vars.get(LOCAL_BASE).is_some() {
        return Some(Target::Local);
    }
    let usable = |name: &str| by_name(name).filter(|provider| has_key(vars, provider));
    let named = model.and_then(vendor).and_then(usable);
    // Slugs with a vendor are what the gateway understands; a vendor of another name would not.
    let gateway = || {
        model
            .filter(|model| derive_provider(model).is_some())
            .and_then(|_| usable("openrouter"))
    };
    let first = || PROVIDERS.iter().find(|provider| has_key(vars, provider));
    named.or_else(gateway).or_else(first).map(Target::Known)
}

/// The vendor that a model id speaks of: by prefix, else by family.
fn vendor(model: &str) -> Option<&str> {
    if let Some((prefix, _)) = model.split_once(['/', ':'])
        && by_name(prefix).is_some()
    {
        return Some(prefix);
    }
    let family = [
        ("claude", "anthropic"),
        ("gpt", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("deepseek", "deepseek"),
        ("grok", "xai"),
        ("gemini", "gemini"),
        ("glm", "zai"),
    ];
    family
        .iter()
        .find(|(start, _)| model.starts_with(start))
        .map(|(_, vendor)| *vendor)
}

fn url_of(vars: &Vars, provider: &Provider) -> Result<Url, EndpointError> {
    let bad = || EndpointError::BadUrl {
        variable: provider.base,
    };
    let url = base_url(vars.get(provider.base).unwrap_or(provider.url)).ok_or_else(bad)?;
    if provider.wire == Wire::Anthropic && !url.path().ends_with("/v1/") {
        // The vendor's own clients append the version to this variable.
        return url.join("v1/").map_err(|_| bad());
    }
    Ok(url)
}

fn build(vars: &Vars, provider: &'static Provider, model: Option<&str>) -> Result<Endpoint, EndpointError> {
    let model = model
        .or(provider.model)
        .ok_or_else(|| EndpointError::NoModel(provider.name.to_owned()))?;
    let url = url_of(vars, provider)?;
    // The gateway wants the whole slug, vendors only their own part.
    let own = if provider.name == "openrouter" {
        None
    } else if derive_provider(model) == Some(provider.name) {
        model.split_once('/').map(|(_, own)| own)
    } else {
        strip(model, provider.name)
    };
    let model = own
        .unwrap_or_else(|| strip(model, "openrouter").unwrap_or(model))
        .to_owned();
    Ok(Endpoint {
        wire: provider.wire,
        url,
        model,
        key: vars.secret(provider.key),
    })
}

fn local(vars: &Vars, model: Option<&str>) -> Result<Endpoint, EndpointError> {
    let Some(url) = vars.get(LOCAL_BASE) else {
        return Err(EndpointError::MissingKey {
            provider: LOCAL_NAME.to_owned(),
            variable: LOCAL_BASE,
        });
    };
    let url = base_url(url).ok_or(EndpointError::BadUrl { variable: LOCAL_BASE })?;
    let model = model.ok_or_else(|| EndpointError::NoModel(LOCAL_NAME.to_owned()))?;
    let model = LOCAL
        .iter()
        .find_map(|prefix| strip(model, prefix))
        .unwrap_or(model)
        .to_owned();
    Ok(Endpoint {
        wire: Wire::OpenAi,
        url,
        model,
        key: vars.secret(LOCAL_KEY),
    })
}

fn strip<'m>(model: &'m str, prefix: &str) -> Option<&'m str> {
    model
        .strip_prefix(prefix)?
        .strip_prefix(['/', ':'])
        .filter(|rest| !rest.is_empty())
}

fn base_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

#[cfg(test)]
mod tests;
