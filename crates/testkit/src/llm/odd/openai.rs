//! Chat completions.

#![allow(
    clippy::needless_pass_by_value,
    reason = "rows read best when they say what is in them"
)]

use serde_json::{Value, json};

use super::Odd;

const DONE: &str = "data: [DONE]\n\n";

fn event(body: &Value) -> String {
    format!("data: {body}\n\n")
}

fn chunk(delta: Value, finish: Value) -> String {
    event(
        &json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}),
    )
}

fn delta(delta: Value) -> String {
    chunk(delta, Value::Null)
}

fn text(text: &str) -> String {
    delta(json!({ "content": text }))
}

fn finish(reason: &str) -> String {
    chunk(json!({}), json!(reason))
}

/// The usual end.
fn end(reason: &str) -> String {
    finish(reason) + DONE
}

fn calls(pieces: Value) -> String {
    delta(json!({ "tool_calls": pieces }))
}

/// Pieces of calls, each list an event, and the usual end.
fn called(pieces: impl IntoIterator<Item = Value>) -> String {
    pieces.into_iter().map(calls).collect::<String>() + &end("tool_calls")
}

/// A call of `list_files` with other members.
fn list(mut members: Value, arguments: &Value) -> Value {
    members["type"] = json!("function");
    members["function"] = json!({ "name": "list_files", "arguments": arguments });
    members
}

fn path(name: &str) -> Value {
    json!(format!(r#"{{"path":"{name}"}}"#))
}

/// An answer that is not streamed.
fn whole(message: Value, reason: &str) -> String {
    json!({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": reason}],
           "usage": {"prompt_tokens": 4, "completion_tokens": 2}})
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
// house: a table
fn identity() -> Vec<Odd> {
    let more = |index: Value, text: &str| json!([{"index": index, "function": {"arguments": text}}]);
    vec![
        Odd::new(
            "calls without index, told apart by id",
            called([
                json!([list(json!({"id": "a"}), &json!("{\"pa"))]),
                json!([{"id": "a", "function": {"arguments": "th\":\"a\"}"}}]),
                json!([list(json!({"id": "b"}), &path("b"))]),
            ]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "calls without index and id, whole, in one event",
            called([json!([list(json!({}), &path("a")), list(json!({}), &path("b"))])]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "a call without index and id, in pieces",
            called([
                json!([list(json!({}), &json!(""))]),
                json!([{"function": {"arguments": "{\"path\":"}}]),
                json!([{"function": {"arguments": "\"a\"}"}}]),
            ]),
        )
        .lists("a"),
        Odd::new(
            "equal indexes and different ids",
            called([
                json!([list(json!({"index": 0, "id": "a"}), &path("a"))]),
                json!([list(json!({"index": 0, "id": "b"}), &json!(""))]),
                more(json!(0), "{\"path\":\"b\"}"),
            ]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "equal indexes without ids, each call whole",
            called([
                json!([list(json!({"index": 0}), &path("a"))]),
                json!([list(json!({"index": 0}), &path("b"))]),
            ]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "empty ids",
            called([
                json!([list(json!({"index": 0, "id": ""}), &json!("{\"path\":"))]),
                json!([{"index": 0, "id": "", "function": {"arguments": "\"a\"}"}}]),
                json!([list(json!({"index": 1, "id": ""}), &path("b"))]),
            ]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "null ids and indexes",
            called([json!([list(json!({"index": null, "id": null}), &path("a"))])]),
        )
        .lists("a"),
        Odd::new(
            "the id only with a later piece",
            called([
                json!([list(json!({"index": 0}), &json!(""))]),
                json!([{"index": 0, "id": "a", "function": {"arguments": "{\"path\":\"a\"}"}}]),
            ]),
        )
        .lists("a"),
        Odd::new(
            "id and name with every piece",
            called([
                json!([list(json!({"index": 0, "id": "a"}), &json!("{\"path\":"))]),
                json!([list(json!({"index": 0, "id": "a"}), &json!("\"a\"}"))]),
            ]),
        )
        .lists("a"),
        Odd::new(
            "the same id for two calls",
            called([json!([
                list(json!({"index": 0, "id": "list_files"}), &path("a")),
                list(json!({"index": 1, "id": "list_files"}), &path("b"))
            ])]),
        )
        .lists("a")
        .lists("b"),
        Odd::new(
            "an index of four thousand million",
            called([
                json!([list(json!({"index": 4_000_000_000_u64, "id": "a"}), &json!(""))]),
                more(json!(4_000_000_000_u64), "{\"path\":\"a\"}"),
            ]),
        )
        .lists("a"),
        Odd::new(
            "indexes that are texts, negative, or begin with 1",
            called([
                json!([
                    list(json!({"index": "0"}), &path("a")),
                    list(json!({"index": -1}), &path("b"))
                ]),
                json!([list(json!({"index": 1, "id": "c"}), &path("c"))]),
            ]),
        )
        .lists("a")
        .lists("b")
        .lists("c"),
        Odd::new(
            "calls in pieces that take turns",
            called([
                json!([
                    list(json!({"index": 0, "id": "a"}), &json!("")),
                    list(json!({"index": 1, "id": "b"}), &json!(""))
                ]),
                more(json!(1), "{\"path\":"),
                more(json!(0), "{\"path\":\"a\"}"),
                more(json!(1), "\"b\"}"),
            ]),
        )
        .lists("a")
        .lists("b"),
    ]
}

/// What a call is given.
fn arguments() -> Vec<Odd> {
    let given = |name, arguments: Value| {
        Odd::new(
            name,
            called([json!([list(json!({"index": 0, "id": "a"}), &arguments)])]),
        )
    };
    let nothing = json!({});
    vec![
        given("empty arguments", json!("")).calls("list_files", nothing.clone()),
        given("null arguments", Value::Null).calls("list_files", nothing.clone()),
        given("the text null as arguments", json!("null")).calls("list_files", nothing.clone()),
        Odd::new(
            "no arguments",
            called([json!([{"index": 0, "id": "a", "function": {"name": "list_files"}}])]),
        )
        .calls("list_files", nothing),
        given("arguments that are an object", json!({"path": "a"})).lists("a"),
        given(
            "arguments written twice into text",
            json!("\"{\\\"path\\\":\\\"a\\\"}\""),
        )
        .lists("a"),
        given("arguments with blanks around them", json!("\n {\"path\": \"a\"} \n")).lists("a"),
        Odd::new(
            "a name in pieces",
            called([
                json!([{"index": 0, "id": "a", "function": {"name": "list_"}}]),
                json!([{"index": 0, "function": {"name": "files", "arguments": ""}}]),
                json!([{"index": 0, "function": {"arguments": "{\"path\":\"a\"}"}}]),
            ]),
        )
        .lists("a"),
        Odd::new(
            "members of a call that nobody knows",
            called([json!([list(
                json!({"id": "a", "extra_content": {"google": {"thought_signature": "c2ln"}}}),
                &path("a")
            )])]),
        )
        .lists("a")
        .echoes("extra_content", json!({"google": {"thought_signature": "c2ln"}})),
        Odd::new(
            "thoughts that belong to a call",
            delta(json!({"reasoning_content": "hm, "}))
                + &delta(json!({"reasoning_content": "yes", "content": ""}))
                + &called([json!([list(json!({"index": 0, "id": "a"}), &path("a"))])]),
        )
        .lists("a")
        .echoes("reasoning_content", json!("hm, yes")),
    ]
}

/// How an answer ends.
fn ends() -> Vec<Odd> {
    let a_call = || calls(json!([list(json!({"index": 0, "id": "a"}), &path("a"))]));
    let usage = |input: u64, output: u64| {
        event(&json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}}))
    };
    vec![
        Odd::new("a finish reason and no [DONE]", text("hi") + &finish("stop")).says("hi"),
        Odd::new(
            "a call, a finish reason and no [DONE]",
            a_call() + &finish("tool_calls"),
        )
        .lists("a"),
        Odd::new("[DONE] and no finish reason", text("hi") + DONE).says("hi"),
        Odd::new(
            "no blank line after the last event",
            text("hi") + finish("stop").trim_end(),
        )
        .says("hi"),
        Odd::new("calls that finish with stop", a_call() + &end("stop")).lists("a"),
        Odd::new("calls that finish with function_call", a_call() + &end("function_call")).lists("a"),
        Odd::new(
            "the last words beside the finish reason",
            chunk(json!({"content": "hi"}), json!("stop")),
        )
        .says("hi"),
        Odd::new("a finish reason in capitals", text("hi") + &end("STOP")).says("hi"),
        Odd::new(
            "an empty finish reason with every event",
            chunk(json!({"content": "hi"}), json!("")) + &end("stop"),
        )
        .says("hi"),
        Odd::new(
            "several reports of usage",
            usage(1, 1) + &text("hi") + &usage(7, 3) + &finish("stop") + &usage(8, 4) + DONE,
        )
        .says("hi")
        .costs(8, 4),
        Odd::new("usage after the finish reason, and null before", {
            let before = json!({"choices": [{"index": 0, "delta": {"content": "hi"}}], "usage": null});
            event(&before) + &finish("stop") + &usage(8, 4)
        })
        .says("hi")
        .costs(8, 4),
        Odd::new("usage in a corner of its own", {
            let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                              "x_groq": {"usage": {"prompt_tokens": 8, "completion_tokens": 4}}});
            text("hi") + &event(&last) + DONE
        })
        .says("hi")
        .costs(8, 4),
    ]
}

/// How events are written.
fn events() -> Vec<Odd> {
    let plain = || text("hi") + &end("stop");
    vec![
        Odd::new("a byte order mark", format!("\u{feff}{}", plain())).says("hi"),
        Odd::new("lines that end in CRLF", plain().replace('\n', "\r\n")).says("hi"),
        Odd::new("lines that end in CR", plain().replace('\n', "\r")).says("hi"),
        Odd::new("no blank after the colon", plain().replace("data: ", "data:")).says("hi"),
        Odd::new("comments", format!(": PROCESSING\n\n{}: keep-alive\n\n{}", text("hi"), end("stop"))).says("hi"),
        Odd::new("ids, retry times and names", {
            let named = |event: String| format!("id: 7\nretry: 10\nevent: message\n{event}");
            named(text("hi")) + &named(end("stop"))
        })
        .says("hi"),
        Odd::new("events of a kind that nobody knows", {
            format!("event: ping\ndata: now\n\nevent: stats\ndata: {{\"n\":1}}\n\n{}", plain())
        })
        .says("hi"),
        Odd::new("events without data, and with empty data", format!("event: ping\n\ndata:\n\n{}", plain())).says("hi"),
        Odd::new("objects that are no chunks", {
            event(&json!({"type": "ping"})) + &event(&json!({"choices": null, "prompt_filter_results": []})) + &plain()
        })
        .says("hi"),
        Odd::new("an error that is null", {
            event(&json!({"error": null, "choices": [{"delta": {"content": "hi"}}]})) + &end("stop")
        })
        .says("hi"),
        Odd::new("data over several lines", "data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"hi\"},\ndata: \"finish_reason\":\"stop\"}]}\n\n")
            .says("hi"),
        Odd::new("a surrogate pair split between events", {
            let half = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
            half("a\\ud83d") + &half("\\ude00b") + &end("stop")
        })
        .says("a😀b"),
        Odd::new("a surrogate pair split within arguments", {
            let piece = |text: &str| {
                format!("data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"index\":0,\"id\":\"a\",\"function\":{{\"name\":\"list_files\",\"arguments\":\"{text}\"}}}}]}}}}]}}\n\n")
            };
            piece("{\\\"path\\\":\\\"\\ud83d") + &piece("\\ude00\\\"}") + &end("tool_calls")
        })
        .lists("😀"),
    ]
}

/// Where in an event things are.
fn shapes() -> Vec<Odd> {
    let said = json!({"role": "assistant", "content": "hi"});
    let calling = json!({"role": "assistant", "content": null, "tool_calls": [list(json!({"id": "a"}), &path("a"))]});
    vec![
        Odd::new("a JSON answer to a request for a stream", whole(said.clone(), "stop"))
            .labelled("application/json")
            .says("hi")
            .costs(4, 2),
        Odd::new("a JSON answer that calls a tool", whole(calling, "tool_calls"))
            .labelled("application/json")
            .lists("a"),
        Odd::new("a JSON answer that calls itself a stream", format!("\n{}", whole(said.clone(), "stop"))).says("hi"),
        Odd::new("a stream that calls itself JSON", text("hi") + &end("stop"))
            .labelled("application/json")
            .says("hi"),
        Odd::new("a message in place of a delta", {
            event(&json!({"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]})) + DONE
        })
        .says("hi"),
        Odd::new("content in a list of chunks", {
            delta(json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}))
                + &delta(json!({"content": [{"type": "text", "text": "hi"}]}))
                + &end("stop")
        })
        .says("hi"),
        Odd::new("null in every member", {
            delta(json!({"role": null, "content": null, "tool_calls": null, "refusal": null, "function_call": null}))
                + &delta(json!({"content": "hi", "tool_calls": []}))
                + &event(&json!({"choices": [{"index": 0, "delta": null, "finish_reason": "stop"}]}))
        })
        .says("hi"),
        Odd::new("one call that is no list", {
            delta(json!({"tool_calls": list(json!({"id": "a"}), &path("a"))})) + &end("tool_calls")
        })
        .lists("a"),
        Odd::new("choices without index", {
            event(&json!({"choices": [{"delta": {"content": "hi"}}]})) + &event(&json!({"choices": [{"finish_reason": "stop"}]}))
        })
        .says("hi"),
        Odd::new("choices that nobody asked for", {
            event(&json!({"choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "hi"}}]}))
                + &end("stop")
        })
        .says("hi"),
    ]
}

/// What is meant.
fn meanings() -> Vec<Odd> {
    vec![
        Odd::new(
            "a refusal",
            delta(json!({"refusal": "I cannot "})) + &delta(json!({"refusal": "do that."})) + &end("stop"),
        )
        .says("I cannot do that.\n\n[The model refused to answer.]"),
        Odd::new("a content filter", text("so f") + &end("content_filter"))
            .says("so f\n\n[The answer was stopped by the provider's content filter.]"),
        Odd::new("a content filter before the first word", end("content_filter"))
            .says("[The answer was stopped by the provider's content filter.]"),
        Odd::new("the output limit", text("so f") + &end("length"))
            .says("so f\n\n[The answer was cut off at the model's output limit.]"),
        Odd::new(
            "the output limit before the first word",
            delta(json!({"reasoning_content": "hm"})) + &end("length"),
        )
        .says("[The answer was cut off at the model's output limit.]"),
        Odd::new("thoughts in tags", text("<think>hm\n</think>\n\nhi") + &end("stop")).says("hi"),
        Odd::new("thoughts in tags that come in pieces", {
            ["\n<th", "ink>h", "m</thi", "nk>", "\n\n", "h", "i"].map(text).concat() + &end("stop")
        })
        .says("hi"),
        Odd::new("thoughts in members of their own", {
            delta(json!({"reasoning": "hm"}))
                + &delta(json!({"reasoning_content": "hm", "content": "hi"}))
                + &end("stop")
        })
        .says("hi"),
    ]
}
