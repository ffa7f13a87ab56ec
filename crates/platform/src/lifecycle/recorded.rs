//! Payloads of the recorded workspace events, by the catalogue (ACT §2.4). One constructor each, so that every path
//! that makes the same transition announces it alike.

use molecule_core::{EventType, WorkspaceId};
use molecule_store::{events::NewEvent, workspaces::Workspace};
use serde_json::{Map, Value, json};

fn event(event: EventType, workspace_id: WorkspaceId, payload: Value) -> NewEvent {
    NewEvent {
        event,
        workspace_id,
        payload,
    }
}

/// A start begins (ACT-83).
#[must_use]
pub fn provisioning(workspace: &Workspace) -> NewEvent {
    let payload = json!({ "name": workspace.name, "tier": workspace.tier, "runtime": workspace.runtime });
    event(EventType::WorkspaceProvisioning, workspace.id, payload)
}

/// An agent is there (ACT-84).
#[must_use]
pub fn online(id: WorkspaceId, payload: Value) -> NewEvent {
    event(EventType::WorkspaceOnline, id, payload)
}

/// An agent erring or wedged (ACT-87).
#[must_use]
pub fn degraded(id: WorkspaceId, payload: Value) -> NewEvent {
    event(EventType::WorkspaceDegraded, id, payload)
}

/// An external workspace waits for its agent (ACT-85).
#[must_use]
pub fn awaiting_agent(id: WorkspaceId, name: &str) -> NewEvent {
    event(
        EventType::WorkspaceAwaitingAgent,
        id,
        json!({ "name": name, "external": true }),
    )
}

/// An agent was lost (ACT-86). For external workspaces the event that old canvases know comes first (OP-4).
#[must_use]
pub fn offline(workspace: &Workspace) -> Vec<NewEvent> {
    let mut events = vec![event(EventType::WorkspaceOffline, workspace.id, json!({}))];
    if super::is_external(&workspace.runtime) {
        events.push(awaiting_agent(workspace.id, &workspace.name));
    }
    events
}

/// A start failed (ACT-90): always `error`, and whatever else the failure class adds.
#[must_use]
pub fn provision_failed(id: WorkspaceId, error: &str, more: Map<String, Value>) -> NewEvent {
    let mut payload = Map::from_iter([("error".to_owned(), Value::from(error))]);
    payload.extend(more);
    event(EventType::WorkspaceProvisionFailed, id, Value::Object(payload))
}

/// A card changed (ACT-95).
#[must_use]
pub fn card_updated(id: WorkspaceId, card: &Value) -> NewEvent {
    event(EventType::AgentCardUpdated, id, json!({ "agent_card": card }))
}
