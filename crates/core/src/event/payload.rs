use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::EventType;
use crate::{
    AgentId, Runtime, Word, WorkspaceId, WorkspaceStatus,
    activity::{ActivityStatus, ActivityType, Attachment},
};

/// What happened, with what is said of it: the catalogue of ACT §2.4. Serializes as the payload alone.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A start begins (ACT-83).
    WorkspaceProvisioning(Provisioning),
    /// An agent is there (ACT-84).
    WorkspaceOnline(Online),
    /// An external workspace waits for its agent (ACT-85).
    WorkspaceAwaitingAgent(External),
    /// An agent was lost (ACT-86).
    WorkspaceOffline(Lost),
    /// An agent errs or is wedged (ACT-87).
    WorkspaceDegraded(Degraded),
    /// A workspace was deleted (ACT-89).
    WorkspaceRemoved(Removed),
    /// A start failed (ACT-90).
    WorkspaceProvisionFailed(ProvisionFailed),
    /// It was stopped by an operator (ACT-88).
    WorkspacePaused(Paused),
    /// It was stopped because nothing was asked of it (ACT-88).
    WorkspaceHibernated(Hibernated),
    /// It got a team (ACT-91).
    WorkspaceExpanded(Expanded),
    /// It lost its team (ACT-91).
    WorkspaceCollapsed(Collapsed),
    /// An agent was assigned (ACT-92).
    AgentAssigned(Assigned),
    /// Another agent took the place of one (ACT-93).
    AgentReplaced(Replaced),
    /// An agent was withdrawn (ACT-92).
    AgentRemoved(Assigned),
    /// An agent went to another workspace; said at either end (ACT-94).
    AgentMoved(MovedAgent),
    /// A card changed (ACT-95).
    AgentCardUpdated(CardUpdated),
    /// An agent does something else (ACT-102). Live only.
    TaskUpdated(TaskUpdated),
    /// An agent was heard of (ACT-103). Live only.
    WorkspaceHeartbeat(Beat),
    /// A row of the activity log (ACT-104). Live only.
    ActivityLogged(ActivityLogged),
    /// An answer for a person (ACT-105). Live only.
    A2aResponse(Answered),
    /// An agent speaks to its user (ACT-106). Live only.
    AgentMessage(AgentMessage),
}

impl Event {
    /// Its catalogue name.
    #[must_use]
    pub const fn kind(&self) -> EventType {
        match self {
            Self::WorkspaceProvisioning(_) => EventType::WorkspaceProvisioning,
            Self::WorkspaceOnline(_) => EventType::WorkspaceOnline,
            Self::WorkspaceAwaitingAgent(_) => EventType::WorkspaceAwaitingAgent,
            Self::WorkspaceOffline(_) => EventType::WorkspaceOffline,
            Self::WorkspaceDegraded(_) => EventType::WorkspaceDegraded,
            Self::WorkspaceRemoved(_) => EventType::WorkspaceRemoved,
            Self::WorkspaceProvisionFailed(_) => EventType::WorkspaceProvisionFailed,
            Self::WorkspacePaused(_) => EventType::WorkspacePaused,
            Self::WorkspaceHibernated(_) => EventType::WorkspaceHibernated,
            Self::WorkspaceExpanded(_) => EventType::WorkspaceExpanded,
            Self::WorkspaceCollapsed(_) => EventType::WorkspaceCollapsed,
            Self::AgentAssigned(_) => EventType::AgentAssigned,
            Self::AgentReplaced(_) => EventType::AgentReplaced,
            Self::AgentRemoved(_) => EventType::AgentRemoved,
            Self::AgentMoved(_) => EventType::AgentMoved,
            Self::AgentCardUpdated(_) => EventType::AgentCardUpdated,
            Self::TaskUpdated(_) => EventType::TaskUpdated,
            Self::WorkspaceHeartbeat(_) => EventType::WorkspaceHeartbeat,
            Self::ActivityLogged(_) => EventType::ActivityLogged,
            Self::A2aResponse(_) => EventType::A2aResponse,
            Self::AgentMessage(_) => EventType::AgentMessage,
        }
    }
}

/// An event of which there is nothing to say: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// Payload of `WORKSPACE_OFFLINE`. The reason outlives the status, so that a restart does not hide what it followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How its instance ended, if that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Payload of `WORKSPACE_PROVISIONING`. What is not known is left out; a restart says the first three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provisioning {
    /// Its name.
    pub name: String,
    /// Privilege and size class.
    pub tier: i32,
    /// Engine.
    pub runtime: Word<Runtime>,
    /// Model named at creation (PROV-9a).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Template named at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Parent in the org chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<WorkspaceId>,
    /// Inside the parent's box (PROV-141).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<f64>,
    /// Inside the parent's box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<f64>,
}

/// Payload of `WORKSPACE_ONLINE`: what brought it about.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Online {
    /// Its agent registered.
    Registered {
        /// Where it is reached; empty in poll mode.
        url: String,
        /// What it says of itself.
        agent_card: Value,
    },
    /// An external workspace was created with an address.
    External(External),
    /// A beat of an agent that was waited for.
    Awaited {
        /// What its status was.
        recovered_from: WorkspaceStatus,
    },
    /// A beat of an agent that had been lost or erred.
    Recovered(Nothing),
}

/// What is said of an external workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// Its name.
    pub name: String,
    /// `true`.
    pub external: bool,
}

impl External {
    /// Of that name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            external: true,
        }
    }
}

/// Payload of `WORKSPACE_DEGRADED`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Degraded {
    /// The agent says that it is stuck.
    Wedged {
        /// `wedged`.
        runtime_state: String,
        /// Its last error.
        sample_error: String,
    },
    /// Too many of its requests fail.
    Erring {
        /// Share of failed requests, 0…1.
        error_rate: f64,
        /// Its last error.
        sample_error: String,
    },
}

/// Payload of `WORKSPACE_REMOVED`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// How many went with it; said of the root of the deletion alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cascade_deleted: Option<u64>,
}

/// Payload of `WORKSPACE_PROVISION_FAILED`: a text for people, and what its kind of failure adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProvisionFailed {
    /// For people.
    pub error: String,
    /// For programs.
    #[serde(flatten)]
    pub detail: FailureDetail,
}

/// What a kind of failed start adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FailureDetail {
    /// Nothing.
    None {},
    /// Variables that it needs and has not (PROV-25).
    MissingEnv {
        /// Their names.
        missing: Vec<String>,
    },
    /// It ended too often (D30).
    CrashLoop {
        /// `crash_loop`.
        source: FailureSource,
        /// How often in a row.
        ends: usize,
    },
    /// Its agent never registered (LIFE-189).
    TimedOut {
        /// How long was waited, seconds.
        timeout_secs: u64,
        /// Engine.
        runtime: Word<Runtime>,
        /// `provision_timeout_sweep`.
        source: FailureSource,
    },
    /// Whoever watches its boot from outside reported it (LIFE-173).
    Bootstrap {
        /// End of its log.
        log_tail: String,
        /// `bootstrap_watcher`.
        source: FailureSource,
    },
}

/// Who noticed that a start failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureSource {
    /// Ends of instances were counted.
    CrashLoop,
    /// The sweep over starts that never complete.
    ProvisionTimeoutSweep,
    /// Whoever watches boots from outside.
    BootstrapWatcher,
}

/// Payload of `WORKSPACE_PAUSED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Its name.
    pub name: String,
}

/// Payload of `WORKSPACE_HIBERNATED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hibernated {
    /// Its name.
    pub name: String,
    /// Privilege and size class.
    pub tier: i32,
}

/// Payload of `WORKSPACE_EXPANDED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expanded {
    /// Its team.
    pub children: Vec<Child>,
}

/// One of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// What it is there for.
    pub role: Option<String>,
}

/// Payload of `WORKSPACE_COLLAPSED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collapsed {
    /// Names of those that went.
    pub removed_children: Vec<String>,
}

/// Payload of `AGENT_ASSIGNED` and `AGENT_REMOVED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The agent.
    pub agent_id: AgentId,
    /// Its model.
    pub model: String,
}

/// Payload of `AGENT_REPLACED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The new agent.
    pub agent_id: AgentId,
    /// Its model.
    pub model: String,
    /// The model of the one before.
    pub old_model: String,
}

/// Payload of `AGENT_MOVED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MovedAgent {
    /// The agent.
    pub agent_id: AgentId,
    /// Its model.
    pub model: String,
    /// Where it went, or where it came from.
    #[serde(flatten)]
    pub other_end: OtherEnd,
}

/// The other workspace of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OtherEnd {
    /// Said of the one that the agent left.
    Target {
        /// Where it went.
        target_workspace_id: WorkspaceId,
    },
    /// Said of the one that it came to.
    Source {
        /// Where it came from.
        source_workspace_id: WorkspaceId,
    },
}

/// Payload of `AGENT_CARD_UPDATED`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardUpdated {
    /// What the agent says of itself.
    pub agent_card: Value,
}

/// Payload of `TASK_UPDATED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskUpdated {
    /// What the agent does, empty when it is idle.
    pub current_task: String,
    /// Tasks in progress.
    pub active_tasks: i64,
}

/// Payload of `WORKSPACE_HEARTBEAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Tasks in progress.
    pub active_tasks: i64,
    /// Age of the agent's process.
    pub uptime_seconds: i64,
}

/// Payload of `ACTIVITY_LOGGED`: previews of a row, and never its bodies.
#[derive(Debug, Clone, Serialize)]
pub struct ActivityLogged {
    /// Kind.
    pub activity_type: ActivityType,
    /// JSON-RPC method or another word.
    pub method: Option<String>,
    /// One line.
    pub summary: Option<String>,
    /// How it ended.
    pub status: Word<ActivityStatus>,
    /// Who began it; null means a person on the canvas or the system.
    pub source_id: Option<WorkspaceId>,
    /// Who received it.
    pub target_id: Option<WorkspaceId>,
    /// How long it took, milliseconds.
    pub duration_ms: Option<i64>,
    /// Tools the agent used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_trace: Option<Box<RawValue>>,
}

/// Payload of `A2A_RESPONSE`.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    /// Null if it is long: the caller has it, and the feed.
    pub response_body: Option<Box<RawValue>>,
    /// JSON-RPC method.
    pub method: String,
    /// How long it took, milliseconds.
    pub duration_ms: Option<i64>,
}

/// Payload of `AGENT_MESSAGE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentMessage {
    /// What it says.
    pub message: String,
    /// Who speaks.
    pub workspace_id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Files the message refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

#[cfg(test)]
mod tests;
