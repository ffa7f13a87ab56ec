//! `/workspaces/:id/artifacts`: needs an account with a third party and is not built (D8). Clients of the older product ask
//! for it, and are told so.

use http::StatusCode;
use molecule_wire::{ErrorBody, words::ErrorCode};

use crate::error::ApiError;

fn not_built() -> ApiError {
    let text = "artifacts need an account with a third party and are not part of this platform";
    ApiError::new(StatusCode::NOT_IMPLEMENTED, text).code(ErrorCode::NotImplemented)
}

/// The repository linked to a workspace; not built.
#[utoipa::path(
    get, path = "/workspaces/{id}/artifacts", operation_id = "show_artifacts", tag = "workspaces",
    params(("id" = molecule_core::WorkspaceId, Path, description = "The workspace.")),
    responses((status = 501, description = "Not built, with the reason.", body = ErrorBody))
)]
pub(crate) async fn show() -> ApiError {
    not_built()
}

/// Links a repository to a workspace; not built.
#[utoipa::path(
    post, path = "/workspaces/{id}/artifacts", operation_id = "create_artifacts", tag = "workspaces",
    params(("id" = molecule_core::WorkspaceId, Path, description = "The workspace.")),
    responses((status = 501, description = "Not built, with the reason.", body = ErrorBody))
)]
pub(crate) async fn create() -> ApiError {
    not_built()
}

/// Forks a workspace's repository; not built.
#[utoipa::path(
    post, path = "/workspaces/{id}/artifacts/fork", operation_id = "fork_artifacts", tag = "workspaces",
    params(("id" = molecule_core::WorkspaceId, Path, description = "The workspace.")),
    responses((status = 501, description = "Not built, with the reason.", body = ErrorBody))
)]
pub(crate) async fn fork() -> ApiError {
    not_built()
}

/// A credential for a workspace's repository; not built.
#[utoipa::path(
    post, path = "/workspaces/{id}/artifacts/token", operation_id = "artifacts_token", tag = "workspaces",
    params(("id" = molecule_core::WorkspaceId, Path, description = "The workspace.")),
    responses((status = 501, description = "Not built, with the reason.", body = ErrorBody))
)]
pub(crate) async fn token() -> ApiError {
    not_built()
}
