//! Organisation templates: `org.yaml` with includes, resolved into a tree that says everything about every workspace
//! (provisioning.md §12).
//!
//! [`OrgLibrary`] finds and lists templates, [`OrgTemplate`] is one of them parsed, [`OrgTemplate::plan`] resolves it
//! into an [`OrgPlan`]. Nothing here writes or touches a database; reads are synchronous, so async callers use
//! `tokio::task::spawn_blocking`.

mod document;
mod error;
mod files;
mod include;
mod layout;
mod library;
mod merge;
mod plan;
mod prompts;
mod requirement;
mod resources;
mod vars;

#[cfg(test)]
mod tests;

pub use document::{CanvasPosition, ChannelDoc, Defaults, MemorySeed, OrgDocument, ScheduleDoc, WorkspaceDoc};
pub use error::{IncludeFault, OrgErrorKind, OrgYamlError};
pub use files::config_files;
pub use layout::Point;
pub use library::{OrgLibrary, OrgSummary, OrgTemplate, RestartSources};
pub use merge::{merge_plugins, merge_routing};
pub use plan::{ImportOverrides, InvalidMount, Mount, NodePlan, OrgPlan, PlanContext};
pub use requirement::{EnvRequirement, Requirements, aggregate};
pub use resources::{ChannelPlan, PluginPlan, SchedulePlan};
pub use vars::{Expanded, expand, may_read_process_env, parse_env};
