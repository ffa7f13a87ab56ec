//! Schedules, channels and plugins of one workspace, resolved.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use molecule_core::text::Quoted;
use secrecy::SecretString;

use crate::orgs::{
    document::{ChannelDoc, ScheduleDoc},
    error::OrgYamlError,
    prompts::{Base, Source},
    vars::expand,
};
use crate::paths;

/// A recurring prompt. Whoever stores it checks the cron expression (PROV-147).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulePlan {
    /// Name, unique in its workspace.
    pub name: String,
    /// Cron expression as written.
    pub cron_expr: String,
    /// IANA zone, `UTC` by default.
    pub timezone: String,
    /// What is sent; never blank.
    pub prompt: String,
    /// Runs at all.
    pub enabled: bool,
}

/// A messenger connection with its references expanded (PROV-148). Values may be credentials.
#[derive(Debug, Clone)]
pub struct ChannelPlan {
    /// Adapter name.
    pub kind: String,
    /// Settings of the adapter.
    pub config: BTreeMap<String, SecretString>,
    /// Users the agent answers.
    pub allowed_users: Vec<String>,
    /// Runs at all.
    pub enabled: bool,
    /// Variables the settings refer to that are not set, sorted.
    pub missing_env: Vec<String>,
}

impl ChannelPlan {
    /// Why the channel cannot be created, as `channels_skipped` reports it; adapters add their own reasons (PROV-148).
    #[must_use]
    pub fn skip_reason(&self) -> Option<String> {
        if self.kind.is_empty() {
            return Some("empty type".to_owned());
        }
        (!self.missing_env.is_empty()).then(|| format!("missing env: [{}]", self.missing_env.join(" ")))
    }
}

/// A plugin to copy into the configuration as `plugins/<name>/…` (PROV-145).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginPlan {
    /// Its name: one path component.
    pub name: String,
    /// Its directory in the registry.
    pub dir: PathBuf,
}

/// Schedules with a prompt; others are skipped with a log line (PROV-147).
///
/// # Errors
/// A file reference in an inline template.
pub(crate) fn schedules(docs: &[ScheduleDoc], base: Base<'_>) -> Result<Vec<SchedulePlan>, OrgYamlError> {
    let mut plans = Vec::new();
    for doc in docs {
        let source = Source {
            inline: &doc.prompt,
            file: &doc.prompt_file,
            base,
        };
        let Some(prompt) = source.text()? else {
            tracing::warn!(schedule = %Quoted(&doc.name), "schedule has no prompt; skipped");
            continue;
        };
        let timezone = if doc.timezone.is_empty() { "UTC" } else { &doc.timezone };
        plans.push(SchedulePlan {
            name: doc.name.clone(),
            cron_expr: doc.cron_expr.clone(),
            timezone: timezone.to_owned(),
            prompt,
            enabled: doc.enabled.unwrap_or(true),
        });
    }
    Ok(plans)
}

pub(crate) fn channel(doc: &ChannelDoc, mut lookup: impl FnMut(&str) -> Option<String>) -> ChannelPlan {
    let mut missing_env = Vec::new();
    let config = doc
        .config
        .iter()
        .map(|(key, value)| {
            let expanded = expand(value, &mut lookup);
            missing_env.extend(expanded.missing);
            (key.clone(), SecretString::from(expanded.text))
        })
        .collect();
    missing_env.sort_unstable();
    missing_env.dedup();
    ChannelPlan {
        kind: doc.kind.trim().to_owned(),
        config,
        allowed_users: doc.allowed_users.clone(),
        enabled: doc.enabled.unwrap_or(true),
        missing_env,
    }
}

/// The plugins that exist in the registry; others are skipped with a log line. A name is one path component
/// (PROV-40, PROV-O17).
pub(crate) fn plugins(names: &[String], registry: Option<&Path>) -> Vec<PluginPlan> {
    let find = |name: &String| {
        let plain = !name.contains('/') && !name.starts_with('.');
        let dir = registry
            .filter(|_| plain)
            .and_then(|root| paths::dir_inside(root, name).ok()?);
        if dir.is_none() {
            tracing::warn!(plugin = %Quoted(name), "plugin is not in the registry; skipped");
        }
        dir.map(|dir| PluginPlan {
            name: name.clone(),
            dir,
        })
    };
    names.iter().filter_map(find).collect()
}
