use serde_json::{Value, json};

use super::*;

const LEAD: &str = "6fa459ea-ee8a-4ca4-894e-db77e160355e";
const WRITER: &str = "16fd2706-8baf-433b-82eb-8c7fada847da";

fn row(feed: &str, kind: &str, members: Value) -> ActivityRow {
    let mut row = json!({
        "id": "0198f1c2-0000-7000-8000-000000000000", "workspace_id": feed, "activity_type": kind, "source_id": null,
        "target_id": null, "method": "message/send", "summary": null, "duration_ms": null, "status": "ok",
        "error_detail": null, "created_at": "1970-01-01T00:00:01Z",
    });
    let Value::Object(members) = members else {
        panic!("{members}")
    };
    row.as_object_mut().unwrap().extend(members);
    // As text: bodies are kept as they came.
    serde_json::from_str(&row.to_string()).unwrap()
}

fn told(row: &ActivityRow) -> Vec<String> {
    let names = BTreeMap::from([
        (LEAD.to_owned(), "Lead".to_owned()),
        (WRITER.to_owned(), "Writer".to_owned()),
    ]);
    let lines = said(row, &names);
    lines
        .into_iter()
        .map(|line| format!("{} → {}: {}", line.from, line.to, line.text))
        .collect()
}

fn message(text: &str) -> Value {
    json!({"params": {"message": {"parts": [{"kind": "text", "text": text}]}}})
}

#[test]
fn both_sides_are_told_once() {
    let reply = json!({"result": {"parts": [{"kind": "text", "text": "two moons"}]}});
    let received = row(
        WRITER,
        "a2a_receive",
        json!({"source_id": LEAD, "target_id": WRITER, "request_body": message("count"), "response_body": reply}),
    );
    let both = ["Lead → Writer: count", "Writer → Lead: two moons"];
    assert_eq!(told(&received), both);
    // The sender's own account of the same: nothing new beside the receiver's, both sides without.
    let to = json!({"source_id": LEAD, "target_id": WRITER, "request_body": message("count")});
    let sent = row(LEAD, "a2a_send", to);
    let came = row(
        LEAD,
        "a2a_receive",
        json!({"source_id": LEAD, "target_id": WRITER, "request_body": {"task": "count"},
               "response_body": {"text": "two moons"}}),
    );
    let feeds = |one| Feeds {
        scope: Scope { one, with: None },
        read: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let (all, of_lead) = (feeds(None), feeds(LEAD.parse().ok()));
    assert!(all.is_told_elsewhere(&sent) && all.is_told_elsewhere(&came) && !all.is_told_elsewhere(&received));
    assert!(!of_lead.is_told_elsewhere(&sent) && !of_lead.is_told_elsewhere(&came));
    assert_eq!([told(&sent), told(&came)].concat(), both);
}

#[test]
fn a_stream_is_told_once_at_its_end() {
    // D15
    let numbered = |number: u8, status: &str| {
        let id = format!("0198f1c2-0000-7000-8000-00000000000{number}");
        row(LEAD, "a2a_receive", json!({"id": id, "status": status}))
    };
    let mut read = Read::default();
    let mut take = |rows: Vec<ActivityRow>| {
        let ids = |row: &ActivityRow| row.id.to_string().pop().unwrap();
        let taken: String = read.take(rows).iter().map(ids).collect();
        let upto = read.upto.map(|id| id.to_string().pop().unwrap());
        (taken, upto, read.given.len())
    };
    let told = |taken: &str, upto: char, given| (taken.to_owned(), Some(upto), given);
    let rows = |second: &str| vec![numbered(2, second), numbered(3, "ok")];
    assert_eq!(
        take(vec![numbered(1, "ok"), numbered(2, "in_progress")]),
        told("1", '1', 0)
    );
    assert_eq!(take(rows("in_progress")), told("3", '1', 1));
    assert_eq!(take(rows("in_progress")), told("", '1', 1));
    assert_eq!(take(rows("error")), told("2", '3', 0));
    assert_eq!(take(Vec::new()), told("", '3', 0));
}

#[test]
fn people_failures_and_notes_are_told() {
    let asked = row(
        LEAD,
        "a2a_receive",
        json!({"target_id": LEAD, "request_body": message("hi"), "status": "error", "error_detail": "refused"}),
    );
    assert_eq!(told(&asked), ["you → Lead: hi", "Lead → you: failed: refused"]);
    let waits = row(
        LEAD,
        "a2a_receive",
        json!({"target_id": LEAD, "request_body": message("hi")}),
    );
    assert_eq!(told(&waits), ["you → Lead: hi"]);
    let note = row(
        LEAD,
        "a2a_receive",
        json!({"target_id": LEAD, "method": "notify", "response_body": {"result": "done"}}),
    );
    assert_eq!(told(&note), ["Lead → you: done"]);
    let error = json!({"error": {"code": -1, "message": "no"}});
    let refused = row(
        LEAD,
        "a2a_receive",
        json!({"target_id": LEAD, "response_body": error, "method": "tasks/get"}),
    );
    assert_eq!(told(&refused), ["you → Lead: tasks/get", "Lead → you: failed: no"]);
    let log = row(LEAD, "agent_log", json!({"summary": "went on"}));
    assert_eq!(told(&log), ["Lead → : went on"]);
}
