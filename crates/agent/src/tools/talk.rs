//! Talking to peers and to the user.

use std::sync::Arc;

use async_trait::async_trait;
use molecule_tools::{Arguments, Caller, Definition, Output, Tool, ToolError};
use molecule_wire::registry::Peer;
use serde_json::json;

use crate::{
    delegation::{Delegator, Outcome},
    peers::{self, Directory, Found},
    platform::Platform,
};

/// `list_peers`
pub(super) struct ListPeers(pub(super) Arc<Directory>);

#[async_trait]
impl Tool for ListPeers {
    fn definition(&self) -> Definition {
        Definition::new(
            "list_peers",
            "List the agents you can delegate tasks to, with their ids, roles and states.",
            json!({}),
            &[],
        )
    }

    async fn call(&self, _: &Arguments, _: &Caller) -> Result<Output, ToolError> {
        let peers = self.0.peers().await;
        if peers.is_empty() {
            return Ok(Output::text("No peers found."));
        }
        let lines: Vec<_> = peers.iter().map(peers::line).collect();
        Ok(Output::text(lines.join("\n")))
    }
}

/// `delegate_task`
pub(super) struct DelegateTask {
    pub(super) directory: Arc<Directory>,
    pub(super) delegator: Arc<Delegator>,
}

#[async_trait]
impl Tool for DelegateTask {
    fn definition(&self) -> Definition {
        Definition::new(
            "delegate_task",
            "Send a task to a peer and wait for its answer. The peer sees only this text, so give it all it needs.",
            json!({
                "peer": { "type": "string", "description": "Name or id of the peer" },
                "task": { "type": "string", "description": "What the peer is to do" }
            }),
            &["peer", "task"],
        )
    }

    async fn call(&self, arguments: &Arguments, caller: &Caller) -> Result<Output, ToolError> {
        let (wanted, task) = (arguments.text("peer")?, arguments.text("task")?);
        match self.directory.find(wanted).await {
            Found::Peer(peer) => delegate(&self.delegator, &peer, task, caller).await,
            Found::Nobody { names } => Err(ToolError::Refused(format!(
                "there is no peer called {wanted:?}; peers: {}",
                names.join(", ")
            ))),
            Found::Several { ids } => {
                let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
                Err(ToolError::Refused(format!(
                    "several peers are called {wanted:?}; use an id: {}",
                    ids.join(", ")
                )))
            }
        }
    }
}

/// Sends a task and waits for what comes of it.
pub(super) async fn delegate(
    delegator: &Delegator,
    peer: &Peer,
    task: &str,
    caller: &Caller,
) -> Result<Output, ToolError> {
    Ok(match delegator.send(peer, task, &caller.context_id).await? {
        Outcome::Answered(answer) => Output::Text(answer),
        Outcome::Queued(note) => Output::Text(format!("Queued: {note}")),
    })
}

/// `send_message_to_user`
pub(super) struct SendMessage(pub(super) Arc<Platform>);

#[async_trait]
impl Tool for SendMessage {
    fn definition(&self) -> Definition {
        Definition::new(
            "send_message_to_user",
            "Send the user a message right now, while you go on working. Your final answer is sent anyway.",
            json!({ "message": { "type": "string" } }),
            &["message"],
        )
    }

    async fn call(&self, arguments: &Arguments, _: &Caller) -> Result<Output, ToolError> {
        let message = arguments.text("message")?;
        match self.0.notify(message).await {
            Ok(()) => Ok(Output::text("Message sent.")),
            Err(error) => Err(ToolError::Failed(error.to_string())),
        }
    }
}
