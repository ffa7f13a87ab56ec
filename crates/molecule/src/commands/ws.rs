//! `molecule ws`: workspaces.

mod budget;
mod create;
mod edit;
mod life;
mod list;
mod logs;
mod remove;
mod show;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use molecule_client::Client;
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_wire::workspaces::{RestartWorkspace, WorkspaceListItem};

use self::{
    budget::BudgetArgs,
    create::CreateArgs,
    edit::{EditArgs, MoveArgs, RenameArgs},
    life::LifeCommand,
};
use super::runtime;
use crate::{
    completing,
    exit::CliError,
    output::{Cell, Output, Tone},
    progress, resolve,
};

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What to do with workspaces.
#[derive(Debug, Subcommand)]
pub enum WsCommand {
    /// List the workspaces as the tree they form
    #[command(alias = "list")]
    Ls,
    /// Show one workspace
    Show {
        /// Id or name
        #[arg(add = completing::workspaces())]
        workspace: String,
    },
    /// Create a workspace
    Create(Box<CreateArgs>),
    /// Change what a workspace is
    Edit(Box<EditArgs>),
    /// Give a workspace another place in the org chart
    Move(MoveArgs),
    /// Give a workspace another name
    Rename(RenameArgs),
    /// Remove a workspace and everything below it; `ws restore` brings back what is not purged
    #[command(alias = "delete")]
    Rm {
        /// Id, or name exactly as it is written
        #[arg(add = completing::workspaces())]
        workspace: String,
        /// Delete its files and records for good: activity, secrets, tokens. Also of one removed before, by its whole id
        #[arg(long)]
        purge: bool,
        /// Do not ask; needed without a terminal where there are workspaces below it
        #[arg(short, long)]
        yes: bool,
    },
    /// Show what a workspace may spend a month, or change it
    Budget(BudgetArgs),
    /// Restart a workspace's agent
    Restart(RestartArgs),
    /// What becomes of its agent
    #[command(flatten)]
    Life(LifeCommand),
    /// Print the end of an agent's output
    Logs {
        /// Id or name
        #[arg(add = completing::workspaces())]
        workspace: String,
        /// How many lines of it
        #[arg(short = 'n', long, value_name = "LINES", default_value_t = 200)]
        lines: usize,
        /// Go on as more is written
        #[arg(short, long)]
        follow: bool,
    },
}

/// Arguments of `ws restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Id or name
    #[arg(add = completing::workspaces())]
    workspace: String,
    /// Forget the session
    #[arg(long)]
    reset: bool,
    /// Apply this template
    #[arg(long, add = completing::templates())]
    template: Option<String>,
    /// Apply the template that matches name or runtime
    #[arg(long)]
    apply_template: bool,
    /// Rebuild the configuration from the org template
    #[arg(long)]
    rebuild_config: bool,
    /// Return only when its agent is online again
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(command: WsCommand, client: &Client, out: &mut Output) -> Result<()> {
    match command {
        WsCommand::Ls => list::run(client, out).await,
        WsCommand::Show { workspace } => show::run(&workspace, client, out).await,
        WsCommand::Create(args) => create::run(*args, client, out).await,
        WsCommand::Edit(args) => edit::edit(*args, client, out).await,
        WsCommand::Move(args) => edit::r#move(args, client, out).await,
        WsCommand::Rename(args) => edit::rename(args, client, out).await,
        WsCommand::Rm { workspace, purge, yes } => remove::run(&workspace, purge, yes, client, out).await,
        WsCommand::Budget(args) => budget::run(args, client, out).await,
        WsCommand::Restart(args) => restart(args, client, out).await,
        WsCommand::Life(command) => life::run(command, client, out).await,
        WsCommand::Logs {
            workspace,
            lines,
            follow,
        } => logs::run(&workspace, lines, follow, client, out).await,
    }
}

pub(super) fn status_cell(status: WorkspaceStatus) -> Cell {
    Cell::toned(status.as_str(), tone(status))
}

pub(super) fn tone(status: WorkspaceStatus) -> Tone {
    match status {
        WorkspaceStatus::Online => Tone::Good,
        WorkspaceStatus::Degraded
        | WorkspaceStatus::Offline
        | WorkspaceStatus::AwaitingAgent
        | WorkspaceStatus::Provisioning => Tone::Warning,
        WorkspaceStatus::Failed => Tone::Bad,
        WorkspaceStatus::Paused
        | WorkspaceStatus::Hibernating
        | WorkspaceStatus::Hibernated
        | WorkspaceStatus::Removed => Tone::Quiet,
    }
}

/// Why a workspace that is broken is so, in words.
pub(super) fn why_broken(item: &WorkspaceListItem) -> Option<String> {
    let error = is_broken(item.workspace.status).then(|| in_words(&item.last_sample_error));
    error.filter(|reason| !reason.is_empty())
}

fn is_broken(status: WorkspaceStatus) -> bool {
    matches!(status, WorkspaceStatus::Failed | WorkspaceStatus::Degraded)
}

/// A reason of the server's, without its phrases for programs (LIFE OP-15).
fn in_words(reason: &str) -> String {
    reason.replace("never called /registry/register", "never connected")
}

/// Why a workspace is as it is. One workspace alone is answered without (SEC-88), and whoever may not list them all
/// does without as well.
async fn reason(id: WorkspaceId, client: &Client) -> Option<String> {
    let items = client.list_workspaces().await.ok()?;
    let item = items.into_iter().find(|item| item.workspace.id == id)?;
    Some(in_words(&item.last_sample_error)).filter(|reason| !reason.is_empty())
}

async fn restart(args: RestartArgs, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, &args.workspace).await?;
    if let Some(template) = &args.template {
        runtime::of_template(template, client).await?;
    }
    let request = RestartWorkspace {
        template: args.template,
        apply_template: args.apply_template,
        reset: args.reset,
        rebuild_config: args.rebuild_config,
    };
    let restarted = client.restart_workspace(id, &request).await?;
    // An external agent is not ours to restart: there is nothing to wait for (LIFE-118).
    if args.wait && restarted.status != "noop" {
        wait_online(id, &args.workspace, client, out).await?;
    }
    if out.is_json() {
        return Ok(out.json(&restarted)?);
    }
    match restarted.message {
        Some(message) => Ok(out.note(message)?),
        None if args.wait => Ok(out.line("online")?),
        None => Ok(out.line(restarted.status)?),
    }
}

/// Waits until an agent answers. The platform ends every start, so that this ends too.
pub(super) async fn wait_online(id: WorkspaceId, name: &str, client: &Client, out: &Output) -> Result<WorkspaceStatus> {
    progress::run(out, &format!("{name}: starting"), async |bar| {
        loop {
            let view = client.get_workspace(id, false).await?;
            bar.set_message(format!("{name}: {}", view.status));
            match view.status {
                // An external agent comes when its operator starts it.
                WorkspaceStatus::Online | WorkspaceStatus::Degraded | WorkspaceStatus::AwaitingAgent => {
                    return Ok(view.status);
                }
                WorkspaceStatus::Provisioning
                | WorkspaceStatus::Offline
                // A wake begins when the row is not its own any more.
                | WorkspaceStatus::Hibernating
                | WorkspaceStatus::Hibernated => tokio::time::sleep(LOOK_EVERY).await,
                status => return Err(not_online(id, name, status, client).await),
            }
        }
    })
    .await
}

async fn not_online(id: WorkspaceId, name: &str, status: WorkspaceStatus, client: &Client) -> anyhow::Error {
    CliError::Failed(state_of(id, name, status, client).await).into()
}

/// What keeps a workspace from answering, in words.
pub(super) async fn state_of(id: WorkspaceId, name: &str, status: WorkspaceStatus, client: &Client) -> String {
    match (status, reason(id, client).await) {
        (WorkspaceStatus::Provisioning, _) => format!("{name} is starting; try again"),
        (status, Some(reason)) => format!("{name} is {status}: {reason}"),
        (WorkspaceStatus::Failed, None) => format!("{name} is failed; `molecule ws logs` may say why"),
        (WorkspaceStatus::AwaitingAgent, None) => {
            format!("{name} waits for its external agent, which has not connected yet")
        }
        (status, None) => format!("{name} is {status}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use molecule_wire::workspaces::WorkspaceView;

    use super::*;

    pub(crate) fn item(name: &str, parent_id: Option<WorkspaceId>) -> WorkspaceListItem {
        WorkspaceListItem {
            workspace: WorkspaceView {
                id: WorkspaceId::random(),
                name: name.to_owned(),
                role: None,
                tier: 3,
                status: WorkspaceStatus::Online,
                url: String::new(),
                parent_id,
                active_tasks: 1,
                max_concurrent_tasks: 2,
                last_error_rate: 0.25,
                uptime_seconds: 60,
                runtime: molecule_core::Runtime::Echo.into(),
                delivery_mode: None,
                x: 0.0,
                y: 0.0,
                collapsed: false,
                agent_card: None,
                provision_timeout_ms: None,
                last_outbound_at: None,
            },
            budget_limit: None,
            monthly_spend: 0,
            current_task: String::new(),
            last_sample_error: String::new(),
            workspace_dir: None,
            restarts: 0,
        }
    }

    #[test]
    fn reasons_name_no_routes() {
        let reason = "provisioning timed out after 600 s: the agent never called /registry/register; see its logs";
        assert_eq!(
            in_words(reason),
            "provisioning timed out after 600 s: the agent never connected; see its logs"
        );
    }
}
