//! Secrets at rest and on their way into a workspace's environment; model and provider settings.

mod keyring;
mod service;

pub use keyring::{Keyring, SealError};
pub use service::{SecretError, SecretScope, Secrets, StoredSetting};
