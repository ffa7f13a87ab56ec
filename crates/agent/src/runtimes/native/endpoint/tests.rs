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
