//! Secrets of workspaces and of everybody (`provisioning.md` §11). Values leave through one route only, to the
//! workspace itself.

use std::collections::BTreeMap;

use axum::{Json as Answer, extract::State};
use molecule_core::WorkspaceId;
use molecule_platform::secrets::SecretScope;
use molecule_wire::{
    ErrorBody,
    secrets::{SecretChanged, SecretView, SetSecret},
};
use secrecy::ExposeSecret;

use crate::{
    error::{ApiError, SecretAct, secret_error},
    extract::{ExactWorkspacePath, Json, LastPath, Live},
    state::ApiState,
};

/// PROV-119: both members, neither empty.
fn complete(secret: SetSecret) -> Result<SetSecret, ApiError> {
    if secret.key.is_empty() || secret.value.is_empty() {
        return Err(ApiError::bad_request("invalid request body"));
    }
    Ok(secret)
}

fn changed(status: &str, key: String, scope: Option<SecretScope>) -> Answer<SecretChanged> {
    let scope = scope.map(|scope| scope.as_str().to_owned());
    Answer(SecretChanged {
        status: status.to_owned(),
        key,
        scope,
    })
}

fn not_found() -> ApiError {
    ApiError::not_found("secret not found")
}

/// Keys a workspace sees: its own, then global ones it does not override. Never values.
#[utoipa::path(
    get, path = "/workspaces/{id}/secrets", operation_id = "list_secrets", tag = "secrets",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses((status = 200, description = "Keys.", body = Vec<SecretView>))
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    ExactWorkspacePath(id): ExactWorkspacePath,
) -> Result<Answer<Vec<SecretView>>, ApiError> {
    let listed = state.platform().secrets.list(id).await;
    listed.map(Answer).map_err(|error| secret_error(SecretAct::List, error))
}

/// Every value a workspace starts with; its own override global ones. Only for the workspace's own token.
#[utoipa::path(
    get, path = "/workspaces/{id}/secrets/values", operation_id = "secret_values", tag = "secrets",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "Values by key.", body = BTreeMap<String, String>),
        (status = 500, description = "A value does not decrypt; none is returned.", body = ErrorBody),
    )
)]
pub(crate) async fn values(
    State(state): State<ApiState>,
    ExactWorkspacePath(id): ExactWorkspacePath,
) -> Result<Answer<BTreeMap<String, String>>, ApiError> {
    let values = state.platform().secrets.values(id).await;
    let values = values.map_err(|error| secret_error(SecretAct::Values, error))?;
    Ok(Answer(
        values
            .into_iter()
            .map(|(key, value)| (key, value.expose_secret().to_owned()))
            .collect(),
    ))
}

/// Stores a secret of a workspace and restarts it.
#[utoipa::path(
    post, path = "/workspaces/{id}/secrets", operation_id = "set_secret", tag = "secrets",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = SetSecret,
    responses(
        (status = 200, description = "Stored.", body = SecretChanged),
        (status = 400, description = "Key or value is missing or not allowed.", body = ErrorBody),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn set(
    State(state): State<ApiState>,
    Live(ExactWorkspacePath(id)): Live<ExactWorkspacePath>,
    Json(secret): Json<SetSecret>,
) -> Result<Answer<SecretChanged>, ApiError> {
    let SetSecret { key, value } = complete(secret)?;
    let set = state.platform().settings.set_secret(id, &key, &value).await;
    set.map_err(|error| secret_error(SecretAct::Set, error))?;
    Ok(changed("saved", key, None))
}

/// Stores a secret of a workspace and restarts it. The same as POST.
#[utoipa::path(
    put, path = "/workspaces/{id}/secrets", operation_id = "put_secret", tag = "secrets",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = SetSecret,
    responses(
        (status = 200, description = "Stored.", body = SecretChanged),
        (status = 400, description = "Key or value is missing or not allowed.", body = ErrorBody),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn put(
    state: State<ApiState>,
    path: Live<ExactWorkspacePath>,
    secret: Json<SetSecret>,
) -> Result<Answer<SecretChanged>, ApiError> {
    set(state, path, secret).await
}

/// Deletes a secret of a workspace and restarts it.
#[utoipa::path(
    delete, path = "/workspaces/{id}/secrets/{key}", operation_id = "delete_secret", tag = "secrets",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace."),
        ("key" = String, Path, description = "The secret's name."),
    ),
    responses(
        (status = 200, description = "Deleted.", body = SecretChanged),
        (status = 404, description = "There was none.", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    ExactWorkspacePath(id): ExactWorkspacePath,
    LastPath(key): LastPath,
) -> Result<Answer<SecretChanged>, ApiError> {
    let deleted = state.platform().settings.delete_secret(id, &key).await;
    let deleted = deleted.map_err(|error| secret_error(SecretAct::Delete, error))?;
    if deleted {
        Ok(changed("deleted", key, None))
    } else {
        Err(not_found())
    }
}

/// Keys of the secrets that every workspace sees. Never values.
#[utoipa::path(
    get, path = "/settings/secrets", operation_id = "list_global_secrets", tag = "secrets",
    responses((status = 200, description = "Keys.", body = Vec<SecretView>))
)]
pub(crate) async fn list_global(State(state): State<ApiState>) -> Result<Answer<Vec<SecretView>>, ApiError> {
    let listed = state.platform().secrets.list_global().await;
    listed.map(Answer).map_err(|error| secret_error(SecretAct::List, error))
}

/// Stores a secret for every workspace and restarts those it reaches.
#[utoipa::path(
    post, path = "/settings/secrets", operation_id = "set_global_secret", tag = "secrets",
    request_body = SetSecret,
    responses(
        (status = 200, description = "Stored.", body = SecretChanged),
        (status = 400, description = "Key or value is missing or not allowed.", body = ErrorBody),
    )
)]
pub(crate) async fn set_global(
    State(state): State<ApiState>,
    Json(secret): Json<SetSecret>,
) -> Result<Answer<SecretChanged>, ApiError> {
    let SetSecret { key, value } = complete(secret)?;
    let set = state.platform().settings.set_global_secret(&key, &value).await;
    set.map_err(|error| secret_error(SecretAct::SetGlobal, error))?;
    Ok(changed("saved", key, Some(SecretScope::Global)))
}

/// Stores a secret for every workspace. The same as POST.
#[utoipa::path(
    put, path = "/settings/secrets", operation_id = "put_global_secret", tag = "secrets",
    request_body = SetSecret,
    responses(
        (status = 200, description = "Stored.", body = SecretChanged),
        (status = 400, description = "Key or value is missing or not allowed.", body = ErrorBody),
    )
)]
pub(crate) async fn put_global(
    state: State<ApiState>,
    secret: Json<SetSecret>,
) -> Result<Answer<SecretChanged>, ApiError> {
    set_global(state, secret).await
}

/// Deletes a secret of every workspace and restarts those it reached.
#[utoipa::path(
    delete, path = "/settings/secrets/{key}", operation_id = "delete_global_secret", tag = "secrets",
    params(("key" = String, Path, description = "The secret's name.")),
    responses(
        (status = 200, description = "Deleted.", body = SecretChanged),
        (status = 404, description = "There was none.", body = ErrorBody),
    )
)]
pub(crate) async fn delete_global(
    State(state): State<ApiState>,
    LastPath(key): LastPath,
) -> Result<Answer<SecretChanged>, ApiError> {
    let deleted = state.platform().settings.delete_global_secret(&key).await;
    let deleted = deleted.map_err(|error| secret_error(SecretAct::DeleteGlobal, error))?;
    if deleted {
        Ok(changed("deleted", key, Some(SecretScope::Global)))
    } else {
        Err(not_found())
    }
}
