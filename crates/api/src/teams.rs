//! Teams below a workspace (`lifecycle.md` §12).

use axum::{Json as Answer, extract::State};
use molecule_core::WorkspaceId;
use molecule_wire::{
    ErrorBody,
    workspaces::{CollapsedWorkspace, ExpandedWorkspace, StopFailures},
};

use crate::{error::ApiError, extract::WorkspacePath, state::ApiState};

/// Makes the team that the template of the workspace's name defines. Repeating it makes another one.
#[utoipa::path(
    post, path = "/workspaces/{id}/expand", operation_id = "expand_workspace", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "The members that were made.", body = ExpandedWorkspace),
        (status = 400, description = "No template fits, or it defines no team.", body = ErrorBody),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
        (status = 500, description = "The template cannot be read.", body = ErrorBody),
    )
)]
pub(crate) async fn expand(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<ExpandedWorkspace>, ApiError> {
    Ok(Answer(state.platform().workspaces.expand(id).await?))
}

/// Removes everything below the workspace and stops it.
#[utoipa::path(
    post, path = "/workspaces/{id}/collapse", operation_id = "collapse_workspace", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "Names of its children that were removed.", body = CollapsedWorkspace),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
        (status = 500, description = "Removed, but a stop failed: repeat the call.", body = StopFailures),
    )
)]
pub(crate) async fn collapse(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<CollapsedWorkspace>, ApiError> {
    Ok(Answer(state.platform().workspaces.collapse(id).await?))
}
