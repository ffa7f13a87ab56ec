//! Tokens of workspaces and of the org (`security.md` §2).

use molecule_core::{OrgTokenId, SessionId, TokenId, WorkspaceId};
use molecule_wire::{
    StatusBody,
    auth::{
        MintOrgToken, MintedOrgToken, MintedToken, OrgTokenList, RevokedOrgToken, RotatedAdminToken, SessionList,
        TokenList,
    },
};
use reqwest::Method;

use crate::{Client, ClientError};

impl Client {
    /// `GET /workspaces/:id/tokens` (SEC-14): live ones, newest first, the largest page.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_tokens(&self, id: WorkspaceId) -> Result<TokenList, ClientError> {
        self.get(&["workspaces", &id.to_string(), "tokens"])
            .query("limit", "200")
            .json()
            .await
    }

    /// `POST /workspaces/:id/tokens` (SEC-15). The token is shown only here.
    ///
    /// # Errors
    /// [`ClientError`]; 429 at 50 live tokens.
    pub async fn mint_token(&self, id: WorkspaceId) -> Result<MintedToken, ClientError> {
        self.post(&["workspaces", &id.to_string(), "tokens"])
            .private()
            .json()
            .await
    }

    /// `DELETE /workspaces/:id/tokens/:tokenId` (SEC-16).
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it is not live.
    pub async fn revoke_token(&self, id: WorkspaceId, token: TokenId) -> Result<StatusBody, ClientError> {
        self.call(
            Method::DELETE,
            &["workspaces", &id.to_string(), "tokens", &token.to_string()],
        )
        .json()
        .await
    }

    /// `GET /org/tokens` (SEC-17). Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_org_tokens(&self) -> Result<OrgTokenList, ClientError> {
        self.get(&["org", "tokens"]).json().await
    }

    /// `POST /org/tokens` (SEC-18). The token is shown only here. Admin.
    ///
    /// # Errors
    /// [`ClientError`]; 429 beyond the hourly limit (SEC-206).
    pub async fn mint_org_token(&self, wanted: &MintOrgToken) -> Result<MintedOrgToken, ClientError> {
        self.post(&["org", "tokens"]).body(wanted)?.private().json().await
    }

    /// `POST /admin/token/rotate`: another operator's token. The old one is dead afterwards.
    ///
    /// # Errors
    /// [`ClientError`]; 409 if the server's environment sets it.
    pub async fn rotate_admin_token(&self) -> Result<RotatedAdminToken, ClientError> {
        self.post(&["admin", "token", "rotate"]).private().json().await
    }

    /// `GET /auth/sessions`: browsers that are signed in. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_sessions(&self) -> Result<SessionList, ClientError> {
        self.get(&["auth", "sessions"]).json().await
    }

    /// `DELETE /auth/sessions/:sessionId`. Admin.
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it is over.
    pub async fn end_session(&self, id: SessionId) -> Result<StatusBody, ClientError> {
        self.call(Method::DELETE, &["auth", "sessions", &id.to_string()])
            .json()
            .await
    }

    /// `DELETE /org/tokens/:id` (SEC-19). Admin.
    ///
    /// # Errors
    /// [`ClientError`]; 404 if it is not live.
    pub async fn revoke_org_token(&self, token: OrgTokenId) -> Result<RevokedOrgToken, ClientError> {
        self.call(Method::DELETE, &["org", "tokens", &token.to_string()])
            .json()
            .await
    }
}
