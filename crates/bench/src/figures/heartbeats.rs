//! Heartbeats of many workspaces, each with its own credential: the first of each, and those that come afterwards.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{CONNECTIONS, Scale};
use crate::{
    contest::{self, AGAINST, Builds, Contestant, MOLECULE},
    figure::{Figure, Target, progress, rounded},
    http1::request,
    load::{Template, median},
    org::{self, Agent},
    server::{Home, Mode, Server},
};

/// Beats per second that are sustained, of first beats and of later ones.
pub(crate) async fn measure(builds: &Builds, scale: &Scale) -> anyhow::Result<()> {
    progress("heartbeats: many workspaces beating");
    let (mut servers, mut contestants) = (vec![], vec![]);
    for (name, binary) in builds.each() {
        let home = Home::new()?;
        let server = Server::start(binary, &home, Mode::Server).await?;
        let agents = org::poll_agents(&server, scale.beating).await?;
        let beats = agents.iter().map(beat).collect();
        contestants.push(Contestant::new(name, server.address(), beats, server.pid()));
        servers.push((server, agents, home));
    }
    first_beats(&mut contestants, scale).await?;
    // The first beat of each brings it online (REG-65): that is a change with an event, a later beat changes nothing.
    for (server, agents, _) in &mut servers {
        check_online(server, agents).await?;
    }
    for contestant in &mut contestants {
        contestant.warm_up(CONNECTIONS, scale).await?;
    }
    contest::rounds(&mut contestants, CONNECTIONS, scale).await?;
    figure("heartbeats", &contestants, Some(Target::AtLeast(10_000.0)), scale)?;
    for (mut server, agents, _home) in servers {
        check_online(&mut server, &agents).await?;
        server.stop().await?;
    }
    Ok(())
}

/// Lets each workspace beat once; a part of them in every round, so that both builds have rounds.
async fn first_beats(contestants: &mut [Contestant], scale: &Scale) -> anyhow::Result<()> {
    let part = scale.beating.div_ceil(scale.rounds);
    for round in 0..scale.rounds {
        contestants.rotate_left(1);
        for contestant in &mut *contestants {
            let beats = contestant.requests.clone();
            let begin = (round * part).min(beats.len());
            let end = (begin + part).min(beats.len());
            contestant.once(&beats[begin..end], CONNECTIONS, scale).await?;
        }
    }
    figure("heartbeats_first", contestants, None, scale)
}

fn figure(name: &str, contestants: &[Contestant], target: Option<Target>, scale: &Scale) -> anyhow::Result<()> {
    let ours = contest::find(contestants, MOLECULE).context("the server runs")?;
    let mut figure = Figure::new(name, ours.rate(), "beats/s")
        .with("workspaces", scale.beating)
        .with("connections", CONNECTIONS)
        .with(MOLECULE, ours.summary());
    if let Some(target) = target {
        figure = figure.target(target);
    }
    if let Some(against) = contest::find(contestants, AGAINST) {
        let ratios = ours.ratios(against);
        figure = figure
            .with(AGAINST, against.summary())
            .number("of_against", median(ratios.iter().copied()))
            .with("rounds", ratios.into_iter().map(rounded).collect::<Vec<_>>());
    }
    figure.print()
}

/// The beat of a workspace that is well and has nothing to do.
pub(crate) fn beat(agent: &Agent) -> Template {
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

/// Beats that are refused or change nothing would be cheap: looks whether every workspace is online.
async fn check_online(server: &mut Server, agents: &[Agent]) -> anyhow::Result<()> {
    let online = online(server).await?;
    ensure!(
        online == agents.len(),
        "{} workspaces beat and {online} are online",
        agents.len()
    );
    progress(&format!("{online} workspaces are online"));
    Ok(())
}

/// How many workspaces are online.
pub(crate) async fn online(server: &mut Server) -> anyhow::Result<usize> {
    let list = server.call("GET", "/workspaces", &Value::Null).await?;
    let list = list.as_array().context("GET /workspaces answers a list")?;
    Ok(list.iter().filter(|workspace| workspace["status"] == "online").count())
}
