//! `/workspaces/:id/budget` (`activity.md` §8).

use axum::{Json as Answer, extract::State};
use molecule_core::WorkspaceId;
use molecule_wire::{
    ErrorBody,
    workspaces::{Budget, SetBudget},
};

use crate::{
    error::ApiError,
    extract::{Json, WorkspacePath},
    state::ApiState,
};

/// What a workspace may spend a month, and has spent (ACT-199).
#[utoipa::path(
    get, path = "/workspaces/{id}/budget", operation_id = "workspace_budget", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "Its budget.", body = Budget),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
    )
)]
pub(crate) async fn show(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<Budget>, ApiError> {
    Ok(Answer(state.platform().workspaces.budget(id).await?))
}

/// Changes what a workspace may spend a month (ACT-200).
///
/// For admins: no agent lifts its own ceiling. Once a workspace has spent so much, messages to it are answered with 402;
/// a higher limit lets them through at once.
#[utoipa::path(
    patch, path = "/workspaces/{id}/budget", operation_id = "set_workspace_budget", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = SetBudget,
    responses(
        (status = 200, description = "Its budget from now on.", body = Budget),
        (status = 400, description = "No limit, or one that is no amount; nothing changed.", body = ErrorBody),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
    )
)]
pub(crate) async fn set(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    Json(request): Json<SetBudget>,
) -> Result<Answer<Budget>, ApiError> {
    Ok(Answer(state.platform().workspaces.set_budget(id, request).await?))
}
