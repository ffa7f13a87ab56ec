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
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_credential_leads_to_its_endpoint() {
        let pairs = [
            ("OPENAI_API_KEY", "sk-o"),
            ("ANTHROPIC_API_KEY", "sk-a"),
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:1"),
            ("MOLECULE_LLM_BASE_URL", "ftp://x"),
        ];
        let vars: Vars = pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        let found: Vec<_> = configured(&vars)
            .into_iter()
            .map(|one| (one.credential, one.url.map(|url| url.to_string()), one.key.is_some()))
            .collect();
        let bad = EndpointError::BadUrl { variable: LOCAL_BASE };
        assert_eq!(
            found,
            [
                (LOCAL_BASE, Err(bad), false),
                ("ANTHROPIC_API_KEY", Ok("http://127.0.0.1:1/v1/".to_owned()), true),
                ("OPENAI_API_KEY", Ok("https://api.openai.com/v1/".to_owned()), true),
            ]
        );
    }

    fn resolved(pairs: &[(&str, &str)], yaml: &str) -> Result<(Wire, String, String, bool), EndpointError> {
        let vars: Vars = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let config = Config::parse(yaml, Path::new("/")).unwrap();
        resolve(&vars, &config).map(|endpoint| {
            (
                endpoint.wire,
                endpoint.url.to_string(),
                endpoint.model,
                endpoint.key.is_some(),
            )
        })
    }

    const OPENAI: (&str, &str) = ("OPENAI_API_KEY", "k");
    const ANTHROPIC: (&str, &str) = ("ANTHROPIC_API_KEY", "k");
    const ROUTER: (&str, &str) = ("OPENROUTER_API_KEY", "k");
    const DERIVED: (&str, &str) = ("LLM_PROVIDER_ORIGIN", "derived");

    #[test]
    fn who_serves_which_model() {
        // RUN-6, RUN-7, RUN-80a
        let (openai, anthropic, router) = (
            "https://api.openai.com/v1/",
            "https://api.anthropic.com/v1/",
            "https://openrouter.ai/api/v1/",
        );
        for (pairs, yaml, url, model) in [
            (vec![OPENAI], "", openai, "gpt-4.1"),
            (vec![OPENAI, ANTHROPIC], "model: gpt-x", openai, "gpt-x"),
            (vec![OPENAI, ANTHROPIC], "model: claude-x", anthropic, "claude-x"),
            (vec![OPENAI, ("MODEL", "openai/gpt-5")], "", openai, "gpt-5"),
            (
                vec![
                    OPENAI,
                    ("MODEL", "openai/gpt-5"),
                    ("LLM_PROVIDER", "openrouter"),
                    DERIVED,
                ],
                "",
                openai,
                "gpt-5",
            ),
            // The hint is left from an earlier slug.
            (
                vec![
                    OPENAI,
                    ANTHROPIC,
                    ("MODEL", "openai/gpt-5"),
                    ("LLM_PROVIDER", "anthropic"),
                    DERIVED,
                ],
                "provider: anthropic",
                openai,
                "gpt-5",
            ),
            // The hint names a vendor that this engine does not know.
            (
                vec![ROUTER, ("MODEL", "minimax/m2"), ("LLM_PROVIDER", "minimax"), DERIVED],
                "",
                router,
                "minimax/m2",
            ),
            (
                vec![
                    ("XAI_API_KEY", "k"),
                    ("MODEL", "grok/grok-4"),
                    ("LLM_PROVIDER", "xai"),
                    DERIVED,
                ],
                "",
                "https://api.x.ai/v1/",
                "grok-4",
            ),
            (
                vec![
                    OPENAI,
                    ROUTER,
                    ("MODEL", "openai/gpt-5"),
                    ("LLM_PROVIDER", "openrouter"),
                ],
                "",
                router,
                "openai/gpt-5",
            ),
            (
                vec![ANTHROPIC, ROUTER, ("MODEL", "deepseek/v3")],
                "",
                router,
                "deepseek/v3",
            ),
            (
                vec![ANTHROPIC, ("MODEL", "anthropic:claude-opus-4-7")],
                "",
                anthropic,
                "claude-opus-4-7",
            ),
            (
                vec![OPENAI, ANTHROPIC],
                "provider: anthropic\nmodel: some",
                anthropic,
                "some",
            ),
        ] {
            let (_, got_url, got_model, key) = resolved(&pairs, yaml).unwrap();
            assert_eq!(
                (got_url.as_str(), got_model.as_str(), key),
                (url, model, true),
                "{pairs:?} {yaml}"
            );
        }
    }

    #[test]
    fn own_endpoints_need_no_key() {
        let base = ("MOLECULE_LLM_BASE_URL", "http://127.0.0.1:11434/v1");
        let expected = (
            Wire::OpenAi,
            "http://127.0.0.1:11434/v1/".to_owned(),
            "llama3:8b".to_owned(),
            false,
        );
        assert_eq!(
            resolved(&[base, OPENAI, ("MODEL", "ollama/llama3:8b")], ""),
            Ok(expected)
        );
        assert!(
            resolved(&[base, ("MOLECULE_LLM_API_KEY", "k"), ("MODEL", "m")], "")
                .unwrap()
                .3
        );
        // RUN-80a: a derived provider that nobody knows does not stand in the way.
        let hint = [base, ("MODEL", "gmi/m"), ("LLM_PROVIDER", "gmi"), DERIVED];
        assert_eq!(resolved(&hint, "").unwrap().1, "http://127.0.0.1:11434/v1/");
        assert_eq!(resolved(&[base], ""), Err(EndpointError::NoModel("local".into())));
        assert!(resolved(&[("MOLECULE_LLM_BASE_URL", "localhost:1")], "model: m").is_err());
    }

    #[test]
    fn base_urls_of_vendors_can_be_replaced() {
        let url = |value| resolved(&[ANTHROPIC, ("ANTHROPIC_BASE_URL", value)], "").unwrap().1;
        assert_eq!(url("http://h:1"), "http://h:1/v1/");
        assert_eq!(url("http://h:1/v1"), "http://h:1/v1/");
        assert_eq!(url("http://h:1/api/anthropic/"), "http://h:1/api/anthropic/v1/");
        assert_eq!(
            resolved(&[OPENAI, ("OPENAI_BASE_URL", "http://h:1/v1")], "").unwrap().1,
            "http://h:1/v1/"
        );
    }

    #[test]
    fn problems_are_named() {
        assert_eq!(resolved(&[], ""), Err(EndpointError::NoCredential));
        assert_eq!(
            resolved(&[OPENAI], "provider: nobody"),
            Err(EndpointError::UnknownProvider("nobody".into()))
        );
        assert_eq!(
            resolved(&[], "provider: anthropic"),
            Err(EndpointError::MissingKey {
                provider: "anthropic".into(),
                variable: "ANTHROPIC_API_KEY"
            })
        );
        // RUN-80a: a choice is kept, whoever else could be asked.
        assert_eq!(
            resolved(&[OPENAI, ("MODEL", "claude-x"), ("LLM_PROVIDER", "anthropic")], ""),
            Err(EndpointError::MissingKey {
                provider: "anthropic".into(),
                variable: "ANTHROPIC_API_KEY"
            })
        );
        assert_eq!(
            resolved(&[("GROQ_API_KEY", "k")], ""),
            Err(EndpointError::NoModel("groq".into()))
        );
    }

    #[test]
    fn debug_shows_no_key() {
        let vars: Vars = [("OPENAI_API_KEY".to_owned(), "sk-hidden".to_owned())]
            .into_iter()
            .collect();
        let endpoint = resolve(&vars, &Config::parse("", Path::new("/")).unwrap()).unwrap();
        assert!(!format!("{endpoint:?}").contains("hidden"));
    }
}
