//! The card an agent serves about itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An agent card, v0.3. Members that are not named here are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentCard {
    /// The agent's name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Where it is spoken to.
    #[serde(default)]
    pub url: String,
    /// The agent's own version.
    #[serde(default)]
    pub version: String,
    /// The version of A2A it speaks.
    #[serde(default = "v0_3")]
    pub protocol_version: String,
    /// The transport at `url`.
    #[serde(default = "jsonrpc")]
    pub preferred_transport: String,
    /// What it can do beyond answering.
    #[serde(default)]
    pub capabilities: AgentCapabilities,
    /// Media types it takes.
    #[serde(default = "text_modes")]
    pub default_input_modes: Vec<String>,
    /// Media types it gives.
    #[serde(default = "text_modes")]
    pub default_output_modes: Vec<String>,
    /// What it knows to do.
    #[serde(default)]
    pub skills: Vec<AgentSkill>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<AgentProvider>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn v0_3() -> String {
    "0.3.0".to_owned()
}

fn jsonrpc() -> String {
    "JSONRPC".to_owned()
}

fn text_modes() -> Vec<String> {
    vec!["text/plain".to_owned()]
}

impl AgentCard {
    /// A card of an agent that takes and gives text over JSON-RPC.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            url: url.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol_version: v0_3(),
            preferred_transport: jsonrpc(),
            capabilities: AgentCapabilities::default(),
            default_input_modes: text_modes(),
            default_output_modes: text_modes(),
            skills: Vec::new(),
            provider: None,
            other: Map::new(),
        }
    }
}

/// What an agent can do beyond answering.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentCapabilities {
    /// It serves `message/stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// It sends push notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_notifications: Option<bool>,
    /// It keeps the history of a task's states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_transition_history: Option<bool>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One thing an agent knows to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSkill {
    /// Its id within the card.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Requests it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<Vec<String>>,
    /// Media types it takes, where they differ from the card's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_modes: Option<Vec<String>>,
    /// Media types it gives, where they differ from the card's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_modes: Option<Vec<String>>,
}

/// Who runs an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentProvider {
    /// The organisation.
    pub organization: String,
    /// Its address.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_card_has_what_clients_demand() {
        // A2A-191
        let card = serde_json::to_value(AgentCard::new("Echo", "Echoes", "http://h:8000/")).unwrap();
        for name in [
            "name",
            "description",
            "url",
            "version",
            "capabilities",
            "defaultInputModes",
            "defaultOutputModes",
            "skills",
        ] {
            assert!(card.get(name).is_some(), "{name}");
        }
        assert_eq!(card["protocolVersion"], "0.3.0");
        assert_eq!(card["preferredTransport"], "JSONRPC");
    }

    #[test]
    fn unknown_members_are_kept() {
        let value = json!({
            "name": "A", "description": "d", "url": "u", "version": "1", "protocolVersion": "0.3.0",
            "preferredTransport": "JSONRPC", "capabilities": {"streaming": true, "extensions": []},
            "defaultInputModes": ["a/b"], "defaultOutputModes": [], "skills": [{"id": "s", "name": "S",
            "description": "", "tags": ["x"]}], "iconUrl": "i"
        });
        let card: AgentCard = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(card).unwrap(), value);
    }
}
