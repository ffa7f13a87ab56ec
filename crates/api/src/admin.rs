//! The server's own keys (D2, D5).

use axum::{Json as Answer, extract::State};
use molecule_platform::secrets::RotateError;
use molecule_wire::{ErrorBody, audit::RotatedSecrets, auth::RotatedAdminToken};
use secrecy::ExposeSecret;

use crate::{error::ApiError, state::ApiState};

/// Makes another operator's token. The old one is dead when the answer is there; sessions and org tokens stay.
#[utoipa::path(
    post, path = "/admin/token/rotate", operation_id = "rotate_admin_token", tag = "operations",
    responses(
        (status = 200, description = "The new token.", body = RotatedAdminToken),
        (status = 409, description = "It is set by the server's environment.", body = ErrorBody),
        (status = 501, description = "This server's keys cannot be changed.", body = ErrorBody),
    )
)]
pub(crate) async fn rotate_token(State(state): State<ApiState>) -> Result<Answer<RotatedAdminToken>, ApiError> {
    let vault = state.config().vault.clone();
    let vault = vault.ok_or(RotateError::NoVault)?;
    let token = tokio::task::spawn_blocking(move || vault.next_admin_token())
        .await
        .map_err(|error| ApiError::store("internal error", &error))??;
    state.platform().credentials.replace_admin(&token);
    tracing::warn!("the operator's token was changed");
    Ok(Answer(RotatedAdminToken {
        auth_token: token.expose_secret().to_owned(),
        message: "The old token is dead. Browsers stay signed in, and org tokens stay: end what you do not trust"
            .to_owned(),
    }))
}

/// Seals every stored secret with a new key; or, if an earlier change of the key was interrupted, completes that.
#[utoipa::path(
    post, path = "/admin/secrets/rotate", operation_id = "rotate_secrets", tag = "operations",
    responses(
        (status = 200, description = "What was done, and whether something is left to do.", body = RotatedSecrets),
        (status = 409, description = "The key is set by the server's environment.", body = ErrorBody),
        (status = 501, description = "This server's keys cannot be changed.", body = ErrorBody),
    )
)]
pub(crate) async fn rotate_secrets(State(state): State<ApiState>) -> Result<Answer<RotatedSecrets>, ApiError> {
    let vault = state.config().vault.clone();
    let rotated = state.platform().secrets.rotate(vault.as_deref()).await;
    Ok(Answer(rotated?))
}
