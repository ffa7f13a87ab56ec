//! `/workspaces/:id/agent` (`lifecycle.md` §13).

use axum::{Json as Answer, extract::State};
use http::StatusCode;
use molecule_core::WorkspaceId;
use molecule_wire::{
    ErrorBody,
    agents::{AssignAgent, AssignedAgent, MoveAgent, MovedAgent, RemovedAgent, ReplacedAgent},
};

use crate::{
    error::ApiError,
    extract::{Json, Who, WorkspacePath},
    scope::Scope,
    state::ApiState,
};

/// Puts an agent on record for a workspace that has none. Runtime and model of the workspace do not follow.
#[utoipa::path(
    post, path = "/workspaces/{id}/agent", operation_id = "assign_agent", tag = "agents",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = AssignAgent,
    responses(
        (status = 201, description = "Assigned.", body = AssignedAgent),
        (status = 400, description = "No model.", body = ErrorBody),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
        (status = 409, description = "It has one.", body = ErrorBody),
    )
)]
pub(crate) async fn assign(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    Json(AssignAgent { model }): Json<AssignAgent>,
) -> Result<(StatusCode, Answer<AssignedAgent>), ApiError> {
    let assigned = state.platform().agents.assign(id, &model).await?;
    Ok((StatusCode::CREATED, Answer(assigned)))
}

/// Puts another agent in the place of the one on record.
#[utoipa::path(
    patch, path = "/workspaces/{id}/agent", operation_id = "replace_agent", tag = "agents",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = AssignAgent,
    responses(
        (status = 200, description = "Replaced.", body = ReplacedAgent),
        (status = 400, description = "No model.", body = ErrorBody),
        (status = 404, description = "There is none.", body = ErrorBody),
    )
)]
pub(crate) async fn replace(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    Json(AssignAgent { model }): Json<AssignAgent>,
) -> Result<Answer<ReplacedAgent>, ApiError> {
    Ok(Answer(state.platform().agents.replace(id, &model).await?))
}

/// Withdraws the agent on record.
#[utoipa::path(
    delete, path = "/workspaces/{id}/agent", operation_id = "remove_agent", tag = "agents",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "Withdrawn.", body = RemovedAgent),
        (status = 404, description = "There is none.", body = ErrorBody),
    )
)]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<RemovedAgent>, ApiError> {
    Ok(Answer(state.platform().agents.remove(id).await?))
}

/// Moves the agent on record to another workspace. For admins: it changes what another workspace has.
#[utoipa::path(
    post, path = "/workspaces/{id}/agent/move", operation_id = "move_agent", tag = "agents",
    params(("id" = WorkspaceId, Path, description = "The workspace it leaves.")),
    request_body = MoveAgent,
    responses(
        (status = 200, description = "Moved.", body = MovedAgent),
        (status = 400, description = "The target is no id.", body = ErrorBody),
        (status = 403, description = "Not an admin, or the target is out of the token's reach.", body = ErrorBody),
        (status = 404, description = "There is none, or no such target.", body = ErrorBody),
        (status = 409, description = "The target has one.", body = ErrorBody),
    )
)]
pub(crate) async fn relocate(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    Who(identity): Who,
    Json(MoveAgent { target_workspace_id }): Json<MoveAgent>,
) -> Result<Answer<MovedAgent>, ApiError> {
    // What is no id is refused as that.
    if let Ok(target) = target_workspace_id.parse() {
        Scope::of(&identity).require(&state, Some(target)).await?;
    }
    let agents = &state.platform().agents;
    let moved = agents.relocate(id, &target_workspace_id, identity.is_admin()).await?;
    Ok(Answer(moved))
}
