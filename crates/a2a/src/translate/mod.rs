//! Translation between the wire forms v0.3 and v1.0 (D7, A2A-36).
//!
//! Only what the two spell differently is rewritten: method names, the wrapping of results, roles, states, parts and
//! push notification settings. Everything else, unknown members included, keeps its text. What is not of the expected
//! shape is passed as it is: the receiver's validator says better than a proxy what it wants.

mod push_config;
mod spelling;
mod to_v03;
mod to_v1;

use bytes::Bytes;

use crate::{
    method::Method,
    raw::{self, RawObject},
    version::ProtocolVersion,
};

/// Part metadata that marks a v1.0 data part whose value was no object, as the reference SDKs write it: v0.3 demands an
/// object there, so the value travels as `{"value": …}`.
const WRAPPED_DATA: &str = "data_part_compat";

/// v0.3 role, v1.0 role.
const ROLES: [(&str, &str); 2] = [("user", "ROLE_USER"), ("agent", "ROLE_AGENT")];

/// v0.3 state, v1.0 state.
const STATES: [(&str, &str); 9] = [
    ("unknown", "TASK_STATE_UNSPECIFIED"),
    ("submitted", "TASK_STATE_SUBMITTED"),
    ("working", "TASK_STATE_WORKING"),
    ("completed", "TASK_STATE_COMPLETED"),
    ("failed", "TASK_STATE_FAILED"),
    ("canceled", "TASK_STATE_CANCELED"),
    ("input-required", "TASK_STATE_INPUT_REQUIRED"),
    ("rejected", "TASK_STATE_REJECTED"),
    ("auth-required", "TASK_STATE_AUTH_REQUIRED"),
];

/// A v1.0 request as v0.3. A body that is not a JSON object, or of neither version, comes back as it is.
#[must_use]
pub fn request_to_v03(body: &Bytes) -> Bytes {
    rewrite(body, to_v03::request)
}

/// A v0.3 request as v1.0. A body that is not a JSON object, or of neither version, comes back as it is.
#[must_use]
pub fn request_to_v1(body: &Bytes) -> Bytes {
    rewrite(body, to_v1::request)
}

/// Turns the replies of a target into those its caller expects. One serves a whole call: the body of a plain reply, or
/// the data of each frame of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTranslator {
    to: ProtocolVersion,
    method: Option<Method>,
}

impl ReplyTranslator {
    /// The translator for replies of a target that speaks `from` to a caller that speaks `to`; `None` if both read the
    /// same form, so that replies pass verbatim (D15).
    #[must_use]
    pub fn new(from: ProtocolVersion, to: ProtocolVersion, method: Option<Method>) -> Option<Self> {
        (from.wire() != to.wire()).then_some(Self { to: to.wire(), method })
    }

    /// A reply body, translated. One without a `result`, or not JSON, is returned as it is.
    #[must_use]
    pub fn body(&self, reply: &Bytes) -> Bytes {
        rewrite(reply, |text| self.reply(text))
    }

    /// The data of one event frame, translated; `None` if it passes as it is.
    #[must_use]
    pub fn frame(&self, data: &str) -> Option<String> {
        self.reply(data)
    }

    fn reply(&self, text: &str) -> Option<String> {
        let mut envelope = RawObject::parse(text)?;
        let result = match self.to {
            ProtocolVersion::V1_0 => to_v1::result(envelope.get("result")?, self.method),
            ProtocolVersion::V0_2 | ProtocolVersion::V0_3 => to_v03::result(envelope.get("result")?, self.method),
        }?;
        envelope.set("result", result);
        Some(envelope.to_json())
    }
}

/// Applies a change of JSON text to bytes; what cannot be changed is shared.
fn rewrite(body: &Bytes, change: impl FnOnce(&str) -> Option<String>) -> Bytes {
    std::str::from_utf8(body)
        .ok()
        .and_then(change)
        .map_or_else(|| body.clone(), Bytes::from)
}

/// The v1.0 spelling of a v0.3 token, as JSON.
fn token_to_v1(raw: &str, table: &[(&str, &str)]) -> Option<String> {
    let token = raw::decode_str(raw)?;
    table
        .iter()
        .find(|(old, _)| *old == token)
        .map(|(_, new)| raw::quote(new))
}

/// The v0.3 spelling of a v1.0 token, as JSON.
fn token_to_v03(raw: &str, table: &[(&str, &str)]) -> Option<String> {
    let token = raw::decode_str(raw)?;
    table
        .iter()
        .find(|(_, new)| *new == token)
        .map(|(old, _)| raw::quote(old))
}
