//! `molecule events`: what was recorded, and with `-f` what happens.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use clap::Args;
use molecule_client::{Client, ClientError};
use molecule_core::{EventType, WorkspaceId, text::preview};
use molecule_wire::{
    events::{EventEnvelope, EventRow},
    workspaces::WorkspaceListItem,
};
use serde_json::Value;

use crate::{
    completing,
    exit::CliError,
    output::{Output, time::to_the_second},
    resolve,
};

/// First pause before connecting again; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Characters of one member of a payload that a line shows.
const MEMBER_CHARS: usize = 120;

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on with events as they happen, reconnecting when the connection breaks
    #[arg(short, long)]
    follow: bool,
    /// Only events of this workspace (id or name)
    #[arg(short, long, value_name = "WORKSPACE", add = completing::workspaces())]
    workspace: Option<String>,
    /// Only events of this kind, such as WORKSPACE_ONLINE. Messages and tasks (ACTIVITY_LOGGED, AGENT_MESSAGE,
    /// TASK_UPDATED, …) are not recorded and show with -f only
    #[arg(short = 't', long = "type", value_name = "EVENT", value_parser = kind, add = completing::among(EventType::ALL.map(|event| (event.as_str(), ""))))]
    kind: Option<EventType>,
    /// How many lines of recorded events to begin with, at most 100
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    last: u8,
}

fn kind(text: &str) -> Result<EventType, String> {
    let known = |event: &EventType| event.as_str().eq_ignore_ascii_case(text);
    EventType::ALL.into_iter().find(known).ok_or_else(|| {
        let names = EventType::ALL.map(EventType::as_str).join(", ");
        format!("there is no such event; there are {names}")
    })
}

/// One event, wherever it came from.
struct Line<'a> {
    at: String,
    kind: &'a str,
    workspace: String,
    payload: &'a Value,
}

pub(super) async fn run(args: EventsArgs, client: &Client, out: &mut Output) -> Result<()> {
    if let Some(kind) = args.kind.filter(|kind| !args.follow && !kind.is_recorded()) {
        return Err(CliError::Usage(format!("{} is not recorded; -f shows it as it happens", kind.as_str())).into());
    }
    let only = match &args.workspace {
        Some(name) => Some(resolve::workspace(client, name).await?),
        None => None,
    };
    let mut recorded = client.list_events(only).await?;
    recorded.retain(|row| args.kind.is_none_or(|kind| row.event_type == kind));
    recorded.truncate(args.last.into());
    // The server answers newest first; people read the other way.
    recorded.reverse();
    if out.is_json() && !args.follow {
        return Ok(out.json(&recorded)?);
    }
    let mut names = BTreeMap::new();
    if !out.is_json() {
        names = names_of(client.list_workspaces().await.unwrap_or_default());
        learn(&mut names, recorded.iter().filter_map(|row| row.workspace_id), client).await;
    }
    for row in &recorded {
        let workspace = row.workspace_id.map_or_else(String::new, |id| id.to_string());
        let line = Line {
            at: to_the_second(row.created_at),
            kind: row.event_type.as_str(),
            workspace,
            payload: &row.payload,
        };
        if out.is_json() {
            out.json_line(&as_it_happened(row))?;
        } else {
            print(&line, &names, out)?;
        }
    }
    if args.follow {
        let args = &args;
        follow(&mut Printer { args, only, names }, client, out).await
    } else {
        Ok(())
    }
}

/// A recorded event in the shape that it had when it happened, so that a stream has one shape.
fn as_it_happened(row: &EventRow) -> EventEnvelope {
    EventEnvelope {
        event: row.event_type.clone(),
        workspace_id: row.workspace_id.map_or_else(String::new, |id| id.to_string()),
        timestamp: row.created_at,
        payload: row.payload.clone(),
    }
}

/// What is done with events as they come.
pub(super) trait Follower {
    /// What becomes of events between two connections.
    const MEANWHILE: &'static str;

    /// A connection was made. What happened before is not told by it.
    async fn connected(&mut self, client: &Client, out: &mut Output) -> Result<()>;

    /// Something happened.
    async fn event(&mut self, event: &EventEnvelope, client: &Client, out: &mut Output) -> Result<()>;
}

/// Follows what happens, for as long as the server takes the credential; connects again when a connection breaks.
pub(super) async fn follow<F: Follower>(follower: &mut F, client: &Client, out: &mut Output) -> Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Err(error) = connection(follower, &mut pause, client, out).await {
            // A refusal stays one however often it is asked for.
            if !error
                .downcast_ref::<ClientError>()
                .is_some_and(ClientError::is_unreachable)
            {
                return Err(error);
            }
            out.note(format_args!("warning: {error}"))?;
        }
        let meanwhile = F::MEANWHILE;
        out.note(format_args!("connecting again in {} s; {meanwhile}", pause.as_secs()))?;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// One connection, until its end.
async fn connection(
    follower: &mut impl Follower,
    pause: &mut Duration,
    client: &Client,
    out: &mut Output,
) -> Result<()> {
    let mut events = client.events().await?;
    follower.connected(client, out).await?;
    loop {
        match events.next().await {
            Ok(Some(event)) => {
                *pause = FIRST_PAUSE;
                follower.event(&event, client, out).await?;
            }
            // One frame that nobody understands does not end the stream.
            Err(error @ ClientError::Decode { .. }) => out.note(format_args!("warning: {error}"))?,
            Ok(None) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints those that are wanted.
struct Printer<'a> {
    args: &'a EventsArgs,
    only: Option<WorkspaceId>,
    names: BTreeMap<String, String>,
}

impl Follower for Printer<'_> {
    const MEANWHILE: &'static str = "events meanwhile are missed";

    async fn connected(&mut self, _: &Client, _: &mut Output) -> Result<()> {
        Ok(())
    }

    async fn event(&mut self, event: &EventEnvelope, client: &Client, out: &mut Output) -> Result<()> {
        if !wanted(event, self.args, self.only) {
            return Ok(());
        }
        if !out.is_json() {
            learn(&mut self.names, event.workspace_id.parse().ok(), client).await;
        }
        show(event, &self.names, out)
    }
}

fn wanted(event: &EventEnvelope, args: &EventsArgs, only: Option<WorkspaceId>) -> bool {
    let of_kind = args.kind.is_none_or(|kind| event.event == kind);
    // Heartbeats are news only to those who ask for them.
    let asked = args.kind.is_some() || event.event != EventType::WorkspaceHeartbeat;
    of_kind && asked && only.is_none_or(|id| event.workspace_id == id.to_string())
}

fn show(event: &EventEnvelope, names: &BTreeMap<String, String>, out: &mut Output) -> Result<()> {
    if out.is_json() {
        return Ok(out.json_line(event)?);
    }
    let workspace = event.workspace_id.clone();
    print(
        &Line {
            at: to_the_second(event.timestamp),
            kind: event.event.as_str(),
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
    let text = format!("{}  {:<26}  {who}  {}", line.at, line.kind, members(line.payload));
    Ok(out.line(text.replace('\n', " ").trim_end())?)
}

/// A payload for people: what is plain about it. `--json` has the whole.
fn members(payload: &Value) -> String {
    let Value::Object(members) = payload else {
        return String::new();
    };
    let shown = members.iter().filter_map(|(key, value)| {
        let text = match value {
            Value::String(text) => preview(text, MEMBER_CHARS, "…"),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        // The name stands in its own column.
        (!text.is_empty() && key != "name").then(|| format!("{key}={text}"))
    });
    shown.collect::<Vec<_>>().join("  ")
}

/// Names by id of those that are there.
pub(super) fn names_of(items: Vec<WorkspaceListItem>) -> BTreeMap<String, String> {
    let named = |item: WorkspaceListItem| (item.workspace.id.to_string(), item.workspace.name);
    items.into_iter().map(named).collect()
}

/// Adds the names of these, also of removed ones, each asked for once. Whoever may not ask sees ids.
pub(super) async fn learn(
    names: &mut BTreeMap<String, String>,
    wanted: impl IntoIterator<Item = WorkspaceId>,
    client: &Client,
) {
    for id in wanted {
        if names.contains_key(&id.to_string()) {
            continue;
        }
        let view = client.get_workspace(id, true).await;
        names.insert(id.to_string(), view.map_or_else(|_| id.to_string(), |view| view.name));
    }
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
            timestamp: Timestamp::from_micros(1_250_000),
            payload,
        }
    }

    #[test]
    fn lines_name_the_workspace() {
        let (mut out, captured) = Output::captured(false);
        let names = BTreeMap::from([("w1".to_owned(), "Lead".to_owned())]);
        show(&event("WORKSPACE_ONLINE", json!({})), &names, &mut out).unwrap();
        let payload = json!({"name": "New", "tier": 2, "error": "no\nkey", "agent_card": {"name": "x"}, "url": ""});
        show(&event("X", payload), &BTreeMap::new(), &mut out).unwrap();
        assert_eq!(
            captured.result(),
            "1970-01-01T00:00:01Z  WORKSPACE_ONLINE            Lead\n\
             1970-01-01T00:00:01Z  X                           New  tier=2  error=no key\n"
        );
    }

    #[test]
    fn heartbeats_only_on_request() {
        let args = |kind: Option<&str>| EventsArgs {
            follow: true,
            workspace: None,
            kind: kind.map(|name| super::kind(name).unwrap()),
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
