//! Messages and their parts.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Metadata, kind_tag};

kind_tag!(
    /// `"kind":"message"`
    MessageTag = "message"
);

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The side that asks.
    #[default]
    User,
    /// The side that answers; `assistant` to those who come from the models' own APIs.
    #[serde(alias = "assistant")]
    Agent,
}

/// Tokens a reply cost, as the platform accounts for them (A2A-107, A2A-192).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// `"kind":"message"`
    #[serde(default)]
    pub kind: MessageTag,
    /// Who speaks; `user` if absent.
    #[serde(default)]
    pub role: Role,
    /// Its id; retries of a message repeat it. "" if absent.
    #[serde(default)]
    pub message_id: String,
    /// What it says. Empty if absent or null: what to do then is the agent's rule (RUN-52).
    #[serde(default, deserialize_with = "null_as_default")]
    pub parts: Vec<Part>,
    /// The conversation it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// The task it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Other tasks it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_task_ids: Option<Vec<String>>,
    /// Metadata; `tool_trace` among them in replies (RUN-53).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// URIs of the extensions it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<String>>,
    /// What the reply cost; not part of A2A, read by the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Message {
    /// A message of the user with one text part.
    #[must_use]
    pub fn user(message_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            message_id: message_id.into(),
            parts: vec![Part::text(text)],
            ..Self::default()
        }
    }

    /// A message of the agent with one text part and a fresh id.
    #[must_use]
    pub fn agent(text: impl Into<String>) -> Self {
        Self {
            role: Role::Agent,
            ..Self::user(Uuid::new_v4().to_string(), text)
        }
    }

    /// The same message in a conversation.
    #[must_use]
    pub fn in_context(self, context_id: Option<String>) -> Self {
        Self { context_id, ..self }
    }

    /// The same message with one more member of metadata.
    #[must_use]
    pub fn with_metadata(mut self, name: &str, value: Value) -> Self {
        self.metadata.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    /// All its text, parts joined by line feeds.
    #[must_use]
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.parts.iter().filter_map(Part::as_text).collect();
        texts.join("\n")
    }
}

/// `null` as the type's default.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A piece of content. Read by `kind`, else `type`, else by what is there; written with `kind` (RUN-52).
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Metadata.
        metadata: Option<Metadata>,
    },
    /// A file.
    File {
        /// The file.
        file: FileContent,
        /// Metadata.
        metadata: Option<Metadata>,
    },
    /// Structured data.
    Data {
        /// The data.
        data: Value,
        /// Metadata.
        metadata: Option<Metadata>,
    },
    /// A part of another kind, or one whose content does not fit its kind: kept as it is.
    Other(Map<String, Value>),
}

/// A file, in place or by address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileContent {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its content, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its size, bytes; an addition of this platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl Part {
    /// A text part.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            metadata: None,
        }
    }

    /// A file part that refers to a file by address.
    #[must_use]
    pub fn file_uri(uri: impl Into<String>, name: Option<String>, mime_type: Option<String>) -> Self {
        let file = FileContent {
            uri: Some(uri.into()),
            name,
            mime_type,
            ..FileContent::default()
        };
        Self::File { file, metadata: None }
    }

    /// Its text, if it is a text part.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::File { .. } | Self::Data { .. } | Self::Other(_) => None,
        }
    }

    /// Its file, if it is a file part.
    #[must_use]
    pub const fn as_file(&self) -> Option<&FileContent> {
        match self {
            Self::File { file, .. } => Some(file),
            Self::Text { .. } | Self::Data { .. } | Self::Other(_) => None,
        }
    }

    /// Reads a part; what does not fit is kept whole.
    fn read(mut part: Map<String, Value>) -> Self {
        let tag = part.get("kind").or_else(|| part.get("type")).and_then(Value::as_str);
        let wanted = tag.or_else(|| {
            ["text", "file", "data"]
                .into_iter()
                .find(|name| part.contains_key(*name))
        });
        let metadata = match part.get("metadata") {
            None | Some(Value::Null) => None,
            Some(Value::Object(metadata)) => Some(metadata.clone()),
            Some(_) => return Self::Other(part),
        };
        match wanted {
            Some("text") => match part.get_mut("text") {
                Some(Value::String(text)) => Self::Text {
                    text: std::mem::take(text),
                    metadata,
                },
                _ => Self::Other(part),
            },
            Some("file") => match part.get("file").map(FileContent::deserialize) {
                Some(Ok(file)) => Self::File { file, metadata },
                _ => Self::Other(part),
            },
            Some("data") => match part.remove("data") {
                Some(data) => Self::Data { data, metadata },
                None => Self::Other(part),
            },
            _ => Self::Other(part),
        }
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::read)
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let metadata = match self {
            Self::Text { text, metadata } => {
                map.serialize_entry("kind", "text")?;
                map.serialize_entry("text", text)?;
                metadata
            }
            Self::File { file, metadata } => {
                map.serialize_entry("kind", "file")?;
                map.serialize_entry("file", file)?;
                metadata
            }
            Self::Data { data, metadata } => {
                map.serialize_entry("kind", "data")?;
                map.serialize_entry("data", data)?;
                metadata
            }
            Self::Other(part) => {
                for (name, value) in part {
                    map.serialize_entry(name, value)?;
                }
                &None
            }
        };
        if let Some(metadata) = metadata {
            map.serialize_entry("metadata", metadata)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(value: Value) -> Part {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn reads_parts_by_either_tag() {
        // RUN-52
        for value in [
            json!({"kind": "text", "text": "a"}),
            json!({"type": "text", "text": "a"}),
            json!({"kind": "text", "type": "text", "text": "a"}),
            json!({"text": "a"}),
        ] {
            assert_eq!(part(value), Part::text("a"));
        }
        let file = part(json!({"type": "file", "file": {"uri": "workspace:/x", "mimeType": "text/plain", "odd": 1}}));
        assert_eq!(file.as_file().unwrap().uri.as_deref(), Some("workspace:/x"));
        assert_eq!(file.as_text(), None);
        assert!(matches!(part(json!({"data": [1]})), Part::Data { .. }));
    }

    #[test]
    fn keeps_parts_it_does_not_understand() {
        for value in [
            json!({"kind": "hologram", "x": 1}),
            json!({"kind": "text", "text": 5}),
            json!({"kind": "text"}),
            json!({"kind": "file", "file": "x"}),
            json!({"kind": "data"}),
            json!({"kind": "text", "text": "a", "metadata": 3}),
            json!({}),
        ] {
            assert_eq!(serde_json::to_value(part(value.clone())).unwrap(), value);
        }
    }

    #[test]
    fn reads_messages_that_lack_members() {
        // RUN-52: the agent, not the parser, answers a message without content
        for value in [
            json!({}),
            json!({"parts": null}),
            json!({"kind": "message", "parts": []}),
        ] {
            let message: Message = serde_json::from_value(value).unwrap();
            assert_eq!((message.role, message.text()), (Role::User, String::new()));
        }
        assert!(serde_json::from_value::<Message>(json!({"parts": "x"})).is_err());
    }

    #[test]
    fn writes_strict_messages() {
        // RUN-53
        let reply = Message::agent("hé")
            .with_metadata("tool_trace", json!([]))
            .in_context(Some("c".into()));
        let value = serde_json::to_value(&reply).unwrap();
        assert_eq!(value["parts"], json!([{"kind": "text", "text": "hé"}]));
        assert_eq!(value["kind"], "message");
        assert_eq!(value["role"], "agent");
        assert_eq!(value["contextId"], "c");
        assert_eq!(value["metadata"], json!({"tool_trace": []}));
        assert!(Uuid::parse_str(value["messageId"].as_str().unwrap()).is_ok());
        assert_eq!(serde_json::from_value::<Message>(value).unwrap(), reply);
    }

    #[test]
    fn joins_text_parts() {
        let mut message = Message::user("m", "a");
        message
            .parts
            .extend([Part::file_uri("/x", None, None), Part::text("b")]);
        assert_eq!(message.text(), "a\nb");
    }
}
