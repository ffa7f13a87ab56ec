//! What an engine is: the contract between the turns, which run it, and the runtimes, which implement it (RUN-68…70).

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use molecule_a2a::jsonrpc::{Message, Usage};
use molecule_core::{redact::redact, text::preview};
use molecule_wire::registry::RuntimeMetadata;
use serde::{Deserialize, Serialize};

/// Tool calls kept of one turn (RUN-53).
const TRACE_ENTRIES: usize = 200;
/// Characters of a tool's input (RUN-53).
const TRACE_INPUT_CHARS: usize = 500;
/// Characters of a tool's output (RUN-53).
const TRACE_OUTPUT_CHARS: usize = 300;

/// An engine. It holds what its conversations share; each of them is a [`Session`].
#[async_trait]
pub trait Adapter: Send + Sync + 'static {
    /// Name, as in `runtime`.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Opens the session of a conversation, before its first turn in this process. Sessions of other conversations may
    /// be at work meanwhile.
    ///
    /// # Errors
    /// The turn that needs it has failed; the next one tries again.
    async fn start(self: Arc<Self>, context: SessionContext) -> Result<Box<dyn Session>, TurnError>;

    /// Ends what the sessions share. All of them are closed, and none is started afterwards.
    async fn close(&self) {}
}

/// What a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionContext {
    /// Id of the conversation.
    pub context_id: String,
}

/// One conversation of an engine. Its turns come one at a time. Dropping the future of a turn is how the turn is
/// cancelled: whatever it started must end with it (RUN-70), and the session must be fit for the next one.
#[async_trait]
pub trait Session: Send {
    /// Answers one message.
    ///
    /// # Errors
    /// The turn failed; see [`TurnError`].
    async fn turn(&mut self, input: &TurnInput, output: &Output) -> Result<Reply, TurnError>;

    /// The program behind the session died in its last turn: what it was resumed by is dropped, so that the next turn
    /// begins anew instead of failing for the same reason (RUN-73).
    async fn reset(&mut self) {}

    /// Ends what runs for this session. The conversation may be started again later.
    async fn close(&mut self) {}
}

/// One message to answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnInput {
    /// Task it belongs to.
    pub task_id: String,
    /// Conversation it belongs to.
    pub context_id: String,
    /// The message's own id.
    pub message_id: String,
    /// What was said, with a manifest of the files that came along.
    pub text: String,
    /// Earlier turns that the sender handed over, oldest first, for engines without sessions (RUN-52).
    pub history: Vec<HistoryTurn>,
    /// The message as it came, for the task's history.
    #[serde(default)]
    pub asked: Option<Box<Message>>,
}

/// One earlier turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryTurn {
    /// Said by the agent, not by the user.
    pub by_agent: bool,
    /// What was said.
    pub text: String,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The text for whoever asked.
    pub text: String,
    /// Tools used, in order.
    pub tools: Vec<ToolTrace>,
    /// Tokens used, where the engine knows.
    pub usage: Option<Usage>,
}

impl Reply {
    /// A plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

/// One tool call, cut to what is shown (RUN-53).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolTrace {
    /// Name of the tool.
    pub tool: String,
    /// What it was given.
    pub input: String,
    /// What it said.
    pub output_preview: String,
}

impl ToolTrace {
    /// An entry within the limits.
    #[must_use]
    pub fn new(tool: &str, input: &str, output: &str) -> Self {
        let cut = |text: &str, max: usize| preview(&redact(text).0, max, "");
        Self {
            tool: tool.to_owned(),
            input: cut(input, TRACE_INPUT_CHARS),
            output_preview: cut(output, TRACE_OUTPUT_CHARS),
        }
    }

    /// Adds an entry while there is room.
    pub fn record(trace: &mut Vec<Self>, entry: Self) {
        if trace.len() < TRACE_ENTRIES {
            trace.push(entry);
        }
    }
}

/// What kind of failure a user sees (RUN-57).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Category {
    /// The provider wants less.
    RateLimited,
    /// The provider refused the credential.
    AuthFailed,
    /// The conversation cannot be continued.
    SessionError,
    /// A program ended with this code.
    Exit(i32),
    /// A program could not be run, or was killed.
    Subprocess,
    /// Too slow.
    Timeout,
    /// The provider failed or made no sense.
    Provider,
    /// Requested by a test or demonstration.
    Requested,
    /// A fault of this program.
    Internal,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateLimited => f.write_str("rate_limited"),
            Self::AuthFailed => f.write_str("auth_failed"),
            Self::SessionError => f.write_str("session_error"),
            Self::Exit(code) => write!(f, "exit_{code}"),
            Self::Subprocess => f.write_str("subprocess_error"),
            Self::Timeout => f.write_str("timeout"),
            Self::Provider => f.write_str("provider_error"),
            Self::Requested => f.write_str("requested_failure"),
            Self::Internal => f.write_str("internal"),
        }
    }
}

/// A turn that failed. `Display` is what users see; the detail is for the log only, because it may carry paths and
/// credentials (RUN-57).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Agent error ({category}) — see workspace logs for details.{}", said(told.as_deref()))]
pub struct TurnError {
    /// Kind.
    pub category: Category,
    /// Why, for the log.
    pub detail: String,
    /// Why, in words of ours that carry nothing of what somebody else wrote.
    pub told: Option<String>,
}

fn said(told: Option<&str>) -> String {
    told.map_or_else(String::new, |told| format!(" {told}"))
}

impl TurnError {
    /// Has a program died whose session it took along (RUN-73)?
    #[must_use]
    pub fn is_crash(&self) -> bool {
        matches!(self.category, Category::Subprocess | Category::Exit(_))
    }

    /// A failure of this kind.
    #[must_use]
    pub fn new(category: Category, detail: impl Into<String>) -> Self {
        Self {
            category,
            detail: detail.into(),
            told: None,
        }
    }

    /// The same with a reason that users may read: a sentence.
    #[must_use]
    pub fn telling(self, told: impl Into<String>) -> Self {
        Self {
            told: Some(told.into()),
            ..self
        }
    }
}

/// Takes text while an engine works.
pub trait Sink: Send + Sync {
    /// More of it.
    fn chunk(&self, text: &str);
}

/// Where an engine puts text while it works; a stream shows it at once.
#[derive(Clone)]
pub struct Output(Arc<dyn Sink>);

impl Output {
    /// An output that feeds this sink.
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self(sink)
    }

    /// Adds text.
    pub fn chunk(&self, text: &str) {
        if !text.is_empty() {
            self.0.chunk(text);
        }
    }
}

/// What an engine can do by itself (RUN-21, RUN-68). All default to false.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Keeps a session that takes messages during a turn (RUN-69).
    pub session: bool,
    /// Longest silence that is normal, seconds.
    pub idle_timeout_seconds: Option<u32>,
}

impl Capabilities {
    /// As heartbeats carry them.
    #[must_use]
    pub fn metadata(self) -> RuntimeMetadata {
        let mut capabilities: BTreeMap<String, bool> = [
            "heartbeat",
            "scheduler",
            "session",
            "status_mgmt",
            "retry",
            "activity_decoration",
            "channel_dispatch",
        ]
        .into_iter()
        .map(|name| (name.to_owned(), false))
        .collect();
        capabilities.insert("session".to_owned(), self.session);
        RuntimeMetadata {
            capabilities,
            idle_timeout_seconds: self.idle_timeout_seconds.map(i64::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_see_the_category_only() {
        // RUN-57
        let error = TurnError::new(Category::Exit(7), "token sk-secret in /root/x");
        assert_eq!(
            error.to_string(),
            "Agent error (exit_7) — see workspace logs for details."
        );
        assert_eq!(
            error.telling("It was killed.").to_string(),
            "Agent error (exit_7) — see workspace logs for details. It was killed."
        );
    }

    #[test]
    fn traces_are_cut_and_bounded() {
        // RUN-53
        let entry = ToolTrace::new("t", &"i ".repeat(1000), &"ö ".repeat(1000));
        assert_eq!(
            (entry.input.chars().count(), entry.output_preview.chars().count()),
            (500, 300)
        );
        let mut trace = Vec::new();
        for _ in 0..300 {
            ToolTrace::record(&mut trace, entry.clone());
        }
        assert_eq!(trace.len(), 200);
    }

    #[test]
    fn every_capability_is_declared() {
        // RUN-21
        let metadata = Capabilities::default().metadata();
        assert_eq!(metadata.capabilities.len(), 7);
        assert!(metadata.capabilities.values().all(|can| !can));
        assert_eq!(metadata.idle_timeout_seconds, None);
    }
}
