//! Requests and responses.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::value::RawValue;

use super::{Message, Metadata, RpcError, Task, TaskState};
use crate::{
    method::Method,
    raw::{self, RawObject},
    version::ProtocolVersion,
};

/// The id of a request, as written: a string, a number or null. Numbers of any size survive.
#[derive(Clone)]
pub struct RequestId(Box<RawValue>);

impl RequestId {
    /// The id `null`, for answers to requests whose id could not be read.
    #[must_use]
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// An id from text.
    #[must_use]
    pub fn text(id: &str) -> Self {
        Self::from_json(&raw::quote(id)).unwrap_or_else(Self::null)
    }

    /// An id from its JSON; `None` if that is not a string, a number or null.
    #[must_use]
    pub fn from_json(json: &str) -> Option<Self> {
        let value = RawValue::from_string(json.to_owned()).ok()?;
        matches!(value.get().as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9' | b'n')).then_some(Self(value))
    }

    /// The id as JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(value.get()).ok_or_else(|| D::Error::custom("id must be a string, a number or null"))
    }
}

/// A JSON-RPC request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its id; `None` for a notification.
    pub id: Option<RequestId>,
    /// Its method.
    pub method: String,
    /// Its parameters, as written.
    pub params: Option<Box<RawValue>>,
}

/// Why a request cannot be carried out, with the id to answer under.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{error}")]
pub struct CallError {
    /// The request's id, null if it could not be read.
    pub id: RequestId,
    /// The error to answer with.
    pub error: RpcError,
}

/// A call that an agent serves (RUN-51).
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `message/send`
    Send(SendParams),
    /// `message/stream`
    Stream(SendParams),
    /// `tasks/get`
    Get(TaskParams),
    /// `tasks/cancel`
    Cancel(TaskParams),
    /// `tasks/resubscribe`
    Resubscribe(TaskParams),
    /// `tasks/list`, which has a name in v1.0 only and is taken under both
    List(ListParams),
    /// Any of the methods about push notifications
    Push,
    /// The card shown to authenticated callers
    ExtendedCard,
}

/// Parameters of `message/send` and `message/stream`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendParams {
    /// The message.
    pub message: Message,
    /// How to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<MessageSendConfiguration>,
    /// `history` among them: prior turns for runtimes without sessions (RUN-52).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// How a message is to be answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageSendConfiguration {
    /// Media types that the caller takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_output_modes: Option<Vec<String>>,
    /// How many messages of the task's history to return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_length: Option<u32>,
    /// Whether to wait for the end of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocking: Option<bool>,
}

/// Parameters of the calls about a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskParams {
    /// The task's id.
    pub id: String,
    /// How many messages of its history to return; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_length: Option<u32>,
    /// Metadata of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// Parameters of `tasks/list`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListParams {
    /// Only tasks of this conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// Only tasks in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskState>,
    /// How many at most, 1 to 100; 50 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<i64>,
    /// Where to go on, from the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
    /// How many messages of each task's history to return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_length: Option<u32>,
    /// Only tasks whose status is of this time, RFC 3339, or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_timestamp_after: Option<String>,
    /// Whether to return what the tasks produced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include_artifacts: Option<bool>,
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskList {
    /// The tasks, the one whose status is newest first.
    pub tasks: Vec<Task>,
    /// Where to go on; empty on the last page.
    pub next_page_token: String,
    /// How many there may be on a page.
    pub page_size: i64,
    /// How many there are on all pages.
    pub total_size: usize,
}

impl Request {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`CallError`] with -32700 for what is not JSON, and -32600 for JSON that is not a JSON-RPC 2.0 request.
    pub fn parse(body: &[u8]) -> Result<Self, CallError> {
        let fail = |id: Option<RequestId>, error| CallError {
            id: id.unwrap_or_else(RequestId::null),
            error,
        };
        let text = std::str::from_utf8(body).map_err(|_| fail(None, RpcError::parse_error()))?;
        let Some(object) = RawObject::parse(text) else {
            let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
            let error = if is_json {
                RpcError::invalid_request("not an object")
            } else {
                RpcError::parse_error()
            };
            return Err(fail(None, error));
        };
        let id = match object.get("id") {
            None => None,
            Some(id) => Some(
                RequestId::from_json(id)
                    .ok_or_else(|| fail(None, RpcError::invalid_request("id must be a string, a number or null")))?,
            ),
        };
        if object.get("jsonrpc").and_then(raw::decode_str).as_deref() != Some("2.0") {
            return Err(fail(id, RpcError::invalid_request("jsonrpc must be \"2.0\"")));
        }
        let Some(method) = object.get("method").and_then(raw::decode_str) else {
            return Err(fail(id, RpcError::invalid_request("method must be a string")));
        };
        let params = object
            .get_some("params")
            .and_then(|params| RawValue::from_string(params.to_owned()).ok());
        Ok(Self {
            method: method.into_owned(),
            params,
            id,
        })
    }

    /// The id to answer under.
    #[must_use]
    pub fn answer_id(&self) -> RequestId {
        self.id.clone().unwrap_or_else(RequestId::null)
    }

    /// What the request asks for.
    ///
    /// # Errors
    /// [`CallError`] with -32601 for a method that agents do not serve, -32602 for parameters that do not fit.
    pub fn call(&self) -> Result<Call, CallError> {
        match Method::find(&self.method) {
            Some((Method::Send, ProtocolVersion::V0_3)) => self.params().map(Call::Send),
            Some((Method::Stream, ProtocolVersion::V0_3)) => self.params().map(Call::Stream),
            Some((Method::GetTask, ProtocolVersion::V0_3)) => self.params().map(Call::Get),
            Some((Method::CancelTask, ProtocolVersion::V0_3)) => self.params().map(Call::Cancel),
            Some((Method::Resubscribe, ProtocolVersion::V0_3)) => self.params().map(Call::Resubscribe),
            Some((Method::ListTasks, ProtocolVersion::V0_3)) => self.params().map(Call::List),
            Some((
                Method::SetPushConfig | Method::GetPushConfig | Method::ListPushConfigs | Method::DeletePushConfig,
                ProtocolVersion::V0_3,
            )) => Ok(Call::Push),
            Some((Method::ExtendedCard, ProtocolVersion::V0_3)) => Ok(Call::ExtendedCard),
            _ => Err(RpcError::method_not_found(&self.method)),
        }
        .map_err(|error| CallError {
            id: self.answer_id(),
            error,
        })
    }

    fn params<'s, T: Deserialize<'s>>(&'s self) -> Result<T, RpcError> {
        let params = self.params.as_deref().map_or("{}", RawValue::get);
        serde_json::from_str(params).map_err(|error| RpcError::invalid_params(format!("invalid params: {error}")))
    }

    /// A request with these parameters.
    ///
    /// # Errors
    /// If `params` cannot be written as JSON.
    pub fn new<T: Serialize>(id: RequestId, method: Method, params: &T) -> Result<Self, serde_json::Error> {
        let params = Some(serde_json::value::to_raw_value(params)?);
        Ok(Self {
            id: Some(id),
            method: method.name(ProtocolVersion::V0_3).to_owned(),
            params,
        })
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("jsonrpc", "2.0")?;
        if let Some(id) = &self.id {
            map.serialize_entry("id", id)?;
        }
        map.serialize_entry("method", &self.method)?;
        if let Some(params) = &self.params {
            map.serialize_entry("params", params)?;
        }
        map.end()
    }
}

/// A JSON-RPC response, to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Response<T> {
    /// The request's id.
    pub id: RequestId,
    /// Result or error.
    pub outcome: Result<T, RpcError>,
}

impl<T> Response<T> {
    /// A successful one.
    #[must_use]
    pub const fn ok(id: RequestId, result: T) -> Self {
        Self {
            id,
            outcome: Ok(result),
        }
    }

    /// A failed one.
    #[must_use]
    pub const fn error(id: RequestId, error: RpcError) -> Self {
        Self {
            id,
            outcome: Err(error),
        }
    }
}

impl<T> From<CallError> for Response<T> {
    fn from(CallError { id, error }: CallError) -> Self {
        Self::error(id, error)
    }
}

impl<T: Serialize> Serialize for Response<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("jsonrpc", "2.0")?;
        map.serialize_entry("id", &self.id)?;
        match &self.outcome {
            Ok(result) => map.serialize_entry("result", result)?,
            Err(error) => map.serialize_entry("error", error)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jsonrpc::{Event, code};

    #[test]
    fn reads_the_calls_an_agent_serves() {
        // RUN-51
        let call = |method: &str, params: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
            Request::parse(body.as_bytes()).unwrap().call()
        };
        let message = r#"{"message":{"role":"user","messageId":"m","parts":[{"type":"text","text":"hi"}]}}"#;
        assert!(matches!(call("message/send", message), Ok(Call::Send(params)) if params.message.text() == "hi"));
        assert!(matches!(call("message/stream", message), Ok(Call::Stream(_))));
        assert!(matches!(call("tasks/get", r#"{"id":"t","historyLength":2}"#), Ok(Call::Get(task)) if task.id == "t"));
        assert!(matches!(call("tasks/cancel", r#"{"id":"t"}"#), Ok(Call::Cancel(_))));
        assert!(matches!(
            call("tasks/resubscribe", r#"{"id":"t"}"#),
            Ok(Call::Resubscribe(_))
        ));
        assert!(matches!(call("tasks/list", r#"{"pageSize":2}"#), Ok(Call::List(list)) if list.page_size == Some(2)));
        assert!(matches!(call("tasks/pushNotificationConfig/get", "{}"), Ok(Call::Push)));
        assert!(matches!(
            call("agent/getAuthenticatedExtendedCard", "{}"),
            Ok(Call::ExtendedCard)
        ));
        for (method, params, expected) in [
            ("tasks/get", "{}", code::INVALID_PARAMS),
            ("message/send", "[]", code::INVALID_PARAMS),
            ("message/send", "null", code::INVALID_PARAMS),
            ("SendMessage", message, code::METHOD_NOT_FOUND),
            ("", "{}", code::METHOD_NOT_FOUND),
        ] {
            let error = call(method, params).unwrap_err();
            assert_eq!((error.error.code, error.id.as_json()), (expected, "1"), "{method}");
        }
    }

    #[test]
    fn refuses_what_is_no_request() {
        for (body, expected, id) in [
            ("", code::PARSE_ERROR, "null"),
            ("{", code::PARSE_ERROR, "null"),
            ("[]", code::INVALID_REQUEST, "null"),
            (r#"{"id":5,"method":"x"}"#, code::INVALID_REQUEST, "5"),
            (
                r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#,
                code::INVALID_REQUEST,
                "null",
            ),
            (
                r#"{"jsonrpc":"2.0","id":"a","method":7}"#,
                code::INVALID_REQUEST,
                "\"a\"",
            ),
            (
                r#"{"jsonrpc":"1.0","id":"a","method":"x"}"#,
                code::INVALID_REQUEST,
                "\"a\"",
            ),
        ] {
            let error = Request::parse(body.as_bytes()).unwrap_err();
            assert_eq!((error.error.code, error.id.as_json()), (expected, id), "{body}");
        }
        assert_eq!(Request::parse(b"\xff{}").unwrap_err().error.code, code::PARSE_ERROR);
    }

    #[test]
    fn ids_keep_their_text() {
        let big = "123456789012345678901234567890";
        let request = Request::parse(format!(r#"{{"jsonrpc":"2.0","id":{big},"method":"x"}}"#).as_bytes()).unwrap();
        let response = Response::ok(request.answer_id(), json!({}));
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            format!(r#"{{"jsonrpc":"2.0","id":{big},"result":{{}}}}"#)
        );
        assert_eq!(RequestId::text("a\"b").as_json(), r#""a\"b""#);
        assert_eq!(RequestId::from_json("true"), None);
    }

    #[test]
    fn errors_are_answered_under_the_id() {
        let error = Request::parse(br#"{"jsonrpc":"2.0","id":"q","method":"nope"}"#)
            .unwrap()
            .call()
            .unwrap_err();
        let response: Response<Event> = error.into();
        assert_eq!(
            serde_json::to_value(&response).unwrap(),
            json!({"jsonrpc": "2.0", "id": "q",
                   "error": {"code": -32601, "message": "Method not found", "data": {"method": "nope"}}})
        );
    }

    #[test]
    fn writes_requests() {
        let params = SendParams {
            message: Message::user("m", "hi"),
            configuration: None,
            metadata: None,
        };
        let request = Request::new(RequestId::text("r"), Method::Send, &params).unwrap();
        assert_eq!(
            serde_json::to_value(&request).unwrap(),
            json!({"jsonrpc": "2.0", "id": "r", "method": "message/send", "params": {"message":
                {"kind": "message", "role": "user", "messageId": "m", "parts": [{"kind": "text", "text": "hi"}]}}})
        );
    }
}
