//! The conversation of a context: what the model is reminded of in the next turn, restarts included.

use molecule_core::text::cut_bytes;
use serde_json::Value;

use super::llm::chat::{Message, Said, ToolCall, ToolResult};
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
    pub(super) messages: Vec<Message>,
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
                Err(error) => match of_earlier_version(&text) {
                    Some(messages) => return Ok(Self { messages }),
                    None => tracing::warn!(%error, "a stored conversation is not understood and starts anew"),
                },
            }
        }
        let messages = history
            .iter()
            .map(|turn| {
                if turn.by_agent {
                    Message::assistant(&*turn.text)
                } else {
                    Message::user(&*turn.text)
                }
            })
            // Providers want the user to begin.
            .skip_while(|message| !message.is_user())
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
        self.messages.iter().map(Message::size).sum()
    }

    /// Drops whole turns from the front: a tool's result without its call is refused by every provider. The newest turn
    /// stays, with its tools' results shortened where need be.
    fn trim(&mut self, max_bytes: usize) {
        let starts = self.messages.iter().enumerate();
        let starts: Vec<usize> = starts
            .filter(|(_, message)| message.is_user())
            .map(|(n, _)| n)
            .collect();
        let mut size = self.size();
        let mut start = 0;
        for next in starts {
            if size <= max_bytes {
                break;
            }
            size -= self.messages[start..next].iter().map(Message::size).sum::<usize>();
            start = next;
        }
        self.messages.drain(..start);
        if size > max_bytes {
            self.shorten_results(size - max_bytes);
        }
    }

    /// Takes about `excess` bytes from the results of tools, each cut to the same length.
    fn shorten_results(&mut self, excess: usize) {
        let results = self.messages.iter_mut().filter_map(|message| match message {
            Message::Tool { results } => Some(results),
            Message::User { .. } | Message::Assistant(_) => None,
        });
        let results: Vec<&mut ToolResult> = results.flatten().collect();
        let whole: usize = results.iter().map(|result| result.content.len()).sum();
        let each = (whole.saturating_sub(excess) / results.len().max(1)).max(RESULT_BYTES);
        for result in results.into_iter().filter(|result| result.content.len() > each) {
            result.content = format!("{}{SHORTENED}", cut_bytes(&result.content, each));
        }
    }
}

/// A conversation as versions before this one kept it: roles in capitals, content in tagged parts.
fn of_earlier_version(text: &str) -> Option<Vec<Message>> {
    let stored: Vec<Value> = serde_json::from_str(text).ok()?;
    stored.iter().map(message_of_earlier_version).collect()
}

fn message_of_earlier_version(stored: &Value) -> Option<Message> {
    let parts = stored["content"].as_array()?;
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["Text"].as_str()).collect();
    let text = texts.concat();
    match stored["role"].as_str()? {
        "User" => Some(Message::User { text }),
        "Assistant" => {
            let calls = parts
                .iter()
                .map(|part| &part["ToolCall"])
                .filter(|call| call.is_object());
            let calls = calls.map(|call| {
                Some(ToolCall {
                    id: call["call_id"].as_str()?.to_owned(),
                    name: call["fn_name"].as_str()?.to_owned(),
                    arguments: call["fn_arguments"].clone(),
                    extra: serde_json::Map::new(),
                })
            });
            Some(Message::Assistant(Said {
                text,
                calls: calls.collect::<Option<_>>()?,
                thoughts: Vec::new(),
            }))
        }
        "Tool" => {
            let results = parts.iter().map(|part| {
                let result = &part["ToolResponse"];
                Some(ToolResult {
                    id: result["call_id"].as_str()?.to_owned(),
                    content: result["content"].as_str()?.to_owned(),
                })
            });
            Some(Message::Tool {
                results: results.collect::<Option<_>>()?,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(n: usize, result: usize) -> Vec<Message> {
        let call = ToolCall {
            id: format!("c{n}"),
            name: "f".into(),
            arguments: json!({}),
            extra: serde_json::Map::new(),
        };
        vec![
            Message::user(format!("question {n}")),
            Message::Assistant(Said {
                calls: vec![call],
                ..Said::default()
            }),
            Message::Tool {
                results: vec![ToolResult {
                    id: format!("c{n}"),
                    content: "x".repeat(result),
                }],
            },
            Message::assistant(format!("answer {n}")),
        ]
    }

    fn results(conversation: &Conversation) -> Vec<usize> {
        let results = conversation.messages.iter().filter_map(|message| match message {
            Message::Tool { results } => Some(results),
            _ => None,
        });
        results.flatten().map(|result| result.content.len()).collect()
    }

    #[test]
    fn trims_whole_turns() {
        let mut session = Conversation {
            messages: (0..5).flat_map(|n| turn(n, 100)).collect(),
        };
        session.trim(300);
        assert_eq!(session.messages.len(), 8);
        assert_eq!(session.messages[0], Message::user("question 3"));
        session.trim(0);
        assert_eq!(session.messages.len(), 4, "the newest turn stays");
        assert_eq!(session.messages[0], Message::user("question 4"));
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
        assert!(matches!(&session.messages[2], Message::Assistant(said) if said.calls[0].id == "c1"));
        journal.save_session("bad", "{".into()).await.unwrap();
        assert!(
            Conversation::load(&journal, "bad", &[])
                .await
                .unwrap()
                .messages
                .is_empty()
        );
    }

    #[tokio::test]
    async fn conversations_of_earlier_versions_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let stored = json!([
            {"role": "User", "content": [{"Text": "question"}]},
            {"role": "Assistant", "content": [{"ReasoningContent": "hm"}, {"Text": "wait"},
                {"ToolCall": {"call_id": "c1", "fn_name": "f", "fn_arguments": {"a": 1}}}]},
            {"role": "Tool", "content": [{"ToolResponse": {"call_id": "c1", "fn_name": "f", "content": "r"}}]},
            {"role": "Assistant", "content": [{"Text": "answer"}]}
        ]);
        journal.save_session("c", stored.to_string()).await.unwrap();
        let messages = Conversation::load(&journal, "c", &[]).await.unwrap().messages;
        assert_eq!(
            (&messages[0], &messages[3]),
            (&Message::user("question"), &Message::assistant("answer"))
        );
        assert!(matches!(&messages[1], Message::Assistant(said)
            if said.text == "wait" && said.calls[0].arguments == json!({"a": 1})));
        assert!(matches!(&messages[2], Message::Tool { results } if results[0].content == "r"));
    }
}
