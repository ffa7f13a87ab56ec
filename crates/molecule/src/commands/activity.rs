//! `molecule activity`: what was said, to agents and among them, and with `-f` what is being said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::Result;
use clap::Args;
use molecule_a2a::reply::Reply;
use molecule_client::{ActivityFilter, Client, ClientError};
use molecule_core::{
    ActivityId, EventType, Timestamp, WorkspaceId,
    activity::{ActivityStatus, ActivityType},
};
use molecule_wire::activity::ActivityRow;
use serde_json::Value;

use super::events;
use crate::{
    completing,
    output::{Cell, Column, Output, Tone, time::to_the_second},
    resolve,
};

/// Who speaks where no workspace does.
const PERSON: &str = "you";
/// Rows that are looked at when something new was said: more than are said at once.
const FRESH_ROWS: u64 = 50;
/// How many printed rows are remembered while following.
const REMEMBERED: usize = 10_000;
/// Most rows that the server gives at once.
const MOST_ROWS: u64 = 500;

const COLUMNS: [Column; 4] = [
    Column::whole("WHEN"),
    Column::text("FROM"),
    Column::text("TO"),
    Column::text("SAID"),
];

/// Arguments of `activity`.
#[derive(Debug, Args)]
pub struct ActivityArgs {
    /// Only of this workspace (id or name) [default: of all]
    #[arg(add = completing::workspaces())]
    workspace: Option<String>,
    /// Only what it exchanged with this other one (id or name)
    #[arg(long, value_name = "WORKSPACE", requires = "workspace", add = completing::workspaces())]
    with: Option<String>,
    /// Go on as more is said
    #[arg(short, long)]
    follow: bool,
    /// How many lines of what was said already
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 20)]
    lines: usize,
}

/// One thing that one said to another.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    at: Timestamp,
    from: String,
    to: String,
    text: String,
    failed: bool,
}

/// Whose activity is looked at.
struct Scope {
    one: Option<WorkspaceId>,
    with: Option<WorkspaceId>,
}

pub(super) async fn run(args: ActivityArgs, client: &Client, out: &mut Output) -> Result<()> {
    let scope = Scope {
        one: match &args.workspace {
            Some(name) => Some(resolve::workspace(client, name).await?),
            None => None,
        },
        with: match &args.with {
            Some(name) => Some(resolve::workspace(client, name).await?),
            None => None,
        },
    };
    // Before what was said is read, so that nothing falls between.
    let stream = if args.follow {
        Some(client.events().await?)
    } else {
        None
    };
    let rows = rows(&scope, args.lines, client).await?;
    let mut printed: VecDeque<ActivityId> = rows.iter().map(|row| row.id).collect();
    if out.is_json() {
        if !args.follow {
            return Ok(out.json(&rows)?);
        }
        rows.iter().try_for_each(|row| out.json_line(row))?;
    } else {
        let names = names(&rows, client).await;
        let lines = last(lines_of(&rows, &scope, &names), args.lines);
        let rows: Vec<_> = lines.iter().map(|line| cells(line, out)).collect();
        if rows.is_empty() && !args.follow {
            return Ok(out.note("Nothing was said yet; `molecule send` says something.")?);
        }
        out.table(&COLUMNS, &rows)?;
    }
    let Some(mut stream) = stream else { return Ok(()) };
    loop {
        let event = match stream.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(()),
            // One frame that nobody understands does not end the stream.
            Err(ClientError::Decode { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let spoken = matches!(
            event.event.known(),
            Some(EventType::ActivityLogged | EventType::AgentMessage)
        );
        let Ok(id) = event.workspace_id.parse::<WorkspaceId>() else {
            continue;
        };
        if spoken && scope.one.is_none_or(|one| one == id) {
            show_fresh(id, &scope, &mut printed, client, out).await?;
        }
    }
}

/// Prints what a workspace has that was not printed yet.
async fn show_fresh(
    id: WorkspaceId,
    scope: &Scope,
    printed: &mut VecDeque<ActivityId>,
    client: &Client,
    out: &mut Output,
) -> Result<()> {
    let mut fresh = client.activity(id, &filter(scope, FRESH_ROWS)).await?;
    fresh.retain(|row| !printed.contains(&row.id));
    fresh.reverse();
    printed.extend(fresh.iter().map(|row| row.id));
    printed.drain(..printed.len().saturating_sub(REMEMBERED));
    if out.is_json() {
        return Ok(fresh.iter().try_for_each(|row| out.json_line(row))?);
    }
    let names = names(&fresh, client).await;
    for line in lines_of(&fresh, scope, &names) {
        let Line { at, from, to, text, .. } = &line;
        let said = text.replace('\n', " ");
        out.line(format_args!("{}  {from} → {to}  {said}", to_the_second(*at)))?;
    }
    Ok(())
}

fn filter(scope: &Scope, limit: u64) -> ActivityFilter {
    ActivityFilter {
        peer_id: scope.with,
        limit: Some(limit),
        ..ActivityFilter::default()
    }
}

/// The newest rows, oldest first. Of all workspaces it is asked one by one: there is no feed of everything.
async fn rows(scope: &Scope, lines: usize, client: &Client) -> Result<Vec<ActivityRow>> {
    let limit = (lines as u64).clamp(1, MOST_ROWS);
    let of: Vec<WorkspaceId> = match scope.one {
        Some(id) => vec![id],
        None => {
            let items = client.list_workspaces().await?;
            items.iter().map(|item| item.workspace.id).collect()
        }
    };
    let mut rows = Vec::new();
    for id in of {
        rows.extend(client.activity(id, &filter(scope, limit)).await?);
    }
    rows.sort_by_key(|row| (row.created_at, row.id));
    let keep = rows.len().saturating_sub(lines);
    Ok(rows.split_off(keep))
}

async fn names(rows: &[ActivityRow], client: &Client) -> BTreeMap<String, String> {
    let ids = rows
        .iter()
        .flat_map(|row| [Some(row.workspace_id), row.source_id, row.target_id]);
    events::names(&ids.flatten().collect::<BTreeSet<_>>(), client).await
}

fn last(mut lines: Vec<Line>, count: usize) -> Vec<Line> {
    let keep = lines.len().saturating_sub(count);
    lines.split_off(keep)
}

fn cells(line: &Line, out: &Output) -> [Cell; 4] {
    let tone = if line.failed { Tone::Bad } else { Tone::Plain };
    [
        out.when(line.at).into(),
        line.from.clone().into(),
        line.to.clone().into(),
        Cell::toned(&line.text, tone),
    ]
}

fn lines_of(rows: &[ActivityRow], scope: &Scope, names: &BTreeMap<String, String>) -> Vec<Line> {
    rows.iter()
        .flat_map(|row| said(row, scope.one.is_none(), names))
        .collect()
}

/// Both sides of what a row records.
///
/// A message between agents stands in two feeds: as it was received, and as its sender tells it. Where all feeds are
/// read, the receiver's has both sides; in the sender's own, one row has what it sent and another what came back.
fn said(row: &ActivityRow, all: bool, names: &BTreeMap<String, String>) -> Vec<Line> {
    let name = |id: Option<WorkspaceId>| {
        id.map_or_else(
            || PERSON.to_owned(),
            |id| names.get(&id.to_string()).cloned().unwrap_or_else(|| id.to_string()),
        )
    };
    let line = |from: Option<WorkspaceId>, to: String, text: Option<String>| Line {
        at: row.created_at,
        from: name(from),
        to,
        text: text.unwrap_or_default(),
        failed: false,
    };
    let failed = row.status == ActivityStatus::Error || row.error_detail.is_some();
    let answer = |line: Line| Line { failed, ..line };
    let own = row.source_id == Some(row.workspace_id) && row.target_id.is_some_and(|target| target != row.workspace_id);
    match row.activity_type.known() {
        Some(ActivityType::A2aSend | ActivityType::A2aReceive) if own && all => Vec::new(),
        Some(ActivityType::A2aSend) => {
            let text = asked(row).or_else(|| row.summary.clone());
            vec![line(row.source_id, name(row.target_id), text)]
        }
        Some(ActivityType::A2aReceive) if own => {
            let text = answered(row).or_else(|| row.summary.clone());
            vec![answer(line(row.target_id, name(row.source_id), text))]
        }
        Some(ActivityType::A2aReceive) => {
            let target = row.target_id.or(Some(row.workspace_id));
            // A message of an agent's own accord answers nothing.
            let question = row.method.as_deref() != Some("notify");
            let question = question.then(|| {
                let text = asked(row).or_else(|| row.method.clone());
                line(row.source_id, name(target), text)
            });
            let reply = answered(row).map(|text| answer(line(target, name(row.source_id), Some(text))));
            question.into_iter().chain(reply).collect()
        }
        _ => {
            let text = row.summary.clone().or_else(|| row.error_detail.clone());
            let text = text.unwrap_or_else(|| row.activity_type.to_string());
            vec![answer(line(Some(row.workspace_id), String::new(), Some(text)))]
        }
    }
}

/// The text of what was asked.
fn asked(row: &ActivityRow) -> Option<String> {
    text_of_request(row.request_body.as_deref()?.get())
}

/// The text of what came back, or why nothing did.
fn answered(row: &ActivityRow) -> Option<String> {
    let failure = row.error_detail.as_ref().map(|text| format!("failed: {text}"));
    failure.or_else(|| text_of_answer(row.response_body.as_deref()?.get()))
}

/// The text of a request.
fn text_of_request(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    if let Some(parts) = body.pointer("/params/message/parts").and_then(Value::as_array) {
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        return (!texts.is_empty()).then(|| texts.join("\n"));
    }
    Some(body.get("task")?.as_str()?.to_owned())
}

/// The text of an answer.
fn text_of_answer(body: &str) -> Option<String> {
    if let Some(reply) = Reply::parse(body.as_bytes()) {
        if let Some(text) = reply.text() {
            return Some(text);
        }
        if let Some(error) = reply.rpc_error() {
            return Some(format!("failed: {}", error.message));
        }
    }
    let body: Value = serde_json::from_str(body).ok()?;
    let plain = ["text", "result", "message"]
        .into_iter()
        .find_map(|name| body.get(name)?.as_str());
    plain.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LEAD: &str = "6fa459ea-ee8a-4ca4-894e-db77e160355e";
    const WRITER: &str = "16fd2706-8baf-433b-82eb-8c7fada847da";

    fn row(feed: &str, kind: &str, members: Value) -> ActivityRow {
        let mut row = json!({
            "id": "0198f1c2-0000-7000-8000-000000000000", "workspace_id": feed, "activity_type": kind, "source_id": null,
            "target_id": null, "method": "message/send", "summary": null, "duration_ms": null, "status": "ok",
            "error_detail": null, "created_at": "1970-01-01T00:00:01Z",
        });
        let Value::Object(members) = members else {
            panic!("{members}")
        };
        row.as_object_mut().unwrap().extend(members);
        // As text: bodies are kept as they came.
        serde_json::from_str(&row.to_string()).unwrap()
    }

    fn told(row: &ActivityRow, all: bool) -> Vec<String> {
        let names = BTreeMap::from([
            (LEAD.to_owned(), "Lead".to_owned()),
            (WRITER.to_owned(), "Writer".to_owned()),
        ]);
        let lines = said(row, all, &names);
        lines
            .into_iter()
            .map(|line| format!("{} → {}: {}", line.from, line.to, line.text))
            .collect()
    }

    fn message(text: &str) -> Value {
        json!({"params": {"message": {"parts": [{"kind": "text", "text": text}]}}})
    }

    #[test]
    fn both_sides_are_told_once() {
        let reply = json!({"result": {"parts": [{"kind": "text", "text": "two moons"}]}});
        let received = row(
            WRITER,
            "a2a_receive",
            json!({"source_id": LEAD, "target_id": WRITER, "request_body": message("count"), "response_body": reply}),
        );
        let both = ["Lead → Writer: count", "Writer → Lead: two moons"];
        assert_eq!(told(&received, true), both);
        assert_eq!(told(&received, false), both);
        // The sender's own account of the same: nothing new beside the receiver's, both sides without.
        let to = json!({"source_id": LEAD, "target_id": WRITER, "request_body": message("count")});
        let sent = row(LEAD, "a2a_send", to);
        let came = row(
            LEAD,
            "a2a_receive",
            json!({"source_id": LEAD, "target_id": WRITER, "request_body": {"task": "count"},
                   "response_body": {"text": "two moons"}}),
        );
        assert!(told(&sent, true).is_empty() && told(&came, true).is_empty());
        assert_eq!([told(&sent, false), told(&came, false)].concat(), both);
    }

    #[test]
    fn people_failures_and_notes_are_told() {
        let asked = row(
            LEAD,
            "a2a_receive",
            json!({"target_id": LEAD, "request_body": message("hi"), "status": "error", "error_detail": "refused"}),
        );
        assert_eq!(told(&asked, true), ["you → Lead: hi", "Lead → you: failed: refused"]);
        let waits = row(
            LEAD,
            "a2a_receive",
            json!({"target_id": LEAD, "request_body": message("hi")}),
        );
        assert_eq!(told(&waits, true), ["you → Lead: hi"]);
        let note = row(
            LEAD,
            "a2a_receive",
            json!({"target_id": LEAD, "method": "notify", "response_body": {"result": "done"}}),
        );
        assert_eq!(told(&note, true), ["Lead → you: done"]);
        let error = json!({"error": {"code": -1, "message": "no"}});
        let refused = row(
            LEAD,
            "a2a_receive",
            json!({"target_id": LEAD, "response_body": error, "method": "tasks/get"}),
        );
        assert_eq!(
            told(&refused, true),
            ["you → Lead: tasks/get", "Lead → you: failed: no"]
        );
        let log = row(LEAD, "agent_log", json!({"summary": "went on"}));
        assert_eq!(told(&log, true), ["Lead → : went on"]);
    }
}
