//! `echo`: answers deterministically and knows a few commands (D6). For demonstrations, tests and benchmarks.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::EngineContext;
use crate::{
    delegation::{Delegator, Outcome},
    engine::{Adapter, Category, Output, Reply, Session, SessionContext, ToolTrace, TurnError, TurnInput},
    peers::{self, Directory, Found},
    platform::Platform,
};

/// Exit code of `crash`.
const CRASH_CODE: i32 = 3;
/// Longest `sleep`.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// Exactly what exists.
const HELP: &str = "I echo whatever I am told, except for these commands:\n\
delegate <peer>: <task> — send the task to a peer and answer with its reply\n\
peers — list the peers I can delegate to\n\
notify <text> — send a message to the user\n\
sleep <milliseconds> — answer after that time\n\
fail <text> — fail this turn\n\
crash — end this agent's process with exit code 3\n\
help — this list";

/// The engine.
pub struct Echo {
    name: String,
    platform: Arc<Platform>,
    directory: Arc<Directory>,
    delegator: Arc<Delegator>,
}

/// A message, understood.
#[derive(Debug, PartialEq, Eq)]
enum Command<'a> {
    Delegate { peer: &'a str, task: &'a str },
    Peers,
    Notify(&'a str),
    Sleep(Duration),
    Fail(&'a str),
    Crash,
    Help,
    Usage(&'static str),
    Say(&'a str),
}

impl Command<'_> {
    /// The first word decides, in any case, followed by a space, a colon or nothing.
    fn parse(text: &str) -> Command<'_> {
        let text = text.trim();
        let end = text.find(|c: char| c.is_whitespace() || c == ':').unwrap_or(text.len());
        let rest = text[end..].trim_start_matches([':', ' ', '\t']).trim();
        match text[..end].to_ascii_lowercase().as_str() {
            "delegate" => match rest.split_once(':').map(|(peer, task)| (peer.trim(), task.trim())) {
                Some((peer, task)) if !peer.is_empty() && !task.is_empty() => Command::Delegate { peer, task },
                _ => Command::Usage("Usage: delegate <peer>: <task>"),
            },
            "notify" if rest.is_empty() => Command::Usage("Usage: notify <text>"),
            "notify" => Command::Notify(rest),
            "sleep" => match rest.parse().map(Duration::from_millis) {
                Ok(time) if time <= LONGEST_SLEEP => Command::Sleep(time),
                _ => Command::Usage("Usage: sleep <milliseconds>, at most 3600000"),
            },
            "fail" => Command::Fail(rest),
            // Sentences may begin with these words; only alone are they commands.
            "peers" if rest.is_empty() => Command::Peers,
            "crash" if rest.is_empty() => Command::Crash,
            "help" if rest.is_empty() => Command::Help,
            _ => Command::Say(text),
        }
    }
}

impl Echo {
    /// An engine that answers as the configured name.
    #[must_use]
    pub fn new(context: &EngineContext<'_>) -> Self {
        Self {
            name: context.config.name.clone(),
            platform: Arc::clone(&context.platform),
            directory: Arc::clone(&context.directory),
            delegator: Arc::clone(&context.delegator),
        }
    }

    async fn delegate(&self, peer: &str, task: &str, context_id: &str) -> Reply {
        let peer = match self.directory.find(peer).await {
            Found::Peer(peer) => *peer,
            Found::Nobody { names } => return Reply::text(unknown_peer(peer, &names)),
            Found::Several { ids } => {
                let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
                return Reply::text(format!(
                    "Several peers are called {peer:?}; name one by its id: {}",
                    ids.join(", ")
                ));
            }
        };
        let (text, output) = match self.delegator.send(&peer, task, context_id).await {
            Ok(Outcome::Answered(answer)) => (format!("{}: {answer}", peer.name), answer),
            Ok(Outcome::Queued(note)) => (format!("{}: {note}", peer.name), note),
            Err(error) => (error.to_string(), error.to_string()),
        };
        let input = format!("{}: {task}", peer.name);
        Reply {
            tools: vec![ToolTrace::new("delegate_task", &input, &output)],
            ..Reply::text(text)
        }
    }

    async fn list_peers(&self) -> String {
        let peers = self.directory.peers().await;
        if peers.is_empty() {
            return "No peers found.".to_owned();
        }
        peers.iter().map(peers::line).collect::<Vec<_>>().join("\n")
    }

    async fn notify(&self, text: &str) -> String {
        match self.platform.notify(text).await {
            Ok(()) => "Message sent.".to_owned(),
            Err(error) => format!("The message could not be sent: {error}"),
        }
    }
}

fn unknown_peer(wanted: &str, names: &[String]) -> String {
    if names.is_empty() {
        format!("There is no peer called {wanted:?}; I have no peers.")
    } else {
        format!("There is no peer called {wanted:?}. My peers: {}", names.join(", "))
    }
}

#[async_trait]
impl Adapter for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    async fn start(self: Arc<Self>, _: SessionContext) -> Result<Box<dyn Session>, TurnError> {
        Ok(Box::new(Conversation(self)))
    }
}

/// Remembers nothing.
struct Conversation(Arc<Echo>);

#[async_trait]
impl Session for Conversation {
    async fn turn(&mut self, input: &TurnInput, output: &Output) -> Result<Reply, TurnError> {
        let echo = &self.0;
        let reply = match Command::parse(&input.text) {
            Command::Delegate { peer, task } => echo.delegate(peer, task, &input.context_id).await,
            Command::Peers => Reply::text(echo.list_peers().await),
            Command::Notify(text) => Reply::text(echo.notify(text).await),
            Command::Sleep(time) => {
                tokio::time::sleep(time).await;
                Reply::text(format!("Slept {} ms.", time.as_millis()))
            }
            Command::Fail(text) => return Err(TurnError::new(Category::Requested, text)),
            Command::Crash => {
                tracing::error!("crash requested: ending the process without a word, as a crash does");
                std::process::exit(CRASH_CODE);
            }
            Command::Help => Reply::text(HELP),
            Command::Usage(usage) => Reply::text(usage),
            Command::Say(text) => Reply::text(format!("Echo from {}: {text}", echo.name)),
        };
        // Word by word, so that streams have something to show; the task yields in between.
        for word in reply.text.split_inclusive(' ') {
            output.chunk(word);
            tokio::task::yield_now().await;
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        // D6
        for (text, command) in [
            (
                "delegate Researcher: find it: now",
                Command::Delegate {
                    peer: "Researcher",
                    task: "find it: now",
                },
            ),
            (
                "DELEGATE: The Writer : x",
                Command::Delegate {
                    peer: "The Writer",
                    task: "x",
                },
            ),
            ("delegate Researcher", Command::Usage("Usage: delegate <peer>: <task>")),
            (" Peers ", Command::Peers),
            ("peers are nice", Command::Say("peers are nice")),
            ("sleep 20", Command::Sleep(Duration::from_millis(20))),
            ("sleep: 20", Command::Sleep(Duration::from_millis(20))),
            (
                "sleep well",
                Command::Usage("Usage: sleep <milliseconds>, at most 3600000"),
            ),
            ("fail on purpose", Command::Fail("on purpose")),
            ("Crash", Command::Crash),
            ("crashing", Command::Say("crashing")),
            ("notify: done", Command::Notify("done")),
            ("notify", Command::Usage("Usage: notify <text>")),
            ("help", Command::Help),
            ("hello", Command::Say("hello")),
        ] {
            assert_eq!(Command::parse(text), command, "{text}");
        }
    }

    #[test]
    fn help_names_every_command_and_no_other() {
        let named: Vec<_> = HELP
            .lines()
            .skip(1)
            .map(|line| line.split([' ', '—']).next().unwrap())
            .collect();
        assert_eq!(named, ["delegate", "peers", "notify", "sleep", "fail", "crash", "help"]);
    }
}
