use std::collections::HashMap;

use molecule_core::WorkspaceStatus;
use sea_orm::FromQueryResult;

use super::parse_status;
use crate::{Store, StoreError};

#[derive(FromQueryResult)]
struct Count {
    status: String,
    number: i64,
}

impl Store {
    /// How many workspaces there are in each status, removed ones left out; a status that none has is absent.
    ///
    /// # Errors
    /// The query failed or a row is unreadable.
    pub async fn workspaces_by_status(&self) -> Result<HashMap<WorkspaceStatus, u64>, StoreError> {
        let statement = self.db.statement(
            "SELECT status, COUNT(*) AS number FROM workspaces WHERE status <> $1 GROUP BY status",
            [WorkspaceStatus::Removed.as_str().into()],
        );
        let counts = Count::find_by_statement(statement).all(self.db.reader()).await?;
        counts
            .into_iter()
            .map(|count| Ok((parse_status(&count.status)?, count.number.unsigned_abs())))
            .collect()
    }
}
