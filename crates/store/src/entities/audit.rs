//! What was changed by whom.

use sea_orm::entity::prelude::*;

/// A stored row.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_records")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) seq: i64,
    pub(crate) id: Uuid,
    pub(crate) created_at: i64,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) route: String,
    pub(crate) workspace_id: Option<Uuid>,
    pub(crate) target: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) state_before: Option<String>,
    pub(crate) key_id: String,
    pub(crate) prev_hmac: Vec<u8>,
    pub(crate) hmac: Vec<u8>,
    pub(crate) status: Option<i32>,
    pub(crate) made: Option<String>,
    pub(crate) state_after: Option<String>,
    pub(crate) outcome_hmac: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
