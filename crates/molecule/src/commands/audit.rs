//! `molecule audit`: who changed what.

use anyhow::{Result, bail};
use clap::Args;
use molecule_client::{AuditQuery, Client};
use molecule_wire::audit::AuditRecord;

use crate::{
    completing,
    output::{Cell, Column, Output},
    resolve,
};

/// Records of one page.
const PAGE: u64 = 500;

/// Which records to print.
#[derive(Debug, Clone, Default, Args)]
pub struct AuditArgs {
    /// Check instead that nothing in the record was changed or taken out
    #[arg(long, conflicts_with_all = ["workspace", "actor", "action", "since", "until", "limit"])]
    verify: bool,
    /// Only what was done to this workspace (id or name)
    #[arg(short, long, value_name = "WORKSPACE", add = completing::workspaces())]
    workspace: Option<String>,
    /// Only what this actor did, such as admin or org-token:1a2b3c4d
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, such as workspace.delete
    #[arg(long)]
    action: Option<String>,
    /// Not older than this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Older than this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many, newest first
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    limit: u64,
}

pub(super) async fn run(args: AuditArgs, client: &Client, out: &mut Output) -> Result<()> {
    if args.verify {
        return verify(client, out).await;
    }
    let workspace_id = match &args.workspace {
        Some(name) => Some(resolve::workspace(client, name).await?.to_string()),
        None => None,
    };
    let mut query = AuditQuery {
        actor: args.actor,
        action: args.action,
        workspace_id,
        from: args.since,
        to: args.until,
        ..AuditQuery::default()
    };
    let mut records: Vec<AuditRecord> = Vec::new();
    loop {
        let left = args.limit.saturating_sub(records.len() as u64);
        query.limit = Some(left.min(PAGE));
        if left == 0 {
            break;
        }
        let page = client.audit(&query).await?;
        records.extend(page.records);
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    if out.is_json() {
        return Ok(out.json(&records)?);
    }
    let rows: Vec<_> = records.into_iter().map(row).collect();
    let columns = [
        Column::whole("TIME"),
        Column::whole("ACTOR"),
        Column::whole("ACTION"),
        Column::whole("TARGET"),
        Column::whole("RESULT"),
        Column::text("CHANGE"),
    ];
    Ok(out.table(&columns, &rows)?)
}

fn row(record: AuditRecord) -> [Cell; 6] {
    let target = record
        .target
        .or_else(|| record.workspace_id.map(|id| id.to_string()))
        .unwrap_or_else(|| "-".to_owned());
    let result = record
        .status
        .map_or_else(|| "unfinished".to_owned(), |status| status.to_string());
    let side = |state: Option<serde_json::Value>| state.map(|state| state.to_string()).unwrap_or_default();
    let (before, after) = (side(record.before), side(record.after));
    let change = match (before.as_str(), after.as_str()) {
        ("" | "{}", "" | "{}") => "-".to_owned(),
        _ => format!("{before} -> {after}"),
    };
    [
        record.at.to_string().into(),
        record.actor.into(),
        record.action.into(),
        target.into(),
        result.into(),
        change.into(),
    ]
}

async fn verify(client: &Client, out: &mut Output) -> Result<()> {
    let verdict = client.verify_audit().await?;
    if out.is_json() {
        out.json(&verdict)?;
    } else {
        out.line(format_args!(
            "{} records checked, {} of them unfinished; last seal {}",
            verdict.checked,
            verdict.unfinished,
            if verdict.head.is_empty() { "-" } else { &verdict.head }
        ))?;
        if verdict.other_keys > 0 {
            out.note(format_args!(
                "{} records were sealed with another key than the server's: only their order could be checked",
                verdict.other_keys
            ))?;
        }
    }
    match (verdict.broken_at, verdict.reason) {
        (Some(at), reason) => bail!("the record is not whole at {at}: {}", reason.unwrap_or_default()),
        (None, _) => Ok(()),
    }
}
