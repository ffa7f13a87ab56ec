//! What a stream amounts to: the reply that `message/send` would have given, put together from its events.

use serde_json::{Map, Value, json};

/// Collects the events of one stream, v0.3 form.
#[derive(Debug, Default)]
pub struct Assembly {
    id: Value,
    task: Map<String, Value>,
    artifacts: Vec<Map<String, Value>>,
    /// A message or an error ends the matter: it is the reply.
    whole: Option<Value>,
    bytes: usize,
    limit: Option<usize>,
}

impl Assembly {
    /// Collects at most `limit` bytes of events; what exceeds it is left out and the reply says so.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit: Some(limit),
            ..Self::default()
        }
    }

    /// Takes the data of one frame. What is not a JSON-RPC response is passed over.
    pub fn push(&mut self, data: &str) {
        self.bytes = self.bytes.saturating_add(data.len());
        if self.limit.is_some_and(|limit| self.bytes > limit) {
            self.task.insert("metadata".to_owned(), json!({ "truncated": true }));
            return;
        }
        let Ok(Value::Object(mut response)) = serde_json::from_str::<Value>(data) else {
            return;
        };
        if let Some(id) = response.get("id") {
            self.id = id.clone();
        }
        match response.remove("result") {
            Some(Value::Object(result)) => self.event(result),
            _ if response.contains_key("error") => self.whole = Some(Value::Object(response)),
            _ => {}
        }
    }

    fn event(&mut self, mut event: Map<String, Value>) {
        let kind = event.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "artifact-update" => {
                let append = event.get("append").and_then(Value::as_bool).unwrap_or_default();
                if let Some(Value::Object(artifact)) = event.remove("artifact") {
                    self.artifact(artifact, append);
                }
                self.identify(&event);
            }
            "status-update" => {
                self.identify(&event);
                if let Some(status) = event.remove("status") {
                    self.task.insert("status".to_owned(), status);
                }
                self.merge_metadata(event.remove("metadata"));
            }
            "task" => {
                if let Some(Value::Array(artifacts)) = event.remove("artifacts") {
                    for artifact in artifacts {
                        if let Value::Object(artifact) = artifact {
                            self.artifact(artifact, false);
                        }
                    }
                }
                self.task.extend(event);
            }
            _ => self.whole = Some(json!({ "jsonrpc": "2.0", "id": self.id, "result": event })),
        }
    }

    fn identify(&mut self, event: &Map<String, Value>) {
        for (from, to) in [("taskId", "id"), ("contextId", "contextId")] {
            if let Some(value) = event.get(from) {
                self.task.entry(to).or_insert_with(|| value.clone());
            }
        }
    }

    fn merge_metadata(&mut self, metadata: Option<Value>) {
        let Some(Value::Object(more)) = metadata else { return };
        let held = self.task.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(held) = held {
            held.extend(more);
        }
    }

    fn artifact(&mut self, artifact: Map<String, Value>, append: bool) {
        let id = artifact.get("artifactId").cloned();
        let held = self
            .artifacts
            .iter_mut()
            .find(|held| held.get("artifactId") == id.as_ref());
        match held {
            None => self.artifacts.push(artifact),
            Some(held) if !append => *held = artifact,
            Some(held) => append_parts(held, &artifact),
        }
    }

    /// The reply so far, as JSON; `None` if the stream said nothing.
    #[must_use]
    pub fn reply(&self) -> Option<String> {
        if let Some(whole) = &self.whole {
            return Some(whole.to_string());
        }
        if self.task.is_empty() && self.artifacts.is_empty() {
            return None;
        }
        let mut task = self.task.clone();
        task.insert("kind".to_owned(), json!("task"));
        if !self.artifacts.is_empty() {
            let artifacts = self.artifacts.iter().cloned().map(Value::Object).collect();
            task.insert("artifacts".to_owned(), Value::Array(artifacts));
        }
        Some(json!({ "jsonrpc": "2.0", "id": self.id, "result": task }).to_string())
    }
}

/// Text that continues text becomes one part: chunks are how it travelled, not what was said.
fn append_parts(held: &mut Map<String, Value>, more: &Map<String, Value>) {
    let Some(Value::Array(more)) = more.get("parts").cloned() else {
        return;
    };
    let parts = held.entry("parts").or_insert_with(|| json!([]));
    let Value::Array(parts) = parts else { return };
    for part in more {
        let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
        match (parts.last_mut().map(|last| (text(last), last)), text(&part)) {
            (Some((Some(mut before), last)), Some(after)) => {
                before.push_str(&after);
                last["text"] = Value::String(before);
            }
            _ => parts.push(part),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let mut odd = Assembly::new(4);
        odd.push("not json");
        odd.push("[]");
        assert!(odd.reply().is_none_or(|reply| reply.contains("truncated")));
    }
}
