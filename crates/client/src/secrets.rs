//! Secrets, model and provider (`provisioning.md` §10, §11).

use molecule_core::WorkspaceId;
use molecule_wire::secrets::{
    ModelView, ProviderView, SecretChanged, SecretView, SetModel, SetProvider, SetSecret, SettingChanged,
};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};

use crate::{Client, ClientError};

impl Client {
    /// `GET /workspaces/:id/secrets`: its keys, then the global ones it does not override (PROV-120).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_secrets(&self, id: WorkspaceId) -> Result<Vec<SecretView>, ClientError> {
        self.get(&["workspaces", &id.to_string(), "secrets"]).json().await
    }

    /// `PUT /workspaces/:id/secrets`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_secret(
        &self,
        id: WorkspaceId,
        key: &str,
        value: &SecretString,
    ) -> Result<SecretChanged, ClientError> {
        self.call(Method::PUT, &["workspaces", &id.to_string(), "secrets"])
            .body(&set(key, value))?
            .json()
            .await
    }

    /// `DELETE /workspaces/:id/secrets/:key`.
    ///
    /// # Errors
    /// [`ClientError`]; 404 if there is none.
    pub async fn delete_secret(&self, id: WorkspaceId, key: &str) -> Result<SecretChanged, ClientError> {
        self.call(Method::DELETE, &["workspaces", &id.to_string(), "secrets", key])
            .json()
            .await
    }

    /// `GET /settings/secrets`. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_global_secrets(&self) -> Result<Vec<SecretView>, ClientError> {
        self.get(&["settings", "secrets"]).json().await
    }

    /// `PUT /settings/secrets`. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_global_secret(&self, key: &str, value: &SecretString) -> Result<SecretChanged, ClientError> {
        self.call(Method::PUT, &["settings", "secrets"])
            .body(&set(key, value))?
            .json()
            .await
    }

    /// `DELETE /settings/secrets/:key`. Admin.
    ///
    /// # Errors
    /// [`ClientError`]; 404 if there is none.
    pub async fn delete_global_secret(&self, key: &str) -> Result<SecretChanged, ClientError> {
        self.call(Method::DELETE, &["settings", "secrets", key]).json().await
    }

    /// `GET /workspaces/:id/model`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn model(&self, id: WorkspaceId) -> Result<ModelView, ClientError> {
        self.get(&["workspaces", &id.to_string(), "model"]).json().await
    }

    /// `PUT /workspaces/:id/model`; empty clears. The workspace restarts (PROV-112).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_model(&self, id: WorkspaceId, model: &str) -> Result<SettingChanged, ClientError> {
        let body = SetModel {
            model: model.to_owned(),
        };
        self.call(Method::PUT, &["workspaces", &id.to_string(), "model"])
            .body(&body)?
            .json()
            .await
    }

    /// `GET /workspaces/:id/provider`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn provider(&self, id: WorkspaceId) -> Result<ProviderView, ClientError> {
        self.get(&["workspaces", &id.to_string(), "provider"]).json().await
    }

    /// `PUT /workspaces/:id/provider`; empty clears. The workspace restarts (PROV-112).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_provider(&self, id: WorkspaceId, provider: &str) -> Result<SettingChanged, ClientError> {
        let body = SetProvider {
            provider: provider.to_owned(),
        };
        self.call(Method::PUT, &["workspaces", &id.to_string(), "provider"])
            .body(&body)?
            .json()
            .await
    }
}

fn set(key: &str, value: &SecretString) -> SetSecret {
    SetSecret {
        key: key.to_owned(),
        value: value.expose_secret().to_owned(),
    }
}
