//! `molecule activity`: what was said, to agents and among them, and with `-f` what is being said.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use clap::Args;
use molecule_a2a::reply::Reply;
use molecule_client::{ActivityFilter, Client};
use molecule_core::{
    ActivityId, EventType, Timestamp, WorkspaceId,
    activity::{ActivityStatus, ActivityType},
};
use molecule_wire::{activity::ActivityRow, events::EventEnvelope};
use serde_json::Value;

use super::events::{self, Follower};
use crate::{
    completing,
    output::{Cell, Column, Output, Tone, time::to_the_second},
    resolve,
};

/// Who speaks where no workspace does.
const PERSON: &str = "you";
/// Rows of each feed that are read at first, so that one of a stream that still runs is among them.
const LEAST_ROWS: u64 = 20;
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

/// What of the activity is looked at, and how far it was read.
struct Feeds {
    scope: Scope,
    read: BTreeMap<WorkspaceId, Read>,
    names: BTreeMap<String, String>,
}

/// How far one feed was read.
#[derive(Default)]
struct Read {
    /// The newest row up to which all have ended.
    upto: Option<ActivityId>,
    /// Rows after that one which were given away.
    given: BTreeSet<ActivityId>,
}

impl Read {
    /// Of the rows after [`Self::upto`], oldest first, those that are new. An open one, of a stream that still runs, waits
    /// for its end.
    fn take(&mut self, mut rows: Vec<ActivityRow>) -> Vec<ActivityRow> {
        let open = |row: &ActivityRow| row.status == ActivityStatus::InProgress;
        let ended: Vec<ActivityId> = rows.iter().take_while(|row| !open(row)).map(|row| row.id).collect();
        rows.retain(|row| !open(row) && self.given.insert(row.id));
        for id in &ended {
            self.given.remove(id);
        }
        self.upto = ended.last().copied().or(self.upto);
        rows
    }
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
    let mut feeds = Feeds {
        scope,
        read: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let rows = feeds.recent(&args, client).await?;
    if out.is_json() {
        let rows = &rows[rows.len().saturating_sub(args.lines)..];
        if !args.follow {
            return Ok(out.json(rows)?);
        }
        rows.iter().try_for_each(|row| out.json_line(row))?;
    } else {
        let lines = last(feeds.lines_of(&rows, client).await, args.lines);
        let rows: Vec<_> = lines.iter().map(|line| cells(line, out)).collect();
        if rows.is_empty() && !args.follow {
            return Ok(out.note("Nothing was said yet; `molecule send` says something.")?);
        }
        out.table(&COLUMNS, &rows)?;
    }
    if args.follow {
        return events::follow(&mut feeds, client, out).await;
    }
    Ok(())
}

impl Follower for Feeds {
    const MEANWHILE: &'static str = "what is said meanwhile shows then";

    async fn connected(&mut self, client: &Client, out: &mut Output) -> Result<()> {
        let mut fresh = Vec::new();
        for id in self.whose(client).await? {
            fresh.extend(self.fresh(id, client).await?);
        }
        in_order(&mut fresh);
        self.show(&fresh, client, out).await
    }

    async fn event(&mut self, event: &EventEnvelope, client: &Client, out: &mut Output) -> Result<()> {
        let spoken = matches!(
            event.event.known(),
            Some(EventType::ActivityLogged | EventType::AgentMessage)
        );
        match event.workspace_id.parse() {
            Ok(id) if spoken && self.scope.one.is_none_or(|one| one == id) => {
                let fresh = self.fresh(id, client).await?;
                self.show(&fresh, client, out).await
            }
            _ => Ok(()),
        }
    }
}

impl Feeds {
    /// Whose feeds are read. There is no feed of everything.
    async fn whose(&mut self, client: &Client) -> Result<Vec<WorkspaceId>> {
        if let Some(id) = self.scope.one {
            return Ok(vec![id]);
        }
        let items = client.list_workspaces().await?;
        let ids = items.iter().map(|item| item.workspace.id).collect();
        self.names.extend(events::names_of(items));
        Ok(ids)
    }

    /// The newest rows, oldest first: at least so many of those that show, if there are.
    async fn recent(&mut self, args: &ActivityArgs, client: &Client) -> Result<Vec<ActivityRow>> {
        let mut rows = Vec::new();
        for id in self.whose(client).await? {
            let mut of_one = self.recent_of(id, args.lines, client).await?;
            if args.follow {
                of_one = self.read.entry(id).or_default().take(of_one);
            }
            rows.extend(of_one);
        }
        in_order(&mut rows);
        Ok(rows)
    }

    async fn recent_of(&self, id: WorkspaceId, lines: usize, client: &Client) -> Result<Vec<ActivityRow>> {
        let mut filter = self.filter((lines as u64).clamp(LEAST_ROWS, MOST_ROWS));
        let mut rows = Vec::new();
        let mut showing = 0;
        loop {
            let page = client.activity(id, &filter).await?;
            filter.before_ts = page.last().map(|oldest| oldest.created_at);
            showing += page.iter().filter(|row| !self.is_told_elsewhere(row)).count();
            rows.extend(page);
            if filter.before_ts.is_none() || showing >= lines {
                rows.reverse();
                return Ok(rows);
            }
        }
    }

    /// What a feed has that was not read yet, oldest first.
    async fn fresh(&mut self, id: WorkspaceId, client: &Client) -> Result<Vec<ActivityRow>> {
        let mut since_id = self.read.get(&id).and_then(|read| read.upto);
        let mut rows = Vec::new();
        loop {
            let filter = ActivityFilter {
                since_id,
                ..self.filter(MOST_ROWS)
            };
            let mut page = match client.activity(id, &filter).await {
                // The row is gone, and with it all that were older: whatever is there now comes after it.
                Err(error) if since_id.is_some() && error.status() == Some(410) => {
                    since_id = None;
                    continue;
                }
                // The workspace is gone.
                Err(error) if matches!(error.status(), Some(404 | 410)) => return Ok(Vec::new()),
                page => page?,
            };
            if since_id.is_none() {
                rows.clear();
                page.reverse();
            }
            let Some(newest) = page.last() else {
                return Ok(self.read.entry(id).or_default().take(rows));
            };
            since_id = Some(newest.id);
            rows.extend(page);
        }
    }

    async fn show(&mut self, fresh: &[ActivityRow], client: &Client, out: &mut Output) -> Result<()> {
        if out.is_json() {
            return Ok(fresh.iter().try_for_each(|row| out.json_line(row))?);
        }
        for line in self.lines_of(fresh, client).await {
            let Line { at, from, to, text, .. } = &line;
            let said = text.replace('\n', " ");
            out.line(format_args!("{}  {from} → {to}  {said}", to_the_second(*at)))?;
        }
        Ok(())
    }

    fn filter(&self, limit: u64) -> ActivityFilter {
        ActivityFilter {
            peer_id: self.scope.with,
            limit: Some(limit),
            ..ActivityFilter::default()
        }
    }

    /// A sender's own account, where the receiver's feed is read too.
    fn is_told_elsewhere(&self, row: &ActivityRow) -> bool {
        let exchange = matches!(
            row.activity_type.known(),
            Some(ActivityType::A2aSend | ActivityType::A2aReceive)
        );
        self.scope.one.is_none() && exchange && is_senders_own(row)
    }

    async fn lines_of(&mut self, rows: &[ActivityRow], client: &Client) -> Vec<Line> {
        let shown: Vec<&ActivityRow> = rows.iter().filter(|row| !self.is_told_elsewhere(row)).collect();
        let ids = shown
            .iter()
            .flat_map(|row| [Some(row.workspace_id), row.source_id, row.target_id]);
        events::learn(&mut self.names, ids.flatten(), client).await;
        shown.into_iter().flat_map(|row| said(row, &self.names)).collect()
    }
}

fn in_order(rows: &mut [ActivityRow]) {
    rows.sort_by_key(|row| (row.created_at, row.id));
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

/// A message between agents stands in two feeds: as it was received, and as its sender tells it.
fn is_senders_own(row: &ActivityRow) -> bool {
    row.source_id == Some(row.workspace_id) && row.target_id.is_some_and(|target| target != row.workspace_id)
}

/// Both sides of what a row records.
///
/// The receiver's feed has both in one row; in the sender's own, one row has what it sent and another what came back.
fn said(row: &ActivityRow, names: &BTreeMap<String, String>) -> Vec<Line> {
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
    match row.activity_type.known() {
        Some(ActivityType::A2aSend) => {
            let text = asked(row).or_else(|| row.summary.clone());
            vec![line(row.source_id, name(row.target_id), text)]
        }
        Some(ActivityType::A2aReceive) if is_senders_own(row) => {
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

    fn told(row: &ActivityRow) -> Vec<String> {
        let names = BTreeMap::from([
            (LEAD.to_owned(), "Lead".to_owned()),
            (WRITER.to_owned(), "Writer".to_owned()),
        ]);
        let lines = said(row, &names);
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
        assert_eq!(told(&received), both);
        // The sender's own account of the same: nothing new beside the receiver's, both sides without.
        let to = json!({"source_id": LEAD, "target_id": WRITER, "request_body": message("count")});
        let sent = row(LEAD, "a2a_send", to);
        let came = row(
            LEAD,
            "a2a_receive",
            json!({"source_id": LEAD, "target_id": WRITER, "request_body": {"task": "count"},
                   "response_body": {"text": "two moons"}}),
        );
        let feeds = |one| Feeds {
            scope: Scope { one, with: None },
            read: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        let (all, of_lead) = (feeds(None), feeds(LEAD.parse().ok()));
        assert!(all.is_told_elsewhere(&sent) && all.is_told_elsewhere(&came) && !all.is_told_elsewhere(&received));
        assert!(!of_lead.is_told_elsewhere(&sent) && !of_lead.is_told_elsewhere(&came));
        assert_eq!([told(&sent), told(&came)].concat(), both);
    }

    #[test]
    fn a_stream_is_told_once_at_its_end() {
        // D15
        let numbered = |number: u8, status: &str| {
            let id = format!("0198f1c2-0000-7000-8000-00000000000{number}");
            row(LEAD, "a2a_receive", json!({"id": id, "status": status}))
        };
        let mut read = Read::default();
        let mut take = |rows: Vec<ActivityRow>| {
            let ids = |row: &ActivityRow| row.id.to_string().pop().unwrap();
            let taken: String = read.take(rows).iter().map(ids).collect();
            let upto = read.upto.map(|id| id.to_string().pop().unwrap());
            (taken, upto, read.given.len())
        };
        let told = |taken: &str, upto: char, given| (taken.to_owned(), Some(upto), given);
        let rows = |second: &str| vec![numbered(2, second), numbered(3, "ok")];
        assert_eq!(
            take(vec![numbered(1, "ok"), numbered(2, "in_progress")]),
            told("1", '1', 0)
        );
        assert_eq!(take(rows("in_progress")), told("3", '1', 1));
        assert_eq!(take(rows("in_progress")), told("", '1', 1));
        assert_eq!(take(rows("error")), told("2", '3', 0));
        assert_eq!(take(Vec::new()), told("", '3', 0));
    }

    #[test]
    fn people_failures_and_notes_are_told() {
        let asked = row(
            LEAD,
            "a2a_receive",
            json!({"target_id": LEAD, "request_body": message("hi"), "status": "error", "error_detail": "refused"}),
        );
        assert_eq!(told(&asked), ["you → Lead: hi", "Lead → you: failed: refused"]);
        let waits = row(
            LEAD,
            "a2a_receive",
            json!({"target_id": LEAD, "request_body": message("hi")}),
        );
        assert_eq!(told(&waits), ["you → Lead: hi"]);
        let note = row(
            LEAD,
            "a2a_receive",
            json!({"target_id": LEAD, "method": "notify", "response_body": {"result": "done"}}),
        );
        assert_eq!(told(&note), ["Lead → you: done"]);
        let error = json!({"error": {"code": -1, "message": "no"}});
        let refused = row(
            LEAD,
            "a2a_receive",
            json!({"target_id": LEAD, "response_body": error, "method": "tasks/get"}),
        );
        assert_eq!(told(&refused), ["you → Lead: tasks/get", "Lead → you: failed: no"]);
        let log = row(LEAD, "agent_log", json!({"summary": "went on"}));
        assert_eq!(told(&log), ["Lead → : went on"]);
    }
}
