//! Exit codes that scripts can trust, and how failures are told.

use std::io;

use molecule_client::ClientError;
use serde_json::json;

use crate::{
    config::ConfigErrors,
    output::{Format, Output},
};

/// Everything was done.
pub const DONE: u8 = 0;
/// It was understood but failed.
pub const FAILED: u8 = 1;
/// Wrong usage or configuration; also clap's code.
pub const USAGE: u8 = 2;
/// What was named does not exist.
pub const NOT_FOUND: u8 = 3;
/// The credential is missing, wrong or not enough, or the budget is spent.
pub const REFUSED: u8 = 4;
/// No server answers.
pub const UNREACHABLE: u8 = 5;

/// Ctrl-C, as shells count it.
pub const INTERRUPTED: u8 = 130;

/// A failure that the command line itself finds.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What was asked cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// The person at the terminal ended it.
    #[error("{0}")]
    Interrupted(String),
    /// The server refused it with an error status that means more than its text says.
    #[error("{text}")]
    Refused {
        /// What it means.
        text: String,
        /// HTTP status.
        status: u16,
    },
}

/// The exit code of a failure.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<CliError>() {
            return match error {
                CliError::Usage(_) => USAGE,
                CliError::NotFound(_) => NOT_FOUND,
                CliError::Interrupted(_) => INTERRUPTED,
                CliError::Failed(_) | CliError::Refused { .. } => FAILED,
            };
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return code_of_client(error);
        }
        if cause.is::<ConfigErrors>() {
            return USAGE;
        }
        if cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        {
            // The reader (`head`, a closed pager) has all it wanted.
            return DONE;
        }
    }
    FAILED
}

fn code_of_client(error: &ClientError) -> u8 {
    match error {
        ClientError::InvalidUrl(_) | ClientError::InvalidCredential | ClientError::InvalidRequest(_) => USAGE,
        ClientError::Connect { .. } | ClientError::Timeout { .. } | ClientError::Interrupted { .. } => UNREACHABLE,
        // The agent refused, not the server.
        ClientError::Status(error) if error.upstream_status.is_some() => FAILED,
        ClientError::Status(error) => match error.status {
            401..=403 => REFUSED,
            404 | 410 => NOT_FOUND,
            _ => FAILED,
        },
        ClientError::Decode { .. } | ClientError::TooLarge { .. } => FAILED,
    }
}

/// Tells a failure on standard error and returns its exit code.
#[must_use]
pub fn report(output: &mut Output, error: &anyhow::Error) -> u8 {
    let code = code_of(error);
    if code == DONE {
        return code;
    }
    let text = text_of(error);
    let told = if output.is_json() {
        let status = error.chain().find_map(status_of);
        output.note(json!({"error": text, "exit_code": code, "status": status}))
    } else {
        output.note(format_args!("error: {text}"))
    };
    // Standard error is gone as well: the code is all that is left.
    told.map_or(FAILED, |()| code)
}

fn status_of(cause: &(dyn std::error::Error + 'static)) -> Option<u16> {
    match cause.downcast_ref::<CliError>() {
        Some(CliError::Refused { status, .. }) => Some(*status),
        _ => cause.downcast_ref::<ClientError>()?.status(),
    }
}

/// Tells what clap found wrong with a command line, and returns its exit code. Help and version are printed as asked.
#[must_use]
pub fn report_usage(error: &clap::Error, json: bool) -> u8 {
    if !error.use_stderr() || !json {
        // Whoever closed the output wants no more of it.
        error.print().ok();
        return if error.use_stderr() { USAGE } else { DONE };
    }
    let text = error.to_string();
    let text = text.trim().strip_prefix("error: ").unwrap_or(&text);
    let said: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    report(
        &mut Output::standard(Format::Json),
        &CliError::Usage(said.join("; ")).into(),
    )
}

/// The chain's texts, leaving out what a cause repeats.
fn text_of(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use molecule_client::StatusError;

    use super::*;

    fn status(status: u16) -> anyhow::Error {
        answered(status, None)
    }

    fn answered(status: u16, upstream_status: Option<u16>) -> anyhow::Error {
        let error = StatusError {
            status,
            upstream_status,
            message: "no".into(),
            detail: None,
            code: None,
            retry_after: None,
            body: String::new(),
        };
        anyhow::Error::new(ClientError::from(error))
    }

    #[test]
    fn codes() {
        for (error, code) in [
            (status(401), REFUSED),
            (status(402), REFUSED),
            (status(403), REFUSED),
            (status(404), NOT_FOUND),
            (status(410), NOT_FOUND),
            (status(400), FAILED),
            (status(503), FAILED),
            // What an agent answers says nothing of the operator's credential, nor of what was named.
            (answered(401, Some(401)), FAILED),
            (answered(404, Some(404)), FAILED),
            (
                ClientError::Connect {
                    url: "u".into(),
                    reason: "r".into(),
                }
                .into(),
                UNREACHABLE,
            ),
            (
                ClientError::Timeout {
                    url: "u".into(),
                    after: None,
                }
                .into(),
                UNREACHABLE,
            ),
            (ClientError::InvalidUrl("x".into()).into(), USAGE),
            (CliError::Usage("x".into()).into(), USAGE),
            (CliError::NotFound("x".into()).into(), NOT_FOUND),
            (CliError::Interrupted("x".into()).into(), INTERRUPTED),
            (
                ConfigErrors {
                    problems: Vec::new(),
                    warnings: Vec::new(),
                }
                .into(),
                USAGE,
            ),
            (anyhow::anyhow!("x"), FAILED),
            (io::Error::from(io::ErrorKind::BrokenPipe).into(), DONE),
        ] {
            assert_eq!(code_of(&error), code, "{error}");
        }
        assert_eq!(
            code_of(&Err::<(), _>(status(404)).context("while looking").unwrap_err()),
            NOT_FOUND
        );
    }

    #[test]
    fn failures_are_told_once_and_as_json_on_request() {
        let (mut output, told) = Output::captured(false);
        assert_eq!(report(&mut output, &status(404).context("no such thing")), NOT_FOUND);
        assert_eq!(told.notes(), "error: no such thing: no (HTTP 404)\n");
        let (mut output, told) = Output::captured(true);
        assert_eq!(report(&mut output, &status(404)), NOT_FOUND);
        assert_eq!(
            told.notes(),
            "{\"error\":\"no (HTTP 404)\",\"exit_code\":3,\"status\":404}\n"
        );
    }
}
