//! Sealing stored values anew with another key. Values stay what they are: nothing is due for a restart, and no time of
//! a change moves.

use molecule_core::WorkspaceId;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};

use super::{GCM, Sealed};
use crate::{
    Store, StoreError,
    entities::{global_secret, workspace, workspace_secret},
};

/// Where a sealed value is kept. In order, as they are looked through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A secret of every workspace.
    Global(String),
    /// A secret of one workspace.
    Workspace(WorkspaceId, String),
    /// What the platform presents to a workspace.
    Inbound(WorkspaceId),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Global(key) => write!(f, "global:{key}"),
            Self::Workspace(id, key) => write!(f, "workspace:{id}:{key}"),
            Self::Inbound(id) => write!(f, "inbound:{id}"),
        }
    }
}

/// A value sealed anew.
#[derive(Debug, Clone)]
pub struct Resealed {
    /// Where it is kept.
    pub place: Place,
    /// What was there when it was read.
    pub old: Sealed,
    /// What is to be there.
    pub new: Sealed,
}

impl Store {
    /// Values that another key than `current` sealed, or none, beyond a place; at most `limit`.
    ///
    /// # Errors
    /// A query failed.
    pub async fn sealed_by_others(
        &self,
        current: &str,
        after: Option<&Place>,
        limit: u64,
    ) -> Result<Vec<(Place, Sealed)>, StoreError> {
        let mut found = Vec::new();
        if matches!(after, None | Some(Place::Global(_))) {
            found = self.global_by_others(current, after, limit).await?;
        }
        if found.is_empty() && !matches!(after, Some(Place::Inbound(_))) {
            found = self.own_by_others(current, after, limit).await?;
        }
        if found.is_empty() {
            found = self.inbound_by_others(current, after, limit).await?;
        }
        Ok(found)
    }

    async fn global_by_others(
        &self,
        current: &str,
        after: Option<&Place>,
        limit: u64,
    ) -> Result<Vec<(Place, Sealed)>, StoreError> {
        use global_secret::Column;
        let others = Condition::any()
            .add(Column::KeyId.ne(current))
            .add(Column::EncryptionVersion.ne(GCM));
        let mut rows = global_secret::Entity::find().filter(others);
        if let Some(Place::Global(key)) = after {
            rows = rows.filter(Column::Key.gt(key.as_str()));
        }
        let rows = rows
            .order_by_asc(Column::Key)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        let of = |row: global_secret::Model| {
            let sealed = Sealed {
                bytes: row.value,
                version: row.encryption_version,
                key_id: row.key_id,
            };
            (Place::Global(row.key), sealed)
        };
        Ok(rows.into_iter().map(of).collect())
    }

    async fn own_by_others(
        &self,
        current: &str,
        after: Option<&Place>,
        limit: u64,
    ) -> Result<Vec<(Place, Sealed)>, StoreError> {
        use workspace_secret::Column;
        let others = Condition::any()
            .add(Column::KeyId.ne(current))
            .add(Column::EncryptionVersion.ne(GCM));
        let mut rows = workspace_secret::Entity::find().filter(others);
        if let Some(Place::Workspace(id, key)) = after {
            let same = Condition::all()
                .add(Column::WorkspaceId.eq(id.uuid()))
                .add(Column::Key.gt(key.as_str()));
            rows = rows.filter(Condition::any().add(Column::WorkspaceId.gt(id.uuid())).add(same));
        }
        let rows = rows
            .order_by_asc(Column::WorkspaceId)
            .order_by_asc(Column::Key)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        let of = |row: workspace_secret::Model| {
            let sealed = Sealed {
                bytes: row.value,
                version: row.encryption_version,
                key_id: row.key_id,
            };
            (
                Place::Workspace(WorkspaceId::from_uuid(row.workspace_id), row.key),
                sealed,
            )
        };
        Ok(rows.into_iter().map(of).collect())
    }

    async fn inbound_by_others(
        &self,
        current: &str,
        after: Option<&Place>,
        limit: u64,
    ) -> Result<Vec<(Place, Sealed)>, StoreError> {
        use workspace::Column;
        let others = Condition::any()
            .add(Column::InboundSecretKey.ne(current))
            .add(Column::InboundSecretKey.is_null());
        let mut rows = workspace::Entity::find()
            .select_only()
            .columns([Column::Id, Column::InboundSecret, Column::InboundSecretKey])
            .filter(Column::InboundSecret.is_not_null())
            // Empty is absent (SEC-113).
            .filter(Column::InboundSecret.ne(Vec::<u8>::new()))
            .filter(others);
        if let Some(Place::Inbound(id)) = after {
            rows = rows.filter(Column::Id.gt(id.uuid()));
        }
        let rows: Vec<(uuid::Uuid, Vec<u8>, Option<String>)> = rows
            .order_by_asc(Column::Id)
            .limit(limit)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        let of = |(id, bytes, key_id): (uuid::Uuid, Vec<u8>, Option<String>)| {
            let sealed = Sealed {
                bytes,
                version: GCM,
                key_id: key_id.unwrap_or_default(),
            };
            (Place::Inbound(WorkspaceId::from_uuid(id)), sealed)
        };
        Ok(rows.into_iter().map(of).collect())
    }

    /// Puts values that were sealed anew in the place of the old ones, in one transaction; those that changed meanwhile
    /// are left as they are. Returns how many were replaced.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn reseal(&self, values: Vec<Resealed>) -> Result<u64, StoreError> {
        let owners: Vec<_> = values
            .iter()
            .filter_map(|value| match &value.place {
                Place::Inbound(id) => Some(*id),
                Place::Global(_) | Place::Workspace(..) => None,
            })
            .collect();
        let _told: Vec<_> = owners.into_iter().map(|id| self.changes.telling(id)).collect();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let mut replaced = 0;
                    for value in values {
                        replaced += replace(tx, value).await?;
                    }
                    Ok(replaced)
                })
            })
            .await
    }
}

async fn replace(tx: &DatabaseTransaction, Resealed { place, old, new }: Resealed) -> Result<u64, StoreError> {
    let done = match place {
        Place::Global(key) => {
            use global_secret::Column;
            global_secret::Entity::update_many()
                .col_expr(Column::Value, Expr::value(new.bytes))
                .col_expr(Column::EncryptionVersion, Expr::value(new.version))
                .col_expr(Column::KeyId, Expr::value(new.key_id))
                .filter(Column::Key.eq(key))
                .filter(Column::Value.eq(old.bytes))
                .exec(tx)
                .await?
        }
        Place::Workspace(id, key) => {
            use workspace_secret::Column;
            workspace_secret::Entity::update_many()
                .col_expr(Column::Value, Expr::value(new.bytes))
                .col_expr(Column::EncryptionVersion, Expr::value(new.version))
                .col_expr(Column::KeyId, Expr::value(new.key_id))
                .filter(Column::WorkspaceId.eq(id.uuid()))
                .filter(Column::Key.eq(key))
                .filter(Column::Value.eq(old.bytes))
                .exec(tx)
                .await?
        }
        Place::Inbound(id) => {
            use workspace::Column;
            workspace::Entity::update_many()
                .col_expr(Column::InboundSecret, Expr::value(new.bytes))
                .col_expr(Column::InboundSecretKey, Expr::value(new.key_id))
                .filter(Column::Id.eq(id.uuid()))
                .filter(Column::InboundSecret.eq(old.bytes))
                .exec(tx)
                .await?
        }
    };
    Ok(done.rows_affected)
}
