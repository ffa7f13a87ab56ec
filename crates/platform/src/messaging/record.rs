//! Rows and events of a message (A2A §13).

use std::time::Duration;

use bytes::Bytes;
use molecule_a2a::{Normalised, reply::Reply};
use molecule_core::{
    ActivityId,
    activity::{ActivityStatus, ActivityType},
    event::{Answered, Event},
    limits,
    text::preview,
};
use molecule_store::{
    DbErrorKind, StoreError,
    activity::{Durability, Finished, NewActivity, SharedText},
};
use serde_json::value::RawValue;

use super::{BodyFailure, Caller, Messenger, PushFailure, call::Call, reply::Upstream};
use crate::{directory::Route, numbers};

fn millis(took: Duration) -> Option<i64> {
    i64::try_from(took.as_millis()).ok()
}

/// JSON text of a body, sharing its bytes; `null` for what is not JSON (ACT-37).
fn json_text(body: &Bytes) -> SharedText {
    SharedText::new(body.clone())
        .filter(|text| serde_json::from_str::<&RawValue>(text).is_ok())
        .unwrap_or_else(|| "null".to_owned().into())
}

/// What every row of a call has in common.
fn row(caller: Caller, route: &Route, request: &Normalised) -> NewActivity {
    NewActivity {
        source_id: caller.workspace(),
        target_id: Some(route.id),
        method: Some(request.method.clone()),
        summary: Some(format!("{} → {}", request.method, route.name)),
        // JSON, so UTF-8: what is not was refused (A2A-20).
        request_body: SharedText::new(request.body.clone()),
        ..NewActivity::new(route.id, ActivityType::A2aReceive)
    }
}

impl Messenger {
    pub(super) async fn record_polled(
        &self,
        caller: Caller,
        route: &Route,
        request: &Normalised,
    ) -> Result<(), StoreError> {
        self.inner
            .log
            .record(row(caller, route, request), Durability::Power)
            .await
    }

    /// One row per call that was answered, whatever the answer (A2A-100). `error` is set for statuses ≥ 300. If the
    /// row cannot be stored the reply is still sent, and the failure counted (D15).
    pub(super) async fn record_reply(&self, call: &Call, upstream: &Upstream, error: Option<&str>) {
        let took = call.elapsed();
        tally(if error.is_some() { "agent_error" } else { "ok" }, took);
        if call.record {
            let trace = Reply::parse(&upstream.body).and_then(|reply| reply.tool_trace());
            let new = NewActivity {
                response_body: Some(json_text(&upstream.body)),
                tool_trace: trace.map(|trace| trace.get().to_owned()),
                duration_ms: millis(took),
                status: ActivityStatus::of(error.is_some()).into(),
                error_detail: error.map(str::to_owned),
                ..row(call.caller, &call.route, &call.request)
            };
            self.record_or_alarm(new).await;
        }
        if error.is_none() {
            self.announce_reply(call, &upstream.body, took);
        }
    }

    /// One row per call that got no answer (A2A-101). A reply that broke off after a good status was delivered
    /// (A2A-71).
    pub(super) async fn record_failure(&self, call: &Call, failure: PushFailure) {
        let (took, detail) = (call.elapsed(), failure.describe());
        tally(failure.label(), took);
        if !call.record {
            return;
        }
        let delivered = matches!(
            failure,
            PushFailure::Body {
                delivery_confirmed: true,
                ..
            }
        );
        let (status, summary) = if delivered {
            let method = &call.request.method;
            (
                ActivityStatus::Ok,
                format!("{method} → {}, its answer could not be read: {detail}", call.route.name),
            )
        } else {
            (
                ActivityStatus::Error,
                format!("A2A request to {} failed: {detail}", call.route.name),
            )
        };
        let new = NewActivity {
            duration_ms: millis(took),
            status: status.into(),
            error_detail: Some(detail.to_owned()),
            summary: Some(summary),
            ..row(call.caller, &call.route, &call.request)
        };
        self.record_or_alarm(new).await;
    }

    /// The row of a stream, written when it begins; [`Messenger::finish_stream`] completes it (D15).
    pub(super) async fn record_stream(&self, call: &Call) -> Option<ActivityId> {
        if !call.record {
            return None;
        }
        let new = NewActivity {
            status: ActivityStatus::InProgress.into(),
            ..row(call.caller, &call.route, &call.request)
        };
        let id = new.id;
        self.record_or_alarm(new).await.then_some(id)
    }

    /// A stream has ended: its row, and what it said.
    pub(super) async fn finish_stream(
        &self,
        call: &Call,
        id: Option<ActivityId>,
        reply: Option<&Bytes>,
        failure: Option<BodyFailure>,
    ) {
        let took = call.elapsed();
        tally(failure.map_or("ok", BodyFailure::label), took);
        if let Some(id) = id {
            let trace = reply.and_then(|body| Reply::parse(body)?.tool_trace());
            let finished = Finished {
                response_body: reply.map(json_text),
                tool_trace: trace.map(|trace| trace.get().to_owned()),
                duration_ms: millis(took),
                status: ActivityStatus::of(failure.is_some()),
                error_detail: failure.map(|failure| failure.describe().to_owned()),
            };
            let what = row(call.caller, &call.route, &call.request);
            if let Err(error) = self.inner.log.finish(id, what, finished).await {
                alarm(&error);
            }
        }
        if let (Some(body), None) = (reply, failure) {
            self.announce_reply(call, body, took);
        }
    }

    async fn record_or_alarm(&self, new: NewActivity) -> bool {
        match self.inner.log.record(new, Durability::Process).await {
            Ok(()) => true,
            Err(error) => {
                alarm(&error);
                false
            }
        }
    }

    /// A person sees the reply on the canvas (A2A-105); a workspace's call is noted (A2A-106).
    fn announce_reply(&self, call: &Call, body: &Bytes, took: Duration) {
        match call.caller {
            Caller::Person if call.record => {
                self.inner.events.live(call.route.id, || {
                    Event::A2aResponse(Answered {
                        response_body: (body.len() <= limits::EVENT_BODY_BYTES)
                            .then(|| serde_json::from_slice(body).ok())
                            .flatten(),
                        method: preview(&call.request.method, limits::EVENT_TEXT_CHARS, "…"),
                        duration_ms: millis(took),
                    })
                });
            }
            Caller::Workspace(id) => {
                self.inner.pulses.touch(id);
                self.inner.outbound.lock().insert(id, self.inner.clock().now());
            }
            Caller::Person | Caller::System => {}
        }
    }

    /// Stores when workspaces last reached another one (A2A-106). Best effort: a failure is logged.
    pub async fn flush_outbound(&self) {
        let calls = std::mem::take(&mut *self.inner.outbound.lock());
        for (id, at) in calls {
            if let Err(error) = self.inner.store.touch_outbound(id, at).await {
                tracing::warn!(workspace = %id, %error, "outbound call not noted");
            }
        }
    }
}

/// Counts a call that has ended, by how.
fn tally(outcome: &'static str, took: Duration) {
    metrics::counter!("molecule_a2a_calls_total", "outcome" => outcome).increment(1);
    metrics::histogram!(numbers::CALL_SECONDS, "outcome" => outcome).record(took);
}

fn alarm(error: &StoreError) {
    let kind = match error.kind() {
        DbErrorKind::DiskFull => "disk_full",
        DbErrorKind::Connection => "connection",
        DbErrorKind::Unique | DbErrorKind::ForeignKey | DbErrorKind::Other => "other",
    };
    metrics::counter!("molecule_activity_write_failures_total", "kind" => kind).increment(1);
    tracing::error!(%error, "the record of a call was lost");
}
