//! Facts the platform reads in a stored request, and requests it writes itself.

use bytes::Bytes;

use crate::raw::{self, RawObject};

/// `params.message.metadata.delegation_id` of a stored request, if it is a non-empty string (A2A-137).
#[must_use]
pub fn delegation_id(body: &str) -> Option<String> {
    let envelope = RawObject::parse(body)?;
    let params = RawObject::parse(envelope.get("params")?)?;
    let message = RawObject::parse(params.get("message")?)?;
    let metadata = RawObject::parse(message.get("metadata")?)?;
    let id = raw::decode_str(metadata.get("delegation_id")?)?;
    (!id.is_empty()).then(|| id.into_owned())
}

/// The message that carries a delegation: `message/send` from the user role, whose id, and metadata, name the delegation
/// (A2A-164). The part is tagged both ways, because old peers read `type`.
#[must_use]
pub fn delegation(delegation_id: &str, task: &str) -> Bytes {
    let id = raw::quote(delegation_id);
    let text = raw::quote(task);
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"message/send","params":{{"message":{{"kind":"message","role":"user","messageId":{id},"parts":[{{"kind":"text","type":"text","text":{text}}}],"metadata":{{"delegation_id":{id}}}}}}}}}"#
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::normalise;

    #[test]
    fn a_delegation_carries_its_id() {
        // A2A-164, A2A-137
        let body = delegation("d-1", "say \"hé\"\n");
        assert_eq!(
            delegation_id(std::str::from_utf8(&body).unwrap()).as_deref(),
            Some("d-1")
        );
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["method"], "message/send");
        assert_eq!(value["params"]["message"]["role"], "user");
        assert_eq!(
            value["params"]["message"]["parts"],
            json!([{"kind": "text", "type": "text", "text": "say \"hé\"\n"}])
        );
        let normal = normalise(&body, None).unwrap();
        assert_eq!(normal.message_id.as_deref(), Some("d-1"));
        assert_eq!(normal.body.as_ptr(), body.as_ptr());
    }

    #[test]
    fn other_requests_carry_none() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"params":null}"#,
            r#"{"params":{"message":{"metadata":null}}}"#,
            r#"{"params":{"message":{"metadata":{"delegation_id":7}}}}"#,
            r#"{"params":{"message":{"metadata":{"delegation_id":""}}}}"#,
        ] {
            assert_eq!(delegation_id(body), None, "{body}");
        }
    }
}
