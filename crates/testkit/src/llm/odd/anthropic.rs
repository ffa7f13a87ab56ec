//! Messages.

#![allow(
    clippy::needless_pass_by_value,
    reason = "rows read best when they say what is in them"
)]

use serde_json::{Value, json};

use super::Odd;

/// A frame; its data names its type once more.
fn event(name: &str, mut data: Value) -> String {
    data["type"] = json!(name);
    format!("event: {name}\ndata: {data}\n\n")
}

fn begin() -> String {
    let message = json!({"id": "m", "type": "message", "role": "assistant", "content": [], "stop_reason": null,
                         "usage": {"input_tokens": 4, "output_tokens": 1}});
    event("message_start", json!({ "message": message }))
}

fn start(index: Value, block: Value) -> String {
    event("content_block_start", json!({ "index": index, "content_block": block }))
}

fn delta(index: Value, delta: Value) -> String {
    event("content_block_delta", json!({ "index": index, "delta": delta }))
}

fn stop(index: Value) -> String {
    event("content_block_stop", json!({ "index": index }))
}

fn text(words: &str) -> String {
    start(json!(0), json!({"type": "text", "text": ""}))
        + &delta(json!(0), json!({"type": "text_delta", "text": words}))
        + &stop(json!(0))
}

fn reason(reason: &str) -> String {
    event(
        "message_delta",
        json!({"delta": {"stop_reason": reason}, "usage": {"output_tokens": 2}}),
    )
}

/// The usual end.
fn end(why: &str) -> String {
    reason(why) + &event("message_stop", json!({}))
}

fn called(blocks: &str) -> String {
    begin() + blocks + &end("tool_use")
}

fn tool(members: Value) -> Value {
    let mut block = json!({"type": "tool_use", "id": "toolu_a", "name": "list_files", "input": {}});
    for (name, value) in members.as_object().into_iter().flatten() {
        block[name] = value.clone();
    }
    block
}

fn input(index: Value, text: &str) -> String {
    delta(index, json!({"type": "input_json_delta", "partial_json": text}))
}

/// An answer that is not streamed.
fn whole(content: Value, reason: &str) -> String {
    json!({"id": "m", "type": "message", "role": "assistant", "content": content, "stop_reason": reason,
           "usage": {"input_tokens": 4, "output_tokens": 2}})
    .to_string()
}

pub(super) fn streams() -> Vec<Odd> {
    let mut table = identity();
    table.extend(arguments());
    table.extend(ends());
    table.extend(events());
    table.extend(shapes());
    table.extend(meanings());
    table
}

/// Which call a piece belongs to.
fn identity() -> Vec<Odd> {
    let a_and_b = |first: Value, second: Value, index: [Value; 2]| {
        let [one, two] = index;
        called(
            &(start(one.clone(), tool(first))
                + &input(one.clone(), "{\"path\":\"a\"}")
                + &stop(one)
                + &start(two.clone(), tool(second))
                + &input(two.clone(), "{\"path\":\"b\"}")
                + &stop(two)),
        )
    };
    let ids = || (json!({"id": "a"}), json!({"id": "b"}));
    let (a, b) = ids();
    vec![
        Odd::new("equal indexes", a_and_b(a.clone(), b.clone(), [json!(0), json!(0)]))
            .lists("a")
            .lists("b"),
        Odd::new("no indexes", a_and_b(a.clone(), b.clone(), [Value::Null, Value::Null]))
            .lists("a")
            .lists("b"),
        Odd::new(
            "an index of four thousand million",
            a_and_b(a, b, [json!(4_000_000_000_u64), json!(0)]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "empty ids",
            a_and_b(json!({"id": ""}), json!({"id": ""}), [json!(0), json!(1)]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "null ids",
            a_and_b(json!({"id": null}), json!({"id": null}), [json!(0), json!(1)]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "the same id for two calls",
            a_and_b(json!({}), json!({}), [json!(0), json!(1)]),
        )
        .lists("a")
        .lists("b"),
        Odd::new("blocks in pieces that take turns", {
            called(
                &(start(json!(0), tool(json!({"id": "a"})))
                    + &start(json!(1), tool(json!({"id": "b"})))
                    + &input(json!(1), "{\"path\":")
                    + &input(json!(0), "{\"path\":\"a\"}")
                    + &input(json!(1), "\"b\"}")),
            )
        })
        .lists("a")
        .lists("b"),
    ]
}

/// What a call is given.
// house: a table
fn arguments() -> Vec<Odd> {
    let given = |name, block: Value, pieces: &[&str]| {
        let pieces: String = pieces.iter().map(|piece| input(json!(0), piece)).collect();
        Odd::new(
            name,
            called(&(start(json!(0), tool(block)) + &pieces + &stop(json!(0)))),
        )
    };
    let nothing = json!({});
    vec![
        given("no input at all", json!({}), &[]).calls("list_files", nothing.clone()),
        given("empty pieces of input", json!({}), &["", ""]).calls("list_files", nothing.clone()),
        given("null as input", json!({"input": null}), &[]).calls("list_files", nothing.clone()),
        given("the text null as input", json!({}), &["null"]).calls("list_files", nothing.clone()),
        given("an empty text as input", json!({"input": ""}), &[]).calls("list_files", nothing),
        given("input in the start of its block", json!({"input": {"path": "a"}}), &[]).lists("a"),
        given(
            "input in the start of its block, and an empty piece",
            json!({"input": {"path": "a"}}),
            &[""],
        )
        .lists("a"),
        given(
            "input written into text in the start of its block",
            json!({"input": "{\"path\":\"a\"}"}),
            &[],
        )
        .lists("a"),
        given(
            "input written twice into text",
            json!({}),
            &["\"{\\\"path\\\":\\\"a\\\"}\""],
        )
        .lists("a"),
        Odd::new("a piece of input that is an object", {
            called(
                &(start(json!(0), tool(json!({})))
                    + &delta(
                        json!(0),
                        json!({"type": "input_json_delta", "partial_json": {"path": "a"}}),
                    )),
            )
        })
        .lists("a"),
        given(
            "members of a call that nobody knows",
            json!({"input": {"path": "a"}, "caller": {"type": "direct"}}),
            &[],
        )
        .lists("a")
        .echoes("caller", json!({"type": "direct"})),
        Odd::new("signed thoughts that belong to a call", {
            called(
                &(start(json!(0), json!({"type": "thinking", "thinking": "", "signature": ""}))
                    + &delta(json!(0), json!({"type": "thinking_delta", "thinking": "hm"}))
                    + &delta(json!(0), json!({"type": "signature_delta", "signature": "c2ln"}))
                    + &stop(json!(0))
                    + &start(json!(1), tool(json!({"input": {"path": "a"}})))),
            )
        })
        .lists("a")
        .echoes("signature", json!("c2ln")),
        Odd::new("thoughts that are sealed", {
            called(
                &(start(json!(0), json!({"type": "redacted_thinking", "data": "c2VhbGVk"}))
                    + &stop(json!(0))
                    + &start(json!(1), tool(json!({"input": {"path": "a"}})))),
            )
        })
        .lists("a")
        .echoes("data", json!("c2VhbGVk")),
    ]
}

/// How an answer ends.
fn ends() -> Vec<Odd> {
    let usage = |input: u64, output: u64| {
        event(
            "message_delta",
            json!({"delta": {}, "usage": {"input_tokens": input, "output_tokens": output}}),
        )
    };
    vec![
        Odd::new("a stop reason and no message_stop", begin() + &text("hi") + &reason("end_turn")).says("hi"),
        Odd::new("message_stop and no stop reason", begin() + &text("hi") + &event("message_stop", json!({}))).says("hi"),
        Odd::new("no blank line after the last event", begin() + &text("hi") + reason("end_turn").trim_end()).says("hi"),
        Odd::new("the [DONE] of the other wire", begin() + &text("hi") + &reason("end_turn") + "data: [DONE]\n\n").says("hi"),
        Odd::new("blocks without an end", {
            begin()
                + &start(json!(0), json!({"type": "text", "text": ""}))
                + &delta(json!(0), json!({"type": "text_delta", "text": "hi"}))
                + &end("end_turn")
        })
        .says("hi"),
        Odd::new("calls that end the turn", begin() + &start(json!(0), tool(json!({"input": {"path": "a"}}))) + &end("end_turn"))
            .lists("a"),
        Odd::new("several reports of usage", begin() + &text("hi") + &usage(7, 3) + &usage(8, 4) + &event("message_stop", json!({})))
            .says("hi")
            .costs(8, 4),
        Odd::new("usage with what was read from a cache", {
            let cached = json!({"delta": {"stop_reason": "end_turn"},
                "usage": {"input_tokens": 1, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 4}});
            begin() + &text("hi") + &event("message_delta", cached)
        })
        .says("hi")
        .costs(8, 4),
    ]
}

/// How events are written.
fn events() -> Vec<Odd> {
    let plain = || begin() + &text("hi") + &end("end_turn");
    let without = |prefix: &str, body: String| {
        let lines = body.split_inclusive('\n').filter(|line| !line.starts_with(prefix));
        lines.collect::<String>()
    };
    vec![
        Odd::new("events without names", without("event:", plain())).says("hi"),
        Odd::new("events whose data does not say what they are", {
            let frame = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
            frame("message_start", json!({"message": {}}))
                + &frame("content_block_start", json!({"index": 0, "content_block": {"type": "text", "text": ""}}))
                + &frame("content_block_delta", json!({"index": 0, "delta": {"type": "text_delta", "text": "hi"}}))
                + &frame("message_stop", json!({}))
        })
        .says("hi"),
        Odd::new("a byte order mark", format!("\u{feff}{}", plain())).says("hi"),
        Odd::new("lines that end in CRLF", plain().replace('\n', "\r\n")).says("hi"),
        Odd::new("lines that end in CR", plain().replace('\n', "\r")).says("hi"),
        Odd::new("no blank after the colon", plain().replace("data: ", "data:").replace("event: ", "event:")).says("hi"),
        Odd::new("comments and pings", format!(": hello\n\n{}{}", event("ping", json!({})), plain())).says("hi"),
        Odd::new("events of a kind that nobody knows", {
            begin() + "event: stats\ndata: 17 ms\n\n" + &event("message_news", json!({"n": 1})) + &text("hi") + &end("end_turn")
        })
        .says("hi"),
        Odd::new("events without data", format!("event: ping\n\n{}", plain())).says("hi"),
        Odd::new("a surrogate pair split between events", {
            let half = |text: &str| {
                format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n")
            };
            begin()
                + &start(json!(0), json!({"type": "text", "text": ""}))
                + &half("a\\ud83d")
                + &half("\\ude00b")
                + &end("end_turn")
        })
        .says("a😀b"),
        Odd::new("a surrogate pair split within input", {
            let half = |text: &str| {
                format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":\"{text}\"}}}}\n\n")
            };
            called(&(start(json!(0), tool(json!({}))) + &half("{\\\"path\\\":\\\"\\uD83D") + &half("\\uDE00\\\"}")))
        })
        .lists("😀"),
    ]
}

/// Where in an event things are.
// house: a table
fn shapes() -> Vec<Odd> {
    let said = json!([{"type": "text", "text": "hi"}]);
    vec![
        Odd::new(
            "a JSON answer to a request for a stream",
            whole(said.clone(), "end_turn"),
        )
        .labelled("application/json")
        .says("hi")
        .costs(4, 2),
        Odd::new(
            "a JSON answer that calls a tool",
            whole(json!([tool(json!({"input": {"path": "a"}}))]), "tool_use"),
        )
        .labelled("application/json")
        .lists("a"),
        Odd::new(
            "a JSON answer that calls itself a stream",
            whole(said.clone(), "end_turn"),
        )
        .says("hi"),
        Odd::new(
            "a stream that calls itself JSON",
            begin() + &text("hi") + &end("end_turn"),
        )
        .labelled("application/json")
        .says("hi"),
        Odd::new(
            "the whole message in one event",
            format!("data: {}\n\n", whole(said.clone(), "end_turn")),
        )
        .says("hi"),
        Odd::new("content in the start of the message", {
            event("message_start", json!({"message": {"content": said}})) + &end("end_turn")
        })
        .says("hi"),
        Odd::new("text in the start of its block", {
            begin()
                + &start(json!(0), json!({"type": "text", "text": "h"}))
                + &delta(json!(0), json!({"type": "text_delta", "text": "i"}))
                + &end("end_turn")
        })
        .says("hi"),
        Odd::new("no message_start", text("hi") + &end("end_turn")).says("hi"),
        Odd::new("text whose block was never begun", {
            begin() + &delta(json!(0), json!({"type": "text_delta", "text": "hi"})) + &end("end_turn")
        })
        .says("hi"),
        Odd::new("deltas that do not say what they are", {
            begin()
                + &start(json!(0), json!({"type": "text", "text": ""}))
                + &delta(json!(0), json!({"text": "hi"}))
                + &start(json!(1), tool(json!({})))
                + &delta(json!(1), json!({"partial_json": "{\"path\":\"a\"}"}))
                + &end("tool_use")
        })
        .lists("a"),
        Odd::new("deltas of a kind that nobody knows", {
            begin()
                + &start(json!(0), json!({"type": "text", "text": "", "citations": null}))
                + &delta(
                    json!(0),
                    json!({"type": "citations_delta", "citation": {"cited_text": "x"}}),
                )
                + &delta(json!(0), json!({"type": "text_delta", "text": "hi"}))
                + &end("end_turn")
        })
        .says("hi"),
        Odd::new("blocks of a kind that nobody knows", {
            begin()
                + &start(
                    json!(0),
                    json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
                )
                + &input(json!(0), "{\"q\":1}")
                + &start(json!(1), json!({"type": "hologram"}))
                + &delta(json!(1), json!({"type": "text_delta", "text": "no"}))
                + &start(json!(2), json!({"type": "text", "text": "hi"}))
                + &end("end_turn")
        })
        .says("hi"),
    ]
}

/// What is meant.
fn meanings() -> Vec<Odd> {
    vec![
        Odd::new("a refusal", begin() + &text("No.") + &end("refusal")).says("No.\n\n[The model refused to answer.]"),
        Odd::new("a refusal without a word", begin() + &end("refusal")).says("[The model refused to answer.]"),
        Odd::new("the output limit", begin() + &text("so f") + &end("max_tokens"))
            .says("so f\n\n[The answer was cut off at the model's output limit.]"),
        Odd::new(
            "the end of the context window",
            begin() + &text("so f") + &end("model_context_window_exceeded"),
        )
        .says("so f\n\n[The answer was cut off at the model's output limit.]"),
        Odd::new("a stop sequence", begin() + &text("hi") + &end("stop_sequence")).says("hi"),
        Odd::new(
            "thoughts in tags",
            begin() + &text("<think>hm</think>hi") + &end("end_turn"),
        )
        .says("hi"),
        Odd::new("thoughts in tags that come in pieces", {
            let piece = |text: &str| delta(json!(0), json!({"type": "text_delta", "text": text}));
            let pieces = ["<thi", "nk>h", "m</", "think>", "\n", "h", "i"].map(piece).concat();
            begin() + &start(json!(0), json!({"type": "text", "text": ""})) + &pieces + &end("end_turn")
        })
        .says("hi"),
        Odd::new("unsigned thoughts", {
            begin()
                + &start(json!(0), json!({"type": "thinking", "thinking": ""}))
                + &delta(json!(0), json!({"type": "thinking_delta", "thinking": "hm"}))
                + &start(json!(1), json!({"type": "text", "text": "hi"}))
                + &end("end_turn")
        })
        .says("hi"),
    ]
}
