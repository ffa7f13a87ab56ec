//! The services: lifecycle, provisioning, registry, messaging, activity, events, orgs, templates, secrets, tokens.
//!
//! Each service is a struct that is handed what it uses; [`Platform`] puts them together. Nothing here knows axum.
//!
//! The body of an `async fn` is compiled in every crate that awaits it, with all that it awaits in turn. The largest
//! doors of this crate therefore answer a boxed future (`…_inner` is what is in it): one allocation per request, and
//! their bodies are compiled here alone.

pub mod activity;
pub mod agents;
pub mod allowlists;
pub mod audit;
pub mod canvas;
pub mod config;
pub mod credentials;
pub mod dial;
pub mod directory;
mod draft;
pub mod events;
pub mod ground;
pub mod history;
mod jobs;
mod kept;
pub mod lifecycle;
pub mod messaging;
pub mod numbers;
pub mod orgs;
mod platform;
pub mod provisioning;
pub mod pulses;
pub mod registry;
pub mod secrets;
pub mod settings;
pub mod supervise;
pub mod templates;
pub mod trace;
pub mod vault;
pub mod workspaces;

/// Did the service fail because the database has no space left on its disk?
#[must_use]
pub fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    molecule_store::kind_of(error) == molecule_store::DbErrorKind::DiskFull
}

pub use config::{AuthMode, Config};
/// The cause that services' errors carry.
pub use molecule_store::StoreError;
pub use platform::{BuildError, Paths, Platform, Setup};
