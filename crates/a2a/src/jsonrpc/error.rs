//! JSON-RPC errors.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Error codes of JSON-RPC 2.0 and of A2A.
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The body is not a JSON-RPC request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters do not fit the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The server failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// There is no such task.
    pub const TASK_NOT_FOUND: i64 = -32001;
    /// The task is in a state from which it cannot be cancelled.
    pub const TASK_NOT_CANCELABLE: i64 = -32002;
    /// The agent sends no push notifications.
    pub const PUSH_NOTIFICATION_NOT_SUPPORTED: i64 = -32003;
    /// The agent does not do this.
    pub const UNSUPPORTED_OPERATION: i64 = -32004;
    /// The agent does not take or give this media type.
    pub const CONTENT_TYPE_NOT_SUPPORTED: i64 = -32005;
    /// The agent's answer was not valid A2A.
    pub const INVALID_AGENT_RESPONSE: i64 = -32006;
    /// There is no extended card.
    pub const EXTENDED_CARD_NOT_CONFIGURED: i64 = -32007;
    /// A required extension was not named by the client.
    pub const EXTENSION_SUPPORT_REQUIRED: i64 = -32008;
    /// The protocol version is not served.
    pub const VERSION_NOT_SUPPORTED: i64 = -32009;
}

/// A JSON-RPC error object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// One of [`code`], or a server's own.
    pub code: i64,
    /// What happened, for people.
    pub message: String,
    /// More, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same error with data.
    #[must_use]
    pub fn with_data(self, data: Value) -> Self {
        Self {
            data: Some(data),
            ..self
        }
    }

    /// The body is not JSON.
    #[must_use]
    pub fn parse_error() -> Self {
        Self::new(code::PARSE_ERROR, "Invalid JSON payload")
    }

    /// The body is not a JSON-RPC request.
    #[must_use]
    pub fn invalid_request(problem: impl Into<String>) -> Self {
        Self::new(code::INVALID_REQUEST, problem)
    }

    /// There is no such method.
    #[must_use]
    pub fn method_not_found(method: &str) -> Self {
        Self::new(code::METHOD_NOT_FOUND, "Method not found").with_data(json!({ "method": method }))
    }

    /// The parameters do not fit the method.
    #[must_use]
    pub fn invalid_params(problem: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, problem)
    }

    /// The server failed. The text reaches the caller: no paths, no secrets (RUN-57).
    #[must_use]
    pub fn internal(text: impl Into<String>) -> Self {
        Self::new(code::INTERNAL_ERROR, text)
    }

    /// There is no such task.
    #[must_use]
    pub fn task_not_found(id: &str) -> Self {
        Self::new(code::TASK_NOT_FOUND, "Task not found").with_data(json!({ "taskId": id }))
    }

    /// The task has ended already.
    #[must_use]
    pub fn task_not_cancelable(id: &str) -> Self {
        Self::new(code::TASK_NOT_CANCELABLE, "Task cannot be canceled").with_data(json!({ "taskId": id }))
    }

    /// The agent does not do this.
    #[must_use]
    pub fn unsupported(operation: &str) -> Self {
        Self::new(code::UNSUPPORTED_OPERATION, format!("{operation} is not supported"))
    }
}
