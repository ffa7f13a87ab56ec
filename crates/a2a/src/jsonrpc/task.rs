//! Tasks and the events of a stream.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::{Message, Metadata, Part, kind_tag, message::Usage};

kind_tag!(
    /// `"kind":"task"`
    TaskTag = "task"
);
kind_tag!(
    /// `"kind":"status-update"`
    StatusUpdateTag = "status-update"
);
kind_tag!(
    /// `"kind":"artifact-update"`
    ArtifactUpdateTag = "artifact-update"
);

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Taken, not begun.
    Submitted,
    /// Under way.
    Working,
    /// Waiting for the user.
    InputRequired,
    /// Waiting for credentials.
    AuthRequired,
    /// Done.
    Completed,
    /// Cancelled.
    Canceled,
    /// Ended by an error.
    Failed,
    /// Refused by the agent.
    Rejected,
    /// A state that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl TaskState {
    /// Whether the task has ended for good.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Failed | Self::Rejected)
    }
}

/// A task's state and what goes with it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The state.
    pub state: TaskState,
    /// What the agent says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Since when, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

/// Something a task produced.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Its id within the task.
    #[serde(default)]
    pub artifact_id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its content.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// URIs of the extensions it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<String>>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// `"kind":"task"`
    #[serde(default)]
    pub kind: TaskTag,
    /// Its id.
    pub id: String,
    /// The conversation it belongs to.
    #[serde(default)]
    pub context_id: String,
    /// Where it is.
    #[serde(default)]
    pub status: TaskStatus,
    /// What it produced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Vec<Artifact>>,
    /// The messages exchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<Message>>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What it cost; not part of A2A, read by the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Task {
    /// A task in a state, with nothing else.
    #[must_use]
    pub fn new(id: impl Into<String>, context_id: impl Into<String>, state: TaskState) -> Self {
        let status = TaskStatus {
            state,
            ..TaskStatus::default()
        };
        Self {
            id: id.into(),
            context_id: context_id.into(),
            status,
            ..Self::default()
        }
    }
}

/// A task changed its state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatusUpdateEvent {
    /// `"kind":"status-update"`
    #[serde(default)]
    pub kind: StatusUpdateTag,
    /// The task.
    pub task_id: String,
    /// Its conversation.
    #[serde(default)]
    pub context_id: String,
    /// Where it is now.
    pub status: TaskStatus,
    /// Whether the stream ends here.
    #[serde(default, rename = "final")]
    pub is_final: bool,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

impl TaskStatusUpdateEvent {
    /// The event of a new status; final if the state is terminal.
    #[must_use]
    pub fn new(task_id: impl Into<String>, context_id: impl Into<String>, status: TaskStatus) -> Self {
        let is_final = status.state.is_terminal();
        Self {
            task_id: task_id.into(),
            context_id: context_id.into(),
            status,
            is_final,
            ..Self::default()
        }
    }
}

/// A task produced something, or more of something.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskArtifactUpdateEvent {
    /// `"kind":"artifact-update"`
    #[serde(default)]
    pub kind: ArtifactUpdateTag,
    /// The task.
    pub task_id: String,
    /// Its conversation.
    #[serde(default)]
    pub context_id: String,
    /// What it produced.
    pub artifact: Artifact,
    /// Whether this continues an artifact of the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append: Option<bool>,
    /// Whether nothing follows for this artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_chunk: Option<bool>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// The result of `message/send`, or one event of `message/stream`. Read by `kind`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A message: the whole answer.
    Message(Message),
    /// A task: the answer, or the start of a stream.
    Task(Task),
    /// A change of state.
    StatusUpdate(TaskStatusUpdateEvent),
    /// A product.
    ArtifactUpdate(TaskArtifactUpdateEvent),
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let has = |name| value.get(name).is_some();
        // Untagged answers exist: bare `parts`, bare `artifacts` (A2A-190).
        let kind = match value.get("kind").and_then(Value::as_str) {
            Some(kind) => kind,
            None if has("status") || has("artifacts") => "task",
            None => "message",
        };
        match kind {
            "message" => Message::deserialize(value).map(Self::Message),
            "task" => Task::deserialize(value).map(Self::Task),
            "status-update" => TaskStatusUpdateEvent::deserialize(value).map(Self::StatusUpdate),
            "artifact-update" => TaskArtifactUpdateEvent::deserialize(value).map(Self::ArtifactUpdate),
            other => return Err(D::Error::custom(format_args!("unknown kind {other:?}"))),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn states_have_their_wire_names() {
        for (state, name) in [
            (TaskState::InputRequired, "input-required"),
            (TaskState::AuthRequired, "auth-required"),
            (TaskState::Canceled, "canceled"),
            (TaskState::Unknown, "unknown"),
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), name);
            assert_eq!(serde_json::from_value::<TaskState>(json!(name)).unwrap(), state);
        }
        assert_eq!(
            serde_json::from_value::<TaskState>(json!("dreaming")).unwrap(),
            TaskState::Unknown
        );
    }

    #[test]
    fn terminal_states() {
        use TaskState::*;
        assert!(
            [Completed, Canceled, Failed, Rejected]
                .iter()
                .all(|state| state.is_terminal())
        );
        assert!(
            ![Submitted, Working, InputRequired, AuthRequired, Unknown]
                .iter()
                .any(|state| state.is_terminal())
        );
    }

    #[test]
    fn events_read_back() {
        let working = TaskStatus {
            state: TaskState::Working,
            message: Some(Message::agent("…")),
            timestamp: None,
        };
        let ended = TaskStatus {
            state: TaskState::Failed,
            ..TaskStatus::default()
        };
        let artifact = Artifact {
            artifact_id: "a".into(),
            parts: vec![Part::text("x")],
            ..Artifact::default()
        };
        for (event, kind) in [
            (Event::Message(Message::agent("hi")), "message"),
            (Event::Task(Task::new("t", "c", TaskState::Submitted)), "task"),
            (
                Event::StatusUpdate(TaskStatusUpdateEvent::new("t", "c", working)),
                "status-update",
            ),
            (
                Event::StatusUpdate(TaskStatusUpdateEvent::new("t", "c", ended)),
                "status-update",
            ),
            (
                Event::ArtifactUpdate(TaskArtifactUpdateEvent {
                    task_id: "t".into(),
                    artifact,
                    last_chunk: Some(true),
                    ..TaskArtifactUpdateEvent::default()
                }),
                "artifact-update",
            ),
        ] {
            let value = serde_json::to_value(&event).unwrap();
            assert_eq!(value["kind"], kind);
            assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
        }
    }

    #[test]
    fn final_follows_the_state() {
        // D7
        let event = |state| {
            TaskStatusUpdateEvent::new(
                "t",
                "c",
                TaskStatus {
                    state,
                    ..TaskStatus::default()
                },
            )
        };
        assert_eq!(
            serde_json::to_value(event(TaskState::Completed)).unwrap()["final"],
            true
        );
        assert_eq!(
            serde_json::to_value(event(TaskState::InputRequired)).unwrap()["final"],
            false
        );
    }

    #[test]
    fn untagged_answers_are_told_by_what_they_hold() {
        // A2A-190
        let read = |value| serde_json::from_value::<Event>(value);
        assert!(matches!(
            read(json!({"parts": [{"kind": "text", "text": "x"}]})),
            Ok(Event::Message(_))
        ));
        assert!(matches!(read(json!({"id": "t", "artifacts": []})), Ok(Event::Task(_))));
        assert!(read(json!({"kind": "riddle"})).is_err());
        assert!(read(json!(5)).is_err());
    }
}
