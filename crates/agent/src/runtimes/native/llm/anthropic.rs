//! Messages of Anthropic, and of everybody who is compatible with them.

use molecule_tools::Definition;
use serde_json::{Map, Value, json};

use super::{
    chat::{Answer, Draft, Message, Request, Said, Stop, ToolCall, Usage, calls},
    failure::Failure,
    wire::{Decoder, Heard},
};

/// Version of the API.
pub(super) const VERSION: &str = "2023-06-01";
/// Members of a call that are read; the others go back as they came.
const CALL: [&str; 4] = ["type", "id", "name", "input"];

/// The body of a request.
pub(super) fn body(model: &str, request: &Request<'_>) -> Value {
    let messages: Vec<Value> = request.messages.iter().filter_map(message).collect();
    let mut body = json!({
        "model": model,
        "max_tokens": output_limit(model),
        "messages": messages,
        "stream": true,
    });
    if !request.system.is_empty() {
        body["system"] = json!(request.system);
    }
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    body
}

/// The wire demands a limit, and a model refuses one that exceeds its own.
fn output_limit(model: &str) -> u32 {
    const LIMITS: [(&str, u32); 6] = [
        ("claude-3-5-", 8_192),
        ("claude-3-opus", 4_096),
        ("claude-3-sonnet", 4_096),
        ("claude-3-haiku", 4_096),
        ("claude-opus-4-0", 32_000),
        ("claude-opus-4-1", 32_000),
    ];
    let known = LIMITS.iter().find(|(name, _)| model.contains(name));
    known.map_or(64_000, |(_, limit)| *limit)
}

fn tool(tool: &Definition) -> Value {
    json!({ "name": tool.name, "description": tool.description, "input_schema": tool.input_schema })
}

/// A message; `None` for one that holds nothing, which the wire does not take.
fn message(message: &Message) -> Option<Value> {
    let (role, content) = match message {
        Message::User { text } => ("user", json!(text)),
        Message::Assistant(said) => {
            let mut blocks: Vec<Value> = Vec::new();
            if !said.calls.is_empty() {
                // Members of the other wire do not say what they are.
                blocks.extend(
                    said.thoughts
                        .iter()
                        .filter(|thought| thought["type"].is_string())
                        .cloned(),
                );
            }
            if !said.text.trim().is_empty() {
                blocks.push(json!({ "type": "text", "text": said.text }));
            }
            blocks.extend(said.calls.iter().map(call));
            if blocks.is_empty() {
                return None;
            }
            ("assistant", json!(blocks))
        }
        Message::Tool { results } => {
            let blocks = results
                .iter()
                .map(|result| json!({ "type": "tool_result", "tool_use_id": result.id, "content": result.content }));
            ("user", blocks.collect())
        }
    };
    Some(json!({ "role": role, "content": content }))
}

fn call(call: &ToolCall) -> Value {
    let mut written = Value::Object(call.extra.clone());
    written["type"] = json!("tool_use");
    written["id"] = json!(call.id);
    written["name"] = json!(call.name);
    written["input"] = call.arguments.clone();
    written
}

/// Reads the events of one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    blocks: Vec<(Option<Value>, Block)>,
    stop: Option<Stop>,
    finished: bool,
    usage: Option<Usage>,
}

/// A block under way.
#[derive(Debug)]
enum Block {
    Text,
    Call {
        draft: Box<Draft>,
        input: Value,
    },
    Thought(Map<String, Value>),
    /// Of a kind that this program has no use for.
    Other,
}

impl Decoder for Reader {
    fn knows(&self, event: Option<&str>) -> bool {
        const KNOWN: [&str; 7] = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
            "error",
        ];
        event.is_none_or(|name| KNOWN.contains(&name))
    }

    fn event(&mut self, event: Option<&str>, data: &Value) -> Result<Heard, Failure> {
        let mut heard = Heard::default();
        match data["type"].as_str().or(event).unwrap_or_default() {
            "error" => return Err(Failure::of_event(&data.to_string())),
            "message_start" => {
                self.count(&data["message"]["usage"]);
                heard = self.content(&data["message"]["content"]);
            }
            "content_block_start" => heard = self.start(data.get("index"), &data["content_block"]),
            "content_block_delta" => heard = self.delta(data.get("index"), &data["delta"]),
            "message_delta" => {
                self.count(&data["usage"]);
                self.reason(&data["delta"]["stop_reason"]);
            }
            "message_stop" => {
                self.finished = true;
                heard.end = true;
            }
            // Whole, in the middle of a stream.
            "message" => heard = self.whole(data)?,
            _ if !data["error"].is_null() => return Err(Failure::of_event(&data.to_string())),
            _ => {}
        }
        Ok(heard)
    }

    fn whole(&mut self, body: &Value) -> Result<Heard, Failure> {
        if body["type"] == "error" || !body["error"].is_null() {
            return Err(Failure::of_event(&body.to_string()));
        }
        if !body["content"].is_array() {
            return Err(Failure::nonsense("no content"));
        }
        self.count(&body["usage"]);
        self.reason(&body["stop_reason"]);
        self.finished = true;
        Ok(self.content(&body["content"]))
    }

    fn is_complete(&self) -> bool {
        self.finished
    }

    fn answer(self: Box<Self>) -> Answer {
        let (mut drafts, mut thoughts) = (Vec::new(), Vec::new());
        for (_, block) in self.blocks {
            match block {
                Block::Call { mut draft, input } => {
                    if draft.arguments.is_empty() {
                        draft.arguments(&input);
                    }
                    drafts.push(*draft);
                }
                // Unsigned ones are not taken back.
                Block::Thought(block) if block["type"] != "thinking" || is_signed(&block) => {
                    thoughts.push(Value::Object(block));
                }
                Block::Thought(_) | Block::Text | Block::Other => {}
            }
        }
        Answer {
            said: Said {
                text: String::new(),
                calls: calls(drafts),
                thoughts,
            },
            stop: self.stop,
            usage: self.usage,
        }
    }
}

fn is_signed(block: &Map<String, Value>) -> bool {
    let signature = block.get("signature").and_then(Value::as_str);
    signature.is_some_and(|signature| !signature.is_empty())
}

impl Reader {
    /// Reports repeat, and what the last one says of each number counts.
    fn count(&mut self, usage: &Value) {
        let tokens = |name: &str| usage[name].as_u64();
        let cached =
            tokens("cache_creation_input_tokens").unwrap_or(0) + tokens("cache_read_input_tokens").unwrap_or(0);
        if let Some(input) = tokens("input_tokens") {
            self.usage.get_or_insert_default().input = input + cached;
        }
        if let Some(output) = tokens("output_tokens") {
            self.usage.get_or_insert_default().output = output;
        }
    }

    fn reason(&mut self, reason: &Value) {
        let Some(reason) = reason.as_str() else { return };
        self.finished = true;
        self.stop = match reason {
            "max_tokens" | "model_context_window_exceeded" => Some(Stop::Length),
            "refusal" => Some(Stop::Refused),
            _ => None,
        };
    }

    /// Whole blocks.
    fn content(&mut self, content: &Value) -> Heard {
        let mut heard = Heard::default();
        for block in content.as_array().into_iter().flatten() {
            let more = self.start(None, block);
            heard.text.push_str(&more.text);
            heard.unsaid += more.unsaid;
            heard.held += more.held;
        }
        heard
    }

    fn start(&mut self, index: Option<&Value>, content: &Value) -> Heard {
        const NEW_BLOCK: usize = 128;
        let mut heard = Heard {
            held: NEW_BLOCK,
            ..Heard::default()
        };
        let members = content.as_object().cloned().unwrap_or_default();
        let word = |name: &str| content[name].as_str().unwrap_or_default();
        let block = match word("type") {
            "text" => {
                heard.text.push_str(word("text"));
                Block::Text
            }
            "tool_use" => {
                let input = content["input"].clone();
                heard.unsaid += input.to_string().len();
                let draft = Draft {
                    id: word("id").to_owned(),
                    name: word("name").to_owned(),
                    extra: members
                        .into_iter()
                        .filter(|(name, _)| !CALL.contains(&name.as_str()))
                        .collect(),
                    ..Draft::default()
                };
                Block::Call {
                    draft: Box::new(draft),
                    input,
                }
            }
            "thinking" | "redacted_thinking" => {
                heard.unsaid += content.to_string().len();
                Block::Thought(members)
            }
            _ => Block::Other,
        };
        self.blocks.push((index.cloned(), block));
        heard
    }

    fn delta(&mut self, index: Option<&Value>, delta: &Value) -> Heard {
        let mut heard = Heard::default();
        let index = index.filter(|index| !index.is_null());
        let at = match index {
            Some(index) => self.blocks.iter().rposition(|(known, _)| known.as_ref() == Some(index)),
            None => self.blocks.len().checked_sub(1),
        };
        // The kind of a delta follows from what it holds, too.
        let word = |name: &str| delta[name].as_str();
        match at.map(|at| &mut self.blocks[at].1) {
            Some(Block::Call { draft, .. }) => {
                let before = draft.arguments.len();
                draft.arguments(&delta["partial_json"]);
                heard.unsaid = draft.arguments.len().saturating_sub(before);
            }
            Some(Block::Thought(block)) => {
                for (name, more) in [("thinking", word("thinking")), ("signature", word("signature"))] {
                    let Some(more) = more else { continue };
                    heard.unsaid += more.len();
                    match block.get_mut(name) {
                        Some(Value::String(text)) => text.push_str(more),
                        _ => {
                            block.insert(name.to_owned(), more.into());
                        }
                    }
                }
            }
            Some(Block::Other) => {}
            // Text whose block was never begun is text all the same.
            Some(Block::Text) | None => heard.text.push_str(word("text").unwrap_or_default()),
        }
        heard
    }
}
