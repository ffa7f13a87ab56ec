//! `molecule secret`: secrets of a workspace, or of all of them. Values never need to be arguments.

use std::{
    env,
    io::{self, IsTerminal, Read},
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use molecule_client::Client;
use molecule_core::WorkspaceId;
use secrecy::SecretString;

use super::affected;
use crate::{
    completing,
    exit::CliError,
    output::{Cell, Column, Output},
    resolve,
};

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// List the names; values are never shown
    #[command(alias = "list")]
    Ls(Scope),
    /// Store a secret; the value is asked for, or read from standard input. Affected agents restart
    Set {
        /// Name of the environment variable it becomes
        key: String,
        /// Whose secret.
        #[command(flatten)]
        scope: Scope,
        /// Take the value from this variable of the environment instead
        #[arg(long, value_name = "VARIABLE")]
        from_env: Option<String>,
        /// What becomes of agents that are at work.
        #[command(flatten)]
        busy: Busy,
    },
    /// Seal every stored secret with a new key; if that was interrupted, complete it
    Rotate,
    /// Delete a secret. Affected agents restart
    #[command(alias = "delete")]
    Rm {
        /// Name of the environment variable
        key: String,
        /// Whose secret.
        #[command(flatten)]
        scope: Scope,
        /// What becomes of agents that are at work.
        #[command(flatten)]
        busy: Busy,
    },
}

/// What becomes of agents that are at work.
#[derive(Debug, Args)]
pub struct Busy {
    /// Wait first until none of the affected agents is at work
    #[arg(long, conflicts_with = "now")]
    wait: bool,
    /// Do not ask: restart agents that are at work too
    #[arg(long)]
    now: bool,
}

/// Whose secrets.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Scope {
    /// Secrets of this workspace (id or name)
    #[arg(short, long, value_name = "WORKSPACE", add = completing::workspaces())]
    workspace: Option<String>,
    /// Secrets of every workspace
    #[arg(long)]
    global: bool,
}

impl Scope {
    /// `None` is every workspace.
    async fn resolve(&self, client: &Client) -> Result<Option<WorkspaceId>> {
        match &self.workspace {
            Some(name) => resolve::workspace(client, name).await.map(Some),
            None => Ok(None),
        }
    }
}

pub(super) async fn run(command: SecretCommand, client: &Client, out: &mut Output) -> Result<()> {
    let changed = match command {
        SecretCommand::Rotate => return rotate(client, out).await,
        SecretCommand::Ls(scope) => return list(scope.resolve(client).await?, client, out).await,
        SecretCommand::Set {
            key,
            scope,
            from_env,
            busy,
        } => {
            let owner = scope.resolve(client).await?;
            let value = read_value(&key, from_env.as_deref())?;
            affected::settle(owner, &key, busy.wait, busy.now, client, out).await?;
            match owner {
                Some(id) => client.set_secret(id, &key, &value).await?,
                None => client.set_global_secret(&key, &value).await?,
            }
        }
        SecretCommand::Rm { key, scope, busy } => {
            let owner = scope.resolve(client).await?;
            affected::settle(owner, &key, busy.wait, busy.now, client, out).await?;
            match owner {
                Some(id) => client.delete_secret(id, &key).await?,
                None => client.delete_global_secret(&key).await?,
            }
        }
    };
    if out.is_json() {
        return Ok(out.json(&changed)?);
    }
    Ok(out.line(format_args!("{} {}", changed.key, changed.status))?)
}

async fn list(owner: Option<WorkspaceId>, client: &Client, out: &mut Output) -> Result<()> {
    let secrets = match owner {
        Some(id) => client.list_secrets(id).await?,
        None => client.list_global_secrets().await?,
    };
    if out.is_json() {
        return Ok(out.json(&secrets)?);
    }
    let rows: Vec<[Cell; 3]> = secrets
        .into_iter()
        .map(|secret| {
            let updated = out.when(secret.updated_at);
            [secret.key.into(), secret.scope.into(), updated.into()]
        })
        .collect();
    let columns = [Column::text("KEY"), Column::whole("SCOPE"), Column::whole("UPDATED")];
    Ok(out.table(&columns, &rows)?)
}

async fn rotate(client: &Client, out: &mut Output) -> Result<()> {
    let rotated = client.rotate_secrets().await?;
    if out.is_json() {
        out.json(&rotated)?;
    } else {
        let key = if rotated.new_key {
            "a new key"
        } else {
            "the present key"
        };
        out.line(format_args!(
            "{} values sealed anew with {key} ({})",
            rotated.resealed, rotated.key_id
        ))?;
        for place in &rotated.failed {
            out.note(format_args!("does not open: {place}"))?;
        }
        out.note(&rotated.message)?;
    }
    if rotated.complete {
        Ok(())
    } else {
        anyhow::bail!("not every secret is sealed with the present key")
    }
}

fn read_value(key: &str, from_env: Option<&str>) -> Result<SecretString> {
    if let Some(name) = from_env {
        let value = env::var(name).map_err(|_| CliError::Usage(format!("the variable {name} is not set")))?;
        return non_empty(value);
    }
    if io::stdin().is_terminal() {
        let terminal = console::Term::stderr();
        terminal.write_str(&format!("Value of {key} (not shown): "))?;
        return non_empty(terminal.read_secure_line()?);
    }
    let mut value = String::new();
    io::stdin()
        .read_to_string(&mut value)
        .context("reading the value from standard input")?;
    non_empty(without_line_end(&value).to_owned())
}

/// `echo` and files end with a line break that is not part of the value; more than one is.
fn without_line_end(value: &str) -> &str {
    value
        .strip_suffix('\n')
        .map_or(value, |value| value.strip_suffix('\r').unwrap_or(value))
}

fn non_empty(value: String) -> Result<SecretString> {
    if value.is_empty() {
        return Err(CliError::Usage("the value is empty; `molecule secret rm` deletes a secret".into()).into());
    }
    Ok(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_a_value() {
        for (text, value) in [
            ("v\n", "v"),
            ("v\r\n", "v"),
            ("v", "v"),
            ("a\nb\n\n", "a\nb\n"),
            (" v \n", " v "),
        ] {
            assert_eq!(without_line_end(text), value);
        }
        assert!(non_empty(String::new()).is_err());
    }
}
