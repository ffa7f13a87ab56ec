//! Normalisation: whatever a caller sent becomes one form, or is refused with a body that says where it is wrong
//! (A2A-20…32, D7).
//!
//! A v0.3 request that needs nothing comes back as the very bytes that went in, after one scan. Everything else is
//! rebuilt from raw slices: members that no rule names keep their text.
//!
//! Defined for odd input: invalid UTF-8 and a byte order mark are invalid JSON; nesting of any depth passes; lone
//! surrogates pass untouched (and read as U+FFFD where this crate decodes a string); of repeated members the last
//! counts, and repeats of members that are interpreted here are collapsed to it, so that the agent reads what was
//! checked.

mod probe;

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;
use uuid::Uuid;

use self::probe::Probe;
use crate::{
    method::Method,
    raw::{self, RawObject},
    translate::{self, ReplyTranslator},
    version::ProtocolVersion,
};

/// Members of the envelope that normalisation reads.
const ENVELOPE_MEMBERS: [&str; 4] = ["jsonrpc", "id", "method", "params"];
/// Members of `params` that normalisation reads.
const PARAMS_MEMBERS: [&str; 2] = ["message", "expires_in_seconds"];
/// Members of the message that normalisation reads.
const MESSAGE_MEMBERS: [&str; 3] = ["messageId", "parts", "content"];

/// A request in normal form, with the facts about it that routing and storage need.
#[derive(Clone)]
pub struct Normalised {
    /// The v0.3 form: what rows store and what a v0.3 or unknown target gets (A2A-36).
    pub body: Bytes,
    /// The method's v0.3 name; the caller's own text if no version knows it; "" if it was not a string (A2A-31).
    pub method: String,
    /// `params.message.messageId` if it is a non-empty string: the idempotency key of queue rows (A2A-121).
    pub message_id: Option<String>,
    /// The envelope's `id` as written; `None` if there is none.
    pub request_id: Option<Box<RawValue>>,
    /// The version the caller speaks.
    pub version: ProtocolVersion,
    /// Whether the method asks for a stream of events.
    pub streaming: bool,
    /// `params.expires_in_seconds` if it is a positive integer (A2A-122).
    pub expires_in_seconds: Option<u64>,
    /// The body in the caller's own wire form, if that is not v0.3.
    native: Option<Bytes>,
}

impl Normalised {
    /// The request for a target that speaks `target`. A body that needs no translation is shared, not copied.
    #[must_use]
    pub fn body_for(&self, target: ProtocolVersion) -> Bytes {
        match (target.wire(), &self.native) {
            (ProtocolVersion::V1_0, Some(native)) => native.clone(),
            (ProtocolVersion::V1_0, None) => translate::request_to_v1(&self.body),
            (ProtocolVersion::V0_2 | ProtocolVersion::V0_3, _) => self.body.clone(),
        }
    }

    /// How replies of a target that speaks `target` become replies to this caller; `None` if they pass verbatim.
    #[must_use]
    pub fn reply_translator(&self, target: ProtocolVersion) -> Option<ReplyTranslator> {
        ReplyTranslator::new(target, self.version, self.known_method())
    }

    /// The method, if it is one that A2A defines.
    #[must_use]
    pub fn known_method(&self) -> Option<Method> {
        Method::find(&self.method).map(|(method, _)| method)
    }
}

/// Shows facts, not the body: messages may hold what no log should.
impl fmt::Debug for Normalised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Normalised")
            .field("bytes", &self.body.len())
            .field("method", &self.method)
            .field("message_id", &self.message_id)
            .field("version", &self.version)
            .field("streaming", &self.streaming)
            .finish_non_exhaustive()
    }
}

/// Why a request was refused. Always status 400.
#[derive(Debug, thiserror::Error)]
pub enum NormaliseError {
    /// The body is not a JSON object in UTF-8 (A2A-20).
    #[error("invalid JSON")]
    InvalidJson,
    /// The message has no parts and nothing to make them of (A2A-25, A2A-26).
    #[error("{field}: {problem}")]
    InvalidMessage {
        /// Path of the offending member.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
        /// The request's `id` as written, if it has one.
        id: Option<Box<RawValue>>,
    },
}

impl NormaliseError {
    /// The HTTP status of the refusal.
    #[must_use]
    pub const fn status(&self) -> u16 {
        400
    }

    /// The JSON body of the refusal on the platform's own address: `{"error": …}` for A2A-20, the JSON-RPC error of
    /// A2A-30 otherwise.
    #[must_use]
    pub fn body(&self) -> String {
        let Self::InvalidMessage { field, id, .. } = self else {
            return r#"{"error":"invalid JSON"}"#.to_owned();
        };
        let id = id.as_deref().map_or(raw::NULL, RawValue::get);
        let (message, field) = (raw::quote(&self.to_string()), raw::quote(field));
        let data = format!(r#"{{"field":{field}}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32602,"message":{message},"data":{data}}}}}"#)
    }
}

/// Normalises with everything accepted.
///
/// `version_header` is the value of [`VERSION_HEADER`](crate::VERSION_HEADER), if sent.
///
/// # Errors
/// [`NormaliseError`] if the body is not a JSON object, or its message has no usable parts.
pub fn normalise(body: &Bytes, version_header: Option<&str>) -> Result<Normalised, NormaliseError> {
    Normaliser::default().normalise(body, version_header)
}

/// Normalisation with its switches.
#[derive(Debug, Clone, Copy)]
pub struct Normaliser {
    /// Whether v0.2 messages, which have `content` in place of `parts`, are converted (A2A-23, A2A-24). Off, they are
    /// refused: the switch for the end of v0.2's deprecation window (A2A-35).
    pub accept_v0_2: bool,
}

impl Default for Normaliser {
    fn default() -> Self {
        Self { accept_v0_2: true }
    }
}

impl Normaliser {
    /// Normalises one request body; see [`normalise`].
    ///
    /// # Errors
    /// [`NormaliseError`] if the body is not a JSON object, or its message has no usable parts.
    pub fn normalise(&self, body: &Bytes, version_header: Option<&str>) -> Result<Normalised, NormaliseError> {
        let text = std::str::from_utf8(body).map_err(|_| NormaliseError::InvalidJson)?;
        match Probe::of(text) {
            Some(probe) if probe.is_settled() => Ok(settled(body, &probe, version_header)),
            _ => self.rebuild(body, text, version_header),
        }
    }

    /// The general way: parse, complete, write anew. `text` is `body` as a string.
    fn rebuild(&self, body: &Bytes, text: &str, version_header: Option<&str>) -> Result<Normalised, NormaliseError> {
        let mut envelope = RawObject::parse(text).ok_or(NormaliseError::InvalidJson)?;
        let mut changed = envelope.collapse(&ENVELOPE_MEMBERS);
        let caller_id = envelope.get("id").and_then(owned);
        if !envelope.has("jsonrpc") {
            envelope = wrap(&envelope);
            changed = true;
        }
        let method = envelope
            .get("method")
            .and_then(raw::decode_str)
            .unwrap_or_default()
            .into_owned();
        let mut draft = Draft::new(Method::wire_form(&method, version_header));
        draft.changed = changed;

        if let Some(mut params) = envelope.get("params").and_then(RawObject::parse) {
            draft.changed |= params.collapse(&PARAMS_MEMBERS);
            draft.expires_in_seconds = params.get("expires_in_seconds").and_then(positive);
            if let Some(message) = params.get("message").and_then(RawObject::parse) {
                let message =
                    self.message(message, &mut draft)
                        .map_err(|(field, problem)| NormaliseError::InvalidMessage {
                            field,
                            problem,
                            id: caller_id,
                        })?;
                params.set("message", message);
            }
            let params = params.to_json();
            envelope.set("params", params);
        }
        let request_id = envelope.get("id").and_then(owned);
        let body = if draft.changed {
            envelope.to_json().into()
        } else {
            body.clone()
        };
        Ok(draft.finish(body, &method, request_id))
    }

    /// Gives a message its id and its parts (A2A-22…27).
    fn message(&self, mut message: RawObject<'_>, draft: &mut Draft) -> Result<String, (&'static str, String)> {
        draft.changed |= message.collapse(&MESSAGE_MEMBERS);
        let in_snake_case = draft.version == ProtocolVersion::V1_0 && message.has("message_id");
        if !message.has("messageId") && !in_snake_case {
            message.set("messageId", raw::quote(&Uuid::new_v4().to_string()));
            draft.changed = true;
        }
        draft.message_id = message
            .get("messageId")
            .or_else(|| message.get("message_id"))
            .and_then(non_empty);
        if message.has("parts") {
            return Ok(message.to_json());
        }
        let Some(content) = message.get("content").filter(|_| self.accept_v0_2) else {
            return Err(("params.message.parts", "the message has no parts".to_owned()));
        };
        let parts = if raw::is_array(content) {
            content.to_owned()
        } else if !raw::is_string(content) {
            let problem = format!("must be a string or a list of parts, not {}", raw::type_name(content));
            return Err(("params.message.content", problem));
        } else if draft.version == ProtocolVersion::V1_0 {
            format!(r#"[{{"text":{content}}}]"#)
        } else {
            format!(r#"[{{"kind":"text","text":{content}}}]"#)
        };
        draft.changed = true;
        message.rename("content", "parts");
        message.set("parts", parts);
        if draft.version == ProtocolVersion::V0_3 {
            draft.version = ProtocolVersion::V0_2;
        }
        Ok(message.to_json())
    }
}

/// What has been learnt of a request so far.
struct Draft {
    version: ProtocolVersion,
    message_id: Option<String>,
    expires_in_seconds: Option<u64>,
    /// Whether the body differs from what was sent.
    changed: bool,
}

impl Draft {
    const fn new(version: ProtocolVersion) -> Self {
        Self {
            version,
            message_id: None,
            expires_in_seconds: None,
            changed: false,
        }
    }

    /// Completes the record: `body` is in the caller's wire form, and is translated if that is not v0.3.
    fn finish(self, body: Bytes, method: &str, request_id: Option<Box<RawValue>>) -> Normalised {
        let (body, native) = match self.version {
            ProtocolVersion::V1_0 => (translate::request_to_v03(&body), Some(body)),
            ProtocolVersion::V0_2 | ProtocolVersion::V0_3 => (body, None),
        };
        let known = Method::find(method).map(|(method, _)| method);
        Normalised {
            body,
            method: known
                .map_or(method, |method| method.name(ProtocolVersion::V0_3))
                .to_owned(),
            message_id: self.message_id,
            request_id,
            version: self.version,
            streaming: known.is_some_and(Method::is_streaming),
            expires_in_seconds: self.expires_in_seconds,
            native,
        }
    }
}

/// The record of a request that is in normal form already.
fn settled(body: &Bytes, probe: &Probe<'_>, version_header: Option<&str>) -> Normalised {
    let method = probe
        .method
        .and_then(|method| raw::decode_str(method.get()))
        .unwrap_or_default();
    let mut draft = Draft::new(Method::wire_form(&method, version_header));
    draft.message_id = probe.params.message.id.and_then(|id| non_empty(id.get()));
    draft.expires_in_seconds = probe
        .params
        .expires_in_seconds
        .and_then(|seconds| positive(seconds.get()));
    draft.finish(body.clone(), &method, probe.id.map(ToOwned::to_owned))
}

/// The new envelope of a body that came without one: only the two named members enter it (A2A-21).
fn wrap(bare: &RawObject<'_>) -> RawObject<'static> {
    let mut envelope = RawObject::default();
    envelope.set("jsonrpc", r#""2.0""#);
    envelope.set("id", raw::quote(&Uuid::new_v4().to_string()));
    for name in ["method", "params"] {
        envelope.set(name, bare.get(name).unwrap_or(raw::NULL).to_owned());
    }
    envelope
}

/// A raw slice as a value of its own. It came from a parsed document, so it parses.
fn owned(raw: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(raw.to_owned()).ok()
}

/// The string a raw value holds, unless it is empty.
fn non_empty(raw: &str) -> Option<String> {
    raw::decode_str(raw)
        .filter(|text| !text.is_empty())
        .map(std::borrow::Cow::into_owned)
}

/// The positive integer a raw value holds (A2A-122).
fn positive(raw: &str) -> Option<u64> {
    raw.parse().ok().filter(|number| *number > 0)
}
