//! Health, build, metrics, liveness, sign-in.

use molecule_wire::{
    auth::{LoggedIn, Login, LoginCode, Ticket},
    ops::{BuildInfo, Health, Liveness, ModelEndpoint, Ready, ServerInfo},
};
use serde_json::Value;

use crate::{Client, ClientError};

impl Client {
    /// `GET /health` (SEC-210).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get(&["health"]).json().await
    }

    /// `GET /buildinfo` (SEC-211).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn buildinfo(&self) -> Result<BuildInfo, ClientError> {
        self.get(&["buildinfo"]).json().await
    }

    /// `GET /ready`: what the server lacks to do its work, if anything. That it is not ready is an answer, not an error.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ready(&self) -> Result<Ready, ClientError> {
        let answer = self.get(&["ready"]).send().await?;
        if answer.status() != 503 {
            return answer.success().await?.json().await;
        }
        match answer.into_error().await {
            ClientError::Status(error) => error.body_as().ok_or_else(|| error.into()),
            error => Err(error),
        }
    }

    /// `GET /openapi.json`: the description of the API.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn openapi(&self) -> Result<Value, ClientError> {
        self.get(&["openapi.json"]).json().await
    }

    /// `GET /metrics`, Prometheus text (SEC-212).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        self.get(&["metrics"])
            .accept("text/plain")
            .send()
            .await?
            .success()
            .await?
            .text()
            .await
    }

    /// `GET /admin/liveness` (SEC-213). Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn liveness(&self) -> Result<Liveness, ClientError> {
        self.get(&["admin", "liveness"]).json().await
    }

    /// `GET /admin/server`. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn server_info(&self) -> Result<ServerInfo, ClientError> {
        self.get(&["admin", "server"]).json().await
    }

    /// `GET /admin/models`: the endpoints that stored secrets lead to, each tried now. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn model_endpoints(&self) -> Result<Vec<ModelEndpoint>, ClientError> {
        self.get(&["admin", "models"]).json().await
    }

    /// `POST /auth/login`: one-time code for a session token (D2).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn login(&self, code: &str) -> Result<LoggedIn, ClientError> {
        self.post(&["auth", "login"])
            .body(&Login { code: code.to_owned() })?
            .private()
            .json()
            .await
    }

    /// `POST /auth/login-codes`: a fresh login URL (D2). Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn login_code(&self) -> Result<LoginCode, ClientError> {
        self.post(&["auth", "login-codes"]).private().json().await
    }

    /// `POST /auth/tickets`: opens one socket or download within 30 s (D2).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ticket(&self) -> Result<Ticket, ClientError> {
        self.post(&["auth", "tickets"]).private().json().await
    }
}
