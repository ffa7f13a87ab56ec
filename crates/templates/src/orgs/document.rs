//! The keys of `org.yaml` (PROV-125). What is wrong with one is told without the types of this program (SEC-147). Unknown keys are ignored, so none can name or influence a backend (PROV-164).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::lenient::{nullable, number, text, text_lists, text_map, texts, whole};
use crate::orgs::requirement::EnvRequirement;

/// A whole organisation, from YAML with its includes expanded or from the JSON of an inline template.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct OrgDocument {
    /// Display name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// One line for people.
    #[serde(deserialize_with = "text")]
    pub description: String,
    /// What every workspace inherits.
    #[serde(deserialize_with = "nullable")]
    pub defaults: Defaults,
    /// Root workspaces.
    #[serde(deserialize_with = "nullable")]
    pub workspaces: Vec<WorkspaceDoc>,
    /// Memories of the whole organisation.
    #[serde(deserialize_with = "nullable")]
    pub global_memories: Vec<MemorySeed>,
    /// Environment every import needs.
    #[serde(deserialize_with = "nullable")]
    pub required_env: Vec<EnvRequirement>,
    /// Environment an import is better with.
    #[serde(deserialize_with = "nullable")]
    pub recommended_env: Vec<EnvRequirement>,
}

/// The `defaults` mapping.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct Defaults {
    /// Runtime name as written.
    #[serde(deserialize_with = "text")]
    pub runtime: String,
    /// Privilege and size class; 0 is unset.
    #[serde(deserialize_with = "whole")]
    pub tier: Option<i32>,
    /// Model id.
    #[serde(deserialize_with = "text")]
    pub model: String,
    /// Plugin names.
    #[serde(deserialize_with = "texts")]
    pub plugins: Vec<String>,
    /// Sent once, at the first boot.
    #[serde(deserialize_with = "text")]
    pub initial_prompt: String,
    /// The same, as a file below the organisation's directory.
    #[serde(deserialize_with = "text")]
    pub initial_prompt_file: String,
    /// Sent whenever the agent was idle for a while.
    #[serde(deserialize_with = "text")]
    pub idle_prompt: String,
    /// The same, as a file below the organisation's directory.
    #[serde(deserialize_with = "text")]
    pub idle_prompt_file: String,
    /// Seconds between idle prompts.
    #[serde(deserialize_with = "whole")]
    pub idle_interval_seconds: Option<i64>,
    /// Category → roles that handle it.
    #[serde(deserialize_with = "text_lists")]
    pub category_routing: BTreeMap<String, Vec<String>>,
    /// Memories of workspaces that list none.
    #[serde(deserialize_with = "nullable")]
    pub initial_memories: Vec<MemorySeed>,
}

/// One workspace and its children.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct WorkspaceDoc {
    /// Workspace name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// What it is for.
    #[serde(deserialize_with = "text")]
    pub role: String,
    /// Workspace template its files come from.
    #[serde(deserialize_with = "text")]
    pub template: String,
    /// Directory of its files below the organisation's.
    #[serde(deserialize_with = "text")]
    pub files_dir: String,
    /// Replaces `system-prompt.md`.
    #[serde(deserialize_with = "text")]
    pub system_prompt: String,
    /// Runtime name as written.
    #[serde(deserialize_with = "text")]
    pub runtime: String,
    /// Privilege and size class; 0 is unset.
    #[serde(deserialize_with = "whole")]
    pub tier: Option<i32>,
    /// Model id.
    #[serde(deserialize_with = "text")]
    pub model: String,
    /// Plugin names; `!x` or `-x` removes an inherited one.
    #[serde(deserialize_with = "texts")]
    pub plugins: Vec<String>,
    /// Sent once, at the first boot.
    #[serde(deserialize_with = "text")]
    pub initial_prompt: String,
    /// The same, as a file below `files_dir`.
    #[serde(deserialize_with = "text")]
    pub initial_prompt_file: String,
    /// Sent whenever the agent was idle for a while.
    #[serde(deserialize_with = "text")]
    pub idle_prompt: String,
    /// The same, as a file below `files_dir`.
    #[serde(deserialize_with = "text")]
    pub idle_prompt_file: String,
    /// Seconds between idle prompts.
    #[serde(deserialize_with = "whole")]
    pub idle_interval_seconds: Option<i64>,
    /// Category → roles; a key replaces the inherited list, an empty list drops it.
    #[serde(deserialize_with = "text_lists")]
    pub category_routing: BTreeMap<String, Vec<String>>,
    /// Memories, instead of the inherited ones.
    #[serde(deserialize_with = "nullable")]
    pub initial_memories: Vec<MemorySeed>,
    /// Host directory to mount; may hold `${VAR}`.
    #[serde(deserialize_with = "text")]
    pub workspace_dir: String,
    /// `none`, `read_only` or `read_write`.
    #[serde(deserialize_with = "text")]
    pub workspace_access: String,
    /// Tasks at a time; not positive is 1.
    #[serde(deserialize_with = "whole")]
    pub max_concurrent_tasks: Option<i32>,
    /// Recurring prompts.
    #[serde(deserialize_with = "nullable")]
    pub schedules: Vec<ScheduleDoc>,
    /// Messenger connections.
    #[serde(deserialize_with = "nullable")]
    pub channels: Vec<ChannelDoc>,
    /// Somebody else runs this agent.
    #[serde(deserialize_with = "nullable")]
    pub external: bool,
    /// Where an external agent answers.
    #[serde(deserialize_with = "text")]
    pub url: String,
    /// Position of a root.
    pub canvas: Option<CanvasPosition>,
    /// Environment this workspace needs.
    #[serde(deserialize_with = "nullable")]
    pub required_env: Vec<EnvRequirement>,
    /// Environment this workspace is better with.
    #[serde(deserialize_with = "nullable")]
    pub recommended_env: Vec<EnvRequirement>,
    /// Workspaces that report to this one.
    #[serde(deserialize_with = "nullable")]
    pub children: Vec<WorkspaceDoc>,
}

/// Where a root stands on the canvas, pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct CanvasPosition {
    /// From the left.
    #[serde(deserialize_with = "number")]
    pub x: f64,
    /// From the top.
    #[serde(deserialize_with = "number")]
    pub y: f64,
}

/// A memory to plant. Whoever plants it checks the scope, cuts and redacts (PROV-150).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct MemorySeed {
    /// The text.
    #[serde(deserialize_with = "text")]
    pub content: String,
    /// `LOCAL`, `TEAM` or `GLOBAL` in any case; empty is `LOCAL`.
    #[serde(deserialize_with = "text")]
    pub scope: String,
}

/// A recurring prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct ScheduleDoc {
    /// Name, unique in its workspace.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Five-field cron expression.
    #[serde(deserialize_with = "text")]
    pub cron_expr: String,
    /// IANA zone; empty is UTC.
    #[serde(deserialize_with = "text")]
    pub timezone: String,
    /// What is sent.
    #[serde(deserialize_with = "text")]
    pub prompt: String,
    /// The same, as a file below `files_dir`.
    #[serde(deserialize_with = "text")]
    pub prompt_file: String,
    /// On unless said otherwise.
    pub enabled: Option<bool>,
}

/// A messenger connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, expecting = "a mapping")]
pub struct ChannelDoc {
    /// Adapter.
    #[serde(rename = "type", deserialize_with = "text")]
    pub kind: String,
    /// Settings of the adapter; values may hold `${VAR}`.
    #[serde(deserialize_with = "text_map")]
    pub config: BTreeMap<String, String>,
    /// Users the agent answers.
    #[serde(deserialize_with = "texts")]
    pub allowed_users: Vec<String>,
    /// On unless said otherwise.
    pub enabled: Option<bool>,
}

impl OrgDocument {
    /// Calls `visit` for every workspace, parents before children.
    pub fn for_each(&self, mut visit: impl FnMut(&WorkspaceDoc)) {
        let mut pending: Vec<&WorkspaceDoc> = self.workspaces.iter().rev().collect();
        while let Some(node) = pending.pop() {
            visit(node);
            pending.extend(node.children.iter().rev());
        }
    }

    /// Workspaces at any depth (PROV-131).
    #[must_use]
    pub fn count(&self) -> usize {
        let mut count = 0;
        self.for_each(|_| count += 1);
        count
    }
}
