//! `molecule ws logs`: the end of an agent's output, and with `-f` what is added to it.

use std::time::Duration;

use anyhow::Result;
use molecule_client::Client;
use molecule_core::WorkspaceId;
use molecule_wire::workspaces::WorkspaceLogs;

use crate::{output::Output, resolve};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes read each time while following: more than an agent writes between two looks.
const FOLLOW_BYTES: u64 = 256 << 10;
/// Bytes of the printed end by which it is found again in the next answer.
const ANCHOR_BYTES: usize = 4 << 10;

/// Most that the server gives of a log.
const MOST_BYTES: u64 = 1 << 20;
/// What is asked for first for each line: more than most have.
const LINE_BYTES: u64 = 256;

pub(super) async fn run(name: &str, lines: usize, follow: bool, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, name).await?;
    let log = read(id, lines, client).await?;
    let end = last_lines(&log.output, lines);
    let truncated = log.truncated || end.len() < log.output.len();
    if out.is_json() && !follow {
        let output = end.to_owned();
        return Ok(out.json(&WorkspaceLogs { output, truncated })?);
    }
    if truncated {
        out.note("Earlier output exists; -n gives more of it.")?;
    }
    out.text(end)?;
    if !follow {
        return if end.is_empty() || end.ends_with('\n') {
            Ok(())
        } else {
            Ok(out.text("\n")?)
        };
    }
    // Whole, though not all of it was printed: by a line or two its end is not found again.
    let mut printed = log.output;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = client.workspace_logs(id, Some(FOLLOW_BYTES)).await?.output;
        let added = match added(&printed, &now) {
            Some(added) => added,
            None => {
                out.note("(the output began anew, or some of it was missed)")?;
                &now
            }
        };
        out.text(added)?;
        if !now.is_empty() {
            printed = now;
        }
    }
}

/// The end of the log: so many lines at least, if there are and the server gives them.
async fn read(id: WorkspaceId, lines: usize, client: &Client) -> Result<WorkspaceLogs> {
    let wanted = LINE_BYTES
        .saturating_mul(lines as u64)
        .clamp(FOLLOW_BYTES / 4, MOST_BYTES);
    let mut log = client.workspace_logs(id, Some(wanted)).await?;
    if log.truncated && log.output.lines().count() <= lines && wanted < MOST_BYTES {
        log = client.workspace_logs(id, Some(MOST_BYTES)).await?;
    }
    Ok(log)
}

/// The last lines of a text; what follows the last line break is a line.
fn last_lines(text: &str, lines: usize) -> &str {
    if lines == 0 {
        return "";
    }
    let body = text.strip_suffix('\n').unwrap_or(text);
    let begin = body.rmatch_indices('\n').nth(lines - 1).map_or(0, |(at, _)| at + 1);
    &text[begin..]
}

/// What `now` holds beyond the end of `before`; `None` if that end is not in it.
fn added<'a>(before: &str, now: &'a str) -> Option<&'a str> {
    if before.is_empty() {
        return Some(now);
    }
    let mut start = before.len().saturating_sub(ANCHOR_BYTES);
    while !before.is_char_boundary(start) {
        start += 1;
    }
    let anchor = &before[start..];
    // The last occurrence: output repeats itself, and printing twice is worse than skipping a repetition.
    now.rfind(anchor).map(|at| &now[at + anchor.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_the_end() {
        for (lines, end) in [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")] {
            assert_eq!(last_lines("a\nb\nc\n", lines), end);
        }
        assert_eq!(last_lines("a\nb", 1), "b");
        assert_eq!(last_lines("", 1), "");
    }

    #[test]
    fn only_what_is_new() {
        assert_eq!(added("a\nb\n", "a\nb\nc\n"), Some("c\n"));
        assert_eq!(added("a\nb\n", "a\nb\n"), Some(""));
        assert_eq!(added("", "first\n"), Some("first\n"));
        assert_eq!(added("gone\n", "new\n"), None);
        let long = "é".repeat(ANCHOR_BYTES);
        assert_eq!(added(&long, &format!("{}x", &long[ANCHOR_BYTES..])), Some("x"));
    }
}
