//! Agents that a change of secrets restarts, and what they are at.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use molecule_client::Client;
use molecule_core::{Runtime, WorkspaceId, WorkspaceStatus};
use molecule_wire::workspaces::WorkspaceListItem;

use super::ask;
use crate::{exit::CliError, output::Output, progress};

/// Scope of a workspace's own secret, as it is listed.
const OWN: &str = "workspace";
/// How often it is looked whether agents are still at work.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Says which agents will restart and which of them are at work. With `wait` it returns once none is; on a terminal it
/// asks what to do about those that are, unless `now` answers that already.
///
/// # Errors
/// The person wants nothing changed. Whoever may not list workspaces is told nothing, and hindered in nothing.
pub(super) async fn settle(
    owner: Option<WorkspaceId>,
    key: &str,
    wait: bool,
    now: bool,
    client: &Client,
    out: &mut Output,
) -> Result<()> {
    let Ok(items) = client.list_workspaces().await else {
        return Ok(());
    };
    let mut affected = affected(&items, owner);
    if owner.is_none() {
        affected = without_own(affected, key, client).await;
    }
    if affected.is_empty() {
        return Ok(());
    }
    let busy = busy(&affected);
    if !out.is_json() {
        out.note(describe(&affected, &busy))?;
    }
    if busy.is_empty() || now {
        return Ok(());
    }
    if wait || (ask::possible(out) && wants_to_wait(out)?) {
        let ids: BTreeSet<WorkspaceId> = affected.iter().map(|item| item.workspace.id).collect();
        return until_idle(&ids, client, out).await;
    }
    Ok(())
}

/// A workspace's own secret hides the global one of that name, whose change does not reach it.
async fn without_own<'a>(
    affected: Vec<&'a WorkspaceListItem>,
    key: &str,
    client: &Client,
) -> Vec<&'a WorkspaceListItem> {
    let mut reached = Vec::with_capacity(affected.len());
    for item in affected {
        let secrets = client.list_secrets(item.workspace.id).await.unwrap_or_default();
        let own = secrets.iter().any(|secret| secret.key == key && secret.scope == OWN);
        if !own {
            reached.push(item);
        }
    }
    reached
}

/// Those that run here: a secret reaches an agent by its environment, so that it starts anew.
fn affected(items: &[WorkspaceListItem], owner: Option<WorkspaceId>) -> Vec<&WorkspaceListItem> {
    let runs = |item: &&WorkspaceListItem| {
        item.workspace.runtime != Runtime::External
            && matches!(
                item.workspace.status,
                WorkspaceStatus::Online | WorkspaceStatus::Degraded | WorkspaceStatus::Provisioning
            )
    };
    items
        .iter()
        .filter(|item| owner.is_none_or(|owner| item.workspace.id == owner))
        .filter(runs)
        .collect()
}

fn busy(affected: &[&WorkspaceListItem]) -> Vec<String> {
    let at_work = affected.iter().filter(|item| item.workspace.active_tasks > 0);
    at_work.map(|item| item.workspace.name.clone()).collect()
}

fn describe(affected: &[&WorkspaceListItem], busy: &[String]) -> String {
    let names: Vec<&str> = affected.iter().map(|item| item.workspace.name.as_str()).collect();
    let at_work = match busy {
        [] => String::new(),
        busy => format!("; at work: {}", busy.join(", ")),
    };
    format!("This restarts {}{at_work}", names.join(", "))
}

fn wants_to_wait(out: &mut Output) -> Result<bool> {
    let question = "A restart ends what they are at. Wait until they are done? [wait/now/no]";
    match ask::answer(question, out)?.as_str() {
        "wait" | "w" | "y" | "yes" | "" => Ok(true),
        "now" => Ok(false),
        _ => Err(CliError::Failed("nothing was changed".into()).into()),
    }
}

async fn until_idle(ids: &BTreeSet<WorkspaceId>, client: &Client, out: &Output) -> Result<()> {
    progress::run(out, "waiting", async |bar| {
        loop {
            let items = client.list_workspaces().await?;
            let waited_for = affected(&items, None).into_iter();
            let busy = busy(
                &waited_for
                    .filter(|item| ids.contains(&item.workspace.id))
                    .collect::<Vec<_>>(),
            );
            if busy.is_empty() {
                return Ok(());
            }
            bar.set_message(format!("waiting for {}", busy.join(", ")));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::ws::tests::item;

    #[test]
    fn only_agents_that_run_here_restart() {
        let mut idle = item("Idle", None);
        idle.workspace.active_tasks = 0;
        let mut external = item("Elsewhere", None);
        external.workspace.runtime = Runtime::External.into();
        let mut failed = item("Failed", None);
        failed.workspace.status = WorkspaceStatus::Failed;
        let items = [item("Busy", None), idle, external, failed];
        let found = affected(&items, None);
        assert_eq!(
            describe(&found, &busy(&found)),
            "This restarts Busy, Idle; at work: Busy"
        );
        let own = affected(&items, Some(items[1].workspace.id));
        assert_eq!(describe(&own, &busy(&own)), "This restarts Idle");
        assert!(affected(&items, Some(items[2].workspace.id)).is_empty());
    }
}
