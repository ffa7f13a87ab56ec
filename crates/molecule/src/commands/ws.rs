//! `molecule ws`: workspaces.

mod create;
mod logs;
mod remove;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use clap::{Args, Subcommand};
use molecule_client::Client;
use molecule_core::{DeliveryMode, WorkspaceId, WorkspaceStatus, text::preview};
use molecule_wire::workspaces::{RestartWorkspace, WorkspaceListItem, WorkspaceView};

use self::create::CreateArgs;
use super::runtime;
use crate::{exit::CliError, output::Output, progress, resolve};

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Characters of a task in the list.
const TASK_CHARS: usize = 48;

/// What to do with workspaces.
#[derive(Debug, Subcommand)]
pub enum WsCommand {
    /// List the workspaces as the tree they form
    #[command(alias = "list")]
    Ls,
    /// Show one workspace
    Show {
        /// Id or name
        workspace: String,
    },
    /// Create a workspace
    Create(Box<CreateArgs>),
    /// Remove a workspace with its files, and everything below it
    #[command(alias = "delete")]
    Rm {
        /// Id, or name exactly as it is written
        workspace: String,
        /// Delete its records too: activity, secrets, tokens
        #[arg(long)]
        purge: bool,
        /// Do not ask; needed without a terminal where there are workspaces below it
        #[arg(short, long)]
        yes: bool,
    },
    /// Restart a workspace's agent
    Restart(RestartArgs),
    /// Print the end of an agent's output
    Logs {
        /// Id or name
        workspace: String,
        /// How much of it, bytes
        #[arg(short = 'n', long, value_name = "BYTES")]
        bytes: Option<u64>,
        /// Go on as more is written
        #[arg(short, long)]
        follow: bool,
    },
}

/// Arguments of `ws restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Id or name
    workspace: String,
    /// Forget the session
    #[arg(long)]
    reset: bool,
    /// Apply this template
    #[arg(long)]
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
        WsCommand::Ls => list(client, out).await,
        WsCommand::Show { workspace } => show(&workspace, client, out).await,
        WsCommand::Create(args) => create::run(*args, client, out).await,
        WsCommand::Rm { workspace, purge, yes } => remove::run(&workspace, purge, yes, client, out).await,
        WsCommand::Restart(args) => restart(args, client, out).await,
        WsCommand::Logs {
            workspace,
            bytes,
            follow,
        } => logs::run(&workspace, bytes, follow, client, out).await,
    }
}

async fn list(client: &Client, out: &mut Output) -> Result<()> {
    let items = client.list_workspaces().await?;
    if out.is_json() {
        return Ok(out.json(&items)?);
    }
    if items.is_empty() {
        return Ok(out.note("There are no workspaces yet; `molecule ws create` or `molecule org import` makes some.")?);
    }
    let rows: Vec<_> = in_tree_order(&items)
        .into_iter()
        .map(|(depth, item)| {
            [
                format!("{}{}", "  ".repeat(depth), item.workspace.name),
                item.workspace.status.to_string(),
                item.workspace.runtime.to_string(),
                what_it_does(item),
                item.workspace.id.to_string(),
            ]
        })
        .collect();
    out.table(["NAME", "STATUS", "RUNTIME", "DOING", "ID"], &rows)?;
    for item in &items {
        // The table has no room for a whole reason.
        if let Some(reason) = why_broken(item).filter(|reason| reason.chars().count() > TASK_CHARS) {
            out.note(format_args!(
                "{} is {}: {reason}",
                item.workspace.name, item.workspace.status
            ))?;
        }
    }
    Ok(())
}

fn what_it_does(item: &WorkspaceListItem) -> String {
    let text = why_broken(item).unwrap_or(&item.current_task);
    preview(text, TASK_CHARS, "…")
}

fn why_broken(item: &WorkspaceListItem) -> Option<&str> {
    Some(item.last_sample_error.as_str()).filter(|reason| is_broken(item.workspace.status) && !reason.is_empty())
}

/// Parents before their children, each with its depth. A workspace whose parent is not listed counts as a root.
fn in_tree_order(items: &[WorkspaceListItem]) -> Vec<(usize, &WorkspaceListItem)> {
    let known: BTreeSet<WorkspaceId> = items.iter().map(|item| item.workspace.id).collect();
    let mut below: BTreeMap<Option<WorkspaceId>, Vec<&WorkspaceListItem>> = BTreeMap::new();
    for item in items {
        below
            .entry(item.workspace.parent_id.filter(|id| known.contains(id)))
            .or_default()
            .push(item);
    }
    let mut order = Vec::with_capacity(items.len());
    // Taken out of the map once each, so that even a loop of parents could not run for ever.
    let mut waiting: Vec<(usize, &WorkspaceListItem)> = Vec::new();
    let mut push = |waiting: &mut Vec<_>, depth, parent: Option<WorkspaceId>| {
        waiting.extend(
            below
                .remove(&parent)
                .into_iter()
                .flatten()
                .rev()
                .map(|item| (depth, item)),
        );
    };
    push(&mut waiting, 0, None);
    while let Some((depth, item)) = waiting.pop() {
        order.push((depth, item));
        push(&mut waiting, depth + 1, Some(item.workspace.id));
    }
    order
}

async fn show(name: &str, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, name).await?;
    let view = client.get_workspace(id, false).await?;
    if out.is_json() {
        return Ok(out.json(&view)?);
    }
    let mut shown = pairs(&view);
    if is_broken(view.status) {
        let reason = reason(id, client).await.unwrap_or_default();
        shown.insert(STATUS_AT + 1, ("reason", reason));
    }
    Ok(out.pairs(&shown)?)
}

fn is_broken(status: WorkspaceStatus) -> bool {
    matches!(status, WorkspaceStatus::Failed | WorkspaceStatus::Degraded)
}

/// Why a workspace is as it is. One workspace alone is answered without (SEC-88), and whoever may not list them all
/// does without as well.
async fn reason(id: WorkspaceId, client: &Client) -> Option<String> {
    let items = client.list_workspaces().await.ok()?;
    let item = items.into_iter().find(|item| item.workspace.id == id)?;
    Some(item.last_sample_error).filter(|reason| !reason.is_empty())
}

/// Where `status` stands among [`pairs`].
const STATUS_AT: usize = 3;

fn pairs(view: &WorkspaceView) -> Vec<(&'static str, String)> {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        ("name", view.name.clone()),
        ("id", view.id.to_string()),
        ("role", or_empty(&view.role)),
        ("status", view.status.to_string()),
        ("runtime", view.runtime.to_string()),
        ("tier", view.tier.to_string()),
        ("parent", view.parent_id.map_or_else(String::new, |id| id.to_string())),
        (
            "tasks",
            format!("{} of {}", view.active_tasks, view.max_concurrent_tasks),
        ),
        ("uptime", format!("{} s", view.uptime_seconds)),
        ("error rate", format!("{:.0} %", view.last_error_rate * 100.0)),
        (
            "delivery",
            view.delivery_mode.map_or("", DeliveryMode::as_str).to_owned(),
        ),
        ("url", view.url.clone()),
    ]
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
                WorkspaceStatus::Provisioning | WorkspaceStatus::Offline => tokio::time::sleep(LOOK_EVERY).await,
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
        }
    }

    #[test]
    fn the_list_is_a_tree() {
        let root = item("Root", None);
        let (a, b) = (item("A", Some(root.workspace.id)), item("B", Some(root.workspace.id)));
        let deep = item("Deep", Some(a.workspace.id));
        let orphan = item("Orphan", Some(WorkspaceId::random()));
        let items = [deep, b, orphan, root, a];
        let order: Vec<_> = in_tree_order(&items)
            .into_iter()
            .map(|(depth, item)| (depth, item.workspace.name.as_str()))
            .collect();
        assert_eq!(order, [(0, "Orphan"), (0, "Root"), (1, "B"), (1, "A"), (2, "Deep")]);
    }

    #[test]
    fn a_broken_workspace_shows_its_error() {
        let mut failed = item("X", None);
        failed.current_task = "task".into();
        failed.last_sample_error = "no key".into();
        assert_eq!(what_it_does(&failed), "task");
        failed.workspace.status = WorkspaceStatus::Failed;
        assert_eq!(what_it_does(&failed), "no key");
    }

    #[test]
    fn show_prints_pairs() {
        let (mut out, captured) = Output::captured(false);
        let item = item("Lead", None);
        out.pairs(&pairs(&item.workspace)).unwrap();
        let expected = format!(
            "name        Lead\nid          {}\nstatus      online\nruntime     echo\ntier        3\n\
             tasks       1 of 2\nuptime      60 s\nerror rate  25 %\n",
            item.workspace.id
        );
        assert_eq!(captured.result(), expected);
    }
}
