//! Running programs.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use molecule_tools::{ArgumentError, Arguments, Caller, Definition, Output, Tool, ToolError};
use serde_json::json;

use crate::{
    env::{Settings, Vars},
    process::{Captured, End, Job, JobError, clean_env},
};

/// Bytes of a command's output, each stream (RUN-47).
const COMMAND_BYTES: usize = 10_000;
/// Longest run of a command that the model may ask for.
const LONGEST_COMMAND: Duration = Duration::from_secs(600);

/// `run_command`
pub(super) struct RunCommand {
    dir: PathBuf,
    vars: Vars,
    timeout: Duration,
}

impl RunCommand {
    pub(super) fn new(settings: &Settings, timeout: Duration) -> Self {
        Self {
            dir: settings.work_dir.clone(),
            vars: settings.vars.clone(),
            timeout,
        }
    }
}

#[async_trait]
impl Tool for RunCommand {
    fn definition(&self) -> Definition {
        Definition::new(
            "run_command",
            "Run a command in the working directory and wait for it. Everything it leaves running is ended.",
            json!({
                "command": { "type": "string", "description": "A line for sh -c" },
                "argv": { "type": "array", "items": { "type": "string" }, "description": "Program and arguments, instead of command" },
                "timeout_seconds": { "type": "number" }
            }),
            &[],
        )
    }

    async fn call(&self, arguments: &Arguments, _: &Caller) -> Result<Output, ToolError> {
        let (program, args) = command(arguments)?;
        let asked = arguments.number("timeout_seconds");
        let timeout = asked
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(self.timeout);
        let job = Job {
            program,
            args,
            dir: self.dir.clone(),
            env: clean_env(self.vars.iter()),
            stdin: Vec::new(),
            timeout: Some(timeout.clamp(Duration::from_millis(1), LONGEST_COMMAND)),
            output_bytes: COMMAND_BYTES,
        };
        let ended = job.run().await.map_err(|error| {
            ToolError::Failed(match error {
                JobError::Start { program, source } => format!("could not start {program:?}: {source}"),
                JobError::Lost(error) => error.to_string(),
            })
        })?;
        let code = match ended.end {
            End::Exited(code) => code.to_string(),
            End::Signalled => "killed by a signal".to_owned(),
            // RUN-47
            End::TimedOut(limit) => format!("-1 (killed after {} s)", limit.as_secs_f64()),
        };
        Ok(Output::Text(format!(
            "exit code: {code}\n{}{}",
            section("stdout", &ended.stdout),
            section("stderr", &ended.stderr)
        )))
    }
}

fn section(name: &str, output: &Captured) -> String {
    let text = output.text();
    match (text.trim_end(), output.truncated) {
        ("", _) => String::new(),
        (text, false) => format!("{name}:\n{text}\n"),
        (text, true) => format!("{name} (first {COMMAND_BYTES} bytes):\n{text}\n"),
    }
}

fn command(arguments: &Arguments) -> Result<(String, Vec<String>), ArgumentError> {
    let Some(argv) = arguments.texts("argv")? else {
        let line = arguments.text("command")?;
        return Ok(("/bin/sh".to_owned(), vec!["-c".to_owned(), line.to_owned()]));
    };
    let mut argv = argv.into_iter();
    let program = argv.next().ok_or_else(|| ArgumentError::Wrong {
        name: "argv".to_owned(),
        expected: "a program and its arguments",
    })?;
    Ok((program, argv.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn commands_by_line_or_list() {
        let parse = |value: Value| command(&Arguments::from_json(value).unwrap());
        assert_eq!(parse(json!({"command": "ls | wc"})).unwrap().1, ["-c", "ls | wc"]);
        assert_eq!(
            parse(json!({"argv": ["ls", "-l"]})).unwrap(),
            ("ls".to_owned(), vec!["-l".to_owned()])
        );
        for bad in [
            json!({}),
            json!({"argv": []}),
            json!({"argv": ["a", 1]}),
            json!({"argv": "ls"}),
            json!({"command": 5}),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
    }
}
