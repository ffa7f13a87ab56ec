//! The activity log.

use sea_orm::entity::prelude::*;

/// A stored row.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "activity_logs")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) seq: i64,
    pub(crate) id: Uuid,
    pub(crate) workspace_id: Uuid,
    pub(crate) activity_type: String,
    pub(crate) source_id: Option<Uuid>,
    pub(crate) target_id: Option<Uuid>,
    pub(crate) method: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) request_body: Option<String>,
    pub(crate) response_body: Option<String>,
    pub(crate) tool_trace: Option<String>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) status: String,
    pub(crate) error_detail: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
