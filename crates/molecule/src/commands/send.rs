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
use molecule_client::{A2aAnswer, A2aOptions, Client, ClientError};
use uuid::Uuid;

use super::answer::Printer;
use crate::{exit::CliError, output::Output, progress, resolve};

/// Arguments of `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The workspace (id or name)
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
    let options = A2aOptions {
        timeout: args.timeout.map(Duration::from_secs),
        ..A2aOptions::default()
    };

    let waiting = format!("waiting for {}", args.workspace);
    let answer = progress::run(out, &waiting, |_| client.stream_a2a(target, &request, &options)).await?;
    let mut printer = Printer::new(out, &args.workspace);
    match answer {
        A2aAnswer::Reply(reply) if reply.is_success() => printer.reply(&reply.body)?,
        A2aAnswer::Reply(reply) => return Err(ClientError::from(reply.to_error()).into()),
        A2aAnswer::Stream(mut frames) => loop {
            let next = if printer.at_line_start() {
                progress::run(printer.output(), &waiting, |_| frames.next()).await
            } else {
                frames.next().await
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

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .context("reading the message from standard input")?;
    Ok(text)
}
