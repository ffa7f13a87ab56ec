use molecule_core::WorkspaceId;
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, sea_query::Expr};

use crate::{Store, StoreError, entities::workspace};

/// What the next start of a workspace has to do beyond running what is there. It is stored with what asked for it and
/// stays until a start has done it, so that neither a failed start nor the end of the server loses it.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromQueryResult)]
pub struct StartPlan {
    /// Configuration to write, as the platform reads it; `None` leaves the configuration as it is.
    pub start_files: Option<String>,
    /// Discard the session (LIFE-126).
    pub reset_session: bool,
}

impl Store {
    /// What the next start of a workspace has to do; nothing for an unknown one.
    ///
    /// # Errors
    /// The query failed.
    pub async fn start_plan(&self, id: WorkspaceId) -> Result<StartPlan, StoreError> {
        let plan = workspace::Entity::find_by_id(id.uuid())
            .select_only()
            .columns([workspace::Column::StartFiles, workspace::Column::ResetSession])
            .into_model::<StartPlan>()
            .one(self.db.reader())
            .await?;
        Ok(plan.unwrap_or_default())
    }

    /// A start of that incarnation has done what it had to. What a later restart asked for stays.
    ///
    /// # Errors
    /// The write failed; the next start does it again.
    pub async fn start_plan_done(&self, id: WorkspaceId, generation: i64) -> Result<(), StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    workspace::Entity::update_many()
                        .col_expr(workspace::Column::StartFiles, Expr::value(None::<String>))
                        .col_expr(workspace::Column::ResetSession, Expr::value(false))
                        .filter(workspace::Column::Id.eq(id.uuid()))
                        .filter(workspace::Column::Generation.eq(generation))
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}
