//! `molecule activity`: what was said, to agents and among them, and with `-f` what is being said.

mod said;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use clap::Args;
use molecule_client::{ActivityFilter, Client};
use molecule_core::{
    ActivityId, EventType, WorkspaceId,
    activity::{ActivityStatus, ActivityType},
};
use molecule_wire::{activity::ActivityRow, events::EventEnvelope};

use self::said::{Line, is_senders_own, said};
use super::events::{self, Follower};
use crate::{
    completing,
    output::{Cell, Column, Output, Tone, time::to_the_second},
    resolve,
};

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

#[cfg(test)]
mod tests;
