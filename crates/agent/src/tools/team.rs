//! Giving a task to the team (RUN-48).

use std::sync::Arc;

use async_trait::async_trait;
use molecule_core::WorkspaceId;
use molecule_tools::{Arguments, Caller, Definition, Output, Tool, ToolError};
use molecule_wire::registry::Peer;
use serde_json::{Value, json};

use super::talk::delegate;
use crate::{
    delegation::Delegator,
    peers::{self, Directory, Found},
};

/// Name of the tool.
pub(super) const TOOL: &str = "route_task_to_team";

/// What the prompt says about it.
pub(super) const IN_PROMPT: &str = "- `route_task_to_team` gives a task to a member of your team: to the one you prefer, or it \
                                    shows you the members and what they can do, so that you choose.\n";

/// Where a task goes.
#[derive(Debug)]
enum Route {
    /// To this member.
    To(Box<Peer>),
    /// Nowhere yet; this is what the model is told.
    Choose(Value),
}

/// `route_task_to_team`
pub(super) struct RouteTask {
    pub(super) directory: Arc<Directory>,
    pub(super) delegator: Arc<Delegator>,
    pub(super) workspace: WorkspaceId,
}

#[async_trait]
impl Tool for RouteTask {
    fn definition(&self) -> Definition {
        Definition::new(
            TOOL,
            "Give a task to a member of your team and wait for the answer. Without a preferred member, or with one that \
             is not in the team, nothing is sent and you get the list of members to choose from.",
            json!({
                "task": { "type": "string", "description": "What the member is to do, with all it needs to know" },
                "preferred_member_id": { "type": "string", "description": "Id of the member" }
            }),
            &["task"],
        )
    }

    /// For whoever has a team.
    async fn offered(&self) -> bool {
        let peers = self.directory.peers().await;
        peers::members(&peers, self.workspace).next().is_some()
    }

    /// To the preferred member if it is one, else back with the members to choose from.
    async fn call(&self, arguments: &Arguments, caller: &Caller) -> Result<Output, ToolError> {
        let task = arguments.text("task")?;
        let found = match arguments.optional_text("preferred_member_id") {
            Some(wanted) => Some(self.directory.find(wanted).await),
            None => None,
        };
        match decide(found, &self.directory.peers().await, self.workspace) {
            Route::To(member) => delegate(&self.delegator, &member, task, caller).await,
            Route::Choose(answer) => Ok(Output::Json(answer)),
        }
    }
}

fn decide(preferred: Option<Found>, peers: &[Peer], workspace: WorkspaceId) -> Route {
    let note = match preferred {
        Some(Found::Peer(peer)) if peer.parent_id == Some(workspace) => return Route::To(peer),
        Some(_) => Some("The preferred member is not in your team; nothing was sent."),
        None => None,
    };
    let members: Vec<_> = peers::members(peers, workspace).map(member).collect();
    if members.is_empty() {
        return Route::Choose(json!({ "success": false, "error": "no team members available" }));
    }
    let mut answer = json!({ "action": "choose_member", "members": members });
    if let Some(note) = note {
        answer["note"] = json!(note);
    }
    Route::Choose(answer)
}

fn member(peer: &Peer) -> Value {
    let card = peers::card(peer).unwrap_or_default();
    json!({
        "id": peer.id,
        "name": peer.name,
        "role": peer.role,
        "status": peer.status,
        "description": peers::description(&card),
        "skills": peers::skills(&card),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, parent: Option<WorkspaceId>) -> Peer {
        serde_json::from_value(json!({
            "id": WorkspaceId::random(), "name": name, "role": "tests", "tier": 1, "status": "online",
            "agent_card": {"description": "finds flaws", "skills": [{"id": "f", "name": "Flaky tests"}]},
            "url": "", "parent_id": parent, "active_tasks": 0
        }))
        .unwrap()
    }

    fn told(route: Route) -> Value {
        match route {
            Route::Choose(answer) => answer,
            Route::To(peer) => panic!("sent to {}", peer.name),
        }
    }

    #[test]
    fn only_members_are_given_tasks() {
        // RUN-48
        let me = WorkspaceId::random();
        let peers = [peer("Tester", Some(me)), peer("Sibling", None)];
        let found = |peer: &Peer| Some(Found::Peer(Box::new(peer.clone())));
        assert!(matches!(decide(found(&peers[0]), &peers, me), Route::To(member) if member.id == peers[0].id));
        let members = json!([{
            "id": peers[0].id, "name": "Tester", "role": "tests", "status": "online",
            "description": "finds flaws", "skills": ["Flaky tests"]
        }]);
        assert_eq!(
            told(decide(None, &peers, me)),
            json!({"action": "choose_member", "members": members})
        );
        for stranger in [found(&peers[1]), Some(Found::Nobody { names: Vec::new() })] {
            let answer = told(decide(stranger, &peers, me));
            assert_eq!(
                (&answer["action"], &answer["members"]),
                (&json!("choose_member"), &members)
            );
            assert!(answer["note"].as_str().unwrap().contains("not in your team"));
        }
    }

    #[test]
    fn nobody_is_an_error() {
        // RUN-48
        let me = WorkspaceId::random();
        for preferred in [None, Some(Found::Nobody { names: Vec::new() })] {
            let answer = told(decide(preferred, &[peer("Sibling", None)], me));
            assert_eq!(answer["success"], false);
            assert!(!answer["error"].as_str().unwrap().is_empty());
        }
    }
}
