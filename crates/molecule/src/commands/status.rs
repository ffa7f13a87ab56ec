//! `molecule status`: the server, its agents, and what needs attention.

use std::collections::BTreeMap;

use anyhow::Result;
use molecule_client::Client;
use molecule_core::{Runtime, WorkspaceStatus};
use molecule_wire::{
    ops::{Liveness, Ready, ServerInfo},
    workspaces::WorkspaceListItem,
};
use serde::Serialize;

use super::{facts, ws};
use crate::{
    output::{Output, Tone},
    resolve::as_typed,
};

/// A server that is this much late with its own work is behind, milliseconds.
const LAG_MS: u64 = 1_000;

/// Everything that is shown.
#[derive(Debug, Serialize)]
struct Status {
    url: String,
    server: ServerInfo,
    /// Workspaces by status.
    agents: BTreeMap<&'static str, usize>,
    attention: Vec<Attention>,
}

/// Something that somebody should look at.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Attention {
    /// The workspace, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    what: String,
    /// What to type.
    remedy: String,
    #[serde(skip)]
    tone: Tone,
}

pub(super) async fn run(client: &Client, out: &mut Output) -> Result<()> {
    let server = client.server_info().await?;
    let items = client.list_workspaces().await?;
    let mut attention = of_server(&server, &client.ready().await?, &client.liveness().await?);
    attention.extend(of_agents(&items));
    let mut agents = BTreeMap::new();
    for item in &items {
        *agents.entry(item.workspace.status.as_str()).or_default() += 1;
    }
    let status = Status {
        url: client.base_url().to_owned(),
        server,
        agents,
        attention,
    };
    if out.is_json() {
        return Ok(out.json(&status)?);
    }
    show(&status, out)
}

fn show(status: &Status, out: &mut Output) -> Result<()> {
    let server = &status.server;
    // In the order in which statuses are declared.
    let counted = WorkspaceStatus::ALL.iter().filter_map(|status_of| {
        let count = status.agents.get(status_of.as_str())?;
        Some(format!("{count} {status_of}"))
    });
    let agents: Vec<String> = counted.collect();
    let agents = if agents.is_empty() {
        "none yet".to_owned()
    } else {
        agents.join(", ")
    };
    out.pairs(&[
        (
            "server",
            format!("Molecule {} at {}", server.version, status.url).into(),
        ),
        ("backend", facts::backend(server).unwrap_or_else(str::to_owned).into()),
        ("database", facts::database(server).into()),
        ("agents", agents.into()),
    ])?;
    if status.attention.is_empty() {
        return Ok(out.marked("\nNothing needs attention.", Tone::Good, "")?);
    }
    out.line("\nNeeds attention:")?;
    for one in &status.attention {
        out.marked("  ● ", one.tone, &one.what)?;
        out.line(format_args!("      → {}", one.remedy))?;
    }
    Ok(())
}

fn of_server(server: &ServerInfo, ready: &Ready, liveness: &Liveness) -> Vec<Attention> {
    let about = |tone: Tone, what: String, remedy: &str| Attention {
        workspace: None,
        what,
        remedy: remedy.to_owned(),
        tone,
    };
    let mut found = Vec::new();
    if let Some(what) = facts::other_version(server) {
        found.push(about(Tone::Warning, what, "restart the server with this program"));
    }
    if ready.stopping {
        found.push(about(
            Tone::Warning,
            "the server is stopping".into(),
            "molecule up, once it has stopped",
        ));
    } else if !ready.database {
        found.push(about(
            Tone::Bad,
            "the database does not answer".into(),
            "molecule doctor",
        ));
    } else if !ready.settled {
        let what = "the server is still taking over what ran before".into();
        found.push(about(Tone::Warning, what, "molecule status, in a moment"));
    }
    if liveness.lag_ms > LAG_MS {
        let what = format!(
            "the server is behind with its own work, by up to {} ms",
            liveness.lag_ms
        );
        found.push(about(
            Tone::Warning,
            what,
            "give it more of the machine, or fewer agents",
        ));
    }
    for (name, subsystem) in &liveness.subsystems {
        if let Some(error) = &subsystem.last_error {
            let what = format!("the background loop {name} failed the last time: {error}");
            found.push(about(Tone::Warning, what, "look at the server's log"));
        }
    }
    found
}

fn of_agents(items: &[WorkspaceListItem]) -> Vec<Attention> {
    if items.is_empty() {
        return vec![Attention {
            workspace: None,
            what: "there are no workspaces yet".into(),
            remedy: "molecule org import starter --runtime echo, or: molecule ws create NAME".into(),
            tone: Tone::Quiet,
        }];
    }
    items.iter().filter_map(of_agent).collect()
}

fn of_agent(item: &WorkspaceListItem) -> Option<Attention> {
    let name = &item.workspace.name;
    let typed = as_typed(name);
    let status = item.workspace.status;
    let because = ws::why_broken(item).map_or_else(String::new, |reason| format!(": {reason}"));
    let spent = item.budget_limit.is_some_and(|limit| item.monthly_spend >= limit);
    let remedy = match status {
        WorkspaceStatus::Failed => format!("molecule ws logs {typed}; once it is mended: molecule ws restart {typed}"),
        WorkspaceStatus::Degraded => format!("molecule ws logs {typed}, molecule activity {typed}"),
        WorkspaceStatus::Offline if item.workspace.runtime != Runtime::External => {
            format!("it restarts by itself; molecule ws logs {typed} tells why it was lost")
        }
        WorkspaceStatus::Offline => "start its agent where it runs".to_owned(),
        WorkspaceStatus::AwaitingAgent => {
            format!("start its agent where it runs; a new token: molecule token create -w {typed}")
        }
        _ if spent => format!("molecule ws budget {typed} CENTS, or wait for the next month"),
        _ => return None,
    };
    let what = match status {
        WorkspaceStatus::AwaitingAgent => format!("{name} waits for its external agent, which has not connected"),
        status if spent && status.is_alive() => format!("{name} has spent its budget"),
        status => format!("{name} is {status}{because}"),
    };
    Some(Attention {
        workspace: Some(name.clone()),
        what,
        remedy,
        tone: ws::tone(status),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::ws::tests::item;

    fn server() -> ServerInfo {
        serde_json::from_value(json!({
            "version": env!("CARGO_PKG_VERSION"), "database": "sqlite", "backend": "process",
            "sandbox": "best-effort", "runtimes": ["echo"],
        }))
        .unwrap()
    }

    #[test]
    fn one_screen_says_what_to_do() {
        let mut failed = item("Backend Engineer", None);
        failed.workspace.status = WorkspaceStatus::Failed;
        failed.last_sample_error = "no model key".into();
        let items = [item("Lead", None), failed];
        let status = Status {
            url: "http://127.0.0.1:8080".into(),
            server: server(),
            agents: BTreeMap::from([("online", 1), ("failed", 1)]),
            attention: of_agents(&items),
        };
        let (mut out, captured) = Output::captured(false);
        show(&status, &mut out).unwrap();
        let expected = format!(
            "server    Molecule {} at http://127.0.0.1:8080\nbackend   process, sandbox best-effort\n\
             database  SQLite\nagents    1 online, 1 failed\n\nNeeds attention:\n  \
             ● Backend Engineer is failed: no model key\n      → molecule ws logs 'Backend Engineer'; once it is mended: \
             molecule ws restart 'Backend Engineer'\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(captured.result(), expected);
    }

    #[test]
    fn every_state_that_needs_somebody_is_told() {
        for status in WorkspaceStatus::ALL {
            let mut item = item("X", None);
            item.workspace.status = status;
            let told = of_agent(&item).is_some();
            let expected = matches!(
                status,
                WorkspaceStatus::Failed
                    | WorkspaceStatus::Degraded
                    | WorkspaceStatus::Offline
                    | WorkspaceStatus::AwaitingAgent
            );
            assert_eq!(told, expected, "{status}");
        }
        let mut spent = item("X", None);
        spent.budget_limit = Some(10);
        spent.monthly_spend = 10;
        assert!(of_agent(&spent).unwrap().what.contains("spent"));
        assert!(of_agents(&[])[0].remedy.contains("org import"));
    }

    #[test]
    fn a_server_that_is_behind_or_not_ready_says_so() {
        let ready = |database, settled, stopping| Ready {
            status: String::new(),
            database,
            settled,
            stopping,
        };
        let calm: Liveness = serde_json::from_value(json!({"subsystems": {}, "lag_ms": 3})).unwrap();
        assert!(of_server(&server(), &ready(true, true, false), &calm).is_empty());
        assert!(
            of_server(&server(), &ready(false, true, false), &calm)[0]
                .what
                .contains("database")
        );
        assert!(
            of_server(&server(), &ready(true, false, false), &calm)[0]
                .what
                .contains("taking over")
        );
        let behind: Liveness = serde_json::from_value(json!({"subsystems": {"pump": {
            "last_tick_at": "1970-01-01T00:00:01Z", "seconds_ago": 1, "last_error": "disk full",
        }}, "lag_ms": 4_000}))
        .unwrap();
        let mut old = server();
        old.version = "0.0.1".into();
        let told = of_server(&old, &ready(true, true, false), &behind);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[2].what.contains("pump") && told[2].what.contains("disk full"));
    }
}
