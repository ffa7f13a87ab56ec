//! Messages.

use serde_json::{Value, json};

use super::{
    fragments,
    script::{Ending, Piece, Turn},
};

pub(super) fn frames(turn: &Turn, model: &str) -> Vec<String> {
    if turn.ending == Ending::Garbage {
        return vec!["event: message_start\ndata: {\"type\": \"message_start\", oops\n\n".to_owned()];
    }
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1}
    });
    let mut frames = vec![
        event("message_start", &json!({"message": message})),
        event("ping", &json!({})),
    ];
    for (index, piece) in turn.pieces.iter().enumerate() {
        let (block, deltas): (_, Vec<_>) = match piece {
            Piece::Text(text) => (
                json!({"type": "text", "text": ""}),
                fragments(text, turn.fragment())
                    .into_iter()
                    .map(|part| json!({"type": "text_delta", "text": part}))
                    .collect(),
            ),
            Piece::Tool { name, arguments } => (
                json!({"type": "tool_use", "id": id(index), "name": name, "input": {}}),
                fragments(arguments, turn.fragment())
                    .into_iter()
                    .map(|part| json!({"type": "input_json_delta", "partial_json": part}))
                    .collect(),
            ),
        };
        frames.push(event(
            "content_block_start",
            &json!({"index": index, "content_block": block}),
        ));
        frames.extend(
            deltas
                .into_iter()
                .map(|delta| event("content_block_delta", &json!({"index": index, "delta": delta}))),
        );
        let unfinished = matches!(turn.ending, Ending::Truncated | Ending::Endless) && index + 1 == turn.pieces.len();
        if !unfinished {
            frames.push(event("content_block_stop", &json!({"index": index})));
        }
    }
    if turn.ending == Ending::Endless {
        return frames;
    }
    let delta = json!({"stop_reason": reason(turn), "stop_sequence": null});
    frames.push(event(
        "message_delta",
        &json!({"delta": delta, "usage": {"output_tokens": 5}}),
    ));
    frames.push(event("message_stop", &json!({})));
    frames
}

pub(super) fn whole(turn: &Turn, model: &str) -> Value {
    let content: Vec<_> = turn
        .pieces
        .iter()
        .enumerate()
        .map(|(index, piece)| match piece {
            Piece::Text(text) => json!({"type": "text", "text": text}),
            Piece::Tool { name, arguments } => {
                // Here the wire has no room for arguments that are no JSON.
                let input = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
                json!({"type": "tool_use", "id": id(index), "name": name, "input": input})
            }
        })
        .collect();
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": reason(turn), "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5}
    })
}

/// A frame; its data names its type once more.
fn event(name: &str, data: &Value) -> String {
    let mut data = data.clone();
    data["type"] = name.into();
    format!("event: {name}\ndata: {data}\n\n")
}

fn id(index: usize) -> String {
    format!("toolu_scripted_{index}")
}

fn reason(turn: &Turn) -> &'static str {
    match turn.ending {
        Ending::Truncated => "max_tokens",
        _ if turn.has_tools() => "tool_use",
        _ => "end_turn",
    }
}
