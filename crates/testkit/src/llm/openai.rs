//! Chat completions.

use serde_json::{Value, json};

use super::{
    fragments,
    script::{Ending, Piece, Turn},
};

pub(super) fn frames(turn: &Turn, model: &str, with_usage: bool) -> Vec<String> {
    if turn.ending == Ending::Garbage {
        return vec!["data: {\"choices\": [oops\n\n".to_owned()];
    }
    let chunk = |choices: Value| {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": choices});
        format!("data: {body}\n\n")
    };
    let delta = |delta: Value| chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]));
    let mut frames = vec![delta(json!({"role": "assistant", "content": ""}))];
    let mut index = 0;
    for piece in &turn.pieces {
        match piece {
            Piece::Text(text) => {
                frames.extend(
                    fragments(text, turn.fragment())
                        .into_iter()
                        .map(|part| delta(json!({"content": part}))),
                );
            }
            Piece::Tool { name, arguments } => {
                let function = json!({"name": name, "arguments": ""});
                frames.push(delta(json!({"tool_calls": [{"index": index, "id": id(index), "type": "function", "function": function}]})));
                frames.extend(
                    fragments(arguments, turn.fragment())
                        .into_iter()
                        .map(|part| delta(json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]}))),
                );
                index += 1;
            }
        }
    }
    if turn.ending == Ending::Endless {
        return frames;
    }
    frames.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": reason(turn)}])));
    if with_usage {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [], "usage": usage()});
        frames.push(format!("data: {body}\n\n"));
    }
    frames.push("data: [DONE]\n\n".to_owned());
    frames
}

pub(super) fn whole(turn: &Turn, model: &str) -> Value {
    let text: String = turn
        .pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Tool { .. } => None,
        })
        .collect();
    let tools = turn.pieces.iter().filter_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Tool { name, arguments } => Some((name, arguments)),
    });
    let calls: Vec<_> = tools
        .enumerate()
        .map(|(index, (name, arguments))| json!({"id": id(index), "type": "function", "function": {"name": name, "arguments": arguments}}))
        .collect();
    let mut message = json!({"role": "assistant", "content": if text.is_empty() { Value::Null } else { text.into() }});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason(turn)}], "usage": usage()
    })
}

fn id(index: usize) -> String {
    format!("call_scripted_{index}")
}

fn usage() -> Value {
    json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15})
}

fn reason(turn: &Turn) -> &'static str {
    match turn.ending {
        Ending::Truncated => "length",
        _ if turn.has_tools() => "tool_calls",
        _ => "stop",
    }
}
