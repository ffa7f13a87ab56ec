//! Which runtimes the server's agents can have, and whether there is a model for them.

use anyhow::Result;
use molecule_agent::{preflight::AVAILABLE, runtimes::native::endpoint};
use molecule_client::Client;
use molecule_core::Runtime;
use serde_json::Value;

use crate::exit::CliError;

/// How to come by a model for `native`.
pub(super) const GET_A_MODEL: &str =
    "store one first: molecule secret set ANTHROPIC_API_KEY --global (or OPENAI_API_KEY, …, MOLECULE_LLM_BASE_URL)";

/// The runtimes that a server can give its agents.
pub(super) struct Runtimes(Vec<Runtime>);

impl Runtimes {
    /// Asks the server.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(super) async fn of(client: &Client) -> Result<Self> {
        match client.server_info().await {
            Ok(server) => Ok(Self(server.runtimes)),
            // An older server, which has what programs of its time had.
            Err(error) if error.status() == Some(404) => Ok(Self(AVAILABLE.to_vec())),
            Err(error) => Err(error.into()),
        }
    }

    /// The runtime of that name, if agents can run on it.
    ///
    /// # Errors
    /// [`CliError::Usage`] with what is possible.
    pub(super) fn named(&self, name: &str) -> Result<Runtime, CliError> {
        match Runtime::parse(name.trim()) {
            Some(runtime) => self.runnable(runtime),
            None => Err(CliError::Usage(format!(
                "there is no runtime {name:?}; {}",
                self.possible()
            ))),
        }
    }

    /// The runtime itself, if agents can run on it.
    ///
    /// # Errors
    /// [`CliError::Usage`] with what is possible.
    pub(super) fn runnable(&self, runtime: Runtime) -> Result<Runtime, CliError> {
        if runtime != Runtime::External && self.0.contains(&runtime) {
            return Ok(runtime);
        }
        Err(CliError::Usage(format!(
            "this server cannot run the runtime {runtime}; {}",
            self.possible()
        )))
    }

    fn possible(&self) -> String {
        let runs = self.0.iter().filter(|runtime| **runtime != Runtime::External);
        let names: Vec<&str> = runs.map(|runtime| runtime.as_str()).collect();
        let connects = "connects an agent that runs elsewhere with: molecule ws create NAME --external";
        if names.is_empty() {
            format!("it runs no agents itself, and {connects}")
        } else {
            format!("it runs {}, and {connects}", names.join(", "))
        }
    }
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
    fn only_what_the_server_runs() {
        // LIFE-4, RUN-15
        let server = Runtimes(vec![Runtime::Echo, Runtime::Exec, Runtime::External]);
        assert_eq!(server.named(" echo ").unwrap(), Runtime::Echo);
        for name in ["claude-code", "native", "external", "nativ", ""] {
            let error = server.named(name).unwrap_err();
            assert!(matches!(error, CliError::Usage(_)));
            assert!(error.to_string().contains("it runs echo, exec, and"), "{error}");
        }
        let none = Runtimes(vec![Runtime::External]).named("echo").unwrap_err();
        assert!(none.to_string().contains("no agents itself"), "{none}");
    }
}
