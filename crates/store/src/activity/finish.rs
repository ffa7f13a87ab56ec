use molecule_core::{ActivityId, activity::ActivityStatus, text::storable};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::SharedText;
use crate::{Store, StoreError, entities::activity};

/// How a row that was recorded early ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// JSON text.
    pub response_body: Option<SharedText>,
    /// JSON text.
    pub tool_trace: Option<String>,
    /// How long it took, milliseconds.
    pub duration_ms: Option<i64>,
    /// Well or badly.
    pub status: ActivityStatus,
    /// Why it failed.
    pub error_detail: Option<String>,
}

impl Store {
    /// Completes an open row; one that is closed already stays as it is. Tells whether there was an open one.
    ///
    /// # Errors
    /// The row stays open.
    pub async fn finish_activity(&self, id: ActivityId, finished: Finished) -> Result<bool, StoreError> {
        use activity::Column;
        let text = |value: Option<String>| value.map(|value| storable(&value).into_owned());
        let body = finished.response_body.map(|body| storable(&body).into_owned());
        let update = activity::Entity::update_many()
            .col_expr(Column::ResponseBody, Expr::value(body))
            .col_expr(Column::ToolTrace, Expr::value(text(finished.tool_trace)))
            .col_expr(Column::DurationMs, Expr::value(finished.duration_ms))
            .col_expr(Column::Status, Expr::value(finished.status.as_str()))
            .col_expr(Column::ErrorDetail, Expr::value(text(finished.error_detail)))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::Status.eq(ActivityStatus::InProgress.as_str()));
        self.db
            .tx(|tx| Box::pin(async move { Ok(update.exec(tx).await?.rows_affected > 0) }))
            .await
    }

    /// Closes rows that a stopped server left open, as interrupted; returns how many. Called at boot, before anything
    /// can open one.
    ///
    /// # Errors
    /// They stay open.
    pub async fn close_interrupted_activity(&self) -> Result<u64, StoreError> {
        use activity::Column;
        let update = activity::Entity::update_many()
            .col_expr(Column::Status, Expr::value(ActivityStatus::Error.as_str()))
            .col_expr(
                Column::ErrorDetail,
                Expr::value("interrupted: the server stopped before the reply ended"),
            )
            // Spelled out: as a parameter the condition of the partial index would not be recognised.
            .filter(Expr::cust(format!(
                "status = '{}'",
                ActivityStatus::InProgress.as_str()
            )));
        self.db
            .tx(|tx| Box::pin(async move { Ok(update.exec(tx).await?.rows_affected) }))
            .await
    }
}
