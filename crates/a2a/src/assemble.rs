//! What a stream amounts to: the reply that `message/send` would have given, put together from its events.
//!
//! Values keep their text, as everywhere in this crate. Text that continues text becomes one part: chunks are how it
//! travelled, not what was said.

use std::{borrow::Cow, collections::HashMap};

use crate::raw::{self, RawObject};

/// Status updates of up to so many bytes are taken even when the limit is reached: how a stream ended, and what it says
/// about itself, is worth more than a further piece of its text.
const STATUS_BYTES: usize = 64 << 10;
/// What a part or an artifact takes up besides its text.
const OVERHEAD_BYTES: usize = 128;

/// Collects the events of one stream, v0.3 form.
#[derive(Debug)]
pub struct Assembly {
    /// The envelope's `id` as written.
    id: String,
    /// The task's members but its artifacts.
    task: RawObject<'static>,
    artifacts: Vec<Artifact>,
    /// Where the artifact with this `artifactId`, as written, is.
    places: HashMap<String, usize>,
    /// Bytes that the artifacts take up.
    artifacts_size: usize,
    /// A message or an error ends the matter: it is the reply, as it came.
    whole: Option<String>,
    limit: usize,
    truncated: bool,
}

#[derive(Debug)]
struct Artifact {
    /// Its members but its parts.
    members: RawObject<'static>,
    parts: Vec<Part>,
    /// Bytes it takes up.
    size: usize,
}

#[derive(Debug)]
enum Part {
    /// A text part: its members but the text, and the text, escaped, without its quotes.
    Text(RawObject<'static>, String),
    /// Anything else, as written.
    Other(String),
}

impl Part {
    fn new(raw: &str) -> Self {
        let text = RawObject::parse(raw).and_then(|mut members| {
            let text = members.remove("text").filter(|text| raw::is_string(text))?;
            Some(Self::Text(members.into_owned(), text[1..text.len() - 1].to_owned()))
        });
        text.unwrap_or_else(|| Self::Other(raw.to_owned()))
    }

    fn size(&self) -> usize {
        match self {
            Self::Text(members, text) => members.size() + text.len(),
            Self::Other(raw) => raw.len(),
        }
    }

    fn to_json(&self) -> String {
        match self {
            Self::Text(members, text) => {
                let mut members = members.clone();
                members.set("text", format!("\"{text}\""));
                members.to_json()
            }
            Self::Other(raw) => raw.clone(),
        }
    }
}

impl Artifact {
    fn new(mut members: RawObject<'_>) -> Self {
        let parts = members.remove("parts").unwrap_or_default();
        let mut this = Self {
            size: OVERHEAD_BYTES + members.size(),
            members: members.into_owned(),
            parts: Vec::new(),
        };
        this.append(&parts);
        this
    }

    /// Appends the parts of a JSON list; anything else has none.
    fn append(&mut self, parts: &str) {
        for part in raw::elements(parts).unwrap_or_default() {
            match (self.parts.last_mut(), Part::new(part)) {
                (Some(Part::Text(_, before)), Part::Text(_, after)) => {
                    self.size += after.len();
                    before.push_str(&after);
                }
                (_, part) => {
                    self.size += OVERHEAD_BYTES + part.size();
                    self.parts.push(part);
                }
            }
        }
    }

    fn to_json(&self) -> String {
        let mut artifact = self.members.clone();
        artifact.set("parts", list(self.parts.iter().map(Part::to_json)));
        artifact.to_json()
    }
}

/// A JSON list.
fn list(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}

impl Assembly {
    /// Keeps at most `limit` bytes; what exceeds them is left out and the reply says so.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            id: raw::NULL.to_owned(),
            task: RawObject::default(),
            artifacts: Vec::new(),
            places: HashMap::new(),
            artifacts_size: 0,
            whole: None,
            limit,
            truncated: false,
        }
    }

    /// Bytes kept.
    #[must_use]
    pub fn size(&self) -> usize {
        self.task.size() + self.artifacts_size + self.whole.as_ref().map_or(0, String::len)
    }

    /// Bytes that may be kept.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// From here on at most `limit` bytes are kept.
    pub fn allow(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes the data of one frame. What is not a JSON-RPC response is passed over.
    pub fn push(&mut self, data: &str) {
        let fits = self.size() + data.len() <= self.limit;
        self.truncated |= !fits;
        if !fits && (data.len() > STATUS_BYTES || self.size() > self.limit + STATUS_BYTES) {
            return;
        }
        let Some(response) = RawObject::parse(data) else { return };
        if let Some(id) = response.get("id").filter(|id| id.len() <= STATUS_BYTES) {
            id.clone_into(&mut self.id);
        }
        let result = response.slice("result").and_then(RawObject::parse);
        let kind = result
            .as_ref()
            .and_then(|event| event.get("kind").and_then(raw::decode_str).map(Cow::into_owned));
        match (result, kind.as_deref()) {
            (Some(event), Some("status-update")) => self.status(event),
            _ if !fits => {}
            (Some(event), Some("artifact-update")) => self.artifact_update(&event),
            (Some(event), Some("task")) => self.task(event),
            (Some(_), _) => self.whole = Some(data.to_owned()),
            (None, _) if response.has("error") => self.whole = Some(data.to_owned()),
            (None, _) => {}
        }
    }

    fn status(&mut self, mut event: RawObject<'_>) {
        self.identify(&event);
        if let Some(status) = event.remove("status") {
            self.task.set("status", status.into_owned());
        }
        let more = event.remove("metadata");
        let Some(more) = more.as_deref().and_then(RawObject::parse) else {
            return;
        };
        let held = self.task.get("metadata").and_then(RawObject::parse);
        let mut metadata = more;
        metadata.absorb(held.unwrap_or_default());
        let metadata = metadata.to_json();
        self.task.set("metadata", metadata);
    }

    fn task(&mut self, mut event: RawObject<'_>) {
        let artifacts = event.remove("artifacts");
        for artifact in artifacts.as_deref().and_then(raw::elements).unwrap_or_default() {
            if let Some(artifact) = RawObject::parse(artifact) {
                self.artifact(artifact, false);
            }
        }
        let mut task = event.into_owned();
        task.absorb(std::mem::take(&mut self.task));
        self.task = task;
    }

    fn artifact_update(&mut self, event: &RawObject<'_>) {
        let append = event.get("append") == Some("true");
        if let Some(artifact) = event.slice("artifact").and_then(RawObject::parse) {
            self.artifact(artifact, append);
        }
        self.identify(event);
    }

    fn identify(&mut self, event: &RawObject<'_>) {
        for (from, to) in [("taskId", "id"), ("contextId", "contextId")] {
            if let Some(value) = event.get(from) {
                self.task.set_default(to, value.to_owned());
            }
        }
    }

    fn artifact(&mut self, artifact: RawObject<'_>, append: bool) {
        let id = artifact.get("artifactId").unwrap_or(raw::NULL).to_owned();
        let place = *self.places.entry(id).or_insert(self.artifacts.len());
        match self.artifacts.get_mut(place) {
            Some(held) => {
                self.artifacts_size -= held.size;
                match artifact.get("parts") {
                    Some(parts) if append => held.append(parts),
                    None if append => {}
                    _ => *held = Artifact::new(artifact),
                }
            }
            None => self.artifacts.push(Artifact::new(artifact)),
        }
        self.artifacts_size += self.artifacts[place].size;
    }

    /// The reply so far, as JSON; `None` if the stream said nothing.
    #[must_use]
    pub fn reply(&self) -> Option<String> {
        if let Some(whole) = &self.whole {
            return Some(whole.clone());
        }
        if self.task.is_empty() && self.artifacts.is_empty() && !self.truncated {
            return None;
        }
        let mut task = self.task.clone();
        task.set("kind", "\"task\"");
        if !self.artifacts.is_empty() {
            task.set("artifacts", list(self.artifacts.iter().map(Artifact::to_json)));
        }
        if self.truncated {
            let mut metadata = task.get("metadata").and_then(RawObject::parse).unwrap_or_default();
            metadata.set("truncated", "true");
            let metadata = metadata.to_json();
            task.set("metadata", metadata);
        }
        Some(format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#,
            self.id,
            task.to_json()
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reply::Reply;

    fn assemble(events: &[Value]) -> Option<String> {
        let mut assembly = Assembly::new(1 << 20);
        for event in events {
            assembly.push(&json!({ "jsonrpc": "2.0", "id": 7, "result": event }).to_string());
        }
        assembly.reply()
    }

    #[test]
    fn chunks_become_one_text() {
        // D15
        let chunk = |text: &str, append: bool| {
            json!({ "kind": "artifact-update", "taskId": "t", "contextId": "c", "append": append,
                    "artifact": { "artifactId": "a", "parts": [{ "kind": "text", "text": text }] } })
        };
        let end = json!({ "kind": "status-update", "taskId": "t", "final": true, "status": { "state": "completed" },
                          "metadata": { "tool_trace": [1] } });
        let reply = assemble(&[chunk("Hel", false), chunk("lo", true), end]).unwrap();
        let parsed = Reply::parse(reply.as_bytes()).unwrap();
        assert_eq!(parsed.text().as_deref(), Some("Hello"));
        assert_eq!(parsed.tool_trace().unwrap().get(), "[1]");
        let value: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(value["id"], 7);
        assert_eq!(value["result"]["status"]["state"], "completed");
        assert_eq!(value["result"]["artifacts"][0]["parts"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_replacing_artifact_replaces() {
        let artifact = |text: &str| {
            json!({ "kind": "artifact-update", "append": false,
                    "artifact": { "artifactId": "a", "parts": [{ "kind": "text", "text": text }] } })
        };
        let reply = assemble(&[artifact("draft"), artifact("final")]).unwrap();
        assert_eq!(Reply::parse(reply.as_bytes()).unwrap().text().as_deref(), Some("final"));
    }

    #[test]
    fn a_message_or_error_is_the_reply() {
        let message = json!({ "kind": "message", "parts": [{ "kind": "text", "text": "hi" }] });
        let reply = assemble(&[message]).unwrap();
        assert_eq!(Reply::parse(reply.as_bytes()).unwrap().text().as_deref(), Some("hi"));
        let mut failed = Assembly::new(1 << 20);
        failed.push(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}"#);
        assert_eq!(
            Reply::parse(failed.reply().unwrap().as_bytes())
                .unwrap()
                .rpc_error()
                .unwrap()
                .message,
            "no"
        );
    }

    #[test]
    fn nothing_and_nonsense_are_no_reply() {
        assert_eq!(assemble(&[]), None);
        let mut odd = Assembly::new(1 << 20);
        for nonsense in ["not json", "[]", "{}", r#"{"id":1,"result":7}"#] {
            odd.push(nonsense);
        }
        assert_eq!(odd.reply(), None);
    }

    #[test]
    fn values_keep_their_text() {
        // D15: big integers, escapes and split surrogates
        let mut assembly = Assembly::new(1 << 20);
        let update = |append: bool, parts: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":12345678901234567890123,"result":{{"kind":"artifact-update","append":{append},"artifact":{{"artifactId":"a","n":1.50e+2,"parts":[{parts}]}}}}}}"#
            )
        };
        assembly.push(&update(
            false,
            r#"{"kind":"data","data":{"n":12345678901234567890123}}"#,
        ));
        assembly.push(&update(
            true,
            r#"{"kind":"text","text":"\ud83d","metadata":{"x":1e400}}"#,
        ));
        assembly.push(&update(true, r#"{"kind":"text","text":"\ude00 \u00e9"}"#));
        let expected = concat!(
            r#"{"jsonrpc":"2.0","id":12345678901234567890123,"result":{"kind":"task","artifacts":[{"artifactId":"a","n":1.50e+2,"#,
            r#""parts":[{"kind":"data","data":{"n":12345678901234567890123}},"#,
            r#"{"kind":"text","metadata":{"x":1e400},"text":"\ud83d\ude00 \u00e9"}]}]}}"#
        );
        assert_eq!(assembly.reply().unwrap(), expected);
    }

    #[test]
    fn beyond_the_limit_the_text_is_cut_and_the_end_is_kept() {
        // D15, A2A-104
        let mut assembly = Assembly::new(4_000);
        let event = |event: Value| json!({ "jsonrpc": "2.0", "id": 7, "result": event }).to_string();
        let chunk = event(json!({ "kind": "artifact-update", "append": true,
            "artifact": { "artifactId": "a", "parts": [{ "kind": "text", "text": "x".repeat(500) }] } }));
        assembly.push(&event(
            json!({ "kind": "status-update", "taskId": "t", "metadata": { "tool_trace": [1] } }),
        ));
        for _ in 0..20 {
            assembly.push(&chunk);
        }
        assert!(assembly.size() <= 4_000);
        assembly.push(&event(json!({ "kind": "status-update", "final": true, "status": { "state": "failed" }, "metadata": { "cost": 3 } })));
        let reply: Value = serde_json::from_str(&assembly.reply().unwrap()).unwrap();
        let result = &reply["result"];
        assert_eq!(result["status"]["state"], "failed");
        assert_eq!(
            result["metadata"],
            json!({ "cost": 3, "tool_trace": [1], "truncated": true })
        );
        let text = result["artifacts"][0]["parts"][0]["text"].as_str().unwrap();
        assert!((500..4_000).contains(&text.len()) && text.len().is_multiple_of(500));
        // Nor does what it says about itself grow without end.
        for n in 0..10 {
            let metadata = json!({ n.to_string(): "x".repeat(60_000) });
            assembly.push(&event(json!({ "kind": "status-update", "metadata": metadata })));
        }
        assert!(assembly.size() <= 4_000 + 2 * STATUS_BYTES);
    }

    #[test]
    fn what_is_replaced_takes_up_nothing() {
        let mut assembly = Assembly::new(4_000);
        for _ in 0..1_000 {
            assembly.push(
                &json!({ "result": { "kind": "artifact-update",
                         "artifact": { "artifactId": "a", "parts": [{ "kind": "text", "text": "x".repeat(500) }] } } })
                .to_string(),
            );
        }
        assert!(!assembly.reply().unwrap().contains("truncated"));
    }
}
