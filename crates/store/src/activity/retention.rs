use molecule_core::{DeliveryMode, Timestamp, activity::ActivityType};
use sea_orm::{DbBackend, FromQueryResult, Statement};

use crate::{Store, StoreError};

/// Rows deleted per transaction (D21).
const BATCH: i64 = 500;

const PRUNE: &str = "DELETE FROM activity_logs WHERE seq IN (
    SELECT a.seq FROM activity_logs a
    WHERE a.created_at < $1 AND a.created_at > $2 AND NOT (a.activity_type = $3 AND EXISTS (
        SELECT 1 FROM workspaces w WHERE w.id = a.workspace_id AND w.delivery_mode = $4))
    ORDER BY a.created_at LIMIT $5) RETURNING created_at";

#[derive(FromQueryResult)]
struct Deleted {
    created_at: i64,
}

/// A batch of rows that was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many; fewer than a batch may hold only at the end.
    pub rows: u64,
    /// When the youngest of them was recorded: where the next batch goes on, past what is kept.
    pub upto: Timestamp,
}

impl Store {
    /// Deletes at most one batch of rows recorded after `after` and before `before`; `None`: there are none left (ACT-13,
    /// D21). Messages of poll-mode workspaces are kept: the row is the message, and nobody may lose one silently.
    ///
    /// # Errors
    /// Nothing was deleted.
    pub async fn prune_activity(&self, after: Timestamp, before: Timestamp) -> Result<Option<Pruned>, StoreError> {
        let statement = prune(self.db.backend(), after, before);
        let deleted = self
            .db
            .tx(|tx| Box::pin(async move { Deleted::find_by_statement(statement).all(tx).await }))
            .await?;
        Ok(deleted.iter().map(|row| row.created_at).max().map(|upto| Pruned {
            rows: u64::try_from(deleted.len()).unwrap_or(u64::MAX),
            upto: Timestamp::from_micros(upto),
        }))
    }
}

pub(crate) fn prune(backend: DbBackend, after: Timestamp, before: Timestamp) -> Statement {
    Statement::from_sql_and_values(
        backend,
        PRUNE,
        [
            before.micros().into(),
            after.micros().into(),
            ActivityType::A2aReceive.as_str().into(),
            DeliveryMode::Poll.as_str().into(),
            BATCH.into(),
        ],
    )
}
