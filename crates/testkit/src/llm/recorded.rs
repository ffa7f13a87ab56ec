//! What was asked, read the same way on both wires.

use axum::http::HeaderMap;
use serde_json::Value;

use super::wire::Wire;

/// One request.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Protocol it came in.
    pub wire: Wire,
    /// Credential that was presented: the bearer, or `x-api-key`.
    pub key: Option<String>,
    /// The whole body.
    pub body: Value,
}

impl Recorded {
    pub(super) fn new(wire: Wire, headers: &HeaderMap, body: Value) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let key = match wire {
            Wire::OpenAi => header("authorization").and_then(|value| value.strip_prefix("Bearer ")),
            Wire::Anthropic => header("x-api-key"),
        };
        Self {
            wire,
            key: key.map(str::to_owned),
            body,
        }
    }

    /// Name of the model asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// Was a stream asked for?
    #[must_use]
    pub fn streamed(&self) -> bool {
        self.body["stream"] == true
    }

    pub(super) fn wants_usage(&self) -> bool {
        self.body["stream_options"]["include_usage"] == true
    }

    /// The system prompt.
    #[must_use]
    pub fn system(&self) -> String {
        match self.wire {
            Wire::Anthropic => text(&self.body["system"]),
            Wire::OpenAi => {
                let system = self.messages().iter().filter(|message| message["role"] == "system");
                system
                    .map(|message| text(&message["content"]))
                    .collect::<Vec<_>>()
                    .join("\n")
            }
        }
    }

    /// The messages, as they came.
    #[must_use]
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// What role and text each message has, without the system prompt and tool results.
    #[must_use]
    pub fn dialogue(&self) -> Vec<(String, String)> {
        let said = self
            .messages()
            .iter()
            .filter(|message| matches!(message["role"].as_str(), Some("user" | "assistant")));
        said.map(|message| {
            (
                message["role"].as_str().unwrap_or_default().to_owned(),
                text(&message["content"]),
            )
        })
        .filter(|(_, text)| !text.is_empty())
        .collect()
    }

    /// Ids of the tool calls that the conversation repeats, in order.
    #[must_use]
    pub fn call_ids(&self) -> Vec<String> {
        let ids = self.messages().iter().flat_map(|message| {
            let openai = list(&message["tool_calls"]).iter();
            let anthropic = list(&message["content"])
                .iter()
                .filter(|block| block["type"] == "tool_use");
            openai.chain(anthropic)
        });
        ids.filter_map(|call| call["id"].as_str().map(str::to_owned)).collect()
    }

    /// The tool calls that the conversation repeats, name and arguments, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<(String, Value)> {
        let of_message = |message: &Value| -> Vec<(String, Value)> {
            let named = |name: &Value, arguments: Value| (name.as_str().unwrap_or_default().to_owned(), arguments);
            let openai = list(&message["tool_calls"]).iter().map(|call| {
                let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
                named(
                    &call["function"]["name"],
                    serde_json::from_str(arguments).unwrap_or_default(),
                )
            });
            let anthropic = list(&message["content"])
                .iter()
                .filter(|block| block["type"] == "tool_use")
                .map(|call| named(&call["name"], call["input"].clone()));
            openai.chain(anthropic).collect()
        };
        self.messages().iter().flat_map(of_message).collect()
    }

    /// Is this member, with this value, part of a message of the assistant, of a block or of a call in it?
    #[must_use]
    pub fn echoes(&self, member: &str, value: &Value) -> bool {
        let said = self.messages().iter().filter(|message| message["role"] == "assistant");
        said.flat_map(|message| {
            let parts = list(&message["tool_calls"]).iter().chain(list(&message["content"]));
            parts.chain([message])
        })
        .any(|part| &part[member] == value)
    }

    /// Results of tools, id and content, in order.
    #[must_use]
    pub fn tool_results(&self) -> Vec<(String, String)> {
        let of_message = |message: &Value| -> Vec<(String, String)> {
            let pair = |holder: &Value, id: &str| {
                (
                    holder[id].as_str().unwrap_or_default().to_owned(),
                    text(&holder["content"]),
                )
            };
            match self.wire {
                Wire::OpenAi if message["role"] == "tool" => vec![pair(message, "tool_call_id")],
                Wire::OpenAi => Vec::new(),
                Wire::Anthropic => list(&message["content"])
                    .iter()
                    .filter(|block| block["type"] == "tool_result")
                    .map(|block| pair(block, "tool_use_id"))
                    .collect(),
            }
        };
        self.messages().iter().flat_map(of_message).collect()
    }

    /// Names of the tools on offer.
    #[must_use]
    pub fn tools(&self) -> Vec<String> {
        let name = |tool: &Value| {
            tool["function"]["name"]
                .as_str()
                .or_else(|| tool["name"].as_str())
                .map(str::to_owned)
        };
        list(&self.body["tools"]).iter().filter_map(name).collect()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Plain text, or the text blocks of a list.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks
            .iter()
            .filter_map(|block| block["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}
