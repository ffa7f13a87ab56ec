//! Handing a task to a peer and waiting for its answer (RUN-40, RUN-41, RUN-41a).

use std::{sync::Arc, time::Duration};

use molecule_a2a::{
    jsonrpc::{Message, Part, Request, RequestId, SendParams},
    reply::Reply,
};
use molecule_client::{A2aReply, ClientError};
use molecule_core::{
    WorkspaceId,
    activity::{ActivityStatus, ActivityType},
    text::{cut_bytes, preview},
};
pub use molecule_tools::DelegationError;
use molecule_wire::{a2a::A2aUnavailable, activity::ReportActivity, registry::Peer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{config, platform::Platform};

/// Bytes of an activity summary (RUN-41).
const SUMMARY_BYTES: usize = 256;
/// Bytes of an activity's error detail (RUN-41).
const ERROR_BYTES: usize = 4_096;
/// Longest pause before another try, whatever the platform suggests.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Told instead of an answer that did not come in time (RUN-43).
const STILL_AT_WORK: &str = "no answer in time; the peer is still at work on the task. Do not send it again and do not \
                             do it yourself.";

/// What came of a delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The peer's answer.
    Answered(String),
    /// Accepted, but the answer will not come in this call.
    Queued(String),
}

/// Sends tasks to peers through the platform, so that access, budget and log apply.
pub struct Delegator {
    platform: Arc<Platform>,
    limits: config::Delegation,
}

/// How one try ended.
enum Try {
    Done(Outcome),
    Again { pause: Option<Duration>, detail: String },
    Failed(String),
}

impl Delegator {
    /// A delegator with these limits.
    #[must_use]
    pub fn new(platform: Arc<Platform>, limits: config::Delegation) -> Self {
        Self { platform, limits }
    }

    /// Sends a task and waits. Every try carries the same message id, so that the peer does the work once (D14).
    ///
    /// # Errors
    /// [`DelegationError`].
    pub async fn send(&self, peer: &Peer, task: &str, context_id: &str) -> Result<Outcome, DelegationError> {
        let fail = |detail: String| {
            let detail = if detail.trim().is_empty() {
                "the peer could not be reached".to_owned()
            } else {
                detail
            };
            DelegationError {
                detail,
                target: peer.name.clone(),
            }
        };
        if peer.id == self.platform.workspace() {
            return Err(fail("self-delegation not permitted".to_owned()));
        }
        let body =
            request(&Uuid::new_v4().to_string(), task, Some(context_id)).map_err(|error| fail(error.to_string()))?;
        self.report_send(peer, task, &body).await;
        let started = std::time::Instant::now();
        let result = self.try_until_answered(peer.id, &body).await.map_err(fail);
        self.report_outcome(peer, task, &result, started.elapsed()).await;
        result
    }

    async fn try_until_answered(&self, target: WorkspaceId, body: &Value) -> Result<Outcome, String> {
        let mut tries = 0;
        loop {
            let begun = std::time::Instant::now();
            let answer = self.platform.send_a2a(target, body, self.limits.timeout).await;
            match judge(answer, begun.elapsed() >= self.limits.timeout) {
                Try::Done(outcome) => return Ok(outcome),
                Try::Failed(detail) => return Err(detail),
                Try::Again { detail, .. } if tries >= self.limits.retry_attempts => return Err(detail),
                Try::Again { pause, detail } => {
                    tries += 1;
                    let pause = pause.unwrap_or(self.limits.retry_delay * tries).min(LONGEST_PAUSE);
                    tracing::info!(%target, tries, reason = detail, "delegation is tried again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn report_send(&self, peer: &Peer, task: &str, body: &Value) {
        let row = ReportActivity {
            summary: Some(cut_bytes(&format!("Delegating to {}: {task}", peer.name), SUMMARY_BYTES).to_owned()),
            request_body: Some(body.clone()),
            ..self.row(ActivityType::A2aSend, peer)
        };
        self.platform.report(row).await;
    }

    async fn report_outcome(&self, peer: &Peer, task: &str, result: &Result<Outcome, DelegationError>, took: Duration) {
        let (word, text) = match result {
            Ok(Outcome::Answered(text)) => ("answered", text.clone()),
            Ok(Outcome::Queued(note)) => ("queued the task", note.clone()),
            Err(error) => ("failed", error.detail.clone()),
        };
        let row = ReportActivity {
            summary: Some(cut_bytes(&format!("{} {word}: {text}", peer.name), SUMMARY_BYTES).to_owned()),
            status: Some(ActivityStatus::of(result.is_err()).into()),
            error_detail: result
                .as_ref()
                .err()
                .map(|error| cut_bytes(&error.to_string(), ERROR_BYTES).to_owned()),
            duration_ms: i64::try_from(took.as_millis()).ok(),
            request_body: Some(json!({ "task": task })),
            response_body: result.is_ok().then(|| json!({ "text": text })),
            ..self.row(ActivityType::A2aReceive, peer)
        };
        self.platform.report(row).await;
    }

    fn row(&self, kind: ActivityType, peer: &Peer) -> ReportActivity {
        ReportActivity {
            activity_type: kind.into(),
            method: Some("message/send".to_owned()),
            source_id: Some(self.platform.workspace().to_string()),
            target_id: Some(peer.id.to_string()),
            ..ReportActivity::default()
        }
    }
}

/// A `message/send` with one text part.
///
/// # Errors
/// It cannot be written as JSON.
pub fn request(message_id: &str, text: &str, context_id: Option<&str>) -> Result<Value, serde_json::Error> {
    let message = Message {
        message_id: message_id.to_owned(),
        parts: vec![Part::text(text)],
        ..Message::default()
    }
    .in_context(context_id.map(str::to_owned));
    let params = SendParams {
        message,
        configuration: None,
        metadata: None,
    };
    serde_json::to_value(Request::new(
        RequestId::text(message_id),
        molecule_a2a::Method::Send,
        &params,
    )?)
}

/// `late`: the answer came when the time for it was over.
fn judge(answer: Result<A2aReply, ClientError>, late: bool) -> Try {
    let reply = match answer {
        Ok(reply) => reply,
        // Nothing was sent: another try is safe and may help.
        Err(error @ ClientError::Connect { .. }) => {
            return Try::Again {
                pause: None,
                detail: error.to_string(),
            };
        }
        Err(ClientError::Timeout { .. }) => return Try::Done(Outcome::Queued(STILL_AT_WORK.to_owned())),
        Err(error) => return Try::Failed(error.to_string()),
    };
    if !reply.is_success() {
        return refused(&reply, late);
    }
    if let Some(note) = queued(&reply) {
        return Try::Done(Outcome::Queued(note));
    }
    let Some(answer) = Reply::parse(&reply.body) else {
        return Try::Failed(format!(
            "the answer is not JSON: {}",
            preview(&String::from_utf8_lossy(&reply.body), 200, "…")
        ));
    };
    if let Some(error) = answer.rpc_error() {
        return Try::Failed(if error.message.is_empty() {
            format!("JSON-RPC error {}", error.code)
        } else {
            error.message
        });
    }
    if let Some(error) = answer.error_text() {
        return Try::Failed(error);
    }
    if has_failed(&reply.body) {
        return Try::Failed(answer.text().unwrap_or_else(|| "the peer gave the task up".to_owned()));
    }
    match answer.text() {
        // The peer's engine failed and said so in words (RUN-40, RUN-57).
        Some(text) if text.starts_with("Agent error") => Try::Failed(text),
        Some(text) => Try::Done(Outcome::Answered(text)),
        None => Try::Failed("the answer holds no text".to_owned()),
    }
}

/// Is the answer a task that came to nothing, in the words of either version?
fn has_failed(body: &[u8]) -> bool {
    const STATES: [&str; 6] = [
        "failed",
        "rejected",
        "canceled",
        "TASK_STATE_FAILED",
        "TASK_STATE_REJECTED",
        "TASK_STATE_CANCELED",
    ];
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let result = &body["result"];
    let states = [&result["status"]["state"], &result["task"]["status"]["state"]];
    states
        .into_iter()
        .filter_map(Value::as_str)
        .any(|state| STATES.contains(&state))
}

/// Only what says that the agent comes back is worth waiting for (A2A-61, A2A-81). A peer that is busy when the time is
/// over (A2A-87) is most likely busy with this very task (RUN-43).
fn refused(reply: &A2aReply, late: bool) -> Try {
    let error = reply.to_error();
    let body: A2aUnavailable = error.body_as().unwrap_or_default();
    if late && body.busy == Some(true) {
        return Try::Done(Outcome::Queued(STILL_AT_WORK.to_owned()));
    }
    let comes_back = body.restarting == Some(true) || body.waking == Some(true);
    if reply.status == 503 && comes_back && body.delivery_confirmed != Some(true) {
        let pause = error.retry_after.map(Duration::from_secs);
        return Try::Again {
            pause,
            detail: error.message,
        };
    }
    Try::Failed(format!("{} (HTTP {})", error.message, error.status))
}

/// The platform took the message, the agent has not answered: poll mode (A2A-40) and busy (A2A-89). To be reported as
/// waiting, never as the agent's words (RUN-43).
fn queued(reply: &A2aReply) -> Option<String> {
    let body: Value = serde_json::from_slice(&reply.body).ok()?;
    let busy = reply.status == 202 && body.get("queued") == Some(&Value::Bool(true));
    let poll = body.get("delivery_mode").and_then(Value::as_str) == Some("poll");
    (busy || poll).then(|| {
        "the task was queued; the peer will work on it later and its answer does not come with this call. Do not send it \
         again and do not do it yourself."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Try {
        answered(status, body, false)
    }

    fn answered(status: u16, body: &str, late: bool) -> Try {
        let reply = A2aReply {
            upstream_status: None,
            status,
            retry_after: None,
            body: body.to_owned().into(),
        };
        judge(Ok(reply), late)
    }

    fn outcome(judged: Try) -> Result<Outcome, String> {
        match judged {
            Try::Done(outcome) => Ok(outcome),
            Try::Failed(detail) => Err(detail),
            Try::Again { detail, .. } => Err(format!("again: {detail}")),
        }
    }

    #[test]
    fn answers_and_errors_are_told_apart() {
        // RUN-40
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"parts":[{"kind":"text","text":"done"}]}}"#;
        assert_eq!(outcome(reply(200, text)), Ok(Outcome::Answered("done".into())));
        for (status, body, part) in [
            (
                200,
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"broken"}}"#,
                "broken",
            ),
            (
                200,
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":""}}"#,
                "-32603",
            ),
            (
                200,
                r#"{"result":{"parts":[{"kind":"text","text":"Agent error (timeout) — see workspace logs for details."}]}}"#,
                "timeout",
            ),
            (
                200,
                r#"{"result":{"kind":"task","status":{"state":"failed","message":{"parts":[{"kind":"text","text":"no key"}]}}}}"#,
                "no key",
            ),
            (
                200,
                r#"{"result":{"task":{"status":{"state":"TASK_STATE_REJECTED"}}}}"#,
                "gave the task up",
            ),
            (200, r#"{"result":{}}"#, "no text"),
            (200, "<html>", "not JSON"),
            (403, r#"{"error":"access denied"}"#, "access denied (HTTP 403)"),
            (503, r#"{"error":"no URL"}"#, "no URL"),
            (
                503,
                r#"{"error":"gone","restarting":true,"delivery_confirmed":true}"#,
                "gone",
            ),
            (503, r#"{"error":"back soon","restarting":true}"#, "again: back soon"),
            (
                503,
                r#"{"error":"waking","waking":true,"retry_after":15}"#,
                "again: waking",
            ),
        ] {
            let detail = outcome(reply(status, body)).unwrap_err();
            assert!(detail.contains(part), "{body}: {detail}");
        }
    }

    #[test]
    fn queued_is_neither_answer_nor_error() {
        // RUN-43, A2A-40, A2A-89
        for (status, body) in [
            (202, r#"{"queued":true,"queue_id":"x","queue_depth":1,"message":"m"}"#),
            (
                200,
                r#"{"status":"queued","delivery_mode":"poll","method":"message/send"}"#,
            ),
        ] {
            assert!(matches!(outcome(reply(status, body)), Ok(Outcome::Queued(_))), "{body}");
        }
    }

    #[test]
    fn busy_at_the_end_of_the_time_is_at_work() {
        // RUN-43, A2A-87
        let busy = r#"{"error":"busy","busy":true,"retry_after":30}"#;
        assert!(matches!(outcome(answered(503, busy, true)), Ok(Outcome::Queued(_))));
        assert!(outcome(answered(503, busy, false)).is_err());
        assert!(outcome(answered(502, r#"{"error":"gone"}"#, true)).is_err());
        let timeout = ClientError::Timeout {
            url: "http://p".into(),
            after: None,
        };
        assert!(matches!(outcome(judge(Err(timeout), true)), Ok(Outcome::Queued(_))));
    }
}
