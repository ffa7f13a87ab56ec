//! Which runtimes agents of this build can have, and whether there is a model for them.

use anyhow::Result;
use molecule_agent::{preflight::AVAILABLE, runtimes::native::endpoint};
use molecule_client::Client;
use molecule_core::Runtime;
use serde_json::Value;

use crate::exit::CliError;

/// How to come by a model for `native`.
pub(super) const GET_A_MODEL: &str =
    "store one first: molecule secret set ANTHROPIC_API_KEY --global (or OPENAI_API_KEY, …, MOLECULE_LLM_BASE_URL)";

/// The runtime of that name, if agents can run on it.
///
/// # Errors
/// [`CliError::Usage`] with what is possible.
pub(super) fn named(name: &str) -> Result<Runtime, CliError> {
    match Runtime::parse(name.trim()) {
        Some(runtime) => runnable(runtime),
        None => Err(CliError::Usage(format!("there is no runtime {name:?}; {}", possible()))),
    }
}

/// The runtime itself, if agents can run on it.
///
/// # Errors
/// [`CliError::Usage`] with what is possible.
pub(super) fn runnable(runtime: Runtime) -> Result<Runtime, CliError> {
    if AVAILABLE.contains(&runtime) {
        return Ok(runtime);
    }
    Err(CliError::Usage(format!(
        "this build has no adapter for the runtime {runtime}; {}",
        possible()
    )))
}

fn possible() -> String {
    let names = AVAILABLE.map(Runtime::as_str).join(", ");
    format!("it runs {names}, and connects an agent that runs elsewhere with: molecule ws create NAME --external")
}

/// The runtime that a workspace template names; `None` if it leaves that open, or is a path that the list does not show.
///
/// # Errors
/// There is no such template, or the server cannot be asked.
pub(super) async fn of_template(template: &str, client: &Client) -> Result<Option<Runtime>> {
    let templates = client.list_templates().await?;
    let text = |row: &Value, member: &str| row.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(row) = templates.iter().find(|row| text(row, "id") == template) {
        return Ok(Runtime::parse(text(row, "runtime").trim()));
    }
    if template.contains('/') {
        return Ok(None);
    }
    let ids: Vec<String> = templates.iter().map(|row| text(row, "id")).collect();
    Err(CliError::NotFound(format!(
        "there is no workspace template {template:?}; there are: {}",
        ids.join(", ")
    ))
    .into())
}

/// Whether `native` would find a model: in the global secrets, or among a workspace's `own`.
///
/// # Errors
/// The server cannot be asked.
pub(super) async fn has_model(client: &Client, own: &[String]) -> Result<bool> {
    let global = client.list_global_secrets().await?;
    let given = |name: &str| own.iter().any(|key| key == name) || global.iter().any(|secret| secret.key == name);
    Ok(endpoint::credentials().any(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_build_runs() {
        // LIFE-4, RUN-15
        assert_eq!(named(" echo ").unwrap(), Runtime::Echo);
        for name in ["claude-code", "codex", "external", "nativ", ""] {
            let error = named(name).unwrap_err();
            assert!(matches!(error, CliError::Usage(_)));
            assert!(error.to_string().contains("echo, exec, native"), "{error}");
        }
    }
}
