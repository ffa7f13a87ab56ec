//! Organisation templates: `org.yaml` with includes, resolved into a tree that says everything about every workspace
//! (provisioning.md §12).
//!
//! [`OrgLibrary`] finds and lists templates, [`OrgTemplate`] is one of them parsed, [`OrgTemplate::plan`] resolves it
//! into an [`OrgPlan`].

mod document;
mod environment;
mod error;
mod files;
mod include;
mod layout;
mod library;
mod merge;
mod plan;
mod prompts;
mod requirement;
mod resolve;
mod resources;
mod restart;
mod template;
mod vars;

#[cfg(test)]
mod tests;

pub use document::{CanvasPosition, ChannelDoc, Defaults, MemorySeed, OrgDocument, ScheduleDoc, WorkspaceDoc};
pub use environment::{Requirements, aggregate};
pub use error::{IncludeFault, OrgErrorKind, OrgYamlError};
pub use files::config_files;
pub use layout::Point;
pub use library::{OrgLibrary, OrgSummary};
pub use merge::{merge_plugins, merge_routing};
pub use plan::{InvalidMount, Mount, NodePlan, OrgPlan};
pub use requirement::EnvRequirement;
pub use resolve::{ImportOverrides, PlanContext};
pub use resources::{ChannelPlan, PluginPlan, SchedulePlan};
pub use restart::RestartSources;
pub use template::OrgTemplate;
pub use vars::{Expanded, expand, may_read_process_env, parse_env};
