//! The order of changes to the tree on PostgreSQL, where two transactions that each look fine can together leave a
//! cycle, or a living child of a removed parent. Taken before any row lock.

use molecule_core::{WorkspaceId, WorkspaceStatus};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter};

use crate::{StoreError, entities::workspace};

/// Key of the advisory lock.
const KEY: i64 = 0x6d6f_6c65_7472_6565;

/// For changes of the tree itself: re-parenting, removal, purge.
pub(super) async fn lock(tx: &DatabaseTransaction) -> Result<(), StoreError> {
    Ok(molecule_db::lock(tx, KEY).await?)
}

/// For a new leaf: many at once, but not during a change.
pub(super) async fn lock_shared(tx: &DatabaseTransaction) -> Result<(), StoreError> {
    Ok(molecule_db::lock_shared(tx, KEY).await?)
}

/// A parent must exist and not be removed.
pub(super) async fn require_parent(tx: &DatabaseTransaction, parent: WorkspaceId) -> Result<(), StoreError> {
    let live = workspace::Entity::find_by_id(parent.uuid())
        .filter(workspace::Column::Status.ne(WorkspaceStatus::Removed.as_str()))
        .count(tx)
        .await?;
    if live == 0 {
        Err(StoreError::UnknownParent)
    } else {
        Ok(())
    }
}
