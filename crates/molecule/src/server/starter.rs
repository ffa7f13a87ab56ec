//! The organisation that a newcomer finds.

use std::path::{Path, PathBuf};

use molecule_core::Runtime;
use molecule_platform::Platform;
use molecule_wire::orgs::ImportOrg;
use secrecy::ExposeSecret;

use crate::{
    boot::DataDir,
    config::{LlmConfig, ServerConfig},
    output,
};

/// Directory of the starter among the org templates.
const STARTER: &str = "starter";

/// Which runtime and model the starter runs on, and why.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    runtime: Runtime,
    model: Option<String>,
    because: String,
}

/// A subscription of the Claude Code CLI, which no built-in runtime can use.
const CLAUDE_CODE_ONLY: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// How long a local endpoint has to name its models.
const ENDPOINT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// File below `server/` that is there while the starter is being imported. Found at a start, it tells that the import
/// was cut short.
const MARK_FILE: &str = "starter_import";

/// The starter, about to be imported.
pub(super) struct Starter {
    choice: Choice,
    mark: PathBuf,
}

/// Decides whether the starter is imported: if there is no workspace at all. Says what will be, or that an earlier import
/// was cut short.
pub(super) async fn into_empty(platform: &Platform, config: &ServerConfig, dir: &DataDir) -> Option<Starter> {
    let mark = dir.server_file(MARK_FILE);
    match platform.is_empty().await {
        Ok(true) => {
            if let Err(error) = std::fs::write(&mark, "") {
                tracing::warn!(file = %mark.display(), %error, "an import that is cut short would not be noticed");
            }
            let choice = choose(&config.llm).await;
            output::line(&format!(
                "A starter organisation (Lead, Researcher, Writer) is made on `{}`: {}",
                choice.runtime, choice.because
            ));
            output::line("In a moment, try: molecule send Lead \"hello\"");
            Some(Starter { choice, mark })
        }
        Ok(false) if mark.exists() => {
            output::line(
                "The starter organisation was not imported completely: the server was ended while it was at it. Remove \
                 what is there (molecule ws rm NAME), then: molecule org import starter",
            );
            forget(&mark);
            None
        }
        Ok(false) => None,
        Err(error) => {
            tracing::error!(%error, "the starter organisation was not imported");
            None
        }
    }
}

impl Starter {
    /// Imports it. A failure is reported and leaves the server running: the operator can import by hand.
    pub(super) async fn import(self, platform: &Platform, config: &ServerConfig) {
        if let Err(error) = hand_over_keys(platform, &config.llm).await {
            tracing::error!(%error, "model keys were not stored as global secrets");
        }
        let request = ImportOrg {
            dir: Some(STARTER.to_owned()),
            runtime: Some(self.choice.runtime.into()),
            model: self.choice.model,
            ..ImportOrg::default()
        };
        match platform.orgs.import(request).await {
            Ok(imported) => {
                tracing::info!(workspaces = imported.workspaces.len(), "starter organisation imported");
                if let Some(error) = imported.error {
                    tracing::error!(error, "the starter organisation is incomplete");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the starter organisation was not imported; see `molecule org import`");
            }
        }
        forget(&self.mark);
    }
}

fn forget(mark: &Path) {
    if let Err(error) = std::fs::remove_file(mark) {
        tracing::warn!(file = %mark.display(), %error, "not removed");
    }
}

/// Keys of the operator's environment become global secrets: agents see nothing of the server's environment.
async fn hand_over_keys(platform: &Platform, llm: &LlmConfig) -> Result<(), molecule_platform::secrets::SecretError> {
    for (name, value) in &llm.keys {
        platform.secrets.set_global(name, value.expose_secret()).await?;
    }
    if let Some(url) = &llm.base_url {
        platform
            .secrets
            .set_global("MOLECULE_LLM_BASE_URL", url.as_str().trim_end_matches('/'))
            .await?;
    }
    Ok(())
}

async fn choose(llm: &LlmConfig) -> Choice {
    if let Some(url) = &llm.base_url {
        return local(url).await;
    }
    match llm.keys.keys().find(|name| **name != CLAUDE_CODE_ONLY) {
        Some(name) => Choice {
            runtime: Runtime::Native,
            model: None,
            because: format!("{name} is set"),
        },
        None => echo(
            "no model key is set, so the agents only echo; set ANTHROPIC_API_KEY, OPENAI_API_KEY or \
             MOLECULE_LLM_BASE_URL for real ones",
        ),
    }
}

/// A local endpoint has no default model: the first one it names is taken.
async fn local(url: &url::Url) -> Choice {
    match molecule_client::list_models(url.as_str(), None, ENDPOINT_PATIENCE)
        .await
        .map(|models| models.into_iter().next())
    {
        Ok(Some(model)) => Choice {
            runtime: Runtime::Native,
            because: format!("MOLECULE_LLM_BASE_URL points to {url}, which serves {model}"),
            model: Some(model),
        },
        Ok(None) => echo(&format!(
            "MOLECULE_LLM_BASE_URL points to {url}, which serves no model, so the agents only echo"
        )),
        Err(error) => echo(&format!(
            "MOLECULE_LLM_BASE_URL points to {url}, which does not name its models ({error}), so the agents only echo"
        )),
    }
}

fn echo(because: &str) -> Choice {
    Choice {
        runtime: Runtime::Echo,
        model: None,
        because: because.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[tokio::test]
    async fn a_key_decides_and_its_absence_says_what_to_do() {
        let keys = BTreeMap::from([("OPENAI_API_KEY", secrecy::SecretString::from("x"))]);
        let choice = choose(&LlmConfig { base_url: None, keys }).await;
        assert_eq!(
            (choice.runtime, choice.because.as_str()),
            (Runtime::Native, "OPENAI_API_KEY is set")
        );
        let keys = BTreeMap::from([(CLAUDE_CODE_ONLY, secrecy::SecretString::from("x"))]);
        assert_eq!(choose(&LlmConfig { base_url: None, keys }).await.runtime, Runtime::Echo);
        let none = choose(&LlmConfig {
            base_url: None,
            keys: BTreeMap::new(),
        })
        .await;
        assert_eq!(none.runtime, Runtime::Echo);
        assert!(none.because.contains("ANTHROPIC_API_KEY") && none.because.contains("MOLECULE_LLM_BASE_URL"));
    }

    #[tokio::test]
    async fn an_endpoint_that_does_not_answer_leads_to_echo() {
        let base_url = Some("http://127.0.0.1:9/v1".parse().unwrap());
        let choice = choose(&LlmConfig {
            base_url,
            keys: BTreeMap::new(),
        })
        .await;
        assert_eq!(choice.runtime, Runtime::Echo);
        assert!(choice.because.contains("127.0.0.1:9"), "{}", choice.because);
    }
}
