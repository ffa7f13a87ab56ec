//! `molecule events`: what was recorded, and with `-f` what happens.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use clap::Args;
use molecule_client::{Client, ClientError};
use molecule_core::{WorkspaceId, text::preview};
use molecule_wire::events::EventEnvelope;
use serde_json::Value;

use crate::{output::Output, resolve};

/// First pause before connecting again; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Characters of a payload that a line shows.
const PAYLOAD_CHARS: usize = 160;

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on with events as they happen, reconnecting when the connection breaks
    #[arg(short, long)]
    follow: bool,
    /// Only events of this workspace (id or name)
    #[arg(short, long, value_name = "WORKSPACE")]
    workspace: Option<String>,
    /// Only events of this kind, such as WORKSPACE_ONLINE
    #[arg(short = 't', long = "type", value_name = "EVENT")]
    kind: Option<String>,
    /// How many of the recorded events to begin with, at most 100
    #[arg(short = 'n', long, default_value_t = 20)]
    last: usize,
}

/// One event, wherever it came from.
struct Line<'a> {
    at: String,
    kind: &'a str,
    workspace: String,
    payload: &'a Value,
}

pub(super) async fn run(args: EventsArgs, client: &Client, out: &mut Output) -> Result<()> {
    let only = match &args.workspace {
        Some(name) => Some(resolve::workspace(client, name).await?),
        None => None,
    };
    let names = names(client).await;
    let mut recorded = client.list_events(only).await?;
    recorded.retain(|row| {
        args.kind
            .as_ref()
            .is_none_or(|kind| row.event_type.eq_ignore_ascii_case(kind))
    });
    recorded.truncate(args.last);
    // The server answers newest first; people read the other way.
    recorded.reverse();
    if out.is_json() && !args.follow {
        return Ok(out.json(&recorded)?);
    }
    for row in &recorded {
        let workspace = row.workspace_id.map_or_else(String::new, |id| id.to_string());
        let line = Line {
            at: row.created_at.to_string(),
            kind: &row.event_type,
            workspace,
            payload: &row.payload,
        };
        if out.is_json() {
            out.json_line(row)?;
        } else {
            print(&line, &names, out)?;
        }
    }
    if args.follow {
        follow(&args, only, &names, client, out).await
    } else {
        Ok(())
    }
}

async fn follow(
    args: &EventsArgs,
    only: Option<WorkspaceId>,
    names: &BTreeMap<String, String>,
    client: &Client,
    out: &mut Output,
) -> Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        match client.events().await {
            Ok(mut events) => loop {
                match events.next().await {
                    Ok(Some(event)) => {
                        pause = FIRST_PAUSE;
                        if wanted(&event, args, only) {
                            show(&event, names, out)?;
                        }
                    }
                    // One frame that nobody understands does not end the stream.
                    Err(error @ ClientError::Decode { .. }) => out.note(format_args!("warning: {error}"))?,
                    Ok(None) => break,
                    Err(error) => {
                        out.note(format_args!("warning: {error}"))?;
                        break;
                    }
                }
            },
            Err(error) if error.is_unreachable() => out.note(format_args!("warning: {error}"))?,
            // A refusal stays one however often it is asked for.
            Err(error) => return Err(error.into()),
        }
        out.note(format_args!(
            "connecting again in {} s; events meanwhile are missed",
            pause.as_secs()
        ))?;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

fn wanted(event: &EventEnvelope, args: &EventsArgs, only: Option<WorkspaceId>) -> bool {
    let of_kind = args
        .kind
        .as_ref()
        .is_none_or(|kind| event.event.eq_ignore_ascii_case(kind));
    // Heartbeats are news only to those who ask for them.
    let asked = args.kind.is_some() || event.event != "WORKSPACE_HEARTBEAT";
    of_kind && asked && only.is_none_or(|id| event.workspace_id == id.to_string())
}

fn show(event: &EventEnvelope, names: &BTreeMap<String, String>, out: &mut Output) -> Result<()> {
    if out.is_json() {
        return Ok(out.json_line(event)?);
    }
    let workspace = event.workspace_id.clone();
    print(
        &Line {
            at: event.timestamp.to_string(),
            kind: &event.event,
            workspace,
            payload: &event.payload,
        },
        names,
        out,
    )
}

fn print(line: &Line<'_>, names: &BTreeMap<String, String>, out: &mut Output) -> Result<()> {
    let who = names
        .get(&line.workspace)
        .map(String::as_str)
        // A workspace that is newer than the names brings its own.
        .or_else(|| line.payload.get("name").and_then(Value::as_str))
        .unwrap_or(&line.workspace);
    let payload = match line.payload {
        Value::Null => String::new(),
        Value::Object(members) if members.is_empty() => String::new(),
        payload => preview(&payload.to_string(), PAYLOAD_CHARS, "…"),
    };
    let text = format!("{}  {:<28}  {who}  {payload}", line.at, line.kind);
    Ok(out.line(text.trim_end())?)
}

/// Names by id. Whoever may not list workspaces sees ids.
async fn names(client: &Client) -> BTreeMap<String, String> {
    let items = client.list_workspaces().await.unwrap_or_default();
    items
        .into_iter()
        .map(|item| (item.workspace.id.to_string(), item.workspace.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use molecule_core::Timestamp;
    use serde_json::json;

    use super::*;

    fn event(kind: &str, payload: Value) -> EventEnvelope {
        EventEnvelope {
            event: kind.into(),
            workspace_id: "w1".into(),
            timestamp: Timestamp::from_micros(0),
            payload,
        }
    }

    #[test]
    fn lines_name_the_workspace() {
        let (mut out, captured) = Output::captured(false);
        let names = BTreeMap::from([("w1".to_owned(), "Lead".to_owned())]);
        show(&event("WORKSPACE_ONLINE", json!({})), &names, &mut out).unwrap();
        show(&event("X", json!({"name": "New"})), &BTreeMap::new(), &mut out).unwrap();
        assert_eq!(
            captured.result(),
            "1970-01-01T00:00:00Z  WORKSPACE_ONLINE              Lead\n\
             1970-01-01T00:00:00Z  X                             New  {\"name\":\"New\"}\n"
        );
    }

    #[test]
    fn heartbeats_only_on_request() {
        let args = |kind: Option<&str>| EventsArgs {
            follow: true,
            workspace: None,
            kind: kind.map(str::to_owned),
            last: 0,
        };
        let beat = event("WORKSPACE_HEARTBEAT", json!({}));
        assert!(!wanted(&beat, &args(None), None));
        assert!(wanted(&beat, &args(Some("workspace_heartbeat")), None));
        assert!(!wanted(&beat, &args(Some("TASK_UPDATED")), None));
        assert!(!wanted(
            &event("X", json!({})),
            &args(None),
            Some(WorkspaceId::random())
        ));
    }
}
