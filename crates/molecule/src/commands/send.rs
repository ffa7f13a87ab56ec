//! `molecule send`: a message to a workspace, its answer printed as it comes.

use std::{
    io::{self, Read},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use molecule_a2a::{
    Method,
    jsonrpc::{Message, Request, RequestId, SendParams},
};
use molecule_client::{A2aAnswer, A2aOptions, A2aReply, Client, ClientError, SseFrame, SseStream};
use molecule_core::{WorkspaceId, WorkspaceStatus, limits};
use molecule_wire::a2a::A2aUnavailable;
use tokio::signal::unix::{Signal, SignalKind, signal};
use uuid::Uuid;

use super::{answer::Printer, cancel, ws};
use crate::{completing, exit::CliError, output::Output, progress, resolve};

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The workspace (id or name)
    #[arg(add = completing::workspaces())]
    workspace: String,
    /// The text; - reads it from standard input
    text: String,
    /// Continue this conversation: an id of your choice that earlier messages carried
    #[arg(long, value_name = "ID")]
    context: Option<String>,
    /// Seconds to wait for the answer [default: as long as the agent works]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

pub(super) async fn run(args: SendArgs, client: &Client, out: &mut Output) -> Result<()> {
    let text = if args.text == "-" { read_stdin()? } else { args.text };
    if text.trim().is_empty() {
        return Err(CliError::Usage("the message is empty".into()).into());
    }
    let target = resolve::workspace(client, &args.workspace).await?;
    let message = Message::user(Uuid::new_v4().to_string(), text).in_context(args.context);
    let params = SendParams {
        message,
        configuration: None,
        metadata: None,
    };
    let request = Request::new(RequestId::text(&Uuid::new_v4().to_string()), Method::Stream, &params)?;
    check_size(serde_json::to_vec(&request)?.len())?;
    let options = A2aOptions {
        timeout: args.timeout.map(Duration::from_secs),
        ..A2aOptions::default()
    };

    let mut interrupted = Interrupt::install()?;
    let waiting = format!("waiting for {}", args.workspace);
    let begun = progress::run(out, &waiting, |_| client.stream_a2a(target, &request, &options));
    let answer = tokio::select! {
        answer = begun => answer?,
        () = interrupted.wait() => return Err(unnamed(&args.workspace)),
    };
    let mut printer = Printer::new(out, &args.workspace, options.timeout);
    match answer {
        A2aAnswer::Reply(reply) if reply.is_success() => printer.reply(&reply.body)?,
        A2aAnswer::Reply(reply) => return Err(refused(&reply, target, &args.workspace, client).await),
        A2aAnswer::Stream(mut frames) => loop {
            let next = tokio::select! {
                next = next_frame(&mut frames, &printer, &waiting) => next,
                () = interrupted.wait() => {
                    let task = printer.task_id().map(str::to_owned);
                    printer.finish()?;
                    return Err(interrupt(target, &args.workspace, task, client).await);
                }
            };
            match next {
                Ok(Some(frame)) => printer.frame(&frame.data)?,
                Ok(None) => break,
                Err(error) => {
                    // What was said so far keeps its line.
                    printer.finish()?;
                    return Err(error.into());
                }
            }
        },
    }
    printer.finish()
}

async fn next_frame(
    frames: &mut SseStream,
    printer: &Printer<'_>,
    waiting: &str,
) -> Result<Option<SseFrame>, ClientError> {
    if printer.at_line_start() {
        progress::run(printer.output(), waiting, |_| frames.next()).await
    } else {
        frames.next().await
    }
}

/// Ctrl-C, from here on a wish to end the task and not only this program.
struct Interrupt(Signal);

impl Interrupt {
    fn install() -> Result<Self> {
        Ok(Self(
            signal(SignalKind::interrupt()).context("Ctrl-C cannot be handled")?,
        ))
    }

    /// Cancel safe.
    async fn wait(&mut self) {
        self.0.recv().await;
    }
}

/// Cancels the task that answers, and says what became of it.
async fn interrupt(target: WorkspaceId, name: &str, task: Option<String>, client: &Client) -> anyhow::Error {
    let Some(task) = task else { return unnamed(name) };
    match cancel::task(target, name, &task, client).await {
        Ok(()) => CliError::Interrupted(format!("interrupted; {name} was told to stop")).into(),
        Err(error) => error.context(format!("interrupted, but {name} goes on with the task {task}")),
    }
}

/// A task without an id cannot be named to the agent.
fn unnamed(name: &str) -> anyhow::Error {
    CliError::Interrupted(format!(
        "interrupted before {name} answered; if the message reached it, it goes on (`molecule cancel` stops a task)"
    ))
    .into()
}

/// The platform takes no larger request (A2A-2), and breaks the connection rather than read one to its end.
fn check_size(bytes: usize) -> Result<(), CliError> {
    if bytes <= limits::A2A_REQUEST_BYTES {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "the message is too large: {bytes} bytes with its envelope, at most {} are taken; put the text into a file that \
         the workspace can read, and send its path",
        limits::A2A_REQUEST_BYTES
    )))
}

/// What an error answer means for the person who sent the message.
async fn refused(reply: &A2aReply, target: WorkspaceId, name: &str, client: &Client) -> anyhow::Error {
    let error = reply.to_error();
    if let Some(status) = error.upstream_status {
        let text = format!("{name} answered with an error of its own: {} ({status})", error.message);
        return CliError::Refused { text, status }.into();
    }
    // A2A-60: there is no agent to reach; the body says which status the workspace has instead.
    let status = error
        .body_as::<A2aUnavailable>()
        .and_then(|body| WorkspaceStatus::parse(&body.status?));
    match status {
        Some(status) => CliError::Refused {
            text: ws::state_of(target, name, status, client).await,
            status: error.status,
        }
        .into(),
        None => ClientError::from(error).into(),
    }
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .context("reading the message from standard input")?;
    Ok(text)
}
