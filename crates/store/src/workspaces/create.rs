use molecule_core::{
    DeliveryMode, Runtime, Timestamp, WorkspaceId, WorkspaceStatus, text::storable, validate::WorkspaceAccess,
};
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait, Set};

use super::tree;
use crate::{
    Store, StoreError,
    entities::{layout, pulse, workspace},
    events::{self, NewEvent, Seq},
    secrets::{self, NewSecret, Sealed},
    tokens::{self, NewToken},
};

/// A workspace about to be created.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields are the record table of lifecycle.md §1")]
pub struct NewWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    pub role: Option<String>,
    pub tier: i32,
    pub runtime: Runtime,
    pub status: WorkspaceStatus,
    pub parent_id: Option<WorkspaceId>,
    pub template: Option<String>,
    pub agent_card: Option<String>,
    pub url: String,
    pub delivery_mode: Option<DeliveryMode>,
    pub workspace_dir: Option<String>,
    pub workspace_access: WorkspaceAccess,
    pub budget_limit: Option<i64>,
    pub max_concurrent_tasks: i32,
    /// See [`super::StartPlan`].
    pub start_files: Option<String>,
    /// Present from the start for external workspaces, minted by the start door for managed ones.
    pub inbound_secret: Option<Sealed>,
    pub layout: NewLayout,
    pub secrets: Vec<NewSecret>,
    pub token: Option<NewToken>,
    /// Recorded with the row, in order.
    pub events: Vec<NewEvent>,
}

/// Where a new workspace stands on the canvas.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NewLayout {
    /// Pixels to the right.
    pub x: f64,
    /// Pixels down.
    pub y: f64,
}

impl Store {
    /// Creates a workspace with its layout, secrets, token and events in one transaction (LIFE-66).
    ///
    /// # Errors
    /// [`StoreError::UnknownParent`] when the parent is unknown or removed; otherwise the insert failed. Nothing was
    /// stored.
    pub async fn create_workspace(&self, new: NewWorkspace) -> Result<Seq, StoreError> {
        let at = self.clock.now();
        self.db
            .tx(|tx| Box::pin(async move { insert(tx, new, at).await }))
            .await
    }
}

async fn insert(tx: &DatabaseTransaction, new: NewWorkspace, at: Timestamp) -> Result<Seq, StoreError> {
    if let Some(parent) = new.parent_id {
        tree::lock_shared(tx).await?;
        tree::require_parent(tx, parent).await?;
    }
    let at = at.micros();
    let id = new.id.uuid();
    workspace::Entity::insert(workspace::ActiveModel {
        id: Set(id),
        name: Set(storable(&new.name).into_owned()),
        role: Set(new.role.map(|role| storable(&role).into_owned())),
        tier: Set(new.tier),
        runtime: Set(new.runtime.as_str().to_owned()),
        status: Set(new.status.as_str().to_owned()),
        parent_id: Set(new.parent_id.map(WorkspaceId::uuid)),
        forwarded_to: Set(None),
        awareness_namespace: Set(format!("workspace:{}", new.id)),
        source_bundle_id: Set(None),
        template: Set(new.template),
        agent_card: Set(new.agent_card),
        url: Set(new.url),
        url_assigned: Set(false),
        delivery_mode: Set(new.delivery_mode.map(|mode| mode.as_str().to_owned())),
        instance_ref: Set(None),
        start_files: Set(new.start_files),
        reset_session: Set(false),
        restart_due: Set(false),
        inbound_secret_key: Set(new.inbound_secret.as_ref().map(|sealed| sealed.key_id.clone())),
        inbound_secret: Set(new.inbound_secret.map(|sealed| sealed.bytes)),
        runtime_image_digest: Set(None),
        workspace_dir: Set(new.workspace_dir),
        workspace_access: Set(new.workspace_access.as_str().to_owned()),
        budget_limit: Set(new.budget_limit),
        max_concurrent_tasks: Set(new.max_concurrent_tasks),
        hibernation_idle_minutes: Set(None),
        generation: Set(0),
        version: Set(0),
        status_changed_at: Set(at),
        created_at: Set(at),
        updated_at: Set(at),
    })
    .exec_without_returning(tx)
    .await?;
    layout::Entity::insert(layout::ActiveModel {
        workspace_id: Set(id),
        x: Set(new.layout.x),
        y: Set(new.layout.y),
        collapsed: Set(false),
    })
    .exec_without_returning(tx)
    .await?;
    empty_pulse(tx, id).await?;
    for secret in new.secrets {
        secrets::upsert(tx, new.id, secret).await?;
    }
    if let Some(token) = new.token {
        tokens::insert(tx, new.id, token).await?;
    }
    events::append(tx, new.events).await
}

/// Every workspace has a pulse row from the start, so that updates of single columns find it.
async fn empty_pulse(tx: &DatabaseTransaction, id: uuid::Uuid) -> Result<(), DbErr> {
    pulse::Entity::insert(pulse::ActiveModel {
        workspace_id: Set(id),
        ..Default::default()
    })
    .exec_without_returning(tx)
    .await?;
    Ok(())
}
