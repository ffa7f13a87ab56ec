//! The resolved tree: what every workspace of an import is, with everything inherited (PROV-140).

use std::{collections::BTreeMap, path::PathBuf};

use molecule_core::{
    Runtime,
    validate::{self, WorkspaceAccess},
};
use secrecy::SecretString;

use crate::orgs::{
    document::MemorySeed,
    layout::Point,
    requirement::EnvRequirement,
    resources::{ChannelPlan, PluginPlan, SchedulePlan},
    vars::Expanded,
};

/// A resolved organisation.
#[derive(Debug, Clone)]
pub struct OrgPlan {
    /// Display name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Without these no import (PROV-129, PROV-130).
    pub required_env: Vec<EnvRequirement>,
    /// Better with these.
    pub recommended_env: Vec<EnvRequirement>,
    /// Memories for the first root, all of scope `GLOBAL` (PROV-150).
    pub global_memories: Vec<MemorySeed>,
    /// Root workspaces, in order.
    pub roots: Vec<NodePlan>,
}

/// A resolved workspace.
#[derive(Debug, Clone)]
pub struct NodePlan {
    /// Where it stands in the document, such as `workspaces[0].children[2]`.
    pub path: String,
    /// Workspace name, not blank.
    pub name: String,
    /// What it is for; may be empty.
    pub role: String,
    /// Allowlisted runtime; [`Runtime::External`] for somebody else's agent (PROV-O13).
    pub runtime: Runtime,
    /// Model id; `None` means the runtime's default (PROV-43).
    pub model: Option<String>,
    /// Privilege and size class.
    pub tier: i32,
    /// Replaces the template's `system-prompt.md`.
    pub system_prompt: Option<String>,
    /// Sent once, at the first boot; may be empty.
    pub initial_prompt: String,
    /// Sent whenever the agent was idle for a while; may be empty.
    pub idle_prompt: String,
    /// Seconds between idle prompts, positive.
    pub idle_interval_seconds: i64,
    /// Category → roles that handle it (PROV-145).
    pub category_routing: BTreeMap<String, Vec<String>>,
    /// Plugins found in the registry (PROV-145).
    pub plugins: Vec<PluginPlan>,
    /// Directory whose files are copied first; the generated ones win (PROV-142).
    pub template_dir: Option<PathBuf>,
    /// Workspace secrets from the template's `.env` files (PROV-146).
    pub env: BTreeMap<String, SecretString>,
    /// Memories to plant.
    pub memories: Vec<MemorySeed>,
    /// Recurring prompts.
    pub schedules: Vec<SchedulePlan>,
    /// Messenger connections.
    pub channels: Vec<ChannelPlan>,
    /// Where an external agent answers; `None` for managed ones and for external ones that have not said yet.
    pub url: Option<String>,
    /// Tasks at a time, at least 1.
    pub max_concurrent_tasks: i32,
    /// On the canvas.
    pub position: Point,
    /// Inside the parent's box; a root's position.
    pub offset: Point,
    /// Workspaces that report to this one.
    pub children: Vec<NodePlan>,
    pub(crate) workspace_dir: Expanded,
    pub(crate) workspace_access: String,
}

/// A host directory mounted as the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// The directory.
    pub dir: Option<PathBuf>,
    /// How it may be used.
    pub access: WorkspaceAccess,
}

/// `workspace_dir` or `workspace_access` cannot be used. The text is shown after `workspace <name>: ` (PROV-140).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMount {
    /// Not absolute, with `..`, or a system directory (LIFE-2).
    #[error("workspace_dir must be an absolute path outside system directories")]
    Dir,
    /// A part of the path is unknown.
    #[error("workspace_dir refers to unset variables: {}", .0.join(", "))]
    Unset(Vec<String>),
    /// Not one of the three.
    #[error("workspace_access must be none, read_only or read_write")]
    Access,
    /// Access to nothing.
    #[error("workspace_access {} needs a workspace_dir", .0.as_str())]
    NoDir(WorkspaceAccess),
}

impl NodePlan {
    /// The working directory, validated. The import asks when it comes to this workspace, because a bad one ends the
    /// walk there and leaves earlier workspaces in place (PROV-140).
    ///
    /// # Errors
    /// [`InvalidMount`].
    pub fn mount(&self) -> Result<Mount, InvalidMount> {
        let access = match self.workspace_access.as_str() {
            "" => WorkspaceAccess::None,
            text => WorkspaceAccess::parse(text).ok_or(InvalidMount::Access)?,
        };
        let text = self.workspace_dir.text.trim();
        // A path that is only an unset reference is no path; one that holds others besides would lead elsewhere.
        let dir = if text.is_empty() {
            None
        } else if self.workspace_dir.missing.is_empty() {
            Some(validate::workspace_dir(text).ok_or(InvalidMount::Dir)?)
        } else {
            return Err(InvalidMount::Unset(self.workspace_dir.missing.clone()));
        };
        if dir.is_none() && access != WorkspaceAccess::None {
            return Err(InvalidMount::NoDir(access));
        }
        Ok(Mount { dir, access })
    }

    /// Workspaces in this subtree, itself included.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.children.iter().map(Self::count).sum::<usize>()
    }
}

impl OrgPlan {
    /// Workspaces of the organisation.
    #[must_use]
    pub fn count(&self) -> usize {
        self.roots.iter().map(NodePlan::count).sum()
    }
}
