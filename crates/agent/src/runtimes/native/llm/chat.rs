//! A conversation with a model, whoever serves it.

use molecule_tools::Definition;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum Message {
    /// Said to the model.
    User {
        /// The text.
        text: String,
    },
    /// Said by the model.
    Assistant(Said),
    /// What came of the calls in the message before.
    Tool {
        /// One for each of them, in their order.
        results: Vec<ToolResult>,
    },
}

/// What a model said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Tools it wants called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolCall>,
    /// Members or blocks of its wire that the endpoint wants back with the calls: signed thoughts and the like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thoughts: Vec<Value>,
}

/// A tool that the model wants called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Ties the result to the call; never empty, unique within its message.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// An object; or a text, which is what the model wrote and is none.
    pub arguments: Value,
    /// Members that this program does not know, wanted back by the endpoint that sent them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// Of the call.
    pub id: String,
    /// What the model is told.
    pub content: String,
}

impl Message {
    /// Said to the model.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into() }
    }

    /// Words of the model.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant(Said {
            text: text.into(),
            ..Said::default()
        })
    }

    /// Is it said to the model, so that a turn begins with it?
    #[must_use]
    pub const fn is_user(&self) -> bool {
        matches!(self, Self::User { .. })
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::User { text } => text.len(),
            Self::Assistant(said) => {
                let calls = said.calls.iter().map(|call| {
                    call.id.len()
                        + call.name.len()
                        + written(&call.arguments)
                        + call.extra.values().map(written).sum::<usize>()
                });
                said.text.len() + calls.sum::<usize>() + said.thoughts.iter().map(written).sum::<usize>()
            }
            Self::Tool { results } => results
                .iter()
                .map(|result| result.id.len() + result.content.len())
                .sum(),
        }
    }
}

/// Bytes of a value as it is written.
fn written(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    }
}

/// What a model is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who it is and what it is to do.
    pub system: &'a str,
    /// What was said so far.
    pub messages: &'a [Message],
    /// What it may use.
    pub tools: &'a [Definition],
}

/// Tokens of one exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
}

/// Why a model stopped before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It may not say more.
    Length,
    /// It does not want to.
    Refused,
    /// Its provider does not want it to.
    Filtered,
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// What was said.
    pub said: Said,
    /// Why no more was; `None` if it was done.
    pub stop: Option<Stop>,
    /// What it cost, where the endpoint says.
    pub usage: Option<Usage>,
}

/// A call under way.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Draft {
    /// How its pieces refer to it, beside the id. Never an index into anything here: it comes from the wire.
    pub(super) index: Option<Value>,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) extra: Map<String, Value>,
}

impl Draft {
    /// More of the name. Some repeat it with every piece.
    pub(super) fn name(&mut self, more: &str) {
        if self.name != more && self.arguments.is_empty() {
            self.name.push_str(more);
        }
    }

    /// More of the arguments, as text or, from endpoints that do not write JSON into JSON, as they are.
    pub(super) fn arguments(&mut self, more: &Value) {
        match more {
            Value::Null => {}
            Value::String(text) => self.arguments.push_str(text),
            whole => self.arguments = whole.to_string(),
        }
    }

    /// Are the arguments as they stand whole?
    pub(super) fn is_whole(&self) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok()
    }
}

/// Calls with the ids they are answered under: an absent one is made up, a repeated one replaced.
pub(super) fn calls(drafts: Vec<Draft>) -> Vec<ToolCall> {
    let mut calls: Vec<ToolCall> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let taken = draft.id.trim().is_empty() || calls.iter().any(|call| call.id == draft.id);
        calls.push(ToolCall {
            id: if taken {
                format!("call_{}", Uuid::new_v4().simple())
            } else {
                draft.id
            },
            name: draft.name,
            arguments: arguments(&draft.arguments),
            extra: draft.extra,
        });
    }
    calls
}

/// What the model meant: nothing and `null` are no arguments, a text may hold the object.
fn arguments(text: &str) -> Value {
    let text = text.trim();
    if text.is_empty() {
        return json!({});
    }
    match serde_json::from_str(text) {
        Ok(Value::Null) => json!({}),
        Ok(object @ Value::Object(_)) => object,
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            Ok(object @ Value::Object(_)) => object,
            _ => Value::String(text.to_owned()),
        },
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(id: &str, arguments: &str) -> Draft {
        Draft {
            id: id.into(),
            arguments: arguments.into(),
            ..Draft::default()
        }
    }

    #[test]
    fn arguments_mean_what_they_say() {
        for (text, meant) in [
            ("", json!({})),
            (" ", json!({})),
            ("null", json!({})),
            (r#"{"a":1}"#, json!({"a": 1})),
            (r#""{\"a\":1}""#, json!({"a": 1})),
            ("[1]", json!("[1]")),
            (r#"{"a":"#, json!(r#"{"a":"#)),
        ] {
            assert_eq!(arguments(text), meant, "{text}");
        }
    }

    #[test]
    fn every_call_has_an_id_of_its_own() {
        let calls = calls(vec![draft("a", ""), draft("", ""), draft("a", ""), draft(" ", "")]);
        assert_eq!(calls[0].id, "a");
        let mut ids: Vec<_> = calls.iter().map(|call| call.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        assert!(ids.iter().all(|id| !id.trim().is_empty()));
    }

    #[test]
    fn names_come_whole_in_pieces_or_again_and_again() {
        let mut draft = Draft::default();
        for piece in ["get_", "weather"] {
            draft.name(piece);
        }
        assert_eq!(draft.name, "get_weather");
        draft.arguments(&json!("{"));
        draft.name("get_weather");
        assert_eq!(draft.name, "get_weather");
        draft.arguments(&json!({"whole": true}));
        assert_eq!(draft.arguments, r#"{"whole":true}"#);
    }

    #[test]
    fn messages_are_kept_as_json() {
        let message = Message::Assistant(Said {
            text: "a".into(),
            calls: calls(vec![draft("x", r#"{"b":1}"#)]),
            thoughts: Vec::new(),
        });
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(
            text,
            r#"{"role":"assistant","text":"a","calls":[{"id":"x","name":"","arguments":{"b":1}}]}"#
        );
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
        assert_eq!(message.size(), 1 + 1 + 7);
    }
}
