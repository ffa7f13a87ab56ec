//! Plugins that orgs allow (SEC-150…152). No rows: all are allowed.

use molecule_core::{Timestamp, WorkspaceId};
use molecule_db::now;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};

use crate::{Store, StoreError, entities::allowed_plugin};

/// A plugin that an org allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedPlugin {
    /// The plugin.
    pub plugin_name: String,
    /// Who allowed it.
    pub enabled_by: String,
    /// When.
    pub enabled_at: Timestamp,
}

impl Store {
    /// Plugins that an org allows, by name.
    ///
    /// # Errors
    /// The query failed.
    pub async fn allowed_plugins(&self, org: WorkspaceId) -> Result<Vec<AllowedPlugin>, StoreError> {
        let rows = allowed_plugin::Entity::find()
            .filter(allowed_plugin::Column::OrgId.eq(org.uuid()))
            .order_by_asc(allowed_plugin::Column::PluginName)
            .all(self.db.reader())
            .await?;
        let allowed = |row: allowed_plugin::Model| AllowedPlugin {
            plugin_name: row.plugin_name,
            enabled_by: row.enabled_by,
            enabled_at: Timestamp::from_micros(row.enabled_at),
        };
        Ok(rows.into_iter().map(allowed).collect())
    }

    /// Replaces what an org allows, in one transaction (SEC-151).
    ///
    /// # Errors
    /// The old set stands.
    pub async fn replace_allowed_plugins(
        &self,
        org: WorkspaceId,
        names: Vec<String>,
        enabled_by: String,
    ) -> Result<(), StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    allowed_plugin::Entity::delete_many()
                        .filter(allowed_plugin::Column::OrgId.eq(org.uuid()))
                        .exec(tx)
                        .await?;
                    let at = now().micros();
                    let rows = names.into_iter().map(|name| allowed_plugin::ActiveModel {
                        org_id: Set(org.uuid()),
                        plugin_name: Set(name),
                        enabled_by: Set(enabled_by.clone()),
                        enabled_at: Set(at),
                    });
                    for chunk in rows.collect::<Vec<_>>().chunks(500) {
                        allowed_plugin::Entity::insert_many(chunk.to_vec())
                            .exec_without_returning(tx)
                            .await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}
