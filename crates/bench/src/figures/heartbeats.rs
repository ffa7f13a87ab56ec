//! Heartbeats of many workspaces, each with its own credential: the first of each, and those that come afterwards.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{CONNECTIONS, Scale, looks::Looks};
use crate::{
    children::Part,
    contest::{self, AGAINST, Builds, Contestant, MOLECULE},
    figure::{Figure, Target, progress, rounded},
    http1::request,
    load::{Template, median},
    org::{self, Agent},
    server::{Home, Mode, Server},
};

/// Connections of those that come back at once.
const RETURNING: usize = 256;
/// Name of the server that does nothing.
const FLOOR: &str = "do_nothing";

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
    let floor = Part::floor().await?;
    // The first beat of each brings it online (REG-65): that is a change with an event, a later beat changes nothing.
    for (server, agents, _) in &mut servers {
        check_online(server, agents).await?;
    }
    // The same bytes; it looks at nothing.
    let beats = contestants.first().map_or_else(Vec::new, |ours| ours.requests.clone());
    contestants.push(Contestant::new(FLOOR, floor.address(), beats, floor.pid()));
    for contestant in &mut contestants {
        contestant.warm_up(CONNECTIONS, scale).await?;
    }
    contest::rounds(&mut contestants, CONNECTIONS, scale).await?;
    figure("heartbeats", &contestants, Target::AtLeast(20_000.0), scale)?;
    for (mut server, agents, _home) in servers {
        check_online(&mut server, &agents).await?;
        server.stop().await?;
    }
    Ok(())
}

/// Lets each workspace beat once; a part of them in every round, so that both builds have rounds. Meanwhile somebody looks
/// whether the server is well.
async fn first_beats(contestants: &mut [Contestant], scale: &Scale) -> anyhow::Result<()> {
    let part = scale.beating.div_ceil(scale.rounds);
    let mut health = Looks::new()?;
    for round in 0..scale.rounds {
        contestants.rotate_left(1);
        for contestant in &mut *contestants {
            let beats = contestant.requests.clone();
            let begin = (round * part).min(beats.len());
            let end = (begin + part).min(beats.len());
            let (ours, address) = (contestant.name == MOLECULE, contestant.address);
            let beating = contestant.once(&beats[begin..end], RETURNING, scale);
            if ours {
                health.during(address, beating).await?;
            } else {
                beating.await?;
            }
        }
    }
    figure("heartbeats_first", contestants, Target::AtLeast(3_000.0), scale)?;
    Figure::new("heartbeats_first_health", health.p99(), "ms, p99 of /health")
        .target(Target::Below(50.0))
        .print()
}

fn figure(name: &str, contestants: &[Contestant], target: Target, scale: &Scale) -> anyhow::Result<()> {
    let ours = contest::find(contestants, MOLECULE).context("the server runs")?;
    let mut figure = Figure::new(name, ours.rate(), "beats/s")
        .with("workspaces", scale.beating)
        .target(target)
        .with(MOLECULE, ours.summary());
    if let Some(floor) = contest::find(contestants, FLOOR) {
        let ratios = ours.ratios(floor);
        figure = figure
            .with(FLOOR, floor.summary())
            .number("of_do_nothing", median(ratios.iter().copied()));
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
