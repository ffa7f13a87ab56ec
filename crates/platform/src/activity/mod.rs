//! The activity log as a service: record, announce, report, notify, read.

use molecule_core::{
    ActivityId, Timestamp, Word, WorkspaceId, WorkspaceStatus,
    activity::{ActivityFilter, ActivityStatus, ActivityType},
    event::{ActivityLogged, AgentMessage, Event},
    limits,
    text::{Quoted, preview},
};
pub use molecule_store::activity::FeedError;
use molecule_store::{
    Store, StoreError,
    activity::{Activity, ActivityWriter, Durability, Finished, NewActivity},
};
use molecule_wire::activity::{ActivityRow, Attachment, Notify, ReportActivity};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{events::Events, ground::Ground};

/// Why a report or message was refused.
#[derive(Debug, thiserror::Error)]
pub enum ActivityError {
    /// No or no usable `activity_type` (ACT-44).
    #[error("invalid request body")]
    BadRequest,
    /// Not a reportable kind (ACT-45).
    #[error(
        "invalid activity_type, must be one of: a2a_send, a2a_receive, task_update, agent_log, skill_promotion, \
         memory_write, error"
    )]
    BadType,
    /// A text that is too long.
    #[error("{field} exceeds {limit} bytes")]
    TooLong {
        /// Which.
        field: &'static str,
        /// Bytes it may have.
        limit: usize,
    },
    /// Somebody else's id (ACT-47).
    #[error("source_id must match authenticated workspace")]
    ForeignSource,
    /// No message (ACT-50).
    #[error("message is required")]
    NoMessage,
    /// An attachment without uri or name (ACT-51).
    #[error("attachment[{0}]: uri and name are required")]
    BadAttachment(usize),
    /// An attachment with a text that is too long.
    #[error("attachment[{0}]: uri, name and mimeType must not exceed {limit} bytes", limit = limits::ATTACHMENT_FIELD_BYTES)]
    LongAttachment(usize),
    /// More attachments than a message may have.
    #[error("attachments exceed {limit}", limit = limits::NOTIFY_ATTACHMENTS)]
    TooManyAttachments,
    /// Unknown or removed (ACT-52).
    #[error("workspace not found")]
    NotFound,
    /// The lookup failed.
    #[error("query failed")]
    Store(#[from] StoreError),
}

/// What is announced of a row: previews (ACT-104).
fn logged(row: &NewActivity) -> ActivityLogged {
    let text = |text: &str| preview(text, limits::EVENT_TEXT_CHARS, "…");
    ActivityLogged {
        activity_type: row.activity_type,
        method: row.method.as_deref().map(text),
        summary: row.summary.as_deref().map(text),
        status: match &row.status {
            Word::Known(status) => (*status).into(),
            Word::Other(other) => Word::Other(text(other)),
        },
        source_id: row.source_id,
        target_id: row.target_id,
        duration_ms: row.duration_ms,
        tool_trace: row.tool_trace.as_deref().and_then(trace_of),
    }
}

fn view(row: Activity) -> ActivityRow {
    // Stored JSON goes out as it is.
    let raw = |text: Option<String>| RawValue::from_string(text?).ok();
    ActivityRow {
        id: row.id,
        workspace_id: row.workspace_id,
        activity_type: row.activity_type,
        source_id: row.source_id,
        target_id: row.target_id,
        method: row.method,
        summary: row.summary,
        duration_ms: row.duration_ms,
        status: row.status,
        error_detail: row.error_detail,
        created_at: row.created_at,
        request_body: raw(row.request_body),
        response_body: raw(row.response_body),
        tool_trace: raw(row.tool_trace),
    }
}

/// A tool trace that is short enough for an event; a longer one is in the feed.
fn trace_of(trace: &str) -> Option<Box<RawValue>> {
    let short = trace.len() <= limits::EVENT_BODY_BYTES;
    short.then(|| RawValue::from_string(trace.to_owned()).ok())?
}

/// The activity log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ActivityLog {
    store: Store,
    writer: ActivityWriter,
    events: Events,
}

impl ActivityLog {
    /// Over the store's writer.
    #[must_use]
    pub fn new(ground: &Ground, writer: ActivityWriter) -> Self {
        Self {
            store: ground.store.clone(),
            events: ground.events.clone(),
            writer,
        }
    }

    /// Records a row and announces it once it is durable (ACT-104).
    ///
    /// # Errors
    /// The row is not stored, and nothing was announced.
    pub async fn record(&self, row: NewActivity, durability: Durability) -> Result<(), StoreError> {
        let workspace = row.workspace_id;
        let announced = self.events.has_listeners() && row.status != ActivityStatus::InProgress;
        // Taken before the row moves into the writer, and only if somebody listens.
        let announcement = announced.then(|| logged(&row));
        self.writer.record(row, durability).await?;
        match announcement {
            Some(said) => self.announce(workspace, said),
            None => self.events.heard(workspace),
        }
        Ok(())
    }

    /// Completes a row that was recorded when its stream began, and announces it; one that is purged or closed already
    /// stays as it is.
    ///
    /// # Errors
    /// The row keeps its first state.
    pub async fn finish(&self, id: ActivityId, what: NewActivity, finished: Finished) -> Result<(), StoreError> {
        let said = ActivityLogged {
            status: finished.status.into(),
            duration_ms: finished.duration_ms,
            tool_trace: finished.tool_trace.as_deref().and_then(trace_of),
            ..logged(&what)
        };
        if !self.store.finish_activity(id, finished).await? {
            tracing::warn!(activity = %id, workspace = %what.workspace_id, "a stream ended whose row is not open");
            return Ok(());
        }
        self.announce(what.workspace_id, said);
        Ok(())
    }

    /// Deletes rows older than `age`, batch by batch, and counts them in `deleted` (ACT-13).
    ///
    /// # Errors
    /// What is left is tried again next time.
    pub async fn prune(&self, age: std::time::Duration, deleted: &mut u64) -> Result<(), StoreError> {
        let before = molecule_store::now().minus(age);
        let mut after = Timestamp::default();
        while let Some(batch) = self.store.prune_activity(after, before).await? {
            after = batch.upto;
            *deleted += batch.rows;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn announce(&self, workspace: WorkspaceId, said: ActivityLogged) {
        self.events.live(workspace, || Event::ActivityLogged(said));
    }

    /// Rows of a feed (ACT §1.2).
    ///
    /// # Errors
    /// The cursor is gone, or the query failed.
    pub async fn feed(&self, workspace: WorkspaceId, filter: &ActivityFilter) -> Result<Vec<ActivityRow>, FeedError> {
        let rows = self.store.activity_feed(workspace, filter).await?;
        Ok(rows.into_iter().map(view).collect())
    }

    /// Takes a workspace's own report (ACT §1.4). A storage failure is logged and still a success (ACT-48).
    ///
    /// # Errors
    /// [`ActivityError`]; nothing was stored.
    pub async fn report(&self, workspace: WorkspaceId, report: ReportActivity) -> Result<(), ActivityError> {
        if report.activity_type.is_empty() {
            return Err(ActivityError::BadRequest);
        }
        let kind = report
            .activity_type
            .known()
            .filter(|kind| kind.is_reportable())
            .ok_or(ActivityError::BadType)?;
        if let Some(source) = report.source_id.as_deref().filter(|source| !source.is_empty())
            && source.parse() != Ok(workspace)
        {
            tracing::warn!(%workspace, source = %Quoted(source), "activity reported for another workspace");
            return Err(ActivityError::ForeignSource);
        }
        check_lengths(&report)?;
        let text = |value: Option<Value>| {
            value
                .filter(|value| !value.is_null())
                .map(|value| value.to_string().into())
        };
        let row = NewActivity {
            source_id: Some(workspace),
            target_id: report.target_id.and_then(|target| target.parse().ok()),
            method: report.method,
            summary: report.summary,
            request_body: text(report.request_body).or_else(|| text(report.metadata)),
            response_body: text(report.response_body),
            duration_ms: report.duration_ms,
            status: report
                .status
                .filter(|status| !status.is_empty())
                .unwrap_or(ActivityStatus::Ok.into()),
            error_detail: report.error_detail,
            ..NewActivity::new(workspace, kind)
        };
        if let Err(error) = self.record(row, Durability::Process).await {
            tracing::error!(%workspace, %error, "activity report not stored");
        }
        Ok(())
    }

    /// A message from an agent to the user (ACT §1.5): broadcast, then one row, so that the chat survives a reload.
    ///
    /// # Errors
    /// [`ActivityError`]; nothing was sent.
    pub async fn notify(&self, workspace: WorkspaceId, notify: Notify) -> Result<(), ActivityError> {
        check_notify(&notify)?;
        let row = self.store.workspace(workspace).await?;
        let row = row
            .filter(|row| row.status != WorkspaceStatus::Removed)
            .ok_or(ActivityError::NotFound)?;
        let body = said_to_user(&notify);
        self.events.live(workspace, || {
            Event::AgentMessage(AgentMessage {
                message: notify.message.clone(),
                workspace_id: workspace,
                name: row.name,
                attachments: notify.attachments.clone(),
            })
        });
        let new = NewActivity {
            target_id: Some(workspace),
            method: Some("notify".to_owned()),
            summary: Some(format!("Agent message: {}", preview(&notify.message, 80, "…"))),
            response_body: Some(body.into()),
            ..NewActivity::new(workspace, ActivityType::A2aReceive)
        };
        // No ACTIVITY_LOGGED for this row (ACT-55).
        if let Err(error) = self.writer.record(new, Durability::Process).await {
            tracing::error!(%workspace, %error, "agent message not stored");
        }
        Ok(())
    }
}

/// The texts of a report are bounded; its bodies are by the request's own limit.
fn check_lengths(report: &ReportActivity) -> Result<(), ActivityError> {
    let texts = [
        ("method", report.method.as_deref(), limits::REPORT_WORD_BYTES),
        (
            "status",
            report.status.as_ref().map(Word::as_str),
            limits::REPORT_WORD_BYTES,
        ),
        ("summary", report.summary.as_deref(), limits::REPORT_TEXT_BYTES),
        (
            "error_detail",
            report.error_detail.as_deref(),
            limits::REPORT_TEXT_BYTES,
        ),
    ];
    for (field, text, limit) in texts {
        if text.is_some_and(|text| text.len() > limit) {
            return Err(ActivityError::TooLong { field, limit });
        }
    }
    Ok(())
}

/// Everything of a message is checked before any of it is sent (ACT-50, ACT-51).
fn check_notify(notify: &Notify) -> Result<(), ActivityError> {
    if notify.message.is_empty() {
        return Err(ActivityError::NoMessage);
    }
    if notify.message.len() > limits::NOTIFY_MESSAGE_BYTES {
        return Err(ActivityError::TooLong {
            field: "message",
            limit: limits::NOTIFY_MESSAGE_BYTES,
        });
    }
    for (at, attachment) in notify.attachments.iter().enumerate() {
        if attachment.uri.is_empty() || attachment.name.is_empty() {
            return Err(ActivityError::BadAttachment(at));
        }
        let mime = attachment.mime_type.as_deref().unwrap_or_default();
        let lengths = [attachment.uri.len(), attachment.name.len(), mime.len()];
        if lengths
            .into_iter()
            .any(|length| length > limits::ATTACHMENT_FIELD_BYTES)
        {
            return Err(ActivityError::LongAttachment(at));
        }
    }
    if notify.attachments.len() > limits::NOTIFY_ATTACHMENTS {
        return Err(ActivityError::TooManyAttachments);
    }
    Ok(())
}

/// What the row keeps of a message (ACT-54).
#[derive(Serialize)]
struct Said<'a> {
    result: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<FilePart>,
}

/// A file named in a message, as A2A has it.
#[derive(Serialize)]
struct FilePart {
    kind: &'static str,
    file: Attachment,
}

impl FilePart {
    fn of(attachment: &Attachment) -> Self {
        let mut file = attachment.clone();
        file.mime_type = file.mime_type.filter(|mime| !mime.is_empty());
        file.size = file.size.filter(|size| *size != 0);
        Self { kind: "file", file }
    }
}

fn said_to_user(notify: &Notify) -> String {
    let said = Said {
        result: &notify.message,
        parts: notify.attachments.iter().map(FilePart::of).collect(),
    };
    // Texts and numbers always are JSON.
    serde_json::to_string(&said).unwrap_or_default()
}
