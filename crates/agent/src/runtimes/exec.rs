//! `exec`: any command, one process per message (D6).

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use molecule_core::{contract::env, text::preview};

use crate::{
    config::RuntimeConfig,
    engine::{Adapter, Category, Output, Reply, Session, SessionContext, TurnError, TurnInput},
    env::Vars,
    process::{Captured, End, Ended, Job, JobError},
};

/// Bytes of the reply.
const OUTPUT_BYTES: usize = 4 << 20;
/// Follows a reply that was longer.
const CUT_OFF: &str = "\n\n[The output was cut off after 4 MiB.]";
/// Characters of standard error that reach the log.
const LOGGED_CHARS: usize = 2_000;
/// Stands for the message's text in an argument.
const PLACEHOLDER: &str = "{message}";

/// The engine.
pub struct Exec {
    program: String,
    args: Vec<String>,
    dir: PathBuf,
    vars: Vars,
    timeout: Option<Duration>,
}

impl Exec {
    /// An engine that runs the configured command in `dir`. Preflight has seen to it that there is one.
    #[must_use]
    pub fn new(config: &RuntimeConfig, dir: PathBuf, vars: Vars) -> Option<Self> {
        let program = config.command.clone()?;
        Some(Self {
            program,
            args: config.args.clone(),
            dir,
            vars,
            timeout: config.timeout,
        })
    }

    /// The command was chosen by the operator and gets the workspace's secrets: they are there for it. Only what the
    /// platform gave the agent for itself stays here.
    fn job(&self, input: &TurnInput) -> Job {
        let mut env: std::collections::BTreeMap<_, _> = self
            .vars
            .iter()
            .filter(|(name, _)| !matches!(*name, env::TOKEN | env::OLDER_TOKEN))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        env.insert("MOLECULE_SESSION_ID".to_owned(), input.context_id.clone());
        env.insert("MOLECULE_MESSAGE_ID".to_owned(), input.message_id.clone());
        Job {
            program: self.program.clone(),
            args: self
                .args
                .iter()
                .map(|arg| arg.replace(PLACEHOLDER, &input.text))
                .collect(),
            dir: self.dir.clone(),
            env,
            stdin: input.text.clone().into_bytes(),
            timeout: self.timeout,
            output_bytes: OUTPUT_BYTES,
        }
    }
}

#[async_trait]
impl Adapter for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    async fn start(self: Arc<Self>, _: SessionContext) -> Result<Box<dyn Session>, TurnError> {
        Ok(Box::new(Conversation(self)))
    }
}

/// Its memory is the command's own, by `MOLECULE_SESSION_ID`.
struct Conversation(Arc<Exec>);

#[async_trait]
impl Session for Conversation {
    async fn turn(&mut self, input: &TurnInput, output: &Output) -> Result<Reply, TurnError> {
        let ended = self.0.job(input).run().await.map_err(|error| match error {
            JobError::Start { program, source } => {
                TurnError::new(Category::Subprocess, format!("could not start {program:?}: {source}"))
            }
            JobError::Lost(source) => {
                TurnError::new(Category::Subprocess, format!("lost track of the command: {source}"))
            }
        })?;
        let reply = judge(&ended)?;
        output.chunk(&reply.text);
        Ok(reply)
    }
}

fn judge(ended: &Ended) -> Result<Reply, TurnError> {
    let (category, what) = match ended.end {
        End::Exited(0) => return Ok(Reply::text(said(&ended.stdout))),
        End::Exited(code) => (Category::Exit(code), "the command failed".to_owned()),
        End::Signalled => (Category::Subprocess, "the command was killed by a signal".to_owned()),
        End::TimedOut(limit) => (Category::Timeout, format!("the command was killed after {limit:?}")),
    };
    let stderr = preview(ended.stderr.text().trim(), LOGGED_CHARS, "…");
    Err(TurnError::new(category, format!("{what}: {stderr}")))
}

fn said(stdout: &Captured) -> String {
    let text = stdout.text();
    let text = text.trim_end();
    if stdout.truncated {
        format!("{text}{CUT_OFF}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Sink;

    /// Nobody looks while it works.
    struct Nowhere;

    impl Sink for Nowhere {
        fn chunk(&self, _: &str) {}
    }

    async fn run(config: RuntimeConfig, text: &str) -> Result<Reply, TurnError> {
        let vars: Vars = [
            ("PATH", "/usr/bin:/bin"),
            ("MOLECULE_WORKSPACE_TOKEN", "tok"),
            ("MY_KEY", "k"),
        ]
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
        let exec = Exec::new(&config, std::env::temp_dir(), vars).unwrap();
        let input = TurnInput {
            task_id: "t".into(),
            context_id: "session-7".into(),
            message_id: "m-1".into(),
            text: text.into(),
            history: Vec::new(),
            asked: None,
        };
        let context = SessionContext {
            context_id: input.context_id.clone(),
        };
        let mut session = Arc::new(exec).start(context).await?;
        session.turn(&input, &Output::new(Arc::new(Nowhere))).await
    }

    fn sh(script: &str) -> RuntimeConfig {
        RuntimeConfig {
            command: Some("sh".into()),
            args: vec!["-c".into(), script.into()],
            ..RuntimeConfig::default()
        }
    }

    #[tokio::test]
    async fn message_session_and_secrets() {
        // D6
        let reply = run(
            sh("cat; echo; echo $MOLECULE_SESSION_ID $MOLECULE_MESSAGE_ID $MY_KEY [$MOLECULE_WORKSPACE_TOKEN]"),
            "hi",
        )
        .await;
        assert_eq!(reply.unwrap().text, "hi\nsession-7 m-1 k []");
        let placeholder = RuntimeConfig {
            command: Some("echo".into()),
            args: vec!["<{message}>".into()],
            ..RuntimeConfig::default()
        };
        assert_eq!(run(placeholder, "a; b").await.unwrap().text, "<a; b>");
    }

    #[tokio::test]
    async fn failures_have_their_category() {
        // RUN-57
        let error = run(sh("echo secret-detail >&2; exit 7"), "x").await.unwrap_err();
        assert_eq!(error.category, Category::Exit(7));
        assert!(error.detail.contains("secret-detail") && !error.to_string().contains("secret-detail"));
        assert_eq!(
            run(sh("kill -9 $$"), "x").await.unwrap_err().category,
            Category::Subprocess
        );
        let endless = run(sh("yes | head -c 5000000"), "x").await.unwrap().text;
        assert!(endless.ends_with("y\n\n[The output was cut off after 4 MiB.]"));
        let missing = RuntimeConfig {
            command: Some("/no/such".into()),
            ..RuntimeConfig::default()
        };
        assert_eq!(run(missing, "x").await.unwrap_err().category, Category::Subprocess);
        let slow = RuntimeConfig {
            timeout: Some(Duration::from_millis(50)),
            ..sh("sleep 1000")
        };
        assert_eq!(run(slow, "x").await.unwrap_err().category, Category::Timeout);
    }
}
