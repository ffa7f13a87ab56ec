//! Events (`activity.md` §2): what was recorded, and the live socket.

mod socket;

pub(crate) use socket::{__path_open, open};

use axum::{Json as Answer, extract::State};
use molecule_core::WorkspaceId;
use molecule_wire::events::EventRow;

use crate::{error::ApiError, extract::LastPath, scope::Scope, state::ApiState};

/// The newest 100 recorded events.
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "events",
    responses((status = 200, description = "Newest first.", body = Vec<EventRow>))
)]
pub(crate) async fn list(State(state): State<ApiState>, scope: Scope) -> Result<Answer<Vec<EventRow>>, ApiError> {
    let Answer(events) = newest(&state, None).await?;
    scope.keep(&state, events, |event| event.workspace_id).await.map(Answer)
}

/// The newest 100 recorded events of a workspace.
#[utoipa::path(
    get, path = "/events/{workspaceId}", operation_id = "list_workspace_events", tag = "events",
    params(("workspaceId" = WorkspaceId, Path, description = "The workspace; removed ones keep theirs.")),
    responses((status = 200, description = "Newest first.", body = Vec<EventRow>))
)]
pub(crate) async fn of_workspace(
    State(state): State<ApiState>,
    scope: Scope,
    LastPath(id): LastPath,
) -> Result<Answer<Vec<EventRow>>, ApiError> {
    // What is no id has no events (ACT-3).
    let Ok(id) = id.parse() else {
        return Ok(Answer(Vec::new()));
    };
    scope.require(&state, Some(id)).await?;
    newest(&state, Some(id)).await
}

async fn newest(state: &ApiState, workspace: Option<WorkspaceId>) -> Result<Answer<Vec<EventRow>>, ApiError> {
    let events = state.platform().history.newest(workspace).await;
    events
        .map(Answer)
        .map_err(|error| ApiError::store("query failed", &error))
}
