//! Where the server's own keys are kept: what changes one of them at run time makes it durable here first.

use secrecy::{SecretBox, SecretString};

/// Why a key could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The operator gives it to the server; the server cannot give itself another.
    #[error("it is set by {0}: set another one there and restart the server")]
    Configured(&'static str),
    /// It could not be stored. For the log.
    #[error("{0}")]
    Storage(String),
}

/// Keeps the keys that the server made for itself. Calls block for as long as a small file takes to be written.
pub trait Vault: Send + Sync {
    /// Makes another operator's token, and keeps it in the place of the present one.
    ///
    /// # Errors
    /// The present one stays.
    fn next_admin_token(&self) -> Result<SecretString, VaultError>;

    /// Makes another key of the stored secrets, and keeps it in the place of the present one, which is kept beside it as
    /// one that opens what it sealed.
    ///
    /// # Errors
    /// The present one stays.
    fn next_secrets_key(&self) -> Result<SecretBox<[u8; 32]>, VaultError>;
}
