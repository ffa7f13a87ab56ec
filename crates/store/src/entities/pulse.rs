//! What heartbeats report; narrow and unindexed, because it changes all the time.

use sea_orm::entity::prelude::*;

/// A stored row.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace_pulse")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) workspace_id: Uuid,
    pub(crate) last_beat_at: Option<i64>,
    pub(crate) uptime_seconds: i64,
    pub(crate) error_rate: f64,
    pub(crate) sample_error: String,
    pub(crate) active_tasks: i64,
    pub(crate) current_task: String,
    pub(crate) monthly_spend: i64,
    pub(crate) last_outbound_at: Option<i64>,
    pub(crate) last_active_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
