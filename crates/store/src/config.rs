//! What the Config tab shows (LIFE-70).

use molecule_core::WorkspaceId;
use molecule_db::now;
use sea_orm::{EntityTrait, Set, sea_query::OnConflict};
use serde_json::Value;

use crate::{Store, StoreError, entities::config};

impl Store {
    /// Stores a workspace's configuration document, replacing an earlier one.
    ///
    /// # Errors
    /// The write failed.
    pub async fn put_workspace_config(&self, workspace: WorkspaceId, data: &Value) -> Result<(), StoreError> {
        let row = config::ActiveModel {
            workspace_id: Set(workspace.uuid()),
            data: Set(data.to_string()),
            updated_at: Set(now().micros()),
        };
        let replace = OnConflict::column(config::Column::WorkspaceId)
            .update_columns([config::Column::Data, config::Column::UpdatedAt])
            .to_owned();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    config::Entity::insert(row)
                        .on_conflict(replace)
                        .exec_without_returning(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// A workspace's configuration document.
    ///
    /// # Errors
    /// The query failed or the document is not JSON.
    pub async fn workspace_config(&self, workspace: WorkspaceId) -> Result<Option<Value>, StoreError> {
        let Some(row) = config::Entity::find_by_id(workspace.uuid())
            .one(self.db.reader())
            .await?
        else {
            return Ok(None);
        };
        serde_json::from_str(&row.data)
            .map(Some)
            .map_err(|_| StoreError::Corrupt {
                column: "workspace_config.data",
                value: row.data,
            })
    }
}
