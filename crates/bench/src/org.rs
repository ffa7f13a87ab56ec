//! Setting up what is measured, over the HTTP API: workspaces, tokens.

use std::time::Instant;

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    figure::progress,
    http1::{Connection, request},
    server::Server,
};

/// Concurrent connections while workspaces are created.
const CREATORS: usize = 8;

/// A workspace and its token.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// Creates external workspaces that are dialled at `url`, each with a token. All are roots, so that each may speak to
/// each (REG-80).
pub(crate) async fn push_agents(server: &mut Server, count: usize, url: &str) -> anyhow::Result<Vec<Agent>> {
    let mut agents = Vec::with_capacity(count);
    for number in 0..count {
        let body =
            json!({ "name": format!("agent-{number}"), "runtime": "external", "url": url, "delivery_mode": "push" });
        let created = server.call("POST", "/workspaces", &body).await?;
        let id = text(&created, "/id")?;
        let minted = server
            .call("POST", &format!("/workspaces/{id}/tokens"), &Value::Null)
            .await?;
        agents.push(Agent {
            token: text(&minted, "/auth_token")?,
            id,
        });
    }
    Ok(agents)
}

/// Creates external workspaces that fetch their messages. Their tokens come with the creation (LIFE-74).
pub(crate) async fn poll_agents(server: &Server, count: usize) -> anyhow::Result<Vec<Agent>> {
    let created = create(
        server,
        count,
        |number| json!({ "name": format!("agent-{number}"), "runtime": "external", "delivery_mode": "poll" }),
    )
    .await?;
    created
        .iter()
        .map(|view| {
            Ok(Agent {
                id: text(view, "/id")?,
                token: text(view, "/connection/auth_token")?,
            })
        })
        .collect()
}

/// Creates workspaces over several connections at once; returns the answers.
pub(crate) async fn create(
    server: &Server,
    count: usize,
    body: impl Fn(usize) -> Value + Copy + Send + 'static,
) -> anyhow::Result<Vec<Value>> {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for first in 0..CREATORS {
        let authorization = server.authorization().to_owned();
        let mut connection = Connection::new(server.address());
        tasks.spawn(async move {
            let mut created = Vec::new();
            for number in (first..count).step_by(CREATORS) {
                let body = serde_json::to_vec(&body(number))?;
                let bytes = request("POST", "/workspaces", std::slice::from_ref(&authorization), &body);
                let reply = connection.exchange(&bytes).await.context("POST /workspaces")?;
                anyhow::ensure!(reply.status == 201, "POST /workspaces answered {}", reply.summary());
                created.push(serde_json::from_slice(&reply.body)?);
            }
            Ok(created)
        });
    }
    let mut created = Vec::with_capacity(count);
    while let Some(result) = tasks.join_next().await {
        created.append(&mut result??);
    }
    progress(&format!(
        "{count} workspaces created in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    Ok(created)
}

fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = value
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    found
        .map(str::to_owned)
        .with_context(|| format!("the server's answer has no {pointer}: {}", shape(value)))
}

/// The names in an answer, without its values: one of them may be a token.
fn shape(value: &Value) -> String {
    value.as_object().map_or_else(
        || String::from("not an object"),
        |object| object.keys().cloned().collect::<Vec<_>>().join(", "),
    )
}
