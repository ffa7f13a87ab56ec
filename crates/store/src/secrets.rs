//! Secrets, sealed by the caller: the store never sees a plaintext (D5).

mod reseal;

pub use reseal::{Place, Resealed};

use molecule_core::{Timestamp, WorkspaceId, model::Origin};
use molecule_db::now;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::OnConflict,
};

use crate::{
    Store, StoreError,
    entities::{global_secret, workspace_secret},
    workspaces::start,
};

/// `encryption_version` of AES-256-GCM.
pub const GCM: i32 = 1;

/// An encrypted value with what is needed to open it again.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Nonce, ciphertext and tag (SEC-131).
    pub bytes: Vec<u8>,
    /// How it is encrypted; 0 is plaintext of an older product, 1 AES-256-GCM.
    pub version: i32,
    /// Which key sealed it (D5).
    pub key_id: String,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed")
            .field("version", &self.version)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A secret about to be stored.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// Environment name.
    pub key: String,
    /// The value, sealed.
    pub value: Sealed,
    /// Chosen or derived.
    pub origin: Origin,
}

/// A stored secret.
#[derive(Debug, Clone)]
pub struct SecretRow {
    /// Environment name.
    pub key: String,
    /// The value, sealed.
    pub value: Sealed,
    /// Chosen or derived; global secrets are always chosen.
    pub origin: Origin,
    /// First stored.
    pub created_at: Timestamp,
    /// Last stored.
    pub updated_at: Timestamp,
}

impl From<workspace_secret::Model> for SecretRow {
    fn from(row: workspace_secret::Model) -> Self {
        Self {
            key: row.key,
            value: Sealed {
                bytes: row.value,
                version: row.encryption_version,
                key_id: row.key_id,
            },
            origin: Origin::parse(&row.origin).unwrap_or(Origin::Set),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        }
    }
}

impl From<global_secret::Model> for SecretRow {
    fn from(row: global_secret::Model) -> Self {
        Self {
            key: row.key,
            value: Sealed {
                bytes: row.value,
                version: row.encryption_version,
                key_id: row.key_id,
            },
            origin: Origin::Set,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        }
    }
}

/// Inserts or replaces; the encryption columns always match the value (PROV-116).
pub(crate) async fn upsert(
    tx: &DatabaseTransaction,
    workspace: WorkspaceId,
    secret: NewSecret,
) -> Result<(), StoreError> {
    use workspace_secret::Column;
    let at = now().micros();
    let row = workspace_secret::ActiveModel {
        workspace_id: Set(workspace.uuid()),
        key: Set(secret.key),
        value: Set(secret.value.bytes),
        encryption_version: Set(secret.value.version),
        key_id: Set(secret.value.key_id),
        origin: Set(secret.origin.as_str().to_owned()),
        created_at: Set(at),
        updated_at: Set(at),
    };
    let replace = OnConflict::columns([Column::WorkspaceId, Column::Key])
        .update_columns([
            Column::Value,
            Column::EncryptionVersion,
            Column::KeyId,
            Column::Origin,
            Column::UpdatedAt,
        ])
        .to_owned();
    workspace_secret::Entity::insert(row)
        .on_conflict(replace)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

impl Store {
    /// Is any secret stored that a key has sealed?
    ///
    /// # Errors
    /// The query failed.
    pub async fn has_sealed_secrets(&self) -> Result<bool, StoreError> {
        let global = global_secret::Entity::find()
            .filter(global_secret::Column::EncryptionVersion.ne(0))
            .one(self.db().reader())
            .await?;
        if global.is_some() {
            return Ok(true);
        }
        let own = workspace_secret::Entity::find()
            .filter(workspace_secret::Column::EncryptionVersion.ne(0))
            .one(self.db().reader())
            .await?;
        Ok(own.is_some())
    }

    /// Secrets of a workspace, by key.
    ///
    /// # Errors
    /// The query failed.
    pub async fn workspace_secrets(&self, workspace: WorkspaceId) -> Result<Vec<SecretRow>, StoreError> {
        let rows = workspace_secret::Entity::find()
            .filter(workspace_secret::Column::WorkspaceId.eq(workspace.uuid()))
            .order_by_asc(workspace_secret::Column::Key)
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// One secret of a workspace.
    ///
    /// # Errors
    /// The query failed.
    pub async fn workspace_secret(&self, workspace: WorkspaceId, key: &str) -> Result<Option<SecretRow>, StoreError> {
        let row = workspace_secret::Entity::find_by_id((workspace.uuid(), key.to_owned()))
            .one(self.db.reader())
            .await?;
        Ok(row.map(Into::into))
    }

    /// Stores secrets of a workspace, and deletes others, in one transaction that makes a restart due.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn change_workspace_secrets(
        &self,
        workspace: WorkspaceId,
        put: Vec<NewSecret>,
        delete: Vec<String>,
    ) -> Result<(), StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    for key in delete {
                        workspace_secret::Entity::delete_by_id((workspace.uuid(), key))
                            .exec(tx)
                            .await?;
                    }
                    for secret in put {
                        upsert(tx, workspace, secret).await?;
                    }
                    start::restart_due(tx, workspace).await
                })
            })
            .await
    }

    /// Deletes a secret of a workspace, which makes a restart due; tells whether there was one.
    ///
    /// # Errors
    /// The delete failed.
    pub async fn delete_workspace_secret(&self, workspace: WorkspaceId, key: &str) -> Result<bool, StoreError> {
        let key = key.to_owned();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let done = workspace_secret::Entity::delete_by_id((workspace.uuid(), key))
                        .exec(tx)
                        .await?;
                    if done.rows_affected == 0 {
                        return Ok(false);
                    }
                    start::restart_due(tx, workspace).await?;
                    Ok(true)
                })
            })
            .await
    }

    /// Global secrets, by key, at most `limit`.
    ///
    /// # Errors
    /// The query failed.
    pub async fn global_secrets(&self, limit: u64) -> Result<Vec<SecretRow>, StoreError> {
        let rows = global_secret::Entity::find()
            .order_by_asc(global_secret::Column::Key)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Inserts or replaces a global secret. Makes restarts of the workspaces due that it reaches, and returns these.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn put_global_secret(&self, key: &str, value: Sealed) -> Result<Vec<WorkspaceId>, StoreError> {
        use global_secret::Column;
        let name = key.to_owned();
        let at = now().micros();
        let row = global_secret::ActiveModel {
            key: Set(key.to_owned()),
            value: Set(value.bytes),
            encryption_version: Set(value.version),
            key_id: Set(value.key_id),
            created_at: Set(at),
            updated_at: Set(at),
        };
        let replace = OnConflict::column(Column::Key)
            .update_columns([
                Column::Value,
                Column::EncryptionVersion,
                Column::KeyId,
                Column::UpdatedAt,
            ])
            .to_owned();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    global_secret::Entity::insert(row)
                        .on_conflict(replace)
                        .exec_without_returning(tx)
                        .await?;
                    start::restarts_due(tx, &name).await
                })
            })
            .await
    }

    /// Deletes a global secret, with the effect of [`Store::put_global_secret`]; `None`: there was none.
    ///
    /// # Errors
    /// The delete failed.
    pub async fn delete_global_secret(&self, key: &str) -> Result<Option<Vec<WorkspaceId>>, StoreError> {
        let key = key.to_owned();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let done = global_secret::Entity::delete_by_id(key.clone()).exec(tx).await?;
                    if done.rows_affected == 0 {
                        return Ok(None);
                    }
                    start::restarts_due(tx, &key).await.map(Some)
                })
            })
            .await
    }
}
