//! Settings that a running workspace has read already: changing one restarts it.

use std::collections::HashSet;

use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_store::{Store, StoreError};

use crate::{
    lifecycle::is_external,
    provisioning::Provisioner,
    secrets::{SecretError, Secrets},
};

/// Writes settings and asks for the restarts they need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Settings {
    store: Store,
    secrets: Secrets,
    provisioner: Provisioner,
}

impl Settings {
    /// Over secrets and the restart door.
    #[must_use]
    pub fn new(store: Store, secrets: Secrets, provisioner: Provisioner) -> Self {
        Self {
            store,
            secrets,
            provisioner,
        }
    }

    /// Stores a workspace secret and restarts the workspace (PROV-122).
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_secret(&self, id: WorkspaceId, key: &str, value: &str) -> Result<(), SecretError> {
        self.secrets.set(id, key, value).await?;
        self.provisioner.settings_changed(id);
        Ok(())
    }

    /// Deletes a workspace secret; tells whether there was one.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn delete_secret(&self, id: WorkspaceId, key: &str) -> Result<bool, SecretError> {
        let deleted = self.secrets.delete(id, key).await?;
        if deleted {
            self.provisioner.settings_changed(id);
        }
        Ok(deleted)
    }

    /// Stores a global secret and restarts the workspaces it reaches (PROV-123).
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_global_secret(&self, key: &str, value: &str) -> Result<(), SecretError> {
        self.secrets.set_global(key, value).await?;
        self.restart_users_of(key).await;
        Ok(())
    }

    /// Deletes a global secret; tells whether there was one.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn delete_global_secret(&self, key: &str) -> Result<bool, SecretError> {
        let deleted = self.secrets.delete_global(key).await?;
        if deleted {
            self.restart_users_of(key).await;
        }
        Ok(deleted)
    }

    /// Stores or clears the model and restarts the workspace, also when nothing was cleared (PROV-112).
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_model(&self, id: WorkspaceId, model: &str) -> Result<(), SecretError> {
        self.secrets.set_model(id, model).await?;
        self.provisioner.settings_changed(id);
        Ok(())
    }

    /// Stores or clears the provider and restarts the workspace.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn set_provider(&self, id: WorkspaceId, provider: &str) -> Result<(), SecretError> {
        self.secrets.set_provider(id, provider).await?;
        self.provisioner.settings_changed(id);
        Ok(())
    }

    /// Every live, unpaused, managed workspace without its own secret of that key. A failed listing is logged only.
    async fn restart_users_of(&self, key: &str) {
        match self.users_of(key).await {
            Ok(ids) => ids.into_iter().for_each(|id| self.provisioner.settings_changed(id)),
            Err(error) => tracing::error!(key, %error, "workspaces that use a global secret are not restarted"),
        }
    }

    async fn users_of(&self, key: &str) -> Result<Vec<WorkspaceId>, StoreError> {
        let own: HashSet<WorkspaceId> = self.store.workspaces_overriding(key).await?.into_iter().collect();
        let rows = self.store.workspaces().await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.status != WorkspaceStatus::Paused && !is_external(&row.runtime))
            .map(|row| row.id)
            .filter(|id| !own.contains(id))
            .collect())
    }
}
