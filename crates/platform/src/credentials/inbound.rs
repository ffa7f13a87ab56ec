use std::sync::Arc;

use moka::sync::Cache;
use molecule_core::{
    WorkspaceId,
    credential::{PlainToken, TOKEN_BYTES},
    limits,
};
use molecule_store::{Store, StoreError, secrets::Sealed};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::SecretString;

use crate::secrets::{SealError, Secrets};

/// Why no inbound secret could be had.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// The workspace is unknown or removed.
    #[error("workspace not found")]
    NoWorkspace,
    /// A stored value does not open; it is not replaced (SEC-113a).
    #[error("inbound secret unreadable: {0}")]
    Unreadable(#[source] SealError),
    /// A new one could not be made.
    #[error("inbound secret not minted: {0}")]
    NotMinted(#[source] SealError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the platform presents to an agent, and whether it had to be made first.
#[derive(Debug, Clone)]
pub struct Healed {
    /// The secret.
    pub secret: SecretString,
    /// It was absent and has just been minted.
    pub healed: bool,
}

/// The one door to inbound secrets: read, mint, heal (SEC-110…117). Cheap to clone.
#[derive(Debug, Clone)]
pub struct InboundSecrets {
    store: Store,
    secrets: Secrets,
    cache: Arc<Cache<WorkspaceId, SecretString>>,
}

impl InboundSecrets {
    /// Over a store; reads are cached for five minutes (SEC-114).
    #[must_use]
    pub fn new(store: Store, secrets: Secrets) -> Self {
        let cache = Cache::builder()
            .max_capacity(50_000)
            .time_to_live(limits::CACHE_TTL)
            .build();
        Self {
            store,
            secrets,
            cache: Arc::new(cache),
        }
    }

    /// A fresh secret, plain and sealed, for a caller that stores it in its own transaction and then calls
    /// [`InboundSecrets::minted`].
    ///
    /// # Errors
    /// No randomness, or it could not be sealed.
    pub fn prepare(&self) -> Result<(SecretString, Sealed), InboundError> {
        let mut bytes = [0; TOKEN_BYTES];
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|_| InboundError::NotMinted(SealError::NoRandomness))?;
        let plain = PlainToken::from_random(bytes);
        let sealed = self.secrets.seal(plain.expose()).map_err(InboundError::NotMinted)?;
        Ok((plain.into_secret(), sealed))
    }

    /// Mints a secret, replacing an old one; the cache knows it before this returns (PROV-55).
    ///
    /// # Errors
    /// [`InboundError`]; nothing changed.
    pub async fn mint(&self, workspace: WorkspaceId) -> Result<SecretString, InboundError> {
        let (secret, sealed) = self.prepare()?;
        if !self.store.set_inbound_secret(workspace, sealed).await? {
            return Err(InboundError::NoWorkspace);
        }
        self.minted(workspace, &secret);
        Ok(secret)
    }

    /// Notes a secret that was stored elsewhere.
    pub fn minted(&self, workspace: WorkspaceId, secret: &SecretString) {
        self.cache.insert(workspace, secret.clone());
    }

    /// Forgets a workspace that is gone (SEC-114a).
    pub fn forget(&self, workspace: WorkspaceId) {
        self.cache.invalidate(&workspace);
    }

    /// The secret, minted if absent (SEC-115). Absence and errors are never cached.
    ///
    /// # Errors
    /// [`InboundError`]; a read failure never mints.
    pub async fn read_or_heal(&self, workspace: WorkspaceId) -> Result<Healed, InboundError> {
        if let Some(secret) = self.cache.get(&workspace) {
            return Ok(Healed { secret, healed: false });
        }
        let route = self.store.route(workspace).await?.ok_or(InboundError::NoWorkspace)?;
        match route.inbound_secret {
            Some(sealed) => {
                let secret = self.secrets.open(&sealed).map_err(InboundError::Unreadable)?;
                self.cache.insert(workspace, secret.clone());
                Ok(Healed { secret, healed: false })
            }
            None => Ok(Healed {
                secret: self.mint(workspace).await?,
                healed: true,
            }),
        }
    }
}
