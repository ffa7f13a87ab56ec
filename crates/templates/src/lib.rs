#![doc = include_str!("../README.md")]

mod catalogue;
mod config;
mod content;
pub mod generate;
mod import;
mod lenient;
mod manifest;
pub mod orgs;
mod paths;
mod shipped;
mod source;
mod team;
mod timeouts;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Found, InvalidTemplate, TemplateDefaults};
pub use config::{ModelEntry, ProviderEntry, RuntimeConfig, SubWorkspace, TemplateConfig, required_env};
pub use content::{TemplateFile, read_files};
pub use import::{ImportError, Imported, InvalidFiles};
pub use manifest::{LoadedAllowlist, load_allowlist, manifest_candidates};
pub use paths::Escape;
pub use shipped::{MaterialiseError, Materialised, materialise_embedded, orgs_dir, workspaces_dir};
pub use source::{ConfigSource, CreateSource, RestartLookups, RestartRequest, choose_create, choose_restart};
pub use team::TeamError;
pub use timeouts::ProvisionTimeouts;
