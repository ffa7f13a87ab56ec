//! Settings that a running workspace has read already: changing one restarts it. That a restart is due is stored with the
//! change itself; a server that ends before it has begun leaves it to the next.

use molecule_core::WorkspaceId;

use crate::{
    provisioning::Provisioner,
    secrets::{SecretError, Secrets},
};

/// Writes settings and asks for the restarts they need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Settings {
    secrets: Secrets,
    provisioner: Provisioner,
}

impl Settings {
    /// Over secrets and the restart door.
    #[must_use]
    pub fn new(secrets: Secrets, provisioner: Provisioner) -> Self {
        Self { secrets, provisioner }
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
        let users = self.secrets.set_global(key, value).await?;
        self.restart(users);
        Ok(())
    }

    /// Deletes a global secret; tells whether there was one.
    ///
    /// # Errors
    /// Nothing changed.
    pub async fn delete_global_secret(&self, key: &str) -> Result<bool, SecretError> {
        let users = self.secrets.delete_global(key).await?;
        let deleted = users.is_some();
        self.restart(users.unwrap_or_default());
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

    fn restart(&self, users: Vec<WorkspaceId>) {
        users.into_iter().for_each(|id| self.provisioner.settings_changed(id));
    }
}
