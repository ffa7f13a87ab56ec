//! Names of workspaces to ids.

use molecule_client::Client;
use molecule_core::WorkspaceId;
use molecule_wire::workspaces::WorkspaceListItem;

use crate::exit::CliError;

/// The workspace meant by `text`: an id, or a name that only one workspace has.
///
/// # Errors
/// No workspace has the name, or several have it; or the server cannot be asked.
pub async fn workspace(client: &Client, text: &str) -> anyhow::Result<WorkspaceId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    Ok(pick(&client.list_workspaces().await?, text)?)
}

/// The workspace meant by `text` where a slip would cost something: an id, or a name written exactly so.
///
/// # Errors
/// As [`workspace`].
pub fn exactly<'a>(items: &'a [WorkspaceListItem], text: &str) -> Result<&'a WorkspaceListItem, CliError> {
    let by_id = text.parse::<WorkspaceId>().ok();
    let found = match by_id {
        Some(id) => items.iter().find(|item| item.workspace.id == id),
        None => {
            let id = pick(items, text)?;
            items.iter().find(|item| item.workspace.id == id)
        }
    };
    match found {
        Some(item) if by_id.is_some() || item.workspace.name == text => Ok(item),
        Some(item) => Err(CliError::NotFound(format!(
            "no workspace is named {text:?}; did you mean {:?}?",
            item.workspace.name
        ))),
        None => Err(CliError::NotFound(format!("there is no workspace {text}"))),
    }
}

/// The one workspace of the list with this name: written exactly so, else with other capitals.
fn pick(items: &[WorkspaceListItem], text: &str) -> Result<WorkspaceId, CliError> {
    let exact: Vec<_> = items.iter().filter(|item| item.workspace.name == text).collect();
    let lower = text.to_lowercase();
    let found = if exact.is_empty() {
        items
            .iter()
            .filter(|item| item.workspace.name.to_lowercase() == lower)
            .collect()
    } else {
        exact
    };
    match found.as_slice() {
        [only] => Ok(only.workspace.id),
        [] => Err(CliError::NotFound(match similar(items, &lower) {
            Some(name) => format!("no workspace is named {text:?}; did you mean {name:?}?"),
            None => format!("no workspace is named {text:?}; `molecule ws ls` lists them"),
        })),
        several => {
            let ids: Vec<String> = several
                .iter()
                .map(|item| format!("  {}  {}", item.workspace.id, place(items, item)))
                .collect();
            Err(CliError::Usage(format!(
                "{} workspaces are named {text:?}; use an id:\n{}",
                several.len(),
                ids.join("\n")
            )))
        }
    }
}

/// What tells namesakes apart.
fn place(items: &[WorkspaceListItem], item: &WorkspaceListItem) -> String {
    let parent = items
        .iter()
        .find(|other| Some(other.workspace.id) == item.workspace.parent_id);
    match parent {
        Some(parent) => format!("{}, below {:?}", item.workspace.status, parent.workspace.name),
        None => format!("{}, at the top", item.workspace.status),
    }
}

fn similar<'a>(items: &'a [WorkspaceListItem], lower: &str) -> Option<&'a str> {
    items
        .iter()
        .map(|item| {
            (
                strsim::jaro_winkler(lower, &item.workspace.name.to_lowercase()),
                item.workspace.name.as_str(),
            )
        })
        .filter(|(score, _)| *score > 0.85)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::ws::tests::item;

    #[test]
    fn one_name_one_workspace() {
        let items = [item("Lead", None), item("lead", None), item("Backend Engineer", None)];
        assert_eq!(pick(&items, "Lead").unwrap(), items[0].workspace.id);
        assert_eq!(pick(&items, "lead").unwrap(), items[1].workspace.id);
        assert_eq!(pick(&items, "backend engineer").unwrap(), items[2].workspace.id);
    }

    #[test]
    fn what_costs_something_is_named_exactly() {
        let items = [item("Lead", None)];
        assert_eq!(exactly(&items, "Lead").unwrap().workspace.id, items[0].workspace.id);
        assert!(exactly(&items, &items[0].workspace.id.to_string()).is_ok());
        let error = exactly(&items, "lead").unwrap_err();
        assert!(
            matches!(error, CliError::NotFound(_)) && error.to_string().contains("\"Lead\""),
            "{error}"
        );
        assert!(exactly(&items, &WorkspaceId::random().to_string()).is_err());
    }

    #[test]
    fn ambiguity_lists_the_ids() {
        let top = item("Lead", None);
        let below = item("Lead", Some(top.workspace.id));
        let items = [top, below];
        let error = pick(&items, "Lead").unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CliError::Usage(_)));
        assert!(
            items.iter().all(|item| text.contains(&item.workspace.id.to_string())),
            "{text}"
        );
        assert!(text.contains("at the top") && text.contains("below \"Lead\""), "{text}");
        // Other capitals of an ambiguous name are ambiguous too.
        assert!(matches!(pick(&items, "LEAD"), Err(CliError::Usage(_))));
    }

    #[test]
    fn an_unknown_name_suggests() {
        let items = [item("Backend Engineer", None)];
        let error = pick(&items, "Backend Enginer").unwrap_err();
        assert!(
            error.to_string().contains("did you mean \"Backend Engineer\"?"),
            "{error}"
        );
        assert!(matches!(pick(&[], "x"), Err(CliError::NotFound(_))));
    }
}
