//! `molecule ws rm`: says what will go before it goes.

use std::collections::BTreeSet;

use anyhow::Result;
use molecule_client::{Client, ClientError, DeleteAnswer, StatusError};
use molecule_core::WorkspaceId;
use molecule_wire::workspaces::{DeletedWorkspace, StopFailures, WorkspaceListItem};

use crate::{commands::ask, exit::CliError, output::Output, progress, resolve};

pub(super) async fn run(name: &str, purge: bool, yes: bool, client: &Client, out: &mut Output) -> Result<()> {
    let items = client.list_workspaces().await?;
    let item = match (resolve::exactly(&items, name), name.parse()) {
        (Ok(item), _) => item,
        (Err(_), Ok(id)) => return again(id, purge, yes, client, out).await,
        (Err(error), Err(_)) => return Err(error.into()),
    };
    let below = below(&items, item.workspace.id);
    if !yes {
        confirm(item, &below, purge, out)?;
    }
    // Of a subtree that grew meanwhile nobody was told: the server asks again then.
    let confirmed = yes || !below.is_empty();
    let deleted = delete(item.workspace.id, confirmed, purge, client, out).await?;
    show(&deleted, out)?;
    if !purge && !out.is_json() {
        out.note(way_back(item, &below))?;
    }
    Ok(())
}

/// Of one that was removed before: stops what could not be stopped then, and purges what was kept (LIFE-109).
async fn again(id: WorkspaceId, purge: bool, yes: bool, client: &Client, out: &mut Output) -> Result<()> {
    let view = client.get_workspace(id, true).await?;
    if purge && !yes && ask::possible(out) {
        let what = format!(
            "{} was removed before. Its files and records will be deleted for good.",
            view.name
        );
        ask::before_removing(&what, out)?;
    }
    let deleted = delete(id, yes, purge, client, out).await?;
    show(&deleted, out)
}

async fn delete(
    id: WorkspaceId,
    confirmed: bool,
    purge: bool,
    client: &Client,
    out: &Output,
) -> Result<DeletedWorkspace> {
    let answer = progress::run(out, "removing", |_| client.delete_workspace(id, confirmed, purge)).await;
    match answer.map_err(|error| unstopped(id, purge, error))? {
        DeleteAnswer::Deleted(deleted) => Ok(deleted),
        DeleteAnswer::ConfirmationRequired(required) => {
            let names: Vec<&str> = required.children.iter().map(|child| child.name.as_str()).collect();
            Err(CliError::Usage(format!(
                "there are workspaces below it: {}; remove them all with --yes",
                names.join(", ")
            ))
            .into())
        }
    }
}

/// What is removed has no name any more: whoever has to repeat it needs the id (LIFE-108).
fn unstopped(id: WorkspaceId, purge: bool, error: ClientError) -> anyhow::Error {
    let failures = error.as_status().and_then(StatusError::body_as::<StopFailures>);
    match (failures, error.status()) {
        (Some(failures), Some(status)) => {
            let purge = if purge { " --purge" } else { "" };
            CliError::Refused {
                text: format!("{}: molecule ws rm {id}{purge} --yes", failures.error),
                status,
            }
            .into()
        }
        _ => error.into(),
    }
}

fn show(deleted: &DeletedWorkspace, out: &mut Output) -> Result<()> {
    if out.is_json() {
        return Ok(out.json(deleted)?);
    }
    let below = match deleted.cascade_deleted {
        0 => String::new(),
        count => format!(", with {count} below it"),
    };
    Ok(out.line(format_args!("{}{below}", deleted.status))?)
}

/// The list does not have what is removed, so that its ids are told here.
fn way_back(item: &WorkspaceListItem, below: &[&WorkspaceListItem]) -> String {
    let id = item.workspace.id;
    if below.is_empty() {
        return format!("`molecule ws restore {id}` brings it back.");
    }
    let each = std::iter::once(&item).chain(below);
    let each = each.map(|item| {
        format!(
            "\n  molecule ws restore {}  # {}",
            item.workspace.id, item.workspace.name
        )
    });
    format!("These bring them back, parents first:{}", each.collect::<String>())
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
    let name = &item.workspace.name;
    let at_work = match item.workspace.active_tasks {
        ..=0 => String::new(),
        tasks => format!(" (it is at work: {tasks} task(s))"),
    };
    let mut text = match purge {
        true => format!(
            "{name} will be removed{at_work}, and its files, activity, secrets and tokens are deleted for good."
        ),
        false => format!(
            "{name} will be removed{at_work}: its agent is stopped, its tokens are revoked. Its files, activity and \
             secrets stay, and `molecule ws restore` brings it back."
        ),
    };
    if !below.is_empty() {
        let names: Vec<&str> = below.iter().map(|item| item.workspace.name.as_str()).collect();
        text.push_str(&format!("\nWith it goes everything below it: {}.", names.join(", ")));
    }
    text
}

/// Asks on a terminal. Elsewhere a single workspace goes as told; a subtree needs the flag.
fn confirm(item: &WorkspaceListItem, below: &[&WorkspaceListItem], purge: bool, out: &mut Output) -> Result<()> {
    if below.is_empty() && !ask::possible(out) {
        return Ok(());
    }
    ask::before_removing(&what_goes(item, below, purge), out)
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
        assert!(
            text.contains("Child, Deep") && text.contains("files, activity and secrets stay"),
            "{text}"
        );
        let text = what_goes(&root, &[], true);
        assert!(
            text.contains("files, activity, secrets and tokens are deleted"),
            "{text}"
        );
        let text = way_back(&root, &found);
        let places: Vec<_> = [&root, found[0], found[1]]
            .map(|item| text.find(&format!("ws restore {}", item.workspace.id)).unwrap())
            .into();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn a_stop_that_failed_is_repeated_by_id() {
        // LIFE-108: by its name nobody finds it any more.
        let body = r#"{"error": "could not be stopped; repeat", "removed_count": 1, "stop_failures": 1}"#;
        let refused = |body: &str| {
            let error = StatusError {
                status: 500,
                upstream_status: None,
                message: "could not be stopped; repeat".into(),
                detail: None,
                code: None,
                retry_after: None,
                body: body.into(),
            };
            let id = WorkspaceId::random();
            (id, unstopped(id, true, error.into()))
        };
        let (id, error) = refused(body);
        let repeated = format!("repeat: molecule ws rm {id} --purge --yes");
        assert!(error.to_string().contains(&repeated), "{error}");
        assert_eq!(crate::exit::code_of(&error), crate::exit::FAILED);
        let (id, error) = refused("{}");
        assert!(!error.to_string().contains(&id.to_string()), "{error}");
    }
}
