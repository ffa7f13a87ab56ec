use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use molecule_core::{
    WorkspaceId, limits,
    model::{Origin, PROVIDER_VARIABLE as PROVIDER_KEY, derive_provider},
    validate::{self, InvalidField},
};
use molecule_store::{
    Store, StoreError,
    secrets::{NewSecret, Sealed, SecretRow},
};
use molecule_wire::secrets::SecretView;
use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};

use super::{Keyring, SealError};

/// Key of the model slug, despite its name (PROV-108).
const MODEL_KEY: &str = "MODEL_PROVIDER";

/// Why a secret could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The key cannot be an environment variable (PROV-O9).
    #[error("invalid secret key")]
    InvalidKey,
    /// The value cannot be an environment variable.
    #[error("invalid secret value: no NUL, and at most 128 KiB with its key")]
    InvalidValue,
    /// No model, or no provider (SEC-191).
    #[error(transparent)]
    InvalidSetting(#[from] InvalidField),
    /// The value could not be sealed.
    #[error("failed to encrypt secret")]
    Encrypt(#[source] SealError),
    /// Values that do not open; names only (SEC-134).
    #[error("secrets failed to decrypt: {}", .0.join(", "))]
    Undecryptable(Vec<String>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a secret applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretScope {
    /// One workspace; wins.
    Workspace,
    /// Every workspace.
    Global,
}

impl SecretScope {
    /// The wire spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Global => "global",
        }
    }
}

/// A key as it is listed; values never are (PROV-120).
fn view(scope: SecretScope, row: SecretRow) -> SecretView {
    SecretView {
        key: row.key,
        has_value: true,
        scope: scope.as_str().to_owned(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Model or provider of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSetting {
    /// `None` means the default.
    pub value: Option<String>,
}

/// Seals, stores and assembles secrets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Secrets {
    pub(super) store: Store,
    pub(super) keys: Arc<Keys>,
}

/// The ring in force.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) ring: RwLock<Arc<Keyring>>,
    /// Held while the key is changed.
    pub(super) changing: tokio::sync::Mutex<()>,
}

impl Secrets {
    /// Over a store and its keys.
    #[must_use]
    pub fn new(store: Store, keyring: Keyring) -> Self {
        Self {
            store,
            keys: Arc::new(Keys {
                ring: RwLock::new(Arc::new(keyring)),
                changing: tokio::sync::Mutex::default(),
            }),
        }
    }

    pub(super) fn keyring(&self) -> Arc<Keyring> {
        self.keys.ring.read().clone()
    }

    /// Seals a value for a column of its own.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, value: &str) -> Result<Sealed, SealError> {
        self.keyring().seal(value)
    }

    /// Opens a sealed column.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, sealed: &Sealed) -> Result<SecretString, SealError> {
        self.keyring().open(sealed)
    }

    /// A secret ready to be stored with its workspace.
    ///
    /// # Errors
    /// Bad key or value, or it could not be sealed.
    pub fn prepare(&self, key: &str, value: &str, origin: Origin) -> Result<NewSecret, SecretError> {
        if !validate::is_secret_key(key) {
            return Err(SecretError::InvalidKey);
        }
        if !validate::is_secret_value(key, value) {
            return Err(SecretError::InvalidValue);
        }
        let value = self.keyring().seal(value).map_err(SecretError::Encrypt)?;
        Ok(NewSecret {
            key: key.to_owned(),
            value,
            origin,
        })
    }

    /// The merged list: the workspace's own keys, sorted, then the global ones it does not override (PROV-118).
    ///
    /// # Errors
    /// The workspace's own could not be read. Unreadable global ones are logged and left out (PROV-119).
    pub async fn list(&self, workspace: WorkspaceId) -> Result<Vec<SecretView>, SecretError> {
        let own = self.store.workspace_secrets(workspace).await?;
        let names: BTreeSet<String> = own.iter().map(|row| row.key.clone()).collect();
        let global = self.list_global().await.unwrap_or_else(|error| {
            tracing::error!(%error, "global secrets could not be listed");
            Vec::new()
        });
        let own = own.into_iter().map(|row| view(SecretScope::Workspace, row));
        Ok(own
            .chain(global.into_iter().filter(|listed| !names.contains(&listed.key)))
            .collect())
    }

    /// The global list.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list_global(&self) -> Result<Vec<SecretView>, SecretError> {
        let rows = self.store.global_secrets(limits::PREFLIGHT_SECRETS).await?;
        Ok(rows.into_iter().map(|row| view(SecretScope::Global, row)).collect())
    }

    /// Global secrets that open and say something (PROV-135).
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn configured(&self) -> Result<BTreeSet<String>, SecretError> {
        let rows = self.store.global_secrets(limits::PREFLIGHT_SECRETS).await?;
        let says_something = |row: &SecretRow| {
            self.open(&row.value)
                .is_ok_and(|value| !value.expose_secret().is_empty())
        };
        Ok(rows.into_iter().filter(says_something).map(|row| row.key).collect())
    }

    /// Global values; what does not open is logged and left out.
    ///
    /// # Errors
    /// The store failed.
    pub async fn global_values(&self) -> Result<BTreeMap<String, SecretString>, SecretError> {
        let rows = self.store.global_secrets(limits::PREFLIGHT_SECRETS).await?;
        let opened = rows
            .into_iter()
            .filter_map(|row| match self.keyring().open(&row.value) {
                Ok(value) => Some((row.key, value)),
                Err(error) => {
                    tracing::error!(%error, key = row.key, "secret does not decrypt");
                    None
                }
            });
        Ok(opened.collect())
    }

    /// Global plus own values; own ones win (PROV-14). All or nothing.
    ///
    /// # Errors
    /// [`SecretError::Undecryptable`] with every failing key, or the store failed.
    pub async fn values(&self, workspace: WorkspaceId) -> Result<BTreeMap<String, SecretString>, SecretError> {
        let mut values = BTreeMap::new();
        let mut failed = Vec::new();
        let scopes = [
            (
                SecretScope::Global,
                self.store.global_secrets(limits::PREFLIGHT_SECRETS).await?,
            ),
            (SecretScope::Workspace, self.store.workspace_secrets(workspace).await?),
        ];
        for (scope, rows) in scopes {
            for row in rows {
                match self.keyring().open(&row.value) {
                    Ok(value) => {
                        values.insert(row.key, value);
                    }
                    Err(error) => {
                        tracing::error!(%error, scope = scope.as_str(), key = row.key, "secret does not decrypt");
                        failed.push(format!("{}:{}", scope.as_str(), row.key));
                    }
                }
            }
        }
        if failed.is_empty() {
            Ok(values)
        } else {
            Err(SecretError::Undecryptable(failed))
        }
    }

    /// Stores a secret of a workspace.
    ///
    /// # Errors
    /// [`SecretError`]; nothing changed.
    pub async fn set(&self, workspace: WorkspaceId, key: &str, value: &str) -> Result<(), SecretError> {
        let secret = self.prepare(key, value, Origin::Set)?;
        Ok(self
            .store
            .change_workspace_secrets(workspace, vec![secret], Vec::new())
            .await?)
    }

    /// Deletes a secret of a workspace; tells whether there was one.
    ///
    /// # Errors
    /// The store failed.
    pub async fn delete(&self, workspace: WorkspaceId, key: &str) -> Result<bool, SecretError> {
        Ok(self.store.delete_workspace_secret(workspace, key).await?)
    }

    /// Stores a global secret; returns the workspaces it reaches.
    ///
    /// # Errors
    /// [`SecretError`]; nothing changed.
    pub async fn set_global(&self, key: &str, value: &str) -> Result<Vec<WorkspaceId>, SecretError> {
        let secret = self.prepare(key, value, Origin::Set)?;
        Ok(self.store.put_global_secret(key, secret.value).await?)
    }

    /// Deletes a global secret; returns the workspaces it reached, `None` if there was none.
    ///
    /// # Errors
    /// The store failed.
    pub async fn delete_global(&self, key: &str) -> Result<Option<Vec<WorkspaceId>>, SecretError> {
        Ok(self.store.delete_global_secret(key).await?)
    }

    /// The secrets that hold model and provider of a new workspace (PROV-113, PROV-O10): the slug verbatim and the
    /// provider derived from it, unless one was given.
    ///
    /// # Errors
    /// That is no model, or they could not be sealed.
    pub fn model_secrets(&self, model: &str, provider_given: bool) -> Result<Vec<NewSecret>, SecretError> {
        let mut secrets = vec![self.prepare_setting(MODEL_KEY, model, Origin::Set)?];
        if let Some(provider) = derive_provider(model).filter(|_| !provider_given) {
            secrets.push(self.prepare_setting(PROVIDER_KEY, provider, Origin::Derived)?);
        }
        Ok(secrets)
    }

    /// The model slug in force.
    ///
    /// # Errors
    /// It does not decrypt, or the store failed.
    pub async fn model(&self, workspace: WorkspaceId) -> Result<StoredSetting, SecretError> {
        self.setting(workspace, MODEL_KEY).await
    }

    /// The provider in force.
    ///
    /// # Errors
    /// It does not decrypt, or the store failed.
    pub async fn provider(&self, workspace: WorkspaceId) -> Result<StoredSetting, SecretError> {
        self.setting(workspace, PROVIDER_KEY).await
    }

    /// Was the provider in force derived from a model, so that it is only a hint (RUN-80a)?
    ///
    /// # Errors
    /// The store failed.
    pub async fn provider_is_derived(&self, workspace: WorkspaceId) -> Result<bool, SecretError> {
        let row = self.store.workspace_secret(workspace, PROVIDER_KEY).await?;
        Ok(row.is_some_and(|row| row.origin == Origin::Derived))
    }

    /// Stores or clears the model slug; never touches the provider (PROV-112).
    ///
    /// # Errors
    /// [`SecretError`]; nothing changed.
    pub async fn set_model(&self, workspace: WorkspaceId, model: &str) -> Result<(), SecretError> {
        self.change_setting(workspace, MODEL_KEY, model).await
    }

    /// Stores or clears the provider; never touches the model (PROV-112).
    ///
    /// # Errors
    /// [`SecretError`]; nothing changed.
    pub async fn set_provider(&self, workspace: WorkspaceId, provider: &str) -> Result<(), SecretError> {
        self.change_setting(workspace, PROVIDER_KEY, provider).await
    }

    async fn setting(&self, workspace: WorkspaceId, key: &str) -> Result<StoredSetting, SecretError> {
        let Some(row) = self.store.workspace_secret(workspace, key).await? else {
            return Ok(StoredSetting { value: None });
        };
        let value = self.keyring().open(&row.value).map_err(|error| {
            tracing::error!(%error, key, "setting does not decrypt");
            SecretError::Undecryptable(vec![format!("workspace:{key}")])
        })?;
        Ok(StoredSetting {
            value: Some(value.expose_secret().to_owned()).filter(|value| !value.is_empty()),
        })
    }

    async fn change_setting(&self, workspace: WorkspaceId, key: &str, value: &str) -> Result<(), SecretError> {
        if value.is_empty() {
            return Ok(self
                .store
                .change_workspace_secrets(workspace, Vec::new(), vec![key.to_owned()])
                .await?);
        }
        let secret = self.prepare_setting(key, value, Origin::Set)?;
        Ok(self
            .store
            .change_workspace_secrets(workspace, vec![secret], Vec::new())
            .await?)
    }

    /// Model or provider, for creation and both settings alike (PROV-113a).
    fn prepare_setting(&self, key: &str, value: &str, origin: Origin) -> Result<NewSecret, SecretError> {
        if key == MODEL_KEY {
            validate::model(value)?;
        } else {
            validate::provider(value)?;
        }
        self.prepare(key, value, origin)
    }
}
