//! How turns look on the wire (RUN-53).

use std::sync::Arc;

use molecule_a2a::jsonrpc::{
    Artifact, Message, Part, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus, TaskStatusUpdateEvent,
};
use molecule_core::Timestamp;
use serde_json::Value;

use crate::turns::{Finished, Phase, State, Turn};

/// Id of the one artifact of a task.
const ARTIFACT_ID: &str = "reply";

/// The reply as a message: the answer to `message/send`.
pub(super) fn message(finished: &Finished) -> Message {
    let message = Message {
        message_id: finished.reply_id.clone(),
        task_id: Some(finished.task_id.clone()),
        usage: finished.usage,
        ..Message::agent(finished.text.clone())
    }
    .in_context(Some(finished.context_id.clone()));
    match trace(finished) {
        Some(trace) => message.with_metadata("tool_trace", trace),
        None => message,
    }
}

/// The tools used, as `metadata.tool_trace` carries them.
pub(super) fn trace(finished: &Finished) -> Option<Value> {
    if finished.tool_trace.is_empty() {
        return None;
    }
    serde_json::to_value(&finished.tool_trace).ok()
}

/// A turn that is over, as a task.
pub(super) fn ended(finished: &Finished) -> Task {
    let mut task = Task::new(&finished.task_id, &finished.context_id, state(finished.state));
    task.usage = finished.usage;
    match finished.state {
        State::Completed => task.artifacts = Some(vec![artifact(finished.text.clone())]),
        State::Failed | State::Canceled => task.status.message = Some(message(finished)),
    }
    if let Some(trace) = trace(finished) {
        task.metadata
            .get_or_insert_default()
            .insert("tool_trace".to_owned(), trace);
    }
    task
}

/// A turn as it stands, as a task.
pub(super) fn current(turn: &Turn) -> Task {
    let progress = turn.watch();
    let progress = progress.borrow();
    let state = match &progress.phase {
        Phase::Queued => TaskState::Submitted,
        Phase::Working => TaskState::Working,
        Phase::Done(finished) => return ended(finished),
        Phase::Abandoned => TaskState::Unknown,
    };
    let mut task = Task::new(&turn.input.task_id, &turn.input.context_id, state);
    task.status.timestamp = Some(now());
    task
}

/// The task at the start of a stream.
pub(super) fn submitted(turn: &Turn) -> Task {
    let mut task = Task::new(&turn.input.task_id, &turn.input.context_id, TaskState::Submitted);
    task.status.timestamp = Some(now());
    task
}

/// A change of state that does not end the stream.
pub(super) fn working(turn: &Turn) -> TaskStatusUpdateEvent {
    let status = TaskStatus {
        state: TaskState::Working,
        message: None,
        timestamp: Some(now()),
    };
    TaskStatusUpdateEvent::new(&turn.input.task_id, &turn.input.context_id, status)
}

/// The last event of a stream.
pub(super) fn last(finished: &Arc<Finished>) -> TaskStatusUpdateEvent {
    let said = (finished.state != State::Completed).then(|| message(finished));
    let status = TaskStatus {
        state: state(finished.state),
        message: said,
        timestamp: Some(now()),
    };
    let mut event = TaskStatusUpdateEvent::new(&finished.task_id, &finished.context_id, status);
    if let Some(trace) = trace(finished) {
        event
            .metadata
            .get_or_insert_default()
            .insert("tool_trace".to_owned(), trace);
    }
    if let Some(usage) = finished.usage.and_then(|usage| serde_json::to_value(usage).ok()) {
        event.metadata.get_or_insert_default().insert("usage".to_owned(), usage);
    }
    event
}

/// More text, or with `whole` all of it in place of what came before.
pub(super) fn text(turn: &Turn, text: String, first: bool, whole: bool) -> TaskArtifactUpdateEvent {
    TaskArtifactUpdateEvent {
        task_id: turn.input.task_id.clone(),
        context_id: turn.input.context_id.clone(),
        artifact: artifact(text),
        append: Some(!first && !whole),
        last_chunk: Some(whole),
        ..TaskArtifactUpdateEvent::default()
    }
}

fn artifact(text: String) -> Artifact {
    Artifact {
        artifact_id: ARTIFACT_ID.to_owned(),
        parts: vec![Part::text(text)],
        ..Artifact::default()
    }
}

fn state(state: State) -> TaskState {
    match state {
        State::Completed => TaskState::Completed,
        State::Failed => TaskState::Failed,
        State::Canceled => TaskState::Canceled,
    }
}

fn now() -> String {
    Timestamp::from(std::time::SystemTime::now()).to_string()
}
