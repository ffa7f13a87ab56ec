use molecule_core::WorkspaceId;
use sea_orm::sea_query::Expr;

use crate::{Store, StoreError, entities::workspace};

impl Store {
    /// Stores what a workspace may spend a month, in USD cents; `None` lifts the limit (ACT-200). `false`: unknown or
    /// removed.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_budget(&self, id: WorkspaceId, limit: Option<i64>) -> Result<bool, StoreError> {
        let set = vec![(workspace::Column::BudgetLimit, Expr::value(limit))];
        Ok(self.set_columns(id, set, Vec::new()).await?.is_some())
    }
}
