use serde_json::json;

use super::*;

/// Prints canned frames and returns result, remarks and failure.
fn stream(json: bool, frames: &[Value]) -> (String, String, Option<String>) {
    let (mut out, captured) = Output::captured(json);
    let mut printer = Printer::new(&mut out, "Lead", None);
    for frame in frames {
        printer
            .frame(&json!({"jsonrpc": "2.0", "id": 1, "result": frame}).to_string())
            .unwrap();
    }
    let failure = printer.finish().err().map(|error| error.to_string());
    (captured.result(), captured.notes(), failure)
}

fn reply(body: &Value) -> (String, String, Option<String>) {
    let (mut out, captured) = Output::captured(false);
    let mut printer = Printer::new(&mut out, "Lead", None);
    printer.reply(body.to_string().as_bytes()).unwrap();
    let failure = printer.finish().err().map(|error| error.to_string());
    (captured.result(), captured.notes(), failure)
}

fn chunk(text: &str, append: bool) -> Value {
    json!({"kind": "artifact-update", "taskId": "t", "contextId": "c", "append": append,
           "artifact": {"artifactId": "reply", "parts": [{"kind": "text", "text": text}]}})
}

fn status(state: &str, text: Option<&str>) -> Value {
    let message =
        text.map(|text| json!({"role": "agent", "messageId": "m", "parts": [{"kind": "text", "text": text}]}));
    json!({"kind": "status-update", "taskId": "t", "contextId": "c", "final": state != "working",
           "status": {"state": state, "message": message}})
}

#[test]
fn pieces_run_together_and_the_line_is_ended() {
    let submitted = json!({"kind": "task", "id": "t", "contextId": "c", "status": {"state": "submitted"}});
    let frames = [
        submitted,
        status("working", None),
        chunk("Hel", false),
        chunk("lo", true),
        status("completed", None),
    ];
    assert_eq!(stream(false, &frames), ("Hello\n".into(), String::new(), None));
}

#[test]
fn nothing_is_printed_twice() {
    let done = json!({"kind": "task", "id": "t", "contextId": "c", "status": {"state": "completed"},
        "artifacts": [{"artifactId": "reply", "parts": [{"kind": "text", "text": "Hello"}]}]});
    assert_eq!(
        stream(false, &[chunk("Hel", false), chunk("lo", true), done.clone()]).0,
        "Hello\n"
    );
    assert_eq!(
        stream(false, &[chunk("Hello", false), status("completed", Some("Hello"))]).0,
        "Hello\n"
    );
    // A whole artifact that continues what was sent prints the rest only.
    assert_eq!(
        stream(false, &[chunk("Hel", false), chunk("Hello", false)]).0,
        "Hello\n"
    );
    assert_eq!(stream(false, &[done]).0, "Hello\n");
}

// Text, a tool call, text: agents join the two in their last word, or repeat only the second.
#[test]
fn an_answer_around_a_tool_call_is_printed_once() {
    let pieces = [chunk("I look it up.", false), chunk("\n\nIt is 42.", true)];
    for last in [
        status("completed", Some("I look it up.\n\nIt is 42.")),
        status("completed", Some("I look it up. It is 42.\n")),
        status("completed", Some("It is 42.")),
        json!({"kind": "task", "id": "t", "contextId": "c", "status": {"state": "completed"},
            "artifacts": [{"artifactId": "reply", "parts": [{"kind": "text", "text": "It is 42."}]}]}),
    ] {
        let [first, second] = pieces.clone();
        let (text, notes, _) = stream(false, &[first, second, last.clone()]);
        assert_eq!(
            (text.as_str(), notes.as_str()),
            ("I look it up.\n\nIt is 42.\n", ""),
            "{last}"
        );
    }
    // The whole comes last, and was announced in part.
    let (text, ..) = stream(
        false,
        &[
            chunk("I look it up.", false),
            status("completed", Some("I look it up.\nIt is 42.")),
        ],
    );
    assert_eq!(text, "I look it up.\nIt is 42.\n");
}

#[test]
fn what_a_text_adds() {
    for (said, text, expected) in [
        ("", "a", None),
        ("a b", "ab", Some("")),
        ("x a b", "a  b", Some("")),
        ("a", "a\nb", Some("\nb")),
        ("é", "é ü", Some(" ü")),
        ("a", "b", None),
        ("a", "", Some("")),
    ] {
        assert_eq!(continued(said, text), expected, "{said:?} {text:?}");
    }
}

#[test]
fn a_correction_is_shown_whole() {
    let (text, notes, _) = stream(false, &[chunk("thinking", false), chunk("Answer", false)]);
    assert_eq!(text, "thinking\nAnswer\n");
    assert!(notes.contains("in place of"), "{notes}");
}

#[test]
fn progress_goes_to_standard_error_and_questions_to_standard_output() {
    let (text, notes, failure) = stream(
        false,
        &[
            status("working", Some("reading")),
            status("input-required", Some("Which?")),
        ],
    );
    assert_eq!(
        (text.as_str(), notes.as_str(), failure),
        ("Which?\n", "… reading\n", None)
    );
}

#[test]
fn failures_fail() {
    let (text, _, failure) = stream(false, &[chunk("par", false), status("failed", Some("no model"))]);
    assert_eq!(
        (text.as_str(), failure.as_deref()),
        ("par\n", Some("Lead failed: no model"))
    );
    assert_eq!(
        stream(false, &[status("canceled", None)]).2.as_deref(),
        Some("Lead was canceled")
    );
    let error = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "boom"}});
    assert_eq!(reply(&error).2.as_deref(), Some("Lead answered with an error: boom"));
}

#[test]
fn a_limit_of_ones_own_is_no_error_of_the_agent() {
    // A2A-67
    let (mut out, _) = Output::captured(false);
    let mut printer = Printer::new(&mut out, "Lead", Some(Duration::from_secs(3)));
    let error = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "deadline exceeded"}});
    printer.frame(&error.to_string()).unwrap();
    let failure = printer.finish().unwrap_err().to_string();
    assert!(failure.starts_with("Lead did not answer within 3 s"), "{failure}");
}

#[test]
fn whole_replies() {
    let message = json!({"result": {"kind": "message", "role": "agent", "messageId": "m", "parts": [
        {"kind": "text", "text": "Hi"}, {"kind": "file", "file": {"name": "a.txt", "uri": "workspace:a.txt"}}]}});
    assert_eq!(reply(&message).0, "Hi\n[file a.txt at workspace:a.txt]\n");
    // A2A-190: replies without a kind.
    assert_eq!(
        reply(&json!({"result": {"parts": [{"type": "text", "text": "Hi"}]}})).0,
        "Hi\n"
    );
    let history = json!({"result": {"kind": "task", "id": "t", "status": {"state": "completed"}, "history": [
        {"role": "user", "messageId": "1", "parts": [{"kind": "text", "text": "Q"}]},
        {"role": "agent", "messageId": "2", "parts": [{"kind": "text", "text": "A"}]}]}});
    assert_eq!(reply(&history).0, "A\n");
    assert_eq!(
        reply(&json!({"result": {"kind": "riddle"}})).0,
        "{\"kind\":\"riddle\"}\n"
    );
}

#[test]
fn answers_of_the_platform_are_said_plainly() {
    // A2A-40, A2A-89
    let (text, notes, failure) =
        reply(&json!({"status": "queued", "delivery_mode": "poll", "method": "message/stream"}));
    assert!(
        text.is_empty() && failure.is_none() && notes.starts_with("queued: Lead fetches"),
        "{notes}"
    );
    let (text, notes, failure) = reply(&json!({"queued": true, "queue_id": "q1", "queue_depth": 3, "message": ""}));
    assert!(text.is_empty() && failure.is_none(), "{text}");
    assert!(notes.contains("busy; 3 waiting, queue item q1"), "{notes}");
}

#[test]
fn json_prints_every_frame_as_it_came() {
    let (text, notes, failure) = stream(true, &[status("working", Some("x")), status("failed", Some("why"))]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["result"]["status"]["state"], "failed");
    assert_eq!((notes.as_str(), failure.as_deref()), ("", Some("Lead failed: why")));
}
