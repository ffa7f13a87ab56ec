//! The organisation that a newcomer finds.

use molecule_core::Runtime;
use molecule_platform::Platform;
use molecule_wire::orgs::ImportOrg;
use secrecy::ExposeSecret;

use crate::{
    config::{LlmConfig, ServerConfig},
    output,
};

/// Directory of the starter among the org templates.
const STARTER: &str = "starter";

/// Which runtime the starter runs on, and why.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    runtime: Runtime,
    because: String,
}

/// Imports the starter if there is no workspace at all. A failure is reported and leaves the server running: the
/// operator can import by hand.
pub(super) async fn import_into_empty(platform: &Platform, config: &ServerConfig) {
    match platform.is_empty().await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            tracing::error!(%error, "the starter organisation was not imported");
            return;
        }
    }
    let choice = choose(&config.llm);
    output::line(&format!(
        "Importing the starter organisation on `{}`: {}",
        choice.runtime, choice.because
    ));
    if let Err(error) = hand_over_keys(platform, &config.llm).await {
        tracing::error!(%error, "model keys were not stored as global secrets");
    }
    let request = ImportOrg {
        dir: Some(STARTER.to_owned()),
        runtime: Some(choice.runtime.as_str().to_owned()),
        ..ImportOrg::default()
    };
    match platform.orgs.import(request).await {
        Ok(imported) => {
            let names: Vec<_> = imported
                .workspaces
                .iter()
                .map(|workspace| workspace.name.as_str())
                .collect();
            output::line(&format!(
                "Created {}. Try: molecule send Lead \"hello\"",
                names.join(", ")
            ));
            if let Some(error) = imported.error {
                tracing::error!(error, "the starter organisation is incomplete");
            }
        }
        Err(error) => tracing::error!(%error, "the starter organisation was not imported; see `molecule org import`"),
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

fn choose(llm: &LlmConfig) -> Choice {
    if let Some(url) = &llm.base_url {
        let because = format!("MOLECULE_LLM_BASE_URL points to {url}");
        return Choice {
            runtime: Runtime::Native,
            because,
        };
    }
    match llm.keys.keys().next() {
        Some(name) => Choice {
            runtime: Runtime::Native,
            because: format!("{name} is set"),
        },
        None => Choice {
            runtime: Runtime::Echo,
            because: "no model key is set, so the agents only echo; set ANTHROPIC_API_KEY, OPENAI_API_KEY or \
                      MOLECULE_LLM_BASE_URL for real ones"
                .to_owned(),
        },
    }
}
