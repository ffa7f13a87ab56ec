//! Chat completions of OpenAI, and of everybody who is compatible with them, each in a way of its own.

use molecule_tools::Definition;
use serde_json::{Map, Value, json};

use super::{
    chat::{Answer, Draft, Message, Request, Said, Stop, ToolCall, Usage, calls},
    failure::Failure,
    wire::{Decoder, Heard},
};

/// Members of a call that are read; the others go back as they came.
const CALL: [&str; 4] = ["index", "id", "type", "function"];
/// The same within `function`.
const FUNCTION: [&str; 2] = ["name", "arguments"];
/// Members in which endpoints put the model's thoughts; some want them back.
const THOUGHTS: [&str; 2] = ["reasoning_content", "reasoning"];

/// The body of a request.
pub(super) fn body(model: &str, request: &Request<'_>) -> Value {
    let system = (!request.system.is_empty()).then(|| json!({ "role": "system", "content": request.system }));
    let messages: Vec<Value> = system
        .into_iter()
        .chain(request.messages.iter().flat_map(message))
        .collect();
    let mut body = json!({
        "model": model,
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    body
}

fn tool(tool: &Definition) -> Value {
    json!({ "type": "function", "function": {
        "name": tool.name, "description": tool.description, "parameters": tool.input_schema,
    }})
}

fn message(message: &Message) -> Vec<Value> {
    match message {
        Message::User { text } => vec![json!({ "role": "user", "content": text })],
        Message::Assistant(said) => vec![assistant(said)],
        Message::Tool { results } => results
            .iter()
            .map(|result| json!({ "role": "tool", "tool_call_id": result.id, "content": result.content }))
            .collect(),
    }
}

fn assistant(said: &Said) -> Value {
    let mut message = json!({ "role": "assistant", "content": said.text });
    if said.calls.is_empty() {
        return message;
    }
    if said.text.is_empty() {
        message["content"] = Value::Null;
    }
    message["tool_calls"] = said.calls.iter().map(call).collect();
    // Blocks of the other wire say what they are.
    let own = said
        .thoughts
        .iter()
        .filter_map(Value::as_object)
        .filter(|own| !own.contains_key("type"));
    for (name, value) in own.flatten() {
        message[name] = value.clone();
    }
    message
}

fn call(call: &ToolCall) -> Value {
    let mut written = Value::Object(call.extra.clone());
    written["id"] = json!(call.id);
    written["type"] = json!("function");
    written["function"]["name"] = json!(call.name);
    written["function"]["arguments"] = json!(call.arguments.to_string());
    written
}

/// Reads the events of one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    calls: Vec<Draft>,
    thoughts: Map<String, Value>,
    stop: Option<Stop>,
    finished: bool,
    usage: Option<Usage>,
}

impl Decoder for Reader {
    fn knows(&self, event: Option<&str>) -> bool {
        event.is_none_or(|name| matches!(name, "message" | "error"))
    }

    fn event(&mut self, _: Option<&str>, data: &Value) -> Result<Heard, Failure> {
        refuse_errors(data)?;
        self.count(data);
        let Some(choice) = choice(data) else {
            return Ok(Heard::default());
        };
        Ok(self.choice(choice))
    }

    fn whole(&mut self, body: &Value) -> Result<Heard, Failure> {
        refuse_errors(body)?;
        self.count(body);
        let choice = choice(body).ok_or_else(|| Failure::nonsense("no choices"))?;
        self.finished = true;
        Ok(self.choice(choice))
    }

    fn is_complete(&self) -> bool {
        self.finished
    }

    fn answer(self: Box<Self>) -> Answer {
        let thoughts = if self.thoughts.is_empty() {
            Vec::new()
        } else {
            vec![Value::Object(self.thoughts)]
        };
        Answer {
            said: Said {
                text: String::new(),
                calls: calls(self.calls),
                thoughts,
            },
            stop: self.stop,
            usage: self.usage,
        }
    }
}

fn refuse_errors(data: &Value) -> Result<(), Failure> {
    let error = &data["error"];
    if !error.is_null() || data["object"] == "error" {
        return Err(Failure::of_event(&data.to_string()));
    }
    Ok(())
}

/// The one choice that was asked for.
fn choice(data: &Value) -> Option<&Value> {
    let choices = data["choices"].as_array()?;
    choices
        .iter()
        .find(|choice| choice["index"].as_i64().is_none_or(|n| n == 0))
}

impl Reader {
    /// Reports repeat, and the last one counts.
    fn count(&mut self, data: &Value) {
        for usage in [&data["usage"], &data["x_groq"]["usage"]] {
            let tokens = |name: &str| usage[name].as_u64();
            let (input, output) = (tokens("prompt_tokens"), tokens("completion_tokens"));
            if input.is_some() || output.is_some() {
                self.usage = Some(Usage {
                    input: input.unwrap_or_default(),
                    output: output.unwrap_or_default(),
                });
            }
        }
    }

    fn choice(&mut self, choice: &Value) -> Heard {
        // Endpoints that answer whole, streamed or not, put a message where others put a piece of one.
        let delta = [&choice["delta"], &choice["message"]]
            .into_iter()
            .find(|said| said.is_object());
        let heard = delta.map(|delta| self.delta(delta)).unwrap_or_default();
        if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
            self.finished = true;
            self.stop = match reason.to_ascii_lowercase().as_str() {
                "length" | "max_tokens" => Some(Stop::Length),
                "content_filter" | "safety" => Some(Stop::Filtered),
                "refusal" => Some(Stop::Refused),
                _ => self.stop,
            };
        }
        heard
    }

    fn delta(&mut self, delta: &Value) -> Heard {
        let mut heard = Heard::default();
        match &delta["content"] {
            Value::String(text) => heard.text.push_str(text),
            Value::Array(chunks) => {
                for chunk in chunks {
                    // Thoughts are lists of such chunks.
                    match chunk["text"].as_str().filter(|_| chunk["type"] != "thinking") {
                        Some(text) => heard.text.push_str(text),
                        None => heard.unsaid += chunk.to_string().len(),
                    }
                }
            }
            _ => {}
        }
        if let Some(refusal) = delta["refusal"].as_str().filter(|refusal| !refusal.is_empty()) {
            heard.text.push_str(refusal);
            self.stop = Some(Stop::Refused);
        }
        for name in THOUGHTS {
            if let Some(text) = delta[name].as_str().filter(|text| !text.is_empty()) {
                heard.unsaid += text.len();
                append(&mut self.thoughts, name, text);
            }
        }
        let pieces = match &delta["tool_calls"] {
            Value::Array(pieces) => pieces.as_slice(),
            one @ Value::Object(_) => std::slice::from_ref(one),
            _ => &[],
        };
        for piece in pieces.iter().filter_map(Value::as_object) {
            heard.unsaid += self.piece(piece);
        }
        heard
    }

    /// A piece of a call. Returns its size, with what a new call costs.
    fn piece(&mut self, piece: &Map<String, Value>) -> usize {
        const NEW_CALL: usize = 128;
        let function = piece.get("function").unwrap_or(&Value::Null);
        let before = self.calls.len();
        let draft = match self.place(piece, function) {
            Some(at) => &mut self.calls[at],
            None => {
                self.calls.push(Draft {
                    index: piece.get("index").filter(|index| !index.is_null()).cloned(),
                    ..Draft::default()
                });
                let last = self.calls.len() - 1;
                &mut self.calls[last]
            }
        };
        if let Some(id) = text(piece.get("id")).filter(|_| draft.id.is_empty()) {
            id.clone_into(&mut draft.id);
        }
        if let Some(name) = text(function.get("name")) {
            draft.name(name);
        }
        let length = draft.arguments.len();
        draft.arguments(&function["arguments"]);
        let said = draft.arguments.len().saturating_sub(length);
        for (name, value) in piece.iter().filter(|(name, _)| !CALL.contains(&name.as_str())) {
            draft.extra.insert(name.clone(), value.clone());
        }
        let unknown = function.as_object().into_iter().flatten();
        for (name, value) in unknown.filter(|(name, _)| !FUNCTION.contains(&name.as_str())) {
            let members = draft.extra.entry("function").or_insert_with(|| json!({}));
            members[name] = value.clone();
        }
        said + if self.calls.len() > before { NEW_CALL } else { 0 }
    }

    /// Which call a piece continues. The id says it, where there is one; an index may be absent, or be the same for all.
    /// `None`: it begins a new one.
    fn place(&self, piece: &Map<String, Value>, function: &Value) -> Option<usize> {
        let index = piece.get("index").filter(|index| !index.is_null());
        let same_index = |draft: &Draft| index.is_none() || draft.index.is_none() || draft.index.as_ref() == index;
        if let Some(id) = text(piece.get("id")) {
            let known = self.calls.iter().rposition(|draft| draft.id == id && same_index(draft));
            // It may have begun without its id.
            let begun = || {
                let begun = |draft: &Draft| draft.id.is_empty() && draft.index.as_ref() == index;
                self.calls.iter().rposition(begun).filter(|_| index.is_some())
            };
            return known.or_else(begun);
        }
        let names = text(function.get("name")).is_some();
        if index.is_none() {
            // Without anything to tell it by, a name begins a call.
            return self.calls.len().checked_sub(1).filter(|_| !names);
        }
        let at = self.calls.iter().rposition(|draft| draft.index.as_ref() == index)?;
        let draft = &self.calls[at];
        let says_more = match &function["arguments"] {
            Value::String(more) => !more.is_empty(),
            more => more.is_object(),
        };
        let another = names && says_more && !draft.name.is_empty() && draft.is_whole();
        (!another).then_some(at)
    }
}

/// A text that is not empty.
fn text(value: Option<&Value>) -> Option<&str> {
    value?.as_str().filter(|text| !text.is_empty())
}

/// Adds to a text member.
fn append(members: &mut Map<String, Value>, name: &str, more: &str) {
    match members.get_mut(name) {
        Some(Value::String(text)) => text.push_str(more),
        _ => {
            members.insert(name.to_owned(), more.into());
        }
    }
}
