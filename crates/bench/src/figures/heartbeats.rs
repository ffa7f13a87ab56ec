//! Heartbeats of many workspaces, each with its own credential.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{CONNECTIONS, Scale};
use crate::{
    figure::{Figure, Target, progress},
    http1::request,
    load::{Load, Template, median},
    org::{self, Agent},
    server::{Home, Mode, Server, cpu_seconds},
};

/// Beats per second that are sustained.
pub(crate) async fn measure(binary: &Path, scale: &Scale) -> anyhow::Result<()> {
    progress("heartbeats: many workspaces beating");
    let home = Home::new()?;
    let mut server = Server::start(binary, &home, Mode::Server).await?;
    let agents = org::poll_agents(&server, scale.beating).await?;
    let beats: Vec<Template> = agents.iter().map(beat).collect();
    let load = Load {
        address: server.address(),
        requests: &beats,
        connections: CONNECTIONS,
        duration: scale.load,
    };
    // Unmeasured: the first beat of each brings it online (REG-65) and fills the caches.
    load.run().await.with_context(|| server.log_tail())?;
    let (mut rates, mut p50, mut p99, mut cpu) = (vec![], vec![], vec![], vec![]);
    let pid = server.pid().context("the server runs")?;
    for _ in 0..scale.rounds {
        let before = cpu_seconds(pid)?;
        let outcome = load.run().await.with_context(|| server.log_tail())?;
        cpu.push((cpu_seconds(pid)? - before) * 1e6 / outcome.answers as f64);
        rates.push(outcome.per_second());
        p50.push(outcome.quantile_ms(0.5));
        p99.push(outcome.quantile_ms(0.99));
    }
    check_online(&mut server, &agents).await?;
    Figure::new("heartbeats", median(rates), "beats/s")
        .target(Target::AtLeast(10_000.0))
        .with("workspaces", scale.beating)
        .with("connections", CONNECTIONS)
        .number("p50_ms", median(p50))
        .number("p99_ms", median(p99))
        .number("cpu_us", median(cpu))
        .print()?;
    server.stop().await
}

fn beat(agent: &Agent) -> Template {
    let body = json!({
        "workspace_id": agent.id,
        "error_rate": 0.0,
        "active_tasks": 0,
        "uptime_seconds": 3_600,
        "current_task": "",
    });
    let headers = [format!("authorization: Bearer {}", agent.token)];
    Template::new(request(
        "POST",
        "/registry/heartbeat",
        &headers,
        body.to_string().as_bytes(),
    ))
}

/// Beats that change nothing would be cheap: looks whether the workspaces are online.
async fn check_online(server: &mut Server, agents: &[Agent]) -> anyhow::Result<()> {
    for agent in [agents.first(), agents.last()].into_iter().flatten() {
        let workspace = server
            .call("GET", &format!("/workspaces/{}", agent.id), &Value::Null)
            .await?;
        let status = workspace["status"].as_str().unwrap_or_default();
        ensure!(status == "online", "workspace {} beats and is {status:?}", agent.id);
    }
    Ok(())
}
