//! `molecule ws rm`: says what will go before it goes.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal},
};

use anyhow::Result;
use molecule_client::{Client, DeleteAnswer};
use molecule_core::WorkspaceId;
use molecule_wire::workspaces::WorkspaceListItem;

use crate::{exit::CliError, output::Output, progress, resolve};

pub(super) async fn run(name: &str, purge: bool, yes: bool, client: &Client, out: &mut Output) -> Result<()> {
    let items = client.list_workspaces().await?;
    let item = resolve::exactly(&items, name)?;
    let below = below(&items, item.workspace.id);
    if !yes {
        confirm(item, &below, purge, out)?;
    }
    let id = item.workspace.id;
    // Of a subtree that grew meanwhile nobody was told: the server asks again then.
    let confirmed = yes || !below.is_empty();
    let answer = progress::run(out, "removing", |_| client.delete_workspace(id, confirmed, purge)).await?;
    match answer {
        DeleteAnswer::Deleted(deleted) if out.is_json() => Ok(out.json(&deleted)?),
        DeleteAnswer::Deleted(deleted) => {
            let below = match deleted.cascade_deleted {
                0 => String::new(),
                count => format!(", with {count} below it"),
            };
            Ok(out.line(format_args!("{}{below}", deleted.status))?)
        }
        DeleteAnswer::ConfirmationRequired(required) => {
            let names: Vec<&str> = required.children.iter().map(|child| child.name.as_str()).collect();
            Err(CliError::Usage(format!(
                "{name} has workspaces below it: {}; remove them all with --yes",
                names.join(", ")
            ))
            .into())
        }
    }
}

/// Everything below a workspace, parents first.
pub(super) fn below(items: &[WorkspaceListItem], id: WorkspaceId) -> Vec<&WorkspaceListItem> {
    let mut parents = BTreeSet::from([id]);
    let mut found: Vec<&WorkspaceListItem> = Vec::new();
    loop {
        let more: Vec<&WorkspaceListItem> = items
            .iter()
            .filter(|item| item.workspace.parent_id.is_some_and(|parent| parents.contains(&parent)))
            .filter(|item| !parents.contains(&item.workspace.id))
            .collect();
        if more.is_empty() {
            return found;
        }
        parents.extend(more.iter().map(|item| item.workspace.id));
        found.extend(more);
    }
}

/// What a removal takes away.
fn what_goes(item: &WorkspaceListItem, below: &[&WorkspaceListItem], purge: bool) -> String {
    let mut text = format!(
        "{} will be removed: its agent is stopped and its files are deleted",
        item.workspace.name
    );
    if item.workspace.active_tasks > 0 {
        text.push_str(&format!(" (it is at work: {} task(s))", item.workspace.active_tasks));
    }
    text.push_str(match purge {
        true => ", its activity, secrets and tokens too.",
        false => ". Its activity stays.",
    });
    if !below.is_empty() {
        let names: Vec<&str> = below.iter().map(|item| item.workspace.name.as_str()).collect();
        text.push_str(&format!("\nWith it goes everything below it: {}.", names.join(", ")));
    }
    text
}

/// Asks on a terminal. Elsewhere a single workspace goes as told; a subtree needs the flag.
fn confirm(item: &WorkspaceListItem, below: &[&WorkspaceListItem], purge: bool, out: &mut Output) -> Result<()> {
    let what = what_goes(item, below, purge);
    if !io::stdin().is_terminal() || out.is_json() {
        if below.is_empty() {
            return Ok(());
        }
        return Err(CliError::Usage(format!("{what}\nRemove them all with --yes.")).into());
    }
    ask(&what, out)
}

/// Asks the person at the terminal.
pub(super) fn ask(what: &str, out: &mut Output) -> Result<()> {
    out.note(format_args!("{what}\nType yes to go on:"))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        Ok(())
    } else {
        Err(CliError::Failed("nothing was removed".into()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::ws::tests::item;

    #[test]
    fn it_says_what_will_go() {
        let root = item("Root", None);
        let child = item("Child", Some(root.workspace.id));
        let deep = item("Deep", Some(child.workspace.id));
        let items = [deep, item("Other", None), root.clone(), child];
        let found = below(&items, root.workspace.id);
        let names: Vec<&str> = found.iter().map(|item| item.workspace.name.as_str()).collect();
        assert_eq!(names, ["Child", "Deep"]);
        let text = what_goes(&root, &found, false);
        assert!(text.contains("Child, Deep") && text.contains("files are deleted") && text.contains("activity stays"));
        assert!(what_goes(&root, &[], true).contains("secrets and tokens too"));
    }
}
