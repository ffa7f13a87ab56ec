use molecule_core::{DeliveryMode, Timestamp, activity::ActivityType};
use sea_orm::{ConnectionTrait, Statement};

use crate::{Store, StoreError};

/// Rows deleted per transaction (D21).
const BATCH: i64 = 500;

const PRUNE: &str = "DELETE FROM activity_logs WHERE seq IN (
    SELECT a.seq FROM activity_logs a WHERE a.created_at < $1 AND NOT (a.activity_type = $2 AND EXISTS (
        SELECT 1 FROM workspaces w WHERE w.id = a.workspace_id AND w.delivery_mode = $3))
    ORDER BY a.seq LIMIT $4)";

impl Store {
    /// Deletes at most one batch of rows recorded before `before`; returns how many (ACT-13, D21). Messages of poll-mode
    /// workspaces are kept: the row is the message, and nobody may lose one silently.
    ///
    /// # Errors
    /// Nothing was deleted.
    pub async fn prune_activity(&self, before: Timestamp) -> Result<u64, StoreError> {
        let statement = Statement::from_sql_and_values(
            self.db.backend(),
            PRUNE,
            [
                before.micros().into(),
                ActivityType::A2aReceive.as_str().into(),
                DeliveryMode::Poll.as_str().into(),
                BATCH.into(),
            ],
        );
        self.db
            .tx(|tx| Box::pin(async move { Ok(tx.execute_raw(statement).await?.rows_affected()) }))
            .await
    }
}
