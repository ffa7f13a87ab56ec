//! The conversation of a context: what the model is reminded of in the next turn, restarts included.

use genai::chat::{ChatMessage, ChatRole, ContentPart};
use molecule_core::text::cut_bytes;

use crate::{
    engine::{Category, HistoryTurn, TurnError},
    journal::{Journal, SESSION_BYTES},
};

/// Bytes that are left of a tool's result at least.
const RESULT_BYTES: usize = 500;
/// Follows what is left of it.
const SHORTENED: &str = "\n[shortened]";

/// Messages of one conversation, oldest first.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The messages, the system prompt not among them.
    pub(super) messages: Vec<ChatMessage>,
}

impl Conversation {
    /// Loads a conversation; a new one starts with what the sender handed over (RUN-52).
    ///
    /// # Errors
    /// The stored conversation cannot be read. One that this version does not understand starts anew, with a warning.
    pub(super) async fn load(journal: &Journal, context_id: &str, history: &[HistoryTurn]) -> Result<Self, TurnError> {
        let stored = journal.session(context_id).await.map_err(|error| {
            TurnError::new(Category::SessionError, format!("the session cannot be read: {error:?}"))
        })?;
        if let Some(text) = stored {
            match serde_json::from_str(&text) {
                Ok(messages) => return Ok(Self { messages }),
                Err(error) => tracing::warn!(%error, "a stored conversation is not understood and starts anew"),
            }
        }
        let messages = history
            .iter()
            .map(|turn| {
                if turn.by_agent {
                    ChatMessage::assistant(&*turn.text)
                } else {
                    ChatMessage::user(&*turn.text)
                }
            })
            // Providers want the user to begin.
            .skip_while(|message| message.role != ChatRole::User)
            .collect();
        Ok(Self { messages })
    }

    /// Saves the conversation, without its oldest turns where it has grown too long. Failure is logged: the reply is
    /// there and must not be lost with the memory of it.
    pub(super) async fn save(mut self, journal: &Journal, context_id: &str) {
        self.trim(SESSION_BYTES);
        let saved = match serde_json::to_string(&self.messages) {
            Ok(text) => journal
                .save_session(context_id, text)
                .await
                .map_err(|error| format!("{error:?}")),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = saved {
            tracing::error!(error, context_id, "the conversation could not be saved");
        }
    }

    /// Makes the conversation about half as long, the turn under way included. `false`: there is nothing to leave out.
    pub(super) fn halve(&mut self) -> bool {
        let before = self.size();
        self.trim(before / 2);
        self.size() < before
    }

    fn size(&self) -> usize {
        self.messages.iter().map(ChatMessage::size).sum()
    }

    /// Drops whole turns from the front: a tool's result without its call is refused by every provider. The newest turn
    /// stays, with its tools' results shortened where need be.
    fn trim(&mut self, max_bytes: usize) {
        let starts = self.messages.iter().enumerate();
        let starts: Vec<usize> = starts
            .filter(|(_, message)| message.role == ChatRole::User)
            .map(|(n, _)| n)
            .collect();
        let mut size = self.size();
        let mut start = 0;
        for next in starts {
            if size <= max_bytes {
                break;
            }
            size -= self.messages[start..next].iter().map(ChatMessage::size).sum::<usize>();
            start = next;
        }
        self.messages.drain(..start);
        if size > max_bytes {
            self.shorten_results(size - max_bytes);
        }
    }

    /// Takes about `excess` bytes from the results of tools, each cut to the same length.
    fn shorten_results(&mut self, excess: usize) {
        let results = || {
            self.messages
                .iter()
                .flat_map(|message| message.content.tool_responses())
        };
        let count = results().count().max(1);
        let whole: usize = results().map(|result| result.content.len()).sum();
        let each = (whole.saturating_sub(excess) / count).max(RESULT_BYTES);
        for message in &mut self.messages {
            for part in &mut message.content {
                if let ContentPart::ToolResponse(result) = part
                    && result.content.len() > each
                {
                    result.content = format!("{}{SHORTENED}", cut_bytes(&result.content, each));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use genai::chat::{MessageContent, ToolCall, ToolResponse};

    use super::*;

    fn turn(n: usize, result: usize) -> Vec<ChatMessage> {
        let call = ToolCall {
            call_id: format!("c{n}"),
            fn_name: "f".into(),
            fn_arguments: serde_json::json!({}),
            thought_signatures: None,
        };
        vec![
            ChatMessage::user(format!("question {n}")),
            ChatMessage::assistant(MessageContent::from_tool_calls(vec![call.clone()])),
            ChatMessage::tool(MessageContent::from_tool_responses(vec![ToolResponse::from_tool_call(
                &call,
                "x".repeat(result),
            )])),
            ChatMessage::assistant(format!("answer {n}")),
        ]
    }

    #[test]
    fn trims_whole_turns() {
        let mut session = Conversation {
            messages: (0..5).flat_map(|n| turn(n, 100)).collect(),
        };
        session.trim(300);
        assert_eq!(session.messages.len(), 8);
        assert_eq!(session.messages[0].content.first_text(), Some("question 3"));
        session.trim(0);
        assert_eq!(session.messages.len(), 4, "the newest turn stays");
        assert_eq!(session.messages[0].content.first_text(), Some("question 4"));
    }

    fn results(session: &Conversation) -> Vec<usize> {
        let results = session
            .messages
            .iter()
            .flat_map(|message| message.content.tool_responses());
        results.map(|result| result.content.len()).collect()
    }

    #[test]
    fn a_long_turn_keeps_the_beginning_of_its_results() {
        let mut session = Conversation {
            messages: turn(0, 10_000),
        };
        session.messages.splice(3..3, turn(1, 40_000).drain(1..3));
        session.trim(30_000);
        assert_eq!(session.messages.len(), 6);
        assert!(session.size() < 31_000 && session.size() > 20_000, "{}", session.size());
        assert!(results(&session).iter().all(|length| *length > 9_000));
        assert!(session.halve());
        assert!(session.size() < 17_000, "{}", session.size());
        while session.halve() {}
        assert_eq!(session.messages.len(), 6, "calls keep their results");
    }

    #[tokio::test]
    async fn survives_a_restart_and_takes_history_only_when_new() {
        let dir = tempfile::tempdir().unwrap();
        let history = [
            HistoryTurn {
                by_agent: true,
                text: "hello".into(),
            },
            HistoryTurn {
                by_agent: false,
                text: "hi".into(),
            },
        ];
        let journal = Journal::open(dir.path()).unwrap();
        let mut session = Conversation::load(&journal, "c", &history).await.unwrap();
        assert_eq!(session.messages.len(), 1, "the user begins");
        session.messages.extend(turn(1, 100));
        session.save(&journal, "c").await;
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        let session = Conversation::load(&journal, "c", &history).await.unwrap();
        assert_eq!(session.messages.len(), 5);
        assert_eq!(session.messages[2].content.tool_calls()[0].call_id, "c1");
        journal.save_session("bad", "{".into()).await.unwrap();
        assert!(
            Conversation::load(&journal, "bad", &[])
                .await
                .unwrap()
                .messages
                .is_empty()
        );
    }
}
