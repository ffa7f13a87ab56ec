//! `molecule ws logs`: the end of an agent's output, and with `-f` what is added to it.

use std::time::Duration;

use anyhow::Result;
use molecule_client::Client;

use crate::{output::Output, resolve};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes read each time while following: more than an agent writes between two looks.
const FOLLOW_BYTES: u64 = 256 << 10;
/// Bytes of the printed end by which it is found again in the next answer.
const ANCHOR_BYTES: usize = 4 << 10;

pub(super) async fn run(name: &str, bytes: Option<u64>, follow: bool, client: &Client, out: &mut Output) -> Result<()> {
    let id = resolve::workspace(client, name).await?;
    let first = client.workspace_logs(id, bytes).await?;
    if out.is_json() && !follow {
        return Ok(out.json(&first)?);
    }
    if first.truncated && bytes.is_none() {
        out.note("Earlier output exists; -n gives more of it.")?;
    }
    out.text(&first.output)?;
    if !follow {
        return if first.output.is_empty() || first.output.ends_with('\n') {
            Ok(())
        } else {
            Ok(out.text("\n")?)
        };
    }
    let mut printed = first.output;
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
    fn only_what_is_new() {
        assert_eq!(added("a\nb\n", "a\nb\nc\n"), Some("c\n"));
        assert_eq!(added("a\nb\n", "a\nb\n"), Some(""));
        assert_eq!(added("", "first\n"), Some("first\n"));
        assert_eq!(added("gone\n", "new\n"), None);
        let long = "é".repeat(ANCHOR_BYTES);
        assert_eq!(added(&long, &format!("{}x", &long[ANCHOR_BYTES..])), Some("x"));
    }
}
