//! How turns look on the wire (RUN-53).

use std::sync::Arc;

use molecule_a2a::jsonrpc::{
    Artifact, Message, Part, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus, TaskStatusUpdateEvent,
};
use molecule_core::Timestamp;
use serde_json::Value;

use super::caller::Caller;
use crate::turns::{self, Finished, Phase, Progress, State, Turn};

/// Id of what the first turn of a task produces.
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

/// How many messages of a task's history are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum History {
    /// What there is.
    All,
    /// None.
    None,
    /// The newest.
    Newest(usize),
}

impl History {
    /// What a number of messages means in the caller's version: 0 is "all" in v0.3, "none" in v1.0.
    pub(super) fn of(caller: &Caller, length: Option<u32>) -> Self {
        match length {
            Some(0) if caller.is_v1() => Self::None,
            None | Some(0) => Self::All,
            Some(n) => Self::Newest(usize::try_from(n).unwrap_or(usize::MAX)),
        }
    }
}

/// A task as it is now.
pub(super) fn task(task: &turns::Task, history: History) -> Task {
    let (state, since) = task.status();
    let mut shape = Task::new(&task.id, &task.context_id, state);
    shape.status.timestamp = Some(since.to_string());
    let completed = task
        .ended
        .iter()
        .enumerate()
        .filter(|(_, end)| end.state == State::Completed);
    let artifacts: Vec<_> = completed.map(|(n, end)| artifact(n, end.text.clone())).collect();
    shape.artifacts = (!artifacts.is_empty()).then_some(artifacts);
    if let Some(last) = task.ended.last() {
        shape.usage = last.usage;
        if task.live.is_empty() && last.state != State::Completed {
            shape.status.message = Some(message(last));
        }
        if let Some(trace) = trace(last) {
            shape
                .metadata
                .get_or_insert_default()
                .insert("tool_trace".to_owned(), trace);
        }
    }
    let mut messages = said(task);
    match history {
        History::All => {}
        History::None => messages.clear(),
        History::Newest(n) => drop(messages.drain(..messages.len().saturating_sub(n))),
    }
    shape.history = (!messages.is_empty()).then_some(messages);
    shape
}

/// What was said in a task, oldest first.
fn said(task: &turns::Task) -> Vec<Message> {
    let asked = |message: &Message| Message {
        task_id: Some(task.id.clone()),
        context_id: Some(task.context_id.clone()),
        ..message.clone()
    };
    let ended = task.ended.iter().flat_map(|end| {
        let reply = (end.state == State::Completed).then(|| message(end));
        end.asked.as_deref().map(asked).into_iter().chain(reply)
    });
    let live = task
        .live
        .iter()
        .filter_map(|turn| turn.input.asked.as_deref().map(asked));
    ended.chain(live).collect()
}

/// A turn that is over, as a task.
pub(super) fn ended(finished: &Finished, history: History) -> Task {
    let whole = turns::Task {
        id: finished.task_id.clone(),
        context_id: finished.context_id.clone(),
        ended: vec![finished.clone()],
        live: Vec::new(),
    };
    task(&whole, history)
}

/// A task with a turn under way, `place` turns after its first one, as far as that turn has come.
pub(super) fn under_way(task: &turns::Task, place: usize, progress: &Progress) -> Task {
    let mut shape = self::task(task, History::All);
    shape.status = TaskStatus {
        state: match progress.phase {
            Phase::Queued if place == 0 => TaskState::Submitted,
            _ => TaskState::Working,
        },
        message: None,
        timestamp: Some(progress.since.to_string()),
    };
    if !progress.text.is_empty() {
        let artifacts = shape.artifacts.get_or_insert_default();
        artifacts.push(artifact(place, progress.text.clone()));
    }
    shape
}

/// A change of state that does not end the stream, with what was said before the task went on.
pub(super) fn working(turn: &Turn, said: Option<&Finished>) -> TaskStatusUpdateEvent {
    let status = TaskStatus {
        state: TaskState::Working,
        message: said.map(message),
        timestamp: Some(now()),
    };
    TaskStatusUpdateEvent::new(&turn.input.task_id, &turn.input.context_id, status)
}

/// The last event of a stream.
pub(super) fn last(finished: &Arc<Finished>) -> TaskStatusUpdateEvent {
    let said = (finished.state != State::Completed).then(|| message(finished));
    let status = TaskStatus {
        state: finished.state.into(),
        message: said,
        timestamp: Some(finished.ended.to_string()),
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
pub(super) fn text(turn: &Turn, place: usize, text: String, first: bool, whole: bool) -> TaskArtifactUpdateEvent {
    TaskArtifactUpdateEvent {
        task_id: turn.input.task_id.clone(),
        context_id: turn.input.context_id.clone(),
        artifact: artifact(place, text),
        append: Some(!first && !whole),
        last_chunk: Some(whole),
        ..TaskArtifactUpdateEvent::default()
    }
}

/// What a turn of a task produces.
fn artifact(place: usize, text: String) -> Artifact {
    Artifact {
        artifact_id: match place {
            0 => ARTIFACT_ID.to_owned(),
            n => format!("{ARTIFACT_ID}-{}", n + 1),
        },
        parts: vec![Part::text(text)],
        ..Artifact::default()
    }
}

fn now() -> String {
    Timestamp::from(std::time::SystemTime::now()).to_string()
}
