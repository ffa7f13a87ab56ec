//! Agents assigned to workspaces (LIFE §13): records only, without effect on runtime or model.

use molecule_core::{AgentId, Timestamp, WorkspaceId, text::storable};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, Set, sea_query::Expr};

use crate::{
    Store, StoreError,
    entities::agent::{self, Column},
    events::{self, NewEvent, Seq},
    tokens::lock_live_workspace,
};

/// What became of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentStatus {
    /// In force; a workspace has at most one such (LIFE-171).
    Active,
    /// Another one took its place.
    Replaced,
    /// Withdrawn.
    Removed,
}

impl AgentStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Replaced, Self::Removed];

    /// The stored spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Replaced => "replaced",
            Self::Removed => "removed",
        }
    }
}

/// An assignment in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Row id.
    pub id: AgentId,
    /// The workspace it is assigned to.
    pub workspace: WorkspaceId,
    /// The model.
    pub model: String,
}

/// Why nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The workspace is unknown or removed.
    UnknownWorkspace,
    /// It has an agent already.
    Occupied,
    /// It has none.
    Vacant,
    /// The workspace an agent was to move to is unknown or removed.
    UnknownTarget,
}

/// What a change came to, and the position of its last event.
pub type Changed<T> = Result<Result<(T, Seq), Refusal>, StoreError>;

impl Store {
    /// The agent of a workspace.
    ///
    /// # Errors
    /// The query failed.
    pub async fn agent(&self, workspace: WorkspaceId) -> Result<Option<Agent>, StoreError> {
        let row = active(workspace).one(self.db.reader()).await?;
        Ok(row.map(Into::into))
    }

    /// Assigns an agent to a workspace without one, and records `events` of it.
    ///
    /// # Errors
    /// The write failed; nothing changed.
    pub async fn assign_agent<E>(&self, workspace: WorkspaceId, model: String, events: E) -> Changed<Agent>
    where
        E: FnOnce(&Agent) -> Vec<NewEvent> + Send + 'static,
    {
        let at = self.clock().now();
        self.db()
            .tx(|tx| {
                Box::pin(async move {
                    if !lock_live_workspace(tx, workspace).await? {
                        return Ok(Err(Refusal::UnknownWorkspace));
                    }
                    if active(workspace).one(tx).await?.is_some() {
                        return Ok(Err(Refusal::Occupied));
                    }
                    let agent = insert(tx, workspace, &model, at).await?;
                    let seq = events::append(tx, events(&agent)).await?;
                    Ok(Ok((agent, seq)))
                })
            })
            .await
    }

    /// Puts another agent in the place of a workspace's; returns the old one and the new one.
    ///
    /// # Errors
    /// The write failed; nothing changed.
    pub async fn replace_agent<E>(&self, workspace: WorkspaceId, model: String, events: E) -> Changed<(Agent, Agent)>
    where
        E: FnOnce(&Agent, &Agent) -> Vec<NewEvent> + Send + 'static,
    {
        let at = self.clock().now();
        self.db()
            .tx(|tx| {
                Box::pin(async move {
                    let old = match occupied(tx, workspace).await? {
                        Ok(old) => old,
                        Err(refusal) => return Ok(Err(refusal)),
                    };
                    end(tx, old.id, AgentStatus::Replaced, "model_replaced", at).await?;
                    let new = insert(tx, workspace, &model, at).await?;
                    let seq = events::append(tx, events(&old, &new)).await?;
                    Ok(Ok(((old, new), seq)))
                })
            })
            .await
    }

    /// Withdraws a workspace's agent.
    ///
    /// # Errors
    /// The write failed; nothing changed.
    pub async fn remove_agent<E>(&self, workspace: WorkspaceId, events: E) -> Changed<Agent>
    where
        E: FnOnce(&Agent) -> Vec<NewEvent> + Send + 'static,
    {
        let at = self.clock().now();
        self.db()
            .tx(|tx| {
                Box::pin(async move {
                    let old = match occupied(tx, workspace).await? {
                        Ok(old) => old,
                        Err(refusal) => return Ok(Err(refusal)),
                    };
                    end(tx, old.id, AgentStatus::Removed, "manual_removal", at).await?;
                    let seq = events::append(tx, events(&old)).await?;
                    Ok(Ok((old, seq)))
                })
            })
            .await
    }

    /// Moves a workspace's agent to another one.
    ///
    /// # Errors
    /// The write failed; nothing changed.
    pub async fn move_agent<E>(&self, from: WorkspaceId, to: WorkspaceId, events: E) -> Changed<Agent>
    where
        E: FnOnce(&Agent) -> Vec<NewEvent> + Send + 'static,
    {
        self.db()
            .tx(|tx| {
                Box::pin(async move {
                    // In the order of ids: two moves that cross must not wait for each other.
                    let first = lock_live_workspace(tx, from.min(to)).await?;
                    let second = lock_live_workspace(tx, from.max(to)).await?;
                    let (source, target) = if from <= to { (first, second) } else { (second, first) };
                    if !target {
                        return Ok(Err(Refusal::UnknownTarget));
                    }
                    let moved = active(from).one(tx).await?.filter(|_| source);
                    let Some(moved) = moved else {
                        return Ok(Err(Refusal::Vacant));
                    };
                    if active(to).one(tx).await?.is_some() {
                        return Ok(Err(Refusal::Occupied));
                    }
                    agent::Entity::update_many()
                        .col_expr(Column::WorkspaceId, Expr::value(to.uuid()))
                        .filter(Column::Id.eq(moved.id))
                        .exec(tx)
                        .await?;
                    let moved = Agent {
                        workspace: to,
                        ..moved.into()
                    };
                    let seq = events::append(tx, events(&moved)).await?;
                    Ok(Ok((moved, seq)))
                })
            })
            .await
    }
}

impl From<agent::Model> for Agent {
    fn from(row: agent::Model) -> Self {
        Self {
            id: AgentId::from_uuid(row.id),
            workspace: WorkspaceId::from_uuid(row.workspace_id),
            model: row.model,
        }
    }
}

fn active(workspace: WorkspaceId) -> sea_orm::Select<agent::Entity> {
    agent::Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.uuid()))
        .filter(Column::Status.eq(AgentStatus::Active.as_str()))
        .limit(1)
}

/// The agent of a workspace, whose row is held until the end of the transaction.
async fn occupied(tx: &DatabaseTransaction, workspace: WorkspaceId) -> Result<Result<Agent, Refusal>, StoreError> {
    if !lock_live_workspace(tx, workspace).await? {
        return Ok(Err(Refusal::Vacant));
    }
    let row = active(workspace).one(tx).await?;
    Ok(row.map(Into::into).ok_or(Refusal::Vacant))
}

async fn insert(
    tx: &DatabaseTransaction,
    workspace: WorkspaceId,
    model: &str,
    at: Timestamp,
) -> Result<Agent, StoreError> {
    let agent = Agent {
        id: AgentId::random(),
        workspace,
        model: storable(model).into_owned(),
    };
    agent::Entity::insert(agent::ActiveModel {
        id: Set(agent.id.uuid()),
        workspace_id: Set(workspace.uuid()),
        model: Set(agent.model.clone()),
        status: Set(AgentStatus::Active.as_str().to_owned()),
        removed_at: Set(None),
        removal_reason: Set(None),
        created_at: Set(at.micros()),
    })
    .exec_without_returning(tx)
    .await?;
    Ok(agent)
}

async fn end(
    tx: &DatabaseTransaction,
    id: AgentId,
    status: AgentStatus,
    reason: &'static str,
    at: Timestamp,
) -> Result<(), StoreError> {
    agent::Entity::update_many()
        .col_expr(Column::Status, Expr::value(status.as_str()))
        .col_expr(Column::RemovedAt, Expr::value(at.micros()))
        .col_expr(Column::RemovalReason, Expr::value(reason))
        .filter(Column::Id.eq(id.uuid()))
        .exec(tx)
        .await?;
    Ok(())
}
