//! The conversation of a context: what the model is reminded of in the next turn, restarts included.

use genai::chat::{ChatMessage, ChatRole};

use crate::{
    journal::{Journal, SESSION_BYTES},
    runtimes::{Category, HistoryTurn, TurnError},
};

/// Messages of one conversation, oldest first.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The messages, the system prompt not among them.
    pub(super) messages: Vec<ChatMessage>,
}

impl Session {
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

    /// Drops whole turns from the front: a tool's result without its call is refused by every provider.
    fn trim(&mut self, max_bytes: usize) {
        let mut size: usize = self.messages.iter().map(ChatMessage::size).sum();
        let mut start = 0;
        while size > max_bytes && start < self.messages.len() {
            let end = self.messages[start + 1..]
                .iter()
                .position(|message| message.role == ChatRole::User);
            let end = end.map_or(self.messages.len(), |offset| start + 1 + offset);
            size -= self.messages[start..end].iter().map(ChatMessage::size).sum::<usize>();
            start = end;
        }
        self.messages.drain(..start);
    }
}

#[cfg(test)]
mod tests {
    use genai::chat::{MessageContent, ToolCall, ToolResponse};

    use super::*;

    fn turn(n: usize) -> Vec<ChatMessage> {
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
                "x".repeat(100),
            )])),
            ChatMessage::assistant(format!("answer {n}")),
        ]
    }

    #[test]
    fn trims_whole_turns() {
        let mut session = Session {
            messages: (0..5).flat_map(turn).collect(),
        };
        session.trim(300);
        assert_eq!(session.messages.len(), 8);
        assert_eq!(session.messages[0].content.first_text(), Some("question 3"));
        session.trim(0);
        assert!(session.messages.is_empty());
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
        let mut session = Session::load(&journal, "c", &history).await.unwrap();
        assert_eq!(session.messages.len(), 1, "the user begins");
        session.messages.extend(turn(1));
        session.save(&journal, "c").await;
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        let session = Session::load(&journal, "c", &history).await.unwrap();
        assert_eq!(session.messages.len(), 5);
        assert_eq!(session.messages[2].content.tool_calls()[0].call_id, "c1");
        journal.save_session("bad", "{".into()).await.unwrap();
        assert!(Session::load(&journal, "bad", &[]).await.unwrap().messages.is_empty());
    }
}
