use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

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
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cache: Cache<WorkspaceId, SecretString>,
    /// Raised by every change. What was read before it is not cached, or it would outlive the change.
    epoch: AtomicU64,
    /// Held while a secret is stored and cached: of two minted at once the cache must keep the one the row keeps.
    minting: tokio::sync::Mutex<()>,
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
            shared: Arc::new(Shared {
                cache,
                epoch: AtomicU64::new(0),
                minting: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// A fresh secret, plain and sealed.
    fn prepare(&self) -> Result<(SecretString, Sealed), InboundError> {
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
        let _turn = self.shared.minting.lock().await;
        self.mint_now(workspace).await
    }

    /// The caller holds the turn.
    async fn mint_now(&self, workspace: WorkspaceId) -> Result<SecretString, InboundError> {
        let (secret, sealed) = self.prepare()?;
        if !self.store.set_inbound_secret(workspace, sealed).await? {
            return Err(InboundError::NoWorkspace);
        }
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        self.shared.cache.insert(workspace, secret.clone());
        Ok(secret)
    }

    /// Forgets a workspace that is gone (SEC-114a).
    pub fn forget(&self, workspace: WorkspaceId) {
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
        self.shared.cache.invalidate(&workspace);
    }

    /// The secret, minted if absent (SEC-115). Absence and errors are never cached.
    ///
    /// # Errors
    /// [`InboundError`]; a read failure never mints.
    pub async fn read_or_heal(&self, workspace: WorkspaceId) -> Result<Healed, InboundError> {
        if let Some(secret) = self.read(workspace).await? {
            return Ok(Healed { secret, healed: false });
        }
        let _turn = self.shared.minting.lock().await;
        // Somebody else may have minted it meanwhile.
        if let Some(secret) = self.read(workspace).await? {
            return Ok(Healed { secret, healed: false });
        }
        let secret = self.mint_now(workspace).await?;
        Ok(Healed { secret, healed: true })
    }

    async fn read(&self, workspace: WorkspaceId) -> Result<Option<SecretString>, InboundError> {
        let Shared { cache, epoch, .. } = &*self.shared;
        if let Some(secret) = cache.get(&workspace) {
            return Ok(Some(secret));
        }
        let before = epoch.load(Ordering::Acquire);
        let route = self.store.route(workspace).await?.ok_or(InboundError::NoWorkspace)?;
        let Some(sealed) = route.inbound_secret else {
            return Ok(None);
        };
        let secret = self.secrets.open(&sealed).map_err(InboundError::Unreadable)?;
        if epoch.load(Ordering::Acquire) == before {
            cache.insert(workspace, secret.clone());
            // A change between the check and the insert would be lost; look again.
            if epoch.load(Ordering::Acquire) != before {
                cache.invalidate(&workspace);
            }
        }
        Ok(Some(secret))
    }
}
