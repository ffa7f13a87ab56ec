//! Heartbeats while many people watch: each beat is an event that every open socket gets.

use anyhow::Context;

use super::{
    CONNECTIONS, Scale,
    heartbeats::{beat, online},
    looks::Looks,
};
use crate::{
    children::Watchers,
    contest::{AGAINST, Builds, Contestant, MOLECULE},
    figure::{Figure, Target, progress, rounded},
    org,
    server::{Home, Mode, Server, resident_bytes},
};

/// Silence after which a workspace counts as away, seconds: short, so that a beat that is answered late is seen.
const STALE_AFTER: &str = "10";

/// What one server did.
struct Watched {
    contestant: Contestant,
    health: Looks,
    resident_mb: f64,
    silent: usize,
    frames: u64,
}

/// Beats per second, answers of `/health`, memory and workspaces taken for silent with many open event sockets.
pub(crate) async fn measure(builds: &Builds, scale: &Scale) -> anyhow::Result<()> {
    progress("event_sockets: heartbeats under many watchers");
    // One after the other: two servers with all their sockets at once would measure each other.
    let mut results = vec![];
    for (name, binary) in builds.each() {
        let home = Home::new()?
            .with("MOLECULE_SOCKETS_PER_CREDENTIAL", "0")
            .with("REMOTE_LIVENESS_STALE_AFTER", STALE_AFTER);
        let mut server = Server::start(binary, &home, Mode::Server).await?;
        let watched = watch(&mut server, name, scale)
            .await
            .with_context(|| server.log_tail())?;
        server.stop().await?;
        results.push(watched);
    }
    print(&results, scale)
}

async fn watch(server: &mut Server, name: &'static str, scale: &Scale) -> anyhow::Result<Watched> {
    let agents = org::poll_agents(server, scale.beating).await?;
    let beats: Vec<_> = agents.iter().map(beat).collect();
    let mut contestant = Contestant::new(name, server.address(), beats.clone(), server.pid());
    contestant.once(&beats, CONNECTIONS, scale).await?;
    let watchers = Watchers::open(server.address(), server.authorization(), scale.sockets).await?;
    progress(&format!("{name}: {} event sockets are open", scale.sockets));
    contestant.warm_up(CONNECTIONS, scale).await?;
    let mut health = Looks::new()?;
    for _ in 0..scale.rounds {
        let address = contestant.address;
        health.during(address, contestant.round(CONNECTIONS, scale)).await?;
    }
    let pid = server.pid().context("the server runs")?;
    let resident_mb = resident_bytes(pid)? as f64 / 1e6;
    let silent = agents.len().saturating_sub(online(server).await?);
    let frames = watchers.close().await?;
    Ok(Watched {
        contestant,
        health,
        resident_mb,
        silent,
        frames,
    })
}

fn print(results: &[Watched], scale: &Scale) -> anyhow::Result<()> {
    let ours = results.first().context("a server was measured")?;
    let health_p99 = |watched: &Watched| watched.health.p99();
    let mut beats = Figure::new("event_sockets", ours.contestant.rate(), "beats/s")
        .target(Target::AtLeast(5_000.0))
        .with("sockets", scale.sockets)
        .with("workspaces", scale.beating)
        .with("frames_read", ours.frames)
        .with(MOLECULE, ours.contestant.summary());
    let mut health =
        Figure::new("event_sockets_health", health_p99(ours), "ms, p99 of /health").target(Target::Below(50.0));
    let mut memory =
        Figure::new("event_sockets_rss", ours.resident_mb, "MB of the server process").target(Target::Below(200.0));
    let mut silent = Figure::new(
        "event_sockets_silent",
        ours.silent as f64,
        "beating workspaces taken for silent",
    )
    .target(Target::Below(1.0));
    if let Some(against) = results.get(1) {
        beats = beats
            .with(AGAINST, against.contestant.summary())
            .number("of_against", ours.contestant.rate() / against.contestant.rate());
        health = health.number(AGAINST, rounded(health_p99(against)));
        memory = memory.number(AGAINST, against.resident_mb);
        silent = silent.with(AGAINST, against.silent);
    }
    for figure in [beats, health, memory, silent] {
        figure.print()?;
    }
    Ok(())
}
