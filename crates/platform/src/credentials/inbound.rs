use std::sync::Arc;

use molecule_core::{
    WorkspaceId,
    credential::{PlainToken, TOKEN_BYTES},
};
use molecule_store::{Store, StoreError, secrets::Sealed};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::SecretString;

use crate::{
    directory::Directory,
    kept::Cache,
    secrets::{SealError, Secrets},
};

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
    /// It has read the row already, as a rule.
    directory: Directory,
    secrets: Secrets,
    /// For five minutes (SEC-114), and not beyond any change of the workspace (SEC-114a).
    cache: Cache<WorkspaceId, SecretString>,
    /// Held while a secret is stored: who heals must see one that was minted meanwhile.
    minting: Arc<tokio::sync::Mutex<()>>,
}

impl InboundSecrets {
    /// Over a store.
    #[must_use]
    pub fn new(store: Store, directory: Directory, secrets: Secrets) -> Self {
        Self {
            cache: Cache::new(store.changes()),
            minting: Arc::default(),
            store,
            directory,
            secrets,
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

    /// A fresh secret for a workspace that is about to be, stored with its row: nobody waits for it later. `None`: it could
    /// not be made, and is healed when it is needed.
    pub(crate) fn fresh(&self) -> Option<Sealed> {
        let prepared = self.prepare().map(|(_, sealed)| sealed);
        prepared
            .inspect_err(|error| tracing::error!(%error, "a workspace begins without an inbound secret"))
            .ok()
    }

    /// Mints a secret, replacing an old one; whoever asks once this has returned gets the new one (PROV-55).
    ///
    /// # Errors
    /// [`InboundError`]; nothing changed.
    pub async fn mint(&self, workspace: WorkspaceId) -> Result<SecretString, InboundError> {
        let _turn = self.minting.lock().await;
        self.mint_now(workspace).await
    }

    /// The caller holds the turn.
    async fn mint_now(&self, workspace: WorkspaceId) -> Result<SecretString, InboundError> {
        let (secret, sealed) = self.prepare()?;
        if self.store.set_inbound_secret(workspace, sealed).await? {
            Ok(secret)
        } else {
            Err(InboundError::NoWorkspace)
        }
    }

    /// The secret, minted if absent (SEC-115). Absence and errors are never cached.
    ///
    /// # Errors
    /// [`InboundError`]; a read failure never mints.
    pub async fn read_or_heal(&self, workspace: WorkspaceId) -> Result<Healed, InboundError> {
        if let Some(secret) = self.read(workspace).await? {
            return Ok(Healed { secret, healed: false });
        }
        let _turn = self.minting.lock().await;
        // Somebody else may have minted it meanwhile.
        if let Some(secret) = self.read(workspace).await? {
            return Ok(Healed { secret, healed: false });
        }
        let secret = self.mint_now(workspace).await?;
        Ok(Healed { secret, healed: true })
    }

    async fn read(&self, workspace: WorkspaceId) -> Result<Option<SecretString>, InboundError> {
        let read = async {
            let route = self.directory.route(workspace).await?;
            let route = route.ok_or(InboundError::NoWorkspace)?;
            let Some(sealed) = &route.inbound_secret else {
                return Ok(None);
            };
            let secret = self.secrets.open(sealed).map_err(InboundError::Unreadable)?;
            Ok(Some((workspace.into(), secret)))
        };
        self.cache.get_or_read(workspace, read).await
    }
}
