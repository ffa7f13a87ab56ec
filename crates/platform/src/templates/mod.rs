//! Workspace templates: the catalogue on disk, the set that ships in the binary, generated configuration, and the
//! choice of a configuration source (provisioning.md §3, §8, §9).
//!
//! Everything here reads the file system synchronously and touches no database; async callers use
//! `tokio::task::spawn_blocking`.

mod catalogue;
mod config;
mod embedded;
pub mod generate;
mod import;
pub(crate) mod lenient;
mod manifest;
pub(crate) mod paths;
mod source;
mod timeouts;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Found, InvalidTemplate, TemplateDefaults, TemplateSummary};
pub use config::{ModelEntry, ProviderEntry, RuntimeConfig, SubWorkspace, TemplateConfig, required_env};
pub use embedded::{MaterialiseError, Materialised, materialise_embedded, orgs_dir, workspaces_dir};
pub use import::{ImportError, Imported};
pub use manifest::{LoadedAllowlist, load_allowlist, manifest_candidates};
pub use paths::Escape;
pub use source::{ConfigSource, CreateSource, RestartLookups, RestartRequest, choose_create, choose_restart};
pub use timeouts::ProvisionTimeouts;
