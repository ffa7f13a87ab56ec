//! Memory of a server that has nothing to do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{
    contest::Builds,
    figure::{Figure, Target, progress},
    server::{Home, Mode, Server, cpu_seconds, descendants, resident_bytes},
};

/// Workspaces of the organisation that `up` imports into an empty store.
const STARTER: usize = 3;
const ONLINE_LIMIT: Duration = Duration::from_secs(60);
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
/// Time over which the processor time of a server at rest is taken.
const AT_REST: Duration = Duration::from_secs(3);
const SAMPLE: Duration = Duration::from_millis(500);
/// Samples that have to agree.
const CALM: usize = 8;

/// What one server held at rest.
struct Rest {
    name: &'static str,
    resident_mb: f64,
    settled: bool,
    workspaces: usize,
    agents: usize,
    agents_mb: f64,
    /// Processor time at rest, per second.
    cpu_ms: f64,
}

/// Resident memory of the server with the starter organisation online.
pub(crate) async fn idle(builds: &Builds) -> anyhow::Result<()> {
    progress("idle_rss: the starter organisation at rest");
    let mut rests = vec![];
    for (name, binary) in builds.each() {
        rests.push(rest(name, binary).await?);
    }
    let ours = rests.first().context("a server was started")?;
    let figure = Figure::new("idle_rss", ours.resident_mb, "MB of the server process")
        .target(Target::Below(40.0))
        .with("settled", ours.settled)
        .with("workspaces", ours.workspaces)
        .with("agent_processes", ours.agents)
        .number("agents_mb", ours.agents_mb)
        .number("cpu_ms_per_second", ours.cpu_ms);
    let figure = rests[1..].iter().fold(figure, |figure, against| {
        figure
            .number(against.name, against.resident_mb)
            .number("against_cpu_ms_per_second", against.cpu_ms)
    });
    figure.print()
}

async fn rest(name: &'static str, binary: &Path) -> anyhow::Result<Rest> {
    let home = Home::new()?;
    let mut server = Server::spawn(binary, &home, Mode::Up)?;
    server.login_url().await?;
    let workspaces = all_online(&mut server).await?;
    let pid = server.pid().context("the server runs")?;
    let (resident, settled) = settle(pid).await?;
    let (used, began) = (cpu_seconds(pid)?, Instant::now());
    tokio::time::sleep(AT_REST).await;
    let cpu_ms = (cpu_seconds(pid)? - used) * 1e3 / began.elapsed().as_secs_f64();
    let agents = descendants(pid)?;
    // An agent that has just ended has no memory to count.
    let agents_resident: u64 = agents.iter().filter_map(|&agent| resident_bytes(agent).ok()).sum();
    server.stop().await?;
    Ok(Rest {
        name,
        resident_mb: resident as f64 / 1e6,
        settled,
        workspaces,
        agents: agents.len(),
        agents_mb: agents_resident as f64 / 1e6,
        cpu_ms,
    })
}

/// Waits until every workspace is online; returns how many there are.
async fn all_online(server: &mut Server) -> anyhow::Result<usize> {
    let deadline = Instant::now() + ONLINE_LIMIT;
    loop {
        let list = server.call("GET", "/workspaces", &Value::Null).await?;
        let statuses: Vec<&str> = list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|workspace| workspace["status"].as_str())
            .collect();
        if statuses.len() == STARTER && statuses.iter().all(|status| *status == "online") {
            return Ok(statuses.len());
        }
        if Instant::now() >= deadline {
            bail!(
                "not online within {ONLINE_LIMIT:?}: {statuses:?}\n{}",
                server.log_tail()
            );
        }
        tokio::time::sleep(SAMPLE).await;
    }
}

/// Samples until the memory has stayed within 1 % for a while; returns the last sample, and whether it came to rest.
async fn settle(pid: u32) -> anyhow::Result<(u64, bool)> {
    let deadline = Instant::now() + SETTLE_LIMIT;
    let mut samples = Vec::new();
    loop {
        samples.push(resident_bytes(pid)?);
        let recent = &samples[samples.len().saturating_sub(CALM)..];
        let (low, high) = (
            recent.iter().min().copied().unwrap_or(0),
            recent.iter().max().copied().unwrap_or(0),
        );
        let settled = recent.len() == CALM && (high - low) * 100 <= high;
        if settled || Instant::now() >= deadline {
            return Ok((high, settled));
        }
        tokio::time::sleep(SAMPLE).await;
    }
}
