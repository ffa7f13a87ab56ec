//! How long a server takes from process start to being of use.

use std::path::Path;

use anyhow::ensure;
use serde_json::json;

use super::Scale;
use crate::{
    figure::{Figure, Target, progress, rounded},
    load::median,
    org,
    server::{Home, Mode, Server, resident_bytes},
};

/// Time from process start to the first complete answer of `GET /workspaces` with a large store.
pub(crate) async fn ten_thousand(binary: &Path, scale: &Scale) -> anyhow::Result<()> {
    progress("boot_10k: a server with a large store");
    let home = Home::new()?;
    let server = Server::start(binary, &home, Mode::Server).await?;
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
    server.stop().await?;
    let (mut first, mut health, mut resident, mut bytes) = (vec![], vec![], vec![], 0);
    for _ in 0..scale.boots {
        let mut server = Server::spawn(binary, &home, Mode::Server)?;
        let (elapsed, list) = server.first_success("/workspaces").await?;
        let workspaces: Vec<serde::de::IgnoredAny> = serde_json::from_slice(&list.body)?;
        ensure!(
            workspaces.len() == scale.stored,
            "{} of {} workspaces listed",
            workspaces.len(),
            scale.stored
        );
        bytes = list.body.len();
        first.push(elapsed.as_secs_f64() * 1e3);
        if let Some(pid) = server.pid() {
            resident.push(resident_bytes(pid)? as f64 / 1e6);
        }
        server.stop().await?;
        // In a boot of its own: asking for both at once would delay the one or the other.
        let mut server = Server::spawn(binary, &home, Mode::Server)?;
        health.push(server.first_success("/health").await?.0.as_secs_f64() * 1e3);
        server.stop().await?;
    }
    Figure::new(
        "boot_10k",
        median(first.iter().copied()),
        "ms to the first 200 of GET /workspaces",
    )
    .target(Target::Below(1_000.0))
    .with("workspaces", scale.stored)
    .with("response_bytes", bytes)
    .number("health_ms", median(health))
    .number("rss_mb", median(resident))
    .with("boots", first.into_iter().map(rounded).collect::<Vec<_>>())
    .print()
}

/// Time from process start to the line with the login URL, in a fresh data directory and in the same one again.
pub(crate) async fn login_url(binary: &Path, scale: &Scale) -> anyhow::Result<()> {
    progress("boot_to_login_url: molecule up");
    let (mut fresh, mut again) = (vec![], vec![]);
    for _ in 0..scale.boots {
        let home = Home::new()?;
        for times in [&mut fresh, &mut again] {
            let mut server = Server::spawn(binary, &home, Mode::Up)?;
            times.push(server.login_url().await?.as_secs_f64() * 1e3);
            server.stop().await?;
        }
    }
    Figure::new(
        "boot_to_login_url",
        median(fresh.iter().copied()),
        "ms from process start, fresh data directory",
    )
    .number("again_ms", median(again))
    .with("boots", fresh.into_iter().map(rounded).collect::<Vec<_>>())
    .print()
}
