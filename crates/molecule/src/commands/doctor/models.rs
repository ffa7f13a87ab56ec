//! Checks of what agents think with: keys, local endpoints, command-line runtimes.

use std::time::Duration;

use molecule_client::Client;
use molecule_wire::ops::ModelEndpoint;

use super::{Check, Verdict};
use crate::config::ServerConfig;

/// Where programs that serve models locally listen.
const LOCAL_ENDPOINTS: [(&str, &str); 2] = [
    ("Ollama", "http://127.0.0.1:11434/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
];
const NAME: &str = "models";
const PATIENCE: Duration = Duration::from_secs(5);

/// Time the server has for trying all of its endpoints.
const TRIAL_PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn checks(config: &ServerConfig, client: Option<&Client>) -> Vec<Check> {
    let mut checks = match stored(client).await {
        Some(checks) => checks,
        None => vec![models(config).await],
    };
    checks.push(cli_runtimes());
    checks
}

/// What the running server hands to its agents, tried by that server; `None` if none runs, or it has nothing.
async fn stored(client: Option<&Client>) -> Option<Vec<Check>> {
    let client = client?.clone().with_timeout(TRIAL_PATIENCE);
    let endpoints = client.model_endpoints().await.ok()?;
    (!endpoints.is_empty()).then(|| endpoints.iter().map(judge).collect())
}

fn judge(endpoint: &ModelEndpoint) -> Check {
    let ModelEndpoint {
        credential,
        url,
        models,
        error,
    } = endpoint;
    match (models, error) {
        (Some(models), None) => Check::ok(NAME, format!("{credential}: {url} answers with {models} models")),
        (_, error) => {
            let error = error.as_deref().unwrap_or("it does not answer");
            Check::bad(
                NAME,
                Verdict::Warning,
                format!("{credential}: {url}: {error}"),
                format!("start it, or store another value: molecule secret set {credential} --global"),
            )
        }
    }
}

/// Said before somebody installs a program that nothing here would start.
fn cli_runtimes() -> Check {
    Check::bad(
        "CLI runtimes",
        Verdict::Absent,
        "claude-code, codex, openclaw and hermes have no adapter in this build",
        "use native, exec or echo, or connect the agent as an external workspace",
    )
}

async fn models(config: &ServerConfig) -> Check {
    if let Some(url) = &config.llm.base_url {
        let key = config.llm.keys.get("OPENAI_API_KEY").cloned();
        return match molecule_client::list_models(url.as_str(), key, PATIENCE).await {
            Ok(models) => Check::ok(NAME, format!("{url} answers with {} models", models.len())),
            Err(error) => Check::bad(
                NAME,
                Verdict::Warning,
                format!("{url}: {error}"),
                "start it, or correct MOLECULE_LLM_BASE_URL",
            ),
        };
    }
    if !config.llm.keys.is_empty() {
        let names: Vec<&str> = config.llm.keys.keys().copied().collect();
        return Check::ok(NAME, names.join(", "));
    }
    for (name, url) in LOCAL_ENDPOINTS {
        if let Ok(models) = molecule_client::list_models(url, None, PATIENCE).await {
            let found = format!("{name} answers with {} models, but nothing points to it", models.len());
            return Check::bad(
                NAME,
                Verdict::Warning,
                found,
                format!("export MOLECULE_LLM_BASE_URL={url}"),
            );
        }
    }
    let remedy = "export ANTHROPIC_API_KEY, OPENAI_API_KEY, OPENROUTER_API_KEY or GEMINI_API_KEY, \
                  or point MOLECULE_LLM_BASE_URL to a local endpoint; the echo runtime works without";
    Check::bad(NAME, Verdict::Warning, "no key and no local endpoint", remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_tells_what_came_of_it() {
        let mut endpoint = ModelEndpoint {
            credential: "OPENAI_API_KEY".into(),
            url: "https://api.openai.com/v1/".into(),
            models: Some(3),
            error: None,
        };
        assert_eq!(judge(&endpoint).verdict, Verdict::Ok);
        endpoint.models = None;
        endpoint.error = Some("it answers with wrong key (HTTP 401)".into());
        let check = judge(&endpoint);
        assert!(
            check.verdict == Verdict::Warning && check.found.contains("wrong key"),
            "{}",
            check.found
        );
        assert!(check.remedy.unwrap().contains("secret set OPENAI_API_KEY"));
    }
}
