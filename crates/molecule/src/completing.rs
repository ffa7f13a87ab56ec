//! Completion in the shell: commands and flags from their definitions, names from the running server.
//!
//! The script that `molecule completions` prints calls this program again, with a variable set, for every completion.

use std::{ffi::OsStr, time::Duration};

use clap::Command;
use clap_complete::{ArgValueCompleter, CompleteEnv, CompletionCandidate, Shell, env::Shells};
use molecule_client::{Client, ClientError};

use crate::{cli::Global, connect};

/// Set by the completion script.
const VARIABLE: &str = "MOLECULE_COMPLETE";
/// Nobody waits longer for a key press to show something.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers the completion script and ends, if it is the one who asks.
pub fn answer(program: fn() -> Command) {
    CompleteEnv::with_factory(program).var(VARIABLE).complete();
}

/// The script that makes a shell ask. It calls the program by its name, so that it lasts as long as that is on the path.
///
/// # Errors
/// The shell is none of those that can ask.
pub fn script(shell: Shell) -> std::io::Result<String> {
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(&shell.to_string()) else {
        return Err(std::io::Error::other(format!("no completion for {shell}")));
    };
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "molecule", "molecule", "molecule", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Names of workspaces.
#[must_use]
pub fn workspaces() -> ArgValueCompleter {
    from_server(async |client| {
        let items = client.list_workspaces().await?;
        let named = |item: molecule_wire::workspaces::WorkspaceListItem| {
            let about = format!("{}, {}", item.workspace.status, item.workspace.runtime);
            (item.workspace.name, about)
        };
        Ok(items.into_iter().map(named).collect())
    })
}

/// Workspace templates.
#[must_use]
pub fn templates() -> ArgValueCompleter {
    from_server(async |client| {
        let templates = client.list_templates().await?;
        let text = |row: &serde_json::Value, name: &str| {
            row.get(name)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(templates
            .iter()
            .map(|row| (text(row, "id"), text(row, "description")))
            .collect())
    })
}

/// Org templates.
#[must_use]
pub fn org_templates() -> ArgValueCompleter {
    from_server(async |client| {
        let templates = client.list_org_templates().await?;
        Ok(templates
            .into_iter()
            .map(|template| (template.dir, template.description))
            .collect())
    })
}

/// Runtimes of the server.
#[must_use]
pub fn runtimes() -> ArgValueCompleter {
    from_server(async |client| {
        let server = client.server_info().await?;
        Ok(server
            .runtimes
            .into_iter()
            .map(|runtime| (runtime.as_str().to_owned(), String::new()))
            .collect())
    })
}

/// Names that are known beforehand, and what is said of each.
#[must_use]
pub fn among<const N: usize>(named: [(&'static str, &'static str); N]) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let named = named.map(|(name, about)| (name.to_owned(), about.to_owned()));
        matching(current, named.into())
    })
}

/// Candidates and what is said of them. Whatever goes wrong means that there are none: a key press is no place for errors.
fn from_server<A>(ask: A) -> ArgValueCompleter
where
    A: AsyncFn(Client) -> Result<Vec<(String, String)>, ClientError> + Send + Sync + 'static,
{
    ArgValueCompleter::new(move |current: &OsStr| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (Ok(runtime), Ok(client)) = (runtime, connect::client(&typed(std::env::args()))) else {
            return Vec::new();
        };
        let found = runtime.block_on(ask(client.with_timeout(PATIENCE)));
        matching(current, found.unwrap_or_default())
    })
}

fn matching(current: &OsStr, candidates: Vec<(String, String)>) -> Vec<CompletionCandidate> {
    // Only bash says how it was asked; it takes what it is given as typed, where others quote it themselves.
    let quote = std::env::var_os("_CLAP_COMPLETE_COMP_TYPE").is_some();
    // What was typed may hold the same escapes.
    let current = current.to_string_lossy().replace('\\', "").to_lowercase();
    candidates
        .into_iter()
        .filter(|(name, _)| !name.is_empty() && name.to_lowercase().starts_with(&current))
        .map(|(name, about)| {
            let about = (!about.is_empty()).then(|| about.into());
            CompletionCandidate::new(if quote { escaped(&name) } else { name }).help(about)
        })
        .collect()
}

/// With a backslash before whatever a shell would read as more than text.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        if !letter.is_alphanumeric() && !matches!(letter, '-' | '_' | '.' | '/' | ':') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// Which server the line that is being typed means.
fn typed(arguments: impl IntoIterator<Item = String>) -> Global {
    let mut global = Global::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        match name.as_str() {
            "--url" => global.url = value.or_else(|| arguments.next()),
            "--data-dir" => global.data_dir = value.or_else(|| arguments.next()).map(Into::into),
            _ => {}
        }
    }
    global
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_typed_server_is_asked() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let global = typed(words("molecule -- molecule --url http://x:1 ws show"));
        assert_eq!(global.url.as_deref(), Some("http://x:1"));
        let global = typed(words("molecule -- molecule ws show --data-dir=/d"));
        assert_eq!(global.data_dir, Some("/d".into()));
    }

    #[test]
    fn capitals_need_not_be_typed() {
        let named = |current: &str| {
            let found = matching(
                OsStr::new(current),
                vec![("Lead".into(), "online".into()), ("Writer".into(), String::new())],
            );
            found
                .iter()
                .map(|candidate| candidate.get_value().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(named("le"), ["Lead"]);
        assert_eq!(named(""), ["Lead", "Writer"]);
    }

    #[test]
    fn names_are_typed_as_a_shell_reads_them() {
        assert_eq!(escaped("Backend Engineer (2)"), r"Backend\ Engineer\ \(2\)");
        assert_eq!(escaped("software-team"), "software-team");
    }

    #[test]
    fn every_shell_gets_a_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = script(shell).unwrap();
            assert!(script.contains(VARIABLE), "{shell}: {script}");
        }
    }
}
