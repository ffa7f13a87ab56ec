//! `molecule cancel`: stops what an agent is at.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use molecule_a2a::{
    Method,
    jsonrpc::{Request, RequestId},
};
use molecule_client::{A2aOptions, Client, ClientError};
use molecule_core::WorkspaceId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{completing, exit::CliError, output::Output, progress, resolve};

/// An agent stops a task at its next step; one that hangs in a tool takes longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The workspace (id or name)
    #[arg(add = completing::workspaces())]
    workspace: String,
    /// Id of the task, as `send --json` shows it [default: every task it is at]
    task: Option<String>,
}

pub(super) async fn run(args: CancelArgs, client: &Client, out: &mut Output) -> Result<()> {
    let target = resolve::workspace(client, &args.workspace).await?;
    let name = &args.workspace;
    let tasks = match args.task {
        Some(task) => vec![task],
        None => open_tasks(target, name, client).await?,
    };
    if tasks.is_empty() {
        return Err(CliError::NotFound(format!("{name} has no task to cancel")).into());
    }
    for id in &tasks {
        progress::run(out, "canceling", |_| task(target, name, id, client)).await?;
    }
    if out.is_json() {
        return Ok(out.json(&json!({ "canceled": tasks }))?);
    }
    for id in &tasks {
        out.line(format_args!("canceled {id}"))?;
    }
    Ok(())
}

/// Cancels one task.
pub(super) async fn task(target: WorkspaceId, name: &str, task: &str, client: &Client) -> Result<()> {
    call(target, name, Method::CancelTask, &json!({ "id": task }), client)
        .await
        .map(drop)
}

/// Ids of the tasks that have not ended.
async fn open_tasks(target: WorkspaceId, name: &str, client: &Client) -> Result<Vec<String>> {
    let listed = call(target, name, Method::ListTasks, &json!({}), client).await;
    let listed = listed.map_err(|error| {
        error.context(format!(
            "{name} does not list its tasks; name the one to cancel (`molecule send --json` shows its id)"
        ))
    })?;
    let tasks = listed.get("tasks").and_then(Value::as_array).into_iter().flatten();
    let open = tasks.filter(|task| {
        let state = task
            .pointer("/status/state")
            .and_then(Value::as_str)
            .unwrap_or_default();
        // As v0.3 and as v1.0 spell them.
        let state = state.trim_start_matches("TASK_STATE_").to_ascii_lowercase();
        !matches!(state.as_str(), "completed" | "failed" | "canceled" | "rejected")
    });
    Ok(open
        .filter_map(|task| task.get("id")?.as_str().map(str::to_owned))
        .collect())
}

/// One JSON-RPC call of the agent; its result.
async fn call(target: WorkspaceId, name: &str, method: Method, params: &Value, client: &Client) -> Result<Value> {
    let request = Request::new(RequestId::text(&Uuid::new_v4().to_string()), method, params)?;
    let options = A2aOptions {
        timeout: Some(PATIENCE),
        ..A2aOptions::default()
    };
    let reply = client.send_a2a(target, &request, &options).await?;
    if !reply.is_success() {
        return Err(ClientError::from(reply.to_error()).into());
    }
    let mut answer: Value = reply.json()?;
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let text = error
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("no reason given");
        return Err(CliError::Failed(format!("{name} answered: {text}")).into());
    }
    Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
}
