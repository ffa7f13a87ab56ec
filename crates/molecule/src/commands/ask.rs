//! Questions to the person at the terminal.

use std::{
    fmt::Display,
    io::{self, IsTerminal},
};

use anyhow::Result;

use crate::{exit::CliError, output::Output};

/// Somebody is there to be asked.
pub(super) fn possible(out: &Output) -> bool {
    io::stdin().is_terminal() && !out.is_json()
}

/// Asks. The answer is in small letters, without the space around it.
pub(super) fn answer(question: impl Display, out: &mut Output) -> Result<String> {
    out.note(question)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_lowercase())
}

/// Asks before something is removed.
///
/// # Errors
/// The person does not want it, or there is nobody to ask.
pub(super) fn before_removing(what: &str, out: &mut Output) -> Result<()> {
    if !possible(out) {
        return Err(CliError::Usage(format!("{what}\nRemove them all with --yes.")).into());
    }
    match answer(format_args!("{what}\nType yes to go on:"), out)?.as_str() {
        "yes" => Ok(()),
        _ => Err(CliError::Failed("nothing was removed".into()).into()),
    }
}
