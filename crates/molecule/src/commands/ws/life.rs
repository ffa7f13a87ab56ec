//! `molecule ws pause`, `resume`, `hibernate`, `wake`, `expand`, `collapse`, `restore`: what becomes of a workspace's agent.

use anyhow::Result;
use clap::Subcommand;
use molecule_client::Client;
use molecule_core::WorkspaceId;

use super::{create::show_connection, remove, wait_online};
use crate::{
    commands::ask,
    completing,
    output::{Cell, Column, Output},
    progress, resolve,
};

/// What is shown of a team.
const MEMBERS: [Column; 3] = [Column::text("NAME"), Column::text("ROLE"), Column::whole("ID")];

/// What to do with a workspace's agent.
#[derive(Debug, Subcommand)]
pub enum LifeCommand {
    /// Stop a workspace's agent, and all below it, until they are resumed
    Pause {
        /// Id or name
        #[arg(add = completing::workspaces())]
        workspace: String,
    },
    /// Start again what was paused
    Resume {
        /// Id or name
        #[arg(add = completing::workspaces())]
        workspace: String,
        /// Return only when its agent is online
        #[arg(long)]
        wait: bool,
    },
    /// Stop a workspace's agent until a message for it comes
    Hibernate {
        /// Id or name
        #[arg(add = completing::workspaces())]
        workspace: String,
        /// Also if it is at work; its tasks end
        #[arg(long)]
        force: bool,
    },
    /// Start a hibernated workspace's agent
    Wake {
        /// Id or name
        #[arg(add = completing::workspaces())]
        workspace: String,
        /// Return only when its agent is online
        #[arg(long)]
        wait: bool,
    },
    /// Make the team that the workspace's template defines, below it
    Expand {
        /// Id or name
        #[arg(add = completing::workspaces())]
        workspace: String,
    },
    /// Remove everything below a workspace
    Collapse {
        /// Id, or name exactly as it is written
        #[arg(add = completing::workspaces())]
        workspace: String,
        /// Do not ask; needed without a terminal
        #[arg(short, long)]
        yes: bool,
    },
    /// Bring back a workspace that was removed and not purged
    Restore {
        /// Its id, which `ws rm` printed; `molecule events --json` has it too
        workspace: WorkspaceId,
    },
}

pub(super) async fn run(command: LifeCommand, client: &Client, out: &mut Output) -> Result<()> {
    match command {
        LifeCommand::Pause { workspace } => {
            let id = resolve::workspace(client, &workspace).await?;
            let paused = progress::run(out, "stopping", |_| client.pause_workspace(id)).await?;
            if out.is_json() {
                return Ok(out.json(&paused)?);
            }
            Ok(out.line(counted("paused", paused.paused_count))?)
        }
        LifeCommand::Resume { workspace, wait } => {
            let id = resolve::workspace(client, &workspace).await?;
            let resumed = client.resume_workspace(id).await?;
            if wait {
                wait_online(id, &workspace, client, out).await?;
            }
            if out.is_json() {
                return Ok(out.json(&resumed)?);
            }
            Ok(out.line(counted("resumed", resumed.resumed_count))?)
        }
        LifeCommand::Hibernate { workspace, force } => {
            let id = resolve::workspace(client, &workspace).await?;
            let hibernated = progress::run(out, "stopping", |_| client.hibernate_workspace(id, force)).await?;
            if out.is_json() {
                return Ok(out.json(&hibernated)?);
            }
            Ok(out.line(hibernated.status)?)
        }
        LifeCommand::Wake { workspace, wait } => {
            let id = resolve::workspace(client, &workspace).await?;
            let woken = client.wake_workspace(id).await?;
            if wait {
                wait_online(id, &workspace, client, out).await?;
            }
            if out.is_json() {
                return Ok(out.json(&woken)?);
            }
            Ok(out.line(if wait { "online" } else { &woken.status })?)
        }
        LifeCommand::Expand { workspace } => expand(&workspace, client, out).await,
        LifeCommand::Collapse { workspace, yes } => collapse(&workspace, yes, client, out).await,
        LifeCommand::Restore { workspace } => restore(workspace, client, out).await,
    }
}

/// `paused`, or `paused, 4 workspaces`.
fn counted(word: &str, count: usize) -> String {
    if count == 1 {
        word.to_owned()
    } else {
        format!("{word}, {count} workspaces")
    }
}

async fn expand(name: &str, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, name).await?;
    let expanded = client.expand_workspace(id).await?;
    if out.is_json() {
        return Ok(out.json(&expanded)?);
    }
    let rows: Vec<[Cell; 3]> = expanded
        .children
        .into_iter()
        .map(|member| {
            [
                member.name.into(),
                member.role.unwrap_or_default().into(),
                member.id.to_string().into(),
            ]
        })
        .collect();
    Ok(out.table(&MEMBERS, &rows)?)
}

async fn collapse(name: &str, yes: bool, client: &Client, out: &mut Output) -> Result<()> {
    let items = client.list_workspaces().await?;
    let item = resolve::exactly(&items, name)?;
    let below = remove::below(&items, item.workspace.id);
    if !yes && !below.is_empty() {
        let names: Vec<&str> = below.iter().map(|item| item.workspace.name.as_str()).collect();
        let what = format!("Everything below {name} will be removed: {}.", names.join(", "));
        ask::before_removing(&what, out)?;
    }
    let id = item.workspace.id;
    let collapsed = progress::run(out, "removing", |_| client.collapse_workspace(id)).await?;
    if out.is_json() {
        return Ok(out.json(&collapsed)?);
    }
    if collapsed.removed.is_empty() {
        return Ok(out.note(format_args!("there is nothing below {name}"))?);
    }
    Ok(out.line(format_args!("removed {}", collapsed.removed.join(", ")))?)
}

async fn restore(id: WorkspaceId, client: &Client, out: &mut Output) -> Result<()> {
    let restored = client.restore_workspace(id).await?;
    if out.is_json() {
        return Ok(out.json(&restored)?);
    }
    out.line(restored.status)?;
    match &restored.connection {
        Some(connection) => show_connection(connection, out),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_workspace_is_not_counted() {
        assert_eq!(counted("paused", 1), "paused");
        assert_eq!(counted("resumed", 3), "resumed, 3 workspaces");
    }
}
