//! Agents assigned to workspaces (LIFE §13): who is on record for which model. Records only: runtime and model of a workspace
//! do not follow them.

use molecule_core::{
    WorkspaceId,
    event::{self, Event, OtherEnd},
    limits,
};
use molecule_store::{
    StoreError,
    agents::{Agent, Refusal},
    events::{NewEvent, Seq},
};
use molecule_wire::agents::{AssignedAgent, MovedAgent, RemovedAgent, ReplacedAgent};

use crate::ground::Ground;

/// Why an assignment was not changed. `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No model, or one that is too long.
    #[error("invalid request body")]
    BadRequest,
    /// Unknown or removed.
    #[error("workspace not found")]
    NotFound,
    /// It has one.
    #[error("workspace already has an active agent, use PATCH to replace")]
    Occupied,
    /// There is none to replace.
    #[error("no active agent to replace")]
    NoneToReplace,
    /// There is none to withdraw.
    #[error("no active agent to remove")]
    NoneToRemove,
    /// The workspace to move to is unknown or removed.
    #[error("target workspace not found")]
    TargetNotFound,
    /// There is none to move.
    #[error("no active agent in source workspace")]
    NoneToMove,
    /// The workspace to move to has one.
    #[error("target workspace already has an active agent")]
    TargetOccupied,
    /// The caller may not change that workspace.
    #[error("target workspace is not the caller's to change")]
    Foreign,
    /// The store failed; nothing changed.
    #[error("failed to update agent")]
    Store(#[from] StoreError),
}

/// The assignments. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Agents {
    ground: Ground,
}

impl Agents {
    /// Over store and bus.
    #[must_use]
    pub fn new(ground: Ground) -> Self {
        Self { ground }
    }

    /// Assigns an agent to a workspace that has none.
    ///
    /// # Errors
    /// [`AgentError`]; nothing changed.
    pub async fn assign(&self, id: WorkspaceId, model: &str) -> Result<AssignedAgent, AgentError> {
        let model = checked(model)?;
        let events = move |agent: &Agent| vec![NewEvent::of(id, Event::AgentAssigned(assigned(agent)))];
        let changed = self.ground.store.assign_agent(id, model, events).await?;
        let agent = self.settled(changed, AgentError::NotFound).await?;
        Ok(AssignedAgent {
            agent_id: agent.id,
            model: agent.model,
        })
    }

    /// Puts another agent in the place of a workspace's.
    ///
    /// # Errors
    /// [`AgentError`]; nothing changed.
    pub async fn replace(&self, id: WorkspaceId, model: &str) -> Result<ReplacedAgent, AgentError> {
        let model = checked(model)?;
        let events = move |old: &Agent, new: &Agent| {
            let replaced = event::Replaced {
                agent_id: new.id,
                model: new.model.clone(),
                old_model: old.model.clone(),
            };
            vec![NewEvent::of(id, Event::AgentReplaced(replaced))]
        };
        let changed = self.ground.store.replace_agent(id, model, events).await?;
        let (old, new) = self.settled(changed, AgentError::NoneToReplace).await?;
        Ok(ReplacedAgent {
            agent_id: new.id,
            model: new.model,
            old_model: old.model,
        })
    }

    /// Withdraws a workspace's agent.
    ///
    /// # Errors
    /// [`AgentError`]; nothing changed.
    pub async fn remove(&self, id: WorkspaceId) -> Result<RemovedAgent, AgentError> {
        let events = move |agent: &Agent| vec![NewEvent::of(id, Event::AgentRemoved(assigned(agent)))];
        let changed = self.ground.store.remove_agent(id, events).await?;
        let agent = self.settled(changed, AgentError::NoneToRemove).await?;
        Ok(RemovedAgent {
            status: "removed".to_owned(),
            agent_id: agent.id,
        })
    }

    /// Moves a workspace's agent to another one. A workspace gives away its own, and only admins decide for others what
    /// they get: `admin` says which it is.
    ///
    /// # Errors
    /// [`AgentError`]; nothing changed.
    pub async fn relocate(&self, from: WorkspaceId, to: &str, admin: bool) -> Result<MovedAgent, AgentError> {
        let to: WorkspaceId = to.parse().map_err(|_| AgentError::BadRequest)?;
        if !admin {
            return Err(AgentError::Foreign);
        }
        let events = move |agent: &Agent| {
            let (left, came) = (
                OtherEnd::Target {
                    target_workspace_id: to,
                },
                OtherEnd::Source {
                    source_workspace_id: from,
                },
            );
            vec![moved(from, agent, left), moved(to, agent, came)]
        };
        let changed = self.ground.store.move_agent(from, to, events).await?;
        let agent = match changed {
            Err(Refusal::Occupied) => return Err(AgentError::TargetOccupied),
            other => self.settled(other, AgentError::NoneToMove).await?,
        };
        Ok(MovedAgent {
            agent_id: agent.id,
            model: agent.model,
            from_workspace: from,
            to_workspace: to,
        })
    }

    /// What came of a change, once its events were published; `vacant` is what a workspace without an agent means.
    async fn settled<T>(&self, changed: Result<(T, Seq), Refusal>, vacant: AgentError) -> Result<T, AgentError> {
        match changed {
            Ok((outcome, seq)) => {
                self.ground.events.passed(seq).await;
                Ok(outcome)
            }
            Err(Refusal::UnknownWorkspace) => Err(AgentError::NotFound),
            Err(Refusal::Occupied) => Err(AgentError::Occupied),
            Err(Refusal::UnknownTarget) => Err(AgentError::TargetNotFound),
            Err(Refusal::Vacant) => Err(vacant),
        }
    }
}

fn checked(model: &str) -> Result<String, AgentError> {
    let model = model.trim().to_owned();
    if model.is_empty() || model.len() > limits::MODEL_BYTES {
        return Err(AgentError::BadRequest);
    }
    Ok(model)
}

fn assigned(agent: &Agent) -> event::Assigned {
    event::Assigned {
        agent_id: agent.id,
        model: agent.model.clone(),
    }
}

/// A move as one end of it tells.
fn moved(workspace: WorkspaceId, agent: &Agent, other_end: OtherEnd) -> NewEvent {
    let moved = event::MovedAgent {
        agent_id: agent.id,
        model: agent.model.clone(),
        other_end,
    };
    NewEvent::of(workspace, Event::AgentMoved(moved))
}
