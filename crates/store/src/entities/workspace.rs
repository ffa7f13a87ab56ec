//! The workspace record.

use sea_orm::entity::prelude::*;

/// A stored row.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "workspaces")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    pub(crate) tier: i32,
    pub(crate) runtime: String,
    pub(crate) status: String,
    pub(crate) parent_id: Option<Uuid>,
    pub(crate) forwarded_to: Option<Uuid>,
    pub(crate) awareness_namespace: String,
    pub(crate) source_bundle_id: Option<String>,
    pub(crate) template: Option<String>,
    pub(crate) agent_card: Option<String>,
    pub(crate) url: String,
    pub(crate) url_assigned: bool,
    pub(crate) delivery_mode: Option<String>,
    pub(crate) instance_ref: Option<String>,
    pub(crate) start_files: Option<String>,
    pub(crate) reset_session: bool,
    pub(crate) restart_due: bool,
    pub(crate) inbound_secret: Option<Vec<u8>>,
    pub(crate) inbound_secret_key: Option<String>,
    pub(crate) runtime_image_digest: Option<String>,
    pub(crate) workspace_dir: Option<String>,
    pub(crate) workspace_access: String,
    pub(crate) budget_limit: Option<i64>,
    pub(crate) max_concurrent_tasks: i32,
    pub(crate) hibernation_idle_minutes: Option<i32>,
    pub(crate) generation: i64,
    pub(crate) version: i64,
    pub(crate) status_changed_at: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
