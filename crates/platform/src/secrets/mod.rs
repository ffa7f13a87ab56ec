//! Secrets at rest and on their way into a workspace's environment; model and provider settings.

mod keyring;
mod rotate;
mod service;

pub use keyring::{AuditKey, Keyring, SealError};
pub use rotate::RotateError;
pub use service::{SecretError, SecretScope, Secrets, StoredSetting};
