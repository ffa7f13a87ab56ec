//! `POST /workspaces/:id/a2a`: platform answers that are not the agent's own (`a2a.md` §10–12), and what messages look
//! like. The latter describe: the server carries messages as the bytes they are, whatever else is in them.

use molecule_core::DeliveryMode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::words;

/// Header of every answer that is an agent's own, with the HTTP status that the agent gave: what the status says is of
/// the agent, and not of the caller's credential or of the platform.
pub const UPSTREAM_STATUS_HEADER: &str = "x-molecule-upstream-status";

/// 200 for a poll-mode target (A2A-40).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PollQueued {
    /// `queued`.
    pub status: String,
    /// `poll`.
    pub delivery_mode: DeliveryMode,
    /// Method of the message, or `""`.
    pub method: String,
}

/// Error with a hint when to try again (A2A-81, A2A-90).
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aUnavailable {
    /// What is the matter.
    pub error: String,
    /// The agent was found dead and is being restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarting: Option<bool>,
    /// The agent is busy; nothing was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<bool>,
    /// A hibernated agent is being woken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waking: Option<bool>,
    /// The agent queues by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_session: Option<bool>,
    /// Whether the agent is known to have received the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_confirmed: Option<bool>,
    /// Status of a target without a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// A JSON-RPC request of A2A, in v0.2, v0.3 or v1.0. Members that are not named here go to the agent untouched.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aRequest {
    /// `2.0`. Without it the whole envelope is made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jsonrpc: Option<String>,
    /// Comes back with the answer; text, number or null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub id: Option<Value>,
    /// What is asked.
    #[schema(schema_with = words::any_method)]
    pub method: String,
    /// Of what; depends on the method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<A2aParams>,
}

/// Parameters of the methods: `message` to send one, `id` for what is about a task.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aParams {
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<A2aMessage>,
    /// How the caller wants to be answered, as the standard has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub configuration: Option<Value>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Messages of the task's history that are wanted, the newest.
    #[serde(default, rename = "historyLength", skip_serializing_if = "Option::is_none")]
    pub history_length: Option<i32>,
    /// Anything more, as the standard has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

/// A message. It has `parts`, or in v0.2 `content`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aMessage {
    /// `user` or `agent`; in v1.0 `ROLE_USER` or `ROLE_AGENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Made by the caller, unique: a message that comes twice is acted on once. Made here if absent.
    #[serde(default, rename = "messageId", skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<A2aPart>>,
    /// What it says, in v0.2: a text or a list of parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub content: Option<Value>,
    /// `message`, in v0.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The conversation; made by the agent if absent.
    #[serde(default, rename = "contextId", skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// The task that it goes on with.
    #[serde(default, rename = "taskId", skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Anything more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

/// A part of a message: text, data or a file. v0.2 and v0.3 name it in `kind` (or `type`), v1.0 by the member it has.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aPart {
    /// `text`, `data` or `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub data: Option<Value>,
    /// A file, in v0.3: `name`, `mimeType`, and `uri` or `bytes` (base64).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub file: Option<Value>,
    /// Bytes of a file in base64, in v1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Where a file is, in v1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Name of a file, in v1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Media type, in v1.0.
    #[serde(default, rename = "mediaType", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

/// A task: what became of a message, or becomes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aTask {
    /// The task.
    pub id: String,
    /// The conversation.
    #[serde(default, rename = "contextId", skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// How far it is: `state`, and perhaps `message` and `timestamp`.
    #[schema(value_type = Object)]
    pub status: Value,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub artifacts: Option<Vec<Value>>,
    /// What was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<A2aMessage>>,
    /// `task`, in v0.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A JSON-RPC answer: the agent's, in the version that was asked in.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aReply {
    /// `2.0`.
    pub jsonrpc: String,
    /// As in the request.
    pub id: Value,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::result, required = false)]
    pub result: Option<Value>,
    /// Or why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<A2aError>,
}

/// A JSON-RPC error.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct A2aError {
    /// Of JSON-RPC or of A2A.
    pub code: i64,
    /// For people.
    pub message: String,
    /// Anything more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub data: Option<Value>,
}

/// What is answered with 200: an agent's answer, or that the message waits for one that polls.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum A2aAnswer {
    /// The agent's.
    Reply(Box<A2aReply>),
    /// It waits.
    Queued(PollQueued),
}
