use molecule_core::{Runtime, WorkspaceId, WorkspaceStatus};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    Statement, Value, sea_query::Expr,
};
use uuid::Uuid;

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

#[derive(FromQueryResult)]
struct IdRow {
    id: Uuid,
}

/// The workspace's agent has read what changes with this transaction: it needs a restart, and the row says so until
/// one begins. External agents are restarted by their operators.
pub(crate) async fn restart_due(tx: &DatabaseTransaction, id: WorkspaceId) -> Result<(), StoreError> {
    workspace::Entity::update_many()
        .col_expr(workspace::Column::RestartDue, Expr::value(true))
        .filter(workspace::Column::Id.eq(id.uuid()))
        .filter(workspace::Column::Status.ne(WorkspaceStatus::Removed.as_str()))
        .filter(workspace::Column::Runtime.ne(Runtime::External.as_str()))
        .exec(tx)
        .await?;
    Ok(())
}

/// The same for every workspace that the global secret `key` reaches: live, unpaused, managed, and without a secret of
/// its own under that key (PROV-123). Returns these.
pub(crate) async fn restarts_due(tx: &DatabaseTransaction, key: &str) -> Result<Vec<WorkspaceId>, StoreError> {
    let values: [Value; 5] = [
        true.into(),
        WorkspaceStatus::Removed.as_str().into(),
        WorkspaceStatus::Paused.as_str().into(),
        Runtime::External.as_str().into(),
        key.into(),
    ];
    let sql = "UPDATE workspaces SET restart_due = $1 WHERE status NOT IN ($2, $3) AND runtime <> $4
         AND NOT EXISTS (SELECT 1 FROM workspace_secrets s WHERE s.workspace_id = workspaces.id AND s.key = $5)
         RETURNING id";
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    let rows = IdRow::find_by_statement(statement).all(tx).await?;
    Ok(rows.into_iter().map(|row| WorkspaceId::from_uuid(row.id)).collect())
}

impl Store {
    /// Workspaces whose agents have read what was changed since, by creation.
    ///
    /// # Errors
    /// The query failed.
    pub async fn restarts_due(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let statement = self.db.statement(
            "SELECT id FROM workspaces WHERE restart_due = $1 AND status <> $2 ORDER BY created_at, id",
            [true.into(), WorkspaceStatus::Removed.as_str().into()],
        );
        let rows = IdRow::find_by_statement(statement).all(self.db.reader()).await?;
        Ok(rows.into_iter().map(|row| WorkspaceId::from_uuid(row.id)).collect())
    }

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
