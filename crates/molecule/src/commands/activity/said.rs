//! What a row of the activity says, and who says it to whom.

use std::collections::BTreeMap;

use molecule_a2a::reply::Reply;
use molecule_core::{
    Timestamp, WorkspaceId,
    activity::{ActivityStatus, ActivityType},
};
use molecule_wire::activity::ActivityRow;
use serde_json::Value;

/// Who speaks where no workspace does.
const PERSON: &str = "you";

/// One thing that one said to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) text: String,
    pub(super) failed: bool,
}

/// A message between agents stands in two feeds: as it was received, and as its sender tells it.
pub(super) fn is_senders_own(row: &ActivityRow) -> bool {
    row.source_id == Some(row.workspace_id) && row.target_id.is_some_and(|target| target != row.workspace_id)
}

/// Both sides of what a row records.
///
/// The receiver's feed has both in one row; in the sender's own, one row has what it sent and another what came back.
pub(super) fn said(row: &ActivityRow, names: &BTreeMap<String, String>) -> Vec<Line> {
    let name = |id: Option<WorkspaceId>| {
        id.map_or_else(
            || PERSON.to_owned(),
            |id| names.get(&id.to_string()).cloned().unwrap_or_else(|| id.to_string()),
        )
    };
    let line = |from: Option<WorkspaceId>, to: String, text: Option<String>| Line {
        at: row.created_at,
        from: name(from),
        to,
        text: text.unwrap_or_default(),
        failed: false,
    };
    let failed = row.status == ActivityStatus::Error || row.error_detail.is_some();
    let answer = |line: Line| Line { failed, ..line };
    match row.activity_type.known() {
        Some(ActivityType::A2aSend) => {
            let text = asked(row).or_else(|| row.summary.clone());
            vec![line(row.source_id, name(row.target_id), text)]
        }
        Some(ActivityType::A2aReceive) if is_senders_own(row) => {
            let text = answered(row).or_else(|| row.summary.clone());
            vec![answer(line(row.target_id, name(row.source_id), text))]
        }
        Some(ActivityType::A2aReceive) => {
            let target = row.target_id.or(Some(row.workspace_id));
            // A message of an agent's own accord answers nothing.
            let question = row.method.as_deref() != Some("notify");
            let question = question.then(|| {
                let text = asked(row).or_else(|| row.method.clone());
                line(row.source_id, name(target), text)
            });
            let reply = answered(row).map(|text| answer(line(target, name(row.source_id), Some(text))));
            question.into_iter().chain(reply).collect()
        }
        _ => {
            let text = row.summary.clone().or_else(|| row.error_detail.clone());
            let text = text.unwrap_or_else(|| row.activity_type.to_string());
            vec![answer(line(Some(row.workspace_id), String::new(), Some(text)))]
        }
    }
}

/// The text of what was asked.
fn asked(row: &ActivityRow) -> Option<String> {
    text_of_request(row.request_body.as_deref()?.get())
}

/// The text of what came back, or why nothing did.
fn answered(row: &ActivityRow) -> Option<String> {
    let failure = row.error_detail.as_ref().map(|text| format!("failed: {text}"));
    failure.or_else(|| text_of_answer(row.response_body.as_deref()?.get()))
}

/// The text of a request.
fn text_of_request(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    if let Some(parts) = body.pointer("/params/message/parts").and_then(Value::as_array) {
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        return (!texts.is_empty()).then(|| texts.join("\n"));
    }
    Some(body.get("task")?.as_str()?.to_owned())
}

/// The text of an answer.
fn text_of_answer(body: &str) -> Option<String> {
    if let Some(reply) = Reply::parse(body.as_bytes()) {
        if let Some(text) = reply.text() {
            return Some(text);
        }
        if let Some(error) = reply.rpc_error() {
            return Some(format!("failed: {}", error.message));
        }
    }
    let body: Value = serde_json::from_str(body).ok()?;
    let plain = ["text", "result", "message"]
        .into_iter()
        .find_map(|name| body.get(name)?.as_str());
    plain.map(str::to_owned)
}
