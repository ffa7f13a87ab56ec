use molecule_core::{
    Timestamp, WorkspaceId, WorkspaceStatus,
    event::{self, Event},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, Statement, Value, sea_query::LockType,
};
use std::collections::HashSet;
use uuid::Uuid;

use super::{belongings::Belongings, read, tree};
use crate::{
    Store, StoreError,
    entities::{layout, workspace},
    events::{self, NewEvent, Seq},
    tokens,
};

/// Rows of one statement: parameters are bounded on both engines.
const CHUNK: usize = 500;

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Position of the last event; `Seq(0)` when nothing changed.
    pub seq: Seq,
    /// The workspace and its subtree, root first. When the root had been removed before, its removed subtree, so that
    /// stops can be tried again (OP-10).
    pub scope: Vec<WorkspaceId>,
    /// Descendants removed by this call.
    pub cascade: u64,
}

/// What a collapse did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collapsed {
    /// Position of the last event.
    pub seq: Seq,
    /// Everything below the workspace, also what had been removed before, so that stops can be tried again (OP-11).
    pub scope: Vec<WorkspaceId>,
    /// Names of the children that this call removed.
    pub children: Vec<String>,
}

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// Workspace rows deleted.
    pub rows: u64,
}

impl Store {
    /// Marks a workspace and its live subtree removed, drops layouts, revokes tokens and records the events, in one
    /// transaction (LIFE-101, LIFE-102, LIFE-107). `None`: unknown id.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn remove_subtree(&self, root: WorkspaceId) -> Result<Option<Removed>, StoreError> {
        let at = self.clock.now();
        let removed = self
            .db
            .tx(|tx| Box::pin(async move { remove(tx, root, at).await }))
            .await?;
        for id in removed.iter().flat_map(|removed| &removed.scope) {
            self.changes.gone(*id);
        }
        Ok(removed)
    }

    /// Marks everything below a workspace removed, as [`Store::remove_subtree`] does, and records that it lost its team
    /// (LIFE-168, OP-11). `None`: the workspace is unknown or removed.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn remove_below(&self, root: WorkspaceId) -> Result<Option<Collapsed>, StoreError> {
        let at = self.clock.now();
        let collapsed = self
            .db
            .tx(|tx| Box::pin(async move { remove_children(tx, root, at).await }))
            .await?;
        for id in collapsed.iter().flat_map(|collapsed| &collapsed.scope) {
            self.changes.gone(*id);
        }
        Ok(collapsed)
    }

    /// Deletes removed workspaces with everything that belongs to them (LIFE-111); ids that are unknown or not removed
    /// are left alone. Events stay. Activity goes first and in batches, because others wait while one is deleted.
    ///
    /// # Errors
    /// The workspaces are still there, perhaps without some of their activity.
    pub async fn purge(&self, ids: Vec<WorkspaceId>) -> Result<Purged, StoreError> {
        for chunk in ids.chunks(CHUNK) {
            let statement = activity_of_removed(self.db.backend(), chunk);
            loop {
                let statement = statement.clone();
                let batch = self
                    .db
                    .tx(|tx| Box::pin(async move { tx.execute_raw(statement).await }));
                if batch.await?.rows_affected() == 0 {
                    break;
                }
            }
        }
        let told = ids.clone();
        let purged = self.db.tx(|tx| Box::pin(async move { purge(tx, ids).await })).await?;
        told.into_iter().for_each(|id| self.changes.changed(id));
        Ok(purged)
    }
}

async fn remove(tx: &DatabaseTransaction, root: WorkspaceId, at: Timestamp) -> Result<Option<Removed>, StoreError> {
    // Or a child created meanwhile would live on below a removed parent.
    tree::lock(tx).await?;
    let Some(row) = workspace::Entity::find_by_id(root.uuid()).one(tx).await? else {
        return Ok(None);
    };
    let again = row.status == WorkspaceStatus::Removed.as_str();
    let below = read::descendants(tx, root, again).await?;
    let mut scope = vec![root];
    scope.extend(below.iter().map(|row| row.id));
    let changed = mark_removed(tx, &scope, at).await?;
    // Only rows that changed have an event (LIFE-36).
    let mut records: Vec<NewEvent> = below
        .iter()
        .filter(|row| changed.contains(&row.id))
        .map(|row| removed_event(row.id, None))
        .collect();
    let cascade = u64::try_from(records.len()).unwrap_or(u64::MAX);
    if changed.contains(&root) {
        records.push(removed_event(root, Some(cascade)));
    }
    let seq = events::append(tx, records).await?;
    Ok(Some(Removed { seq, scope, cascade }))
}

async fn remove_children(
    tx: &DatabaseTransaction,
    root: WorkspaceId,
    at: Timestamp,
) -> Result<Option<Collapsed>, StoreError> {
    tree::lock(tx).await?;
    match workspace::Entity::find_by_id(root.uuid()).one(tx).await? {
        Some(row) if row.status != WorkspaceStatus::Removed.as_str() => {}
        _ => return Ok(None),
    }
    let below = read::descendants(tx, root, true).await?;
    let scope: Vec<_> = below.iter().map(|row| row.id).collect();
    let changed = mark_removed(tx, &scope, at).await?;
    let removed = || below.iter().filter(|row| changed.contains(&row.id));
    let children: Vec<String> = removed()
        .filter(|row| row.parent_id == Some(root))
        .map(|row| row.name.clone())
        .collect();
    let mut records: Vec<NewEvent> = removed().map(|row| removed_event(row.id, None)).collect();
    let collapsed = event::Collapsed {
        removed_children: children.clone(),
    };
    records.push(NewEvent::of(root, Event::WorkspaceCollapsed(collapsed)));
    let seq = events::append(tx, records).await?;
    Ok(Some(Collapsed { seq, scope, children }))
}

fn removed_event(workspace_id: WorkspaceId, cascade_deleted: Option<u64>) -> NewEvent {
    let payload = event::Removed { cascade_deleted };
    NewEvent::of(workspace_id, Event::WorkspaceRemoved(payload))
}

#[derive(FromQueryResult)]
struct IdRow {
    id: Uuid,
}

/// Removes those of `ids` that are not removed yet, with their layouts and tokens; returns which they were.
async fn mark_removed(
    tx: &DatabaseTransaction,
    ids: &[WorkspaceId],
    at: Timestamp,
) -> Result<HashSet<WorkspaceId>, StoreError> {
    let backend = tx.get_database_backend();
    let mut changed = Vec::with_capacity(ids.len());
    let mut ordered = ids.to_vec();
    ordered.sort_unstable();
    for chunk in ordered.chunks(CHUNK) {
        lock_rows(tx, chunk).await?;
        let mut values: Vec<Value> = vec![WorkspaceStatus::Removed.as_str().into(), at.micros().into()];
        values.extend(chunk.iter().map(|id| Value::from(id.uuid())));
        let list = (3..=values.len())
            .map(|n| format!("${n}"))
            .collect::<Vec<_>>()
            .join(", ");
        let sql = format!(
            "UPDATE workspaces SET status = $1, url = '', url_assigned = (1 = 0), status_changed_at = $2, updated_at = $2,
             version = version + 1 WHERE id IN ({list}) AND status <> $1 RETURNING id"
        );
        let rows = IdRow::find_by_statement(Statement::from_sql_and_values(backend, sql, values))
            .all(tx)
            .await?;
        changed.extend(rows.into_iter().map(|row| WorkspaceId::from_uuid(row.id)));
        layout::Entity::delete_many()
            .filter(layout::Column::WorkspaceId.is_in(chunk.iter().map(|id| id.uuid())))
            .exec(tx)
            .await?;
    }
    tokens::revoke_all(tx, &changed).await?;
    Ok(changed.into_iter().collect())
}

/// Locks workspaces in the order of ids, as transitions that are committed together do.
async fn lock_rows(tx: &DatabaseTransaction, ids: &[WorkspaceId]) -> Result<(), StoreError> {
    if tx.get_database_backend() == DbBackend::Postgres {
        workspace::Entity::find()
            .select_only()
            .column(workspace::Column::Id)
            .filter(workspace::Column::Id.is_in(ids.iter().map(|id| id.uuid())))
            .order_by_asc(workspace::Column::Id)
            .lock(LockType::NoKeyUpdate)
            .into_model::<IdRow>()
            .all(tx)
            .await?;
    }
    Ok(())
}

/// Deletes a batch of the activity of those workspaces that are removed.
fn activity_of_removed(backend: DbBackend, ids: &[WorkspaceId]) -> Statement {
    let mut values: Vec<Value> = vec![WorkspaceStatus::Removed.as_str().into()];
    values.extend(ids.iter().map(|id| Value::from(id.uuid())));
    let list = (2..=values.len())
        .map(|n| format!("${n}"))
        .collect::<Vec<_>>()
        .join(", ");
    let sql = format!(
        "DELETE FROM activity_logs WHERE seq IN (SELECT a.seq FROM activity_logs a WHERE a.workspace_id IN
         (SELECT w.id FROM workspaces w WHERE w.status = $1 AND w.id IN ({list})) LIMIT {CHUNK})"
    );
    Statement::from_sql_and_values(backend, sql, values)
}

async fn purge(tx: &DatabaseTransaction, ids: Vec<WorkspaceId>) -> Result<Purged, StoreError> {
    tree::lock(tx).await?;
    let backend = tx.get_database_backend();
    let belongings = Belongings::read(tx).await?;
    let mut rows = 0;
    for chunk in ids.chunks(CHUNK) {
        let removed = removed_among(tx, chunk).await?;
        if removed.is_empty() {
            continue;
        }
        let list = (1..=removed.len())
            .map(|n| format!("${n}"))
            .collect::<Vec<_>>()
            .join(", ");
        for (table, column) in &belongings.deleted {
            let sql = format!("DELETE FROM {table} WHERE {column} IN ({list})");
            tx.execute_raw(Statement::from_sql_and_values(backend, sql, removed.clone()))
                .await?;
        }
        for column in &belongings.cleared {
            let sql = format!("UPDATE workspaces SET {column} = NULL WHERE {column} IN ({list})");
            tx.execute_raw(Statement::from_sql_and_values(backend, sql, removed.clone()))
                .await?;
        }
        let sql = format!("DELETE FROM workspaces WHERE id IN ({list})");
        rows += tx
            .execute_raw(Statement::from_sql_and_values(backend, sql, removed))
            .await?
            .rows_affected();
    }
    Ok(Purged { rows })
}

/// Those of `ids` that are removed, locked, so that a restoration cannot come between (LIFE-199).
async fn removed_among(tx: &DatabaseTransaction, ids: &[WorkspaceId]) -> Result<Vec<Value>, StoreError> {
    let rows = workspace::Entity::find()
        .select_only()
        .column(workspace::Column::Id)
        .filter(workspace::Column::Id.is_in(ids.iter().map(|id| id.uuid())))
        .filter(workspace::Column::Status.eq(WorkspaceStatus::Removed.as_str()))
        .order_by_asc(workspace::Column::Id)
        .lock_exclusive()
        .into_model::<IdRow>()
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| row.id.into()).collect())
}
