//! Names of workspaces, and beginnings of ids, to ids.

use molecule_client::Client;
use molecule_core::WorkspaceId;
use molecule_wire::workspaces::WorkspaceListItem;

use crate::exit::CliError;

/// The beginning of an id has at least this many characters; with fewer it is more likely a slip.
const PREFIX_CHARS: usize = 4;
/// Characters of an id that are shown at least.
const SHORT_CHARS: usize = 8;

/// The workspace meant by `text`: an id, a name that only one workspace has, or the beginning of one id.
///
/// # Errors
/// No workspace is meant, or several are; or the server cannot be asked.
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
        Some(item) if begins(item.workspace.id, text) => Err(CliError::NotFound(format!(
            "{text} is only the beginning of an id; {:?} has the id {}",
            item.workspace.name, item.workspace.id
        ))),
        Some(item) => Err(CliError::NotFound(format!(
            "no workspace is named {text:?}; did you mean {:?}?",
            item.workspace.name
        ))),
        None => Err(CliError::NotFound(format!("there is no workspace {text}"))),
    }
}

/// How many characters of an id tell all of these apart, as they are shown to people.
#[must_use]
pub fn telling_length(items: &[WorkspaceListItem]) -> usize {
    let mut ids: Vec<String> = items.iter().map(|item| item.workspace.id.to_string()).collect();
    ids.sort_unstable();
    let common = |(a, b): (&String, &String)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let longest = ids.iter().zip(ids.iter().skip(1)).map(common).max();
    longest.map_or(SHORT_CHARS, |common| SHORT_CHARS.max(common + 1))
}

/// A name as it is typed in a shell.
#[must_use]
pub fn as_typed(name: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// May `text` stand for the beginning of this id?
fn begins(id: WorkspaceId, text: &str) -> bool {
    text.len() >= PREFIX_CHARS && id.to_string().starts_with(&text.to_ascii_lowercase())
}

/// The one workspace of the list that is meant: by its name written exactly so, else with other capitals, else by the
/// beginning of its id.
fn pick(items: &[WorkspaceListItem], text: &str) -> Result<WorkspaceId, CliError> {
    let exact: Vec<_> = items.iter().filter(|item| item.workspace.name == text).collect();
    let lower = text.to_lowercase();
    let matching = |is: &dyn Fn(&WorkspaceListItem) -> bool| items.iter().filter(|item| is(item)).collect::<Vec<_>>();
    let mut found = exact;
    if found.is_empty() {
        found = matching(&|item| item.workspace.name.to_lowercase() == lower);
    }
    let mut how = "are named";
    if found.is_empty() {
        found = matching(&|item| begins(item.workspace.id, text));
        how = "have an id that begins with";
    }
    match found.as_slice() {
        [only] => Ok(only.workspace.id),
        [] => Err(CliError::NotFound(match similar(items, &lower) {
            Some(name) => format!("no workspace is named {text:?}; did you mean {name:?}?"),
            None => format!("no workspace is named {text:?}; `molecule ws ls` lists them"),
        })),
        several => {
            let candidate = |item: &&WorkspaceListItem| {
                format!(
                    "  {}  {}, {}",
                    item.workspace.id,
                    item.workspace.name,
                    place(items, item)
                )
            };
            let candidates: Vec<String> = several.iter().map(candidate).collect();
            Err(CliError::Usage(format!(
                "{} workspaces {how} {text:?}; use an id:\n{}",
                several.len(),
                candidates.join("\n")
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
    fn names_are_typed_as_a_shell_reads_them() {
        assert_eq!(as_typed("Lead"), "Lead");
        assert_eq!(as_typed("Backend Engineer"), "'Backend Engineer'");
        assert_eq!(as_typed("Bob's"), r"'Bob'\''s'");
        assert_eq!(as_typed("-x"), "'-x'");
    }

    #[test]
    fn the_beginning_of_an_id_will_do() {
        let with_id = |name: &str, id: &str| {
            let mut item = item(name, None);
            item.workspace.id = id.parse().unwrap();
            item
        };
        let items = [
            with_id("A", "6fa459ea-ee8a-4ca4-894e-db77e160355e"),
            with_id("B", "6fa459eb-ee8a-4ca4-894e-db77e160355e"),
            // A name comes before the beginning of somebody else's id.
            with_id("6fa459ea", "16fd2706-8baf-433b-82eb-8c7fada847da"),
        ];
        let id = |at: usize| items[at].workspace.id;
        assert_eq!(pick(&items, "6FA459EB").unwrap(), id(1));
        assert_eq!(pick(&items, "6fa459ea-").unwrap(), id(0));
        assert_eq!(pick(&items, "6fa459ea").unwrap(), id(2));
        let error = pick(&items, "6fa4").unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, CliError::Usage(_)) && text.contains("begins with"),
            "{text}"
        );
        assert!(text.contains(&id(0).to_string()) && text.contains(&id(1).to_string()) && !text.contains("16fd"));
        assert!(matches!(pick(&items, "16f"), Err(CliError::NotFound(_))), "too short");
        let error = exactly(&items, "16fd2706").unwrap_err();
        assert!(error.to_string().contains(&id(2).to_string()), "{error}");
        assert_eq!(telling_length(&items), 8);
        assert_eq!(telling_length(&[]), 8);
        let near = [items[0].clone(), with_id("C", "6fa459ea-ee8a-4ca4-894e-db77e160355f")];
        assert_eq!(telling_length(&near), 36);
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
