use molecule_core::{
    DeliveryMode, Runtime, Timestamp, Word, WorkspaceId, WorkspaceStatus, text::storable, validate::WorkspaceAccess,
};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, Set,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use super::{NewUrl, read, tree};
use crate::{
    Store, StoreError,
    entities::{layout, workspace},
    events::{self, NewEvent, Seq},
    secrets::Sealed,
};

/// Fields of a PATCH, validated. Outer `None` leaves a field as it is; inner `None` clears it.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the record table of lifecycle.md §1")]
pub struct WorkspacePatch {
    pub name: Option<String>,
    pub role: Option<Option<String>>,
    pub tier: Option<i32>,
    pub parent_id: Option<Option<WorkspaceId>>,
    pub runtime: Option<Word<Runtime>>,
    pub workspace_dir: Option<Option<String>>,
    pub workspace_access: Option<WorkspaceAccess>,
    pub hibernation_idle_minutes: Option<Option<i32>>,
    pub max_concurrent_tasks: Option<i32>,
    pub collapsed: Option<bool>,
    pub position: Option<(f64, f64)>,
}

impl Store {
    /// Applies a PATCH in one transaction (OP-1). `false`: unknown or removed, nothing changed.
    ///
    /// # Errors
    /// [`StoreError::UnknownParent`], [`StoreError::CyclicParent`], or the write failed. Nothing changed.
    pub async fn patch_workspace(&self, id: WorkspaceId, patch: WorkspacePatch) -> Result<bool, StoreError> {
        let _told = self.changes.telling(id);
        let at = self.clock.now();
        self.db
            .tx(|tx| Box::pin(async move { apply(tx, id, patch, at).await }))
            .await
    }

    /// Stores the agent's card (REG-70). `None`: unknown or removed.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_agent_card(
        &self,
        id: WorkspaceId,
        card: String,
        event: NewEvent,
    ) -> Result<Option<Seq>, StoreError> {
        let set = vec![(workspace::Column::AgentCard, Expr::value(card))];
        self.set_columns(id, set, vec![event]).await
    }

    /// Refreshes address, card and mode of a workspace whose status a registration does not change (OP-3).
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn refresh_registration(
        &self,
        id: WorkspaceId,
        url: Option<NewUrl>,
        card: String,
        mode: DeliveryMode,
    ) -> Result<bool, StoreError> {
        let mut set = vec![
            (workspace::Column::AgentCard, Expr::value(card)),
            (workspace::Column::DeliveryMode, Expr::value(mode.as_str())),
        ];
        if let Some(NewUrl { url, assigned }) = url {
            set.push((workspace::Column::Url, Expr::value(url)));
            set.push((workspace::Column::UrlAssigned, Expr::value(assigned)));
        }
        Ok(self.set_columns(id, set, Vec::new()).await?.is_some())
    }

    /// Stores where a started instance is, if it is still the workspace's incarnation (D17). `false`: it is not.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_instance(
        &self,
        id: WorkspaceId,
        generation: i64,
        url: Option<NewUrl>,
        instance_ref: Option<String>,
    ) -> Result<bool, StoreError> {
        let _told = self.changes.telling(id);
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let mut update = workspace::Entity::update_many()
                        .col_expr(workspace::Column::InstanceRef, Expr::value(instance_ref))
                        .col_expr(workspace::Column::Version, Expr::col(workspace::Column::Version).add(1))
                        .filter(workspace::Column::Id.eq(id.uuid()))
                        .filter(workspace::Column::Generation.eq(generation))
                        .filter(workspace::Column::Status.ne(WorkspaceStatus::Removed.as_str()));
                    if let Some(NewUrl { url, assigned }) = url {
                        update = update
                            .col_expr(workspace::Column::Url, Expr::value(url))
                            .col_expr(workspace::Column::UrlAssigned, Expr::value(assigned));
                    }
                    Ok(update.exec(tx).await?.rows_affected == 1)
                })
            })
            .await
    }

    /// Stores a new inbound secret (SEC-111). `false`: unknown or removed.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_inbound_secret(&self, id: WorkspaceId, secret: Sealed) -> Result<bool, StoreError> {
        let set = vec![
            (workspace::Column::InboundSecret, Expr::value(secret.bytes)),
            (workspace::Column::InboundSecretKey, Expr::value(secret.key_id)),
        ];
        Ok(self.set_columns(id, set, Vec::new()).await?.is_some())
    }

    pub(super) async fn set_columns(
        &self,
        id: WorkspaceId,
        columns: Vec<(workspace::Column, Expr)>,
        events: Vec<NewEvent>,
    ) -> Result<Option<Seq>, StoreError> {
        let _told = self.changes.telling(id);
        let at = self.clock.now();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    if !update_live(tx, id, columns, at).await? {
                        return Ok(None);
                    }
                    events::append(tx, events).await.map(Some)
                })
            })
            .await
    }
}

/// Updates a row unless it is removed; `false` when there was nothing to update (LIFE-9).
async fn update_live(
    tx: &DatabaseTransaction,
    id: WorkspaceId,
    columns: Vec<(workspace::Column, Expr)>,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let mut update = workspace::Entity::update_many()
        .col_expr(workspace::Column::UpdatedAt, Expr::value(at.micros()))
        .col_expr(workspace::Column::Version, Expr::col(workspace::Column::Version).add(1))
        .filter(workspace::Column::Id.eq(id.uuid()))
        .filter(workspace::Column::Status.ne(WorkspaceStatus::Removed.as_str()));
    for (column, value) in columns {
        update = update.col_expr(column, value);
    }
    Ok(update.exec(tx).await?.rows_affected == 1)
}

async fn apply(
    tx: &DatabaseTransaction,
    id: WorkspaceId,
    patch: WorkspacePatch,
    at: Timestamp,
) -> Result<bool, StoreError> {
    use workspace::Column;
    let mount = patch.workspace_dir.is_some() || patch.workspace_access.is_some();
    let mut columns: Vec<(Column, Expr)> = Vec::new();
    columns.extend(
        patch
            .name
            .map(|v| (Column::Name, Expr::value(storable(&v).into_owned()))),
    );
    columns.extend(
        patch
            .role
            .map(|v| (Column::Role, Expr::value(v.map(|v| storable(&v).into_owned())))),
    );
    columns.extend(patch.tier.map(|v| (Column::Tier, Expr::value(v))));
    columns.extend(
        patch
            .runtime
            .map(|v| (Column::Runtime, Expr::value(v.as_str().to_owned()))),
    );
    columns.extend(patch.workspace_dir.map(|v| (Column::WorkspaceDir, Expr::value(v))));
    columns.extend(
        patch
            .workspace_access
            .map(|v| (Column::WorkspaceAccess, Expr::value(v.as_str()))),
    );
    columns.extend(
        patch
            .hibernation_idle_minutes
            .map(|v| (Column::HibernationIdleMinutes, Expr::value(v))),
    );
    columns.extend(
        patch
            .max_concurrent_tasks
            .map(|v| (Column::MaxConcurrentTasks, Expr::value(v))),
    );
    if let Some(parent) = patch.parent_id {
        check_parent(tx, id, parent).await?;
        columns.push((Column::ParentId, Expr::value(parent.map(WorkspaceId::uuid))));
    }
    if !update_live(tx, id, columns, at).await? {
        return Ok(false);
    }
    if mount {
        check_mount(tx, id).await?;
    }
    if patch.collapsed.is_some() || patch.position.is_some() {
        upsert_layout(tx, id, patch.collapsed, patch.position).await?;
    }
    Ok(true)
}

/// Access is given to a directory (OP-1).
async fn check_mount(tx: &DatabaseTransaction, id: WorkspaceId) -> Result<(), StoreError> {
    use workspace::Column;
    let bare = workspace::Entity::find_by_id(id.uuid())
        .filter(Column::WorkspaceDir.is_null())
        .filter(Column::WorkspaceAccess.ne(WorkspaceAccess::None.as_str()));
    match bare.count(tx).await? {
        0 => Ok(()),
        _ => Err(StoreError::AccessWithoutDirectory),
    }
}

/// A parent must exist, live, and not be the workspace itself or one of its descendants (OP-1).
async fn check_parent(
    tx: &DatabaseTransaction,
    id: WorkspaceId,
    parent: Option<WorkspaceId>,
) -> Result<(), StoreError> {
    let Some(parent) = parent else { return Ok(()) };
    // Two re-parentings at once could close a cycle that neither sees.
    tree::lock(tx).await?;
    tree::require_parent(tx, parent).await?;
    let below = read::descendants(tx, id, true).await?;
    if parent == id || below.iter().any(|row| row.id == parent) {
        return Err(StoreError::CyclicParent);
    }
    Ok(())
}

async fn upsert_layout(
    tx: &DatabaseTransaction,
    id: WorkspaceId,
    collapsed: Option<bool>,
    position: Option<(f64, f64)>,
) -> Result<(), StoreError> {
    let (x, y) = position.unwrap_or_default();
    let mut replaced = Vec::new();
    if position.is_some() {
        replaced.extend([layout::Column::X, layout::Column::Y]);
    }
    if collapsed.is_some() {
        replaced.push(layout::Column::Collapsed);
    }
    let row = layout::ActiveModel {
        workspace_id: Set(id.uuid()),
        x: Set(x),
        y: Set(y),
        collapsed: Set(collapsed.unwrap_or_default()),
    };
    let replace = OnConflict::column(layout::Column::WorkspaceId)
        .update_columns(replaced)
        .to_owned();
    layout::Entity::insert(row)
        .on_conflict(replace)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
