//! JSON-RPC errors.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::version::ProtocolVersion;

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

    /// The task has ended, and what was asked needs one that has not.
    #[must_use]
    pub fn task_over(id: &str) -> Self {
        Self::new(code::UNSUPPORTED_OPERATION, "The task has ended").with_data(json!({ "taskId": id }))
    }

    /// The agent sends no push notifications.
    #[must_use]
    pub fn push_not_supported() -> Self {
        Self::new(
            code::PUSH_NOTIFICATION_NOT_SUPPORTED,
            "Push notifications are not supported",
        )
    }

    /// A part is of a kind that is not taken.
    #[must_use]
    pub fn content_type_not_supported(problem: impl Into<String>) -> Self {
        Self::new(code::CONTENT_TYPE_NOT_SUPPORTED, problem)
    }

    /// The protocol version is not served.
    #[must_use]
    pub fn version_not_supported(version: &str) -> Self {
        let served: Vec<_> = [ProtocolVersion::V1_0, ProtocolVersion::V0_3]
            .iter()
            .map(|version| version.header())
            .collect();
        Self::new(code::VERSION_NOT_SUPPORTED, "This version of A2A is not supported")
            .with_data(json!({ "requested": version, "supported": served }))
    }

    /// A member of the parameters is missing or wrong.
    #[must_use]
    pub fn invalid_member(member: &str, problem: &str) -> Self {
        Self::invalid_params(format!("{member} {problem}")).with_data(json!({ "field": member, "problem": problem }))
    }

    /// The same error as callers of v1.0 get it: what there is of data in the list of typed details that the standard
    /// demands. Data that is a list already is left as it is.
    #[must_use]
    pub fn for_v1(self) -> Self {
        if matches!(self.data, Some(Value::Array(_))) {
            return self;
        }
        let members = match &self.data {
            Some(Value::Object(members)) => members.clone(),
            _ => Map::new(),
        };
        let mut details = Vec::new();
        if let (Some(field), Some(problem)) = (members.get("field"), members.get("problem")) {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{ "field": field, "description": problem }],
            }));
        }
        if let Some(reason) = reason(self.code) {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let metadata: Map<String, Value> = members
                .iter()
                .map(|(name, value)| (name.clone(), text(value).into()))
                .collect();
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "a2a-protocol.org",
                "metadata": metadata,
            }));
        }
        Self {
            data: (!details.is_empty()).then_some(Value::Array(details)),
            ..self
        }
    }
}

/// What v1.0 calls the errors of A2A itself.
const fn reason(code: i64) -> Option<&'static str> {
    Some(match code {
        code::TASK_NOT_FOUND => "TASK_NOT_FOUND",
        code::TASK_NOT_CANCELABLE => "TASK_NOT_CANCELABLE",
        code::PUSH_NOTIFICATION_NOT_SUPPORTED => "PUSH_NOTIFICATION_NOT_SUPPORTED",
        code::UNSUPPORTED_OPERATION => "UNSUPPORTED_OPERATION",
        code::CONTENT_TYPE_NOT_SUPPORTED => "CONTENT_TYPE_NOT_SUPPORTED",
        code::INVALID_AGENT_RESPONSE => "INVALID_AGENT_RESPONSE",
        code::EXTENDED_CARD_NOT_CONFIGURED => "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
        code::EXTENSION_SUPPORT_REQUIRED => "EXTENSION_SUPPORT_REQUIRED",
        code::VERSION_NOT_SUPPORTED => "VERSION_NOT_SUPPORTED",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_v1_carry_typed_details() {
        // D24
        let error = RpcError::task_not_found("t").for_v1();
        assert_eq!(
            error.data,
            Some(json!([{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "TASK_NOT_FOUND",
                "domain": "a2a-protocol.org", "metadata": {"taskId": "t"}
            }]))
        );
        assert_eq!(error.clone().for_v1(), error);
        let error = RpcError::invalid_member("message.messageId", "is required").for_v1();
        assert_eq!(error.message, "message.messageId is required");
        assert_eq!(
            error.data.unwrap()[0]["fieldViolations"],
            json!([{"field": "message.messageId", "description": "is required"}])
        );
        let versions = RpcError::version_not_supported("99.0").for_v1().data.unwrap();
        assert_eq!(
            versions[0]["metadata"],
            json!({"requested": "99.0", "supported": "[\"1.0\",\"0.3\"]"})
        );
        assert_eq!(RpcError::parse_error().for_v1().data, None);
    }
}
