//! Health, build, metrics, liveness, sign-in.

use molecule_wire::{
    auth::{LoggedIn, Login, LoginCode, Ticket},
    ops::{BuildInfo, Health, Liveness, ServerInfo},
};

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
