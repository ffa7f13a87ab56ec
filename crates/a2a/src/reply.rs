//! What the platform reads in an agent's reply. Read, never changed: the reply itself is relayed as it came.

use serde_json::value::RawValue;

use crate::raw::{self, RawObject};

/// What a v1.0 result may wrap its answer in.
const WRAPPERS: [&str; 4] = ["message", "task", "statusUpdate", "artifactUpdate"];

/// A JSON-RPC error in a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyError {
    /// Its code; 0 if there is no integer.
    pub code: i64,
    /// Its message; "" if there is none.
    pub message: String,
}

/// A reply body that is a JSON object, looked at without building a tree. Understands replies of every version: a bare
/// message or task in `result`, or one wrapped as v1.0 does.
#[derive(Debug)]
pub struct Reply<'a> {
    envelope: RawObject<'a>,
    /// The objects that may be the answer: the result itself, then what a v1.0 result wraps.
    answers: Vec<RawObject<'a>>,
}

impl<'a> Reply<'a> {
    /// Reads a body; `None` if it is not a JSON object in UTF-8.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        let envelope = RawObject::parse(std::str::from_utf8(body).ok()?)?;
        let mut answers = Vec::new();
        if let Some(result) = envelope.slice("result").and_then(RawObject::parse) {
            let wrapped: Vec<_> = WRAPPERS
                .iter()
                .filter_map(|name| RawObject::parse(result.slice(name)?))
                .collect();
            answers.push(result);
            answers.extend(wrapped);
        }
        Some(Self { envelope, answers })
    }

    /// The text of the answer (A2A-170): the first text part in `result.parts`, then in `result.artifacts[].parts`, then
    /// in `result.status.message.parts`. `None` if there is no text part.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.answers.iter().find_map(text_of)
    }

    /// `result.metadata.tool_trace` as written, unless absent or null (A2A-104).
    #[must_use]
    pub fn tool_trace(&self) -> Option<Box<RawValue>> {
        self.answers.iter().find_map(|answer| {
            let metadata = RawObject::parse(answer.get("metadata")?)?;
            RawValue::from_string(metadata.get_some("tool_trace")?.to_owned()).ok()
        })
    }

    /// The top-level `error` if it is a non-empty string, as plain HTTP services send it (A2A-86).
    #[must_use]
    pub fn error_text(&self) -> Option<String> {
        let text = raw::decode_str(self.envelope.get("error")?)?;
        (!text.is_empty()).then(|| text.into_owned())
    }

    /// The top-level `error` if it is an object, as JSON-RPC has it.
    #[must_use]
    pub fn rpc_error(&self) -> Option<ReplyError> {
        let error = RawObject::parse(self.envelope.get("error")?)?;
        Some(ReplyError {
            code: error.get("code").and_then(|code| code.parse().ok()).unwrap_or_default(),
            message: error
                .get("message")
                .and_then(raw::decode_str)
                .unwrap_or_default()
                .into_owned(),
        })
    }
}

/// The answer's text, or the body itself where it holds none (A2A-170). Not UTF-8: replaced characters.
#[must_use]
pub fn text_or_body(body: &[u8]) -> String {
    let text = Reply::parse(body).and_then(|reply| reply.text());
    text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

/// The first text of a message, task or event.
fn text_of(answer: &RawObject<'_>) -> Option<String> {
    let of_parts = answer.get("parts").and_then(first_text);
    of_parts
        .or_else(|| {
            raw::elements(answer.get("artifacts")?)?
                .into_iter()
                .find_map(text_of_artifact)
        })
        .or_else(|| text_of_artifact(answer.get("artifact")?))
        .or_else(|| {
            let status = RawObject::parse(answer.get("status")?)?;
            let message = RawObject::parse(status.get("message")?)?;
            first_text(message.get("parts")?)
        })
}

fn text_of_artifact(artifact: &str) -> Option<String> {
    first_text(RawObject::parse(artifact)?.get("parts")?)
}

/// The first text part of a list, whether tagged by `kind`, by `type` or, as in v1.0, not at all.
fn first_text(parts: &str) -> Option<String> {
    raw::elements(parts)?.into_iter().find_map(|part| {
        let part = RawObject::parse(part)?;
        let tag = part.get("kind").or_else(|| part.get("type")).and_then(raw::decode_str);
        if tag.is_some_and(|tag| tag != "text") {
            return None;
        }
        raw::decode_str(part.get("text")?).map(std::borrow::Cow::into_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> Option<String> {
        Reply::parse(body.as_bytes())?.text()
    }

    #[test]
    fn finds_the_text() {
        // A2A-170, and the same in the shapes of other versions
        for body in [
            r#"{"result":{"parts":[{"kind":"file"},{"kind":"text","text":"hi"},{"kind":"text","text":"no"}]}}"#,
            r#"{"result":{"parts":[{"type":"text","text":"hi"}]}}"#,
            r#"{"result":{"parts":[{"kind":"data","text":"no"}],"artifacts":[{"parts":[]},{"parts":[{"kind":"text","text":"hi"}]}]}}"#,
            r#"{"result":{"kind":"task","status":{"state":"completed","message":{"parts":[{"kind":"text","text":"hi"}]}}}}"#,
            r#"{"result":{"message":{"messageId":"m","parts":[{"text":"hi"}]}}}"#,
            r#"{"result":{"task":{"status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"parts":[{"text":"hi"}]}]}}}"#,
            r#"{"result":{"statusUpdate":{"status":{"message":{"parts":[{"text":"\u0068i"}]}}}}}"#,
        ] {
            assert_eq!(text(body).as_deref(), Some("hi"), "{body}");
            assert_eq!(text_or_body(body.as_bytes()), "hi");
        }
    }

    #[test]
    fn without_text_the_body_stands() {
        // A2A-170
        for body in [
            "",
            "plain",
            "[1]",
            r#"{"result":"x"}"#,
            r#"{"result":{"parts":null}}"#,
            r#"{"result":{"parts":[{"kind":"text","text":5}],"artifacts":{"parts":1}}}"#,
            r#"{"error":{"code":-1}}"#,
        ] {
            assert_eq!(text(body), None, "{body}");
            assert_eq!(text_or_body(body.as_bytes()), body);
        }
        assert_eq!(text_or_body(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn empty_text_is_an_answer() {
        // A2A-170
        assert_eq!(
            text(r#"{"result":{"parts":[{"kind":"text","text":""}]}}"#).as_deref(),
            Some("")
        );
    }

    #[test]
    fn tool_trace_is_taken_as_written() {
        // A2A-104
        let trace = |body: &str| {
            Reply::parse(body.as_bytes())
                .unwrap()
                .tool_trace()
                .map(|raw| raw.get().to_owned())
        };
        let big = r#"[{"n": 12345678901234567890123}]"#;
        assert_eq!(
            trace(&format!(r#"{{"result":{{"metadata":{{"tool_trace":{big}}}}}}}"#)).as_deref(),
            Some(big)
        );
        assert_eq!(
            trace(r#"{"result":{"task":{"metadata":{"tool_trace":[]}}}}"#).as_deref(),
            Some("[]")
        );
        assert_eq!(trace(r#"{"result":{"metadata":{"tool_trace":null}}}"#), None);
        assert_eq!(trace(r#"{"result":{"metadata":[]}}"#), None);
        assert_eq!(trace("{}"), None);
    }

    #[test]
    fn errors_of_both_kinds() {
        // A2A-86
        let plain = Reply::parse(br#"{"error":"no \"luck\""}"#).unwrap();
        assert_eq!(plain.error_text().as_deref(), Some("no \"luck\""));
        assert_eq!(plain.rpc_error(), None);
        let rpc = Reply::parse(br#"{"error":{"code":-32001,"message":"gone"}}"#).unwrap();
        assert_eq!(rpc.error_text(), None);
        assert_eq!(
            rpc.rpc_error(),
            Some(ReplyError {
                code: -32001,
                message: "gone".into()
            })
        );
        assert_eq!(Reply::parse(br#"{"error":{}}"#).unwrap().rpc_error().unwrap().code, 0);
        assert_eq!(Reply::parse(br#"{"error":7}"#).unwrap().error_text(), None);
    }
}
