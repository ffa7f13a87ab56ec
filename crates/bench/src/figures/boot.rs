//! How long a server takes from process start to being of use.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::json;

use super::Scale;
use crate::{
    contest::Builds,
    figure::{Figure, Target, progress, rounded},
    load::median,
    org,
    server::{Home, Mode, Server, cpu_seconds, resident_bytes},
};

/// What the boots of one build took.
struct Boots {
    name: &'static str,
    first_ms: Vec<f64>,
    other_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
    resident_mb: Vec<f64>,
}

impl Boots {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            first_ms: vec![],
            other_ms: vec![],
            cpu_ms: vec![],
            resident_mb: vec![],
        }
    }

    fn middle(&self) -> f64 {
        median(self.first_ms.iter().copied())
    }

    /// Adds what was measured; `other` names the second time.
    fn describe(&self, figure: Figure, other: &str) -> Figure {
        figure
            .number(other, median(self.other_ms.iter().copied()))
            .number("cpu_ms", median(self.cpu_ms.iter().copied()))
            .with("boots", self.first_ms.iter().copied().map(rounded).collect::<Vec<_>>())
    }
}

/// The figure of the build under measurement, with the other one's times beside it.
fn compared(name: &str, unit: &str, other: &str, boots: &[Boots]) -> anyhow::Result<Figure> {
    let ours = boots.first().context("a server was started")?;
    let figure = ours.describe(Figure::new(name, ours.middle(), unit), other);
    Ok(boots[1..].iter().fold(figure, |figure, against| {
        figure
            .number("against_ms", against.middle())
            .number("of_against", ours.middle() / against.middle())
            .with(
                against.name,
                against.first_ms.iter().copied().map(rounded).collect::<Vec<_>>(),
            )
    }))
}

/// Time from process start to the first complete answer of `GET /workspaces` with a large store.
pub(crate) async fn ten_thousand(builds: &Builds, scale: &Scale) -> anyhow::Result<()> {
    progress("boot_10k: a server with a large store");
    let mut stores = vec![];
    for (name, binary) in builds.each() {
        let home = Home::new()?;
        fill(binary, &home, scale).await?;
        stores.push((binary, home, Boots::new(name)));
    }
    let mut bytes = 0;
    for _ in 0..scale.boots {
        for (binary, home, boots) in &mut stores {
            bytes = boot_full(binary, home, boots, scale).await?;
        }
    }
    let boots: Vec<Boots> = stores.into_iter().map(|(.., boots)| boots).collect();
    let figure = compared(
        "boot_10k",
        "ms to the first 200 of GET /workspaces",
        "health_ms",
        &boots,
    )?;
    figure
        .target(Target::Below(1_000.0))
        .with("workspaces", scale.stored)
        .with("response_bytes", bytes)
        .number("rss_mb", median(boots[0].resident_mb.iter().copied()))
        .print()
}

async fn fill(binary: &Path, home: &Home, scale: &Scale) -> anyhow::Result<()> {
    let server = Server::start(binary, home, Mode::Server).await?;
    org::create(&server, scale.stored, |number| {
        json!({
            "name": format!("agent-{number}"),
            "role": "Keeps an eye on one of many services and reports what changes.",
            "runtime": "external",
            "url": "http://localhost:9/",
            "delivery_mode": "push",
        })
    })
    .await?;
    server.stop().await
}

/// Boots twice; returns the size of the list.
async fn boot_full(binary: &Path, home: &Home, boots: &mut Boots, scale: &Scale) -> anyhow::Result<usize> {
    let mut server = Server::spawn(binary, home, Mode::Server)?;
    let (elapsed, list) = server.first_success("/workspaces").await?;
    let pid = server.pid().context("the server runs")?;
    boots.cpu_ms.push(cpu_seconds(pid)? * 1e3);
    boots.resident_mb.push(resident_bytes(pid)? as f64 / 1e6);
    let workspaces: Vec<serde::de::IgnoredAny> = serde_json::from_slice(&list.body)?;
    ensure!(
        workspaces.len() == scale.stored,
        "{} of {} workspaces listed",
        workspaces.len(),
        scale.stored
    );
    boots.first_ms.push(elapsed.as_secs_f64() * 1e3);
    server.stop().await?;
    // In a boot of its own: asking for both at once would delay the one or the other.
    let mut server = Server::spawn(binary, home, Mode::Server)?;
    let health = server.first_success("/health").await?.0;
    boots.other_ms.push(health.as_secs_f64() * 1e3);
    server.stop().await?;
    Ok(list.body.len())
}

/// Time from process start to the line with the login URL, in a fresh data directory and in the same one again.
pub(crate) async fn login_url(builds: &Builds, scale: &Scale) -> anyhow::Result<()> {
    progress("boot_to_login_url: molecule up");
    let mut all: Vec<Boots> = builds.each().map(|(name, _)| Boots::new(name)).collect();
    for _ in 0..scale.boots {
        for ((_, binary), boots) in builds.each().zip(&mut all) {
            let home = Home::new()?;
            let mut server = Server::spawn(binary, &home, Mode::Up)?;
            boots.first_ms.push(server.login_url().await?.as_secs_f64() * 1e3);
            boots
                .cpu_ms
                .push(cpu_seconds(server.pid().context("the server runs")?)? * 1e3);
            server.stop().await?;
            let mut server = Server::spawn(binary, &home, Mode::Up)?;
            boots.other_ms.push(server.login_url().await?.as_secs_f64() * 1e3);
            server.stop().await?;
        }
    }
    compared(
        "boot_to_login_url",
        "ms from process start, fresh data directory",
        "again_ms",
        &all,
    )?
    .print()
}
