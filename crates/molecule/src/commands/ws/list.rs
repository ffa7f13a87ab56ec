//! `molecule ws ls`: the tree.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use molecule_client::Client;
use molecule_core::WorkspaceId;
use molecule_wire::workspaces::WorkspaceListItem;

use super::{status_cell, why_broken};
use crate::{
    output::{Cell, Column, Output, time},
    resolve,
};

/// Characters of a reason beyond which a table on a terminal has no room for it.
const REASON_CHARS: usize = 40;

const COLUMNS: [Column; 9] = [
    Column::text("NAME"),
    Column::whole("STATUS"),
    Column::whole("RUNTIME"),
    Column::text("DOING"),
    Column::whole("TIER").wide(),
    Column::whole("TASKS").wide(),
    Column::whole("UPTIME").wide(),
    Column::whole("RESTARTS").wide(),
    Column::whole("ID"),
];

pub(super) async fn run(client: &Client, out: &mut Output) -> Result<()> {
    let items = client.list_workspaces().await?;
    if out.is_json() {
        return Ok(out.json(&items)?);
    }
    if out.is_names() {
        return in_tree_order(&items)
            .into_iter()
            .try_for_each(|(_, item)| Ok(out.line(telling_name(&items, item))?));
    }
    if items.is_empty() {
        return Ok(out.note("There are no workspaces yet; `molecule ws create` or `molecule org import` makes some.")?);
    }
    let length = resolve::telling_length(&items);
    let rows: Vec<_> = in_tree_order(&items)
        .into_iter()
        .map(|(depth, item)| row(depth, item, length))
        .collect();
    out.table(&COLUMNS, &rows)?;
    if !out.cuts() {
        return Ok(());
    }
    for item in &items {
        if let Some(reason) = why_broken(item).filter(|reason| reason.chars().count() > REASON_CHARS) {
            out.note(format_args!(
                "{} is {}: {reason}",
                item.workspace.name, item.workspace.status
            ))?;
        }
    }
    Ok(())
}

fn row(depth: usize, item: &WorkspaceListItem, length: usize) -> [Cell; 9] {
    let workspace = &item.workspace;
    [
        format!("{}{}", "  ".repeat(depth), workspace.name).into(),
        status_cell(workspace.status),
        workspace.runtime.to_string().into(),
        what_it_does(item).into(),
        workspace.tier.to_string().into(),
        format!("{} of {}", workspace.active_tasks, workspace.max_concurrent_tasks).into(),
        time::span(workspace.uptime_seconds.unsigned_abs()).into(),
        item.restarts.to_string().into(),
        Cell::id(&workspace.id, length),
    ]
}

/// A workspace's name, or its id where others have that name too.
fn telling_name(items: &[WorkspaceListItem], item: &WorkspaceListItem) -> String {
    let name = &item.workspace.name;
    let namesakes = items.iter().filter(|other| other.workspace.name == *name);
    if namesakes.count() > 1 {
        item.workspace.id.to_string()
    } else {
        name.clone()
    }
}

fn what_it_does(item: &WorkspaceListItem) -> String {
    why_broken(item).unwrap_or_else(|| item.current_task.clone())
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

#[cfg(test)]
mod tests {
    use molecule_core::WorkspaceStatus;

    use super::*;
    use crate::commands::ws::tests::item;

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
    fn namesakes_are_told_apart() {
        let items = [item("Twin", None), item("Twin", None), item("Lead", None)];
        assert_eq!(telling_name(&items, &items[0]), items[0].workspace.id.to_string());
        assert_eq!(telling_name(&items, &items[2]), "Lead");
    }
}
