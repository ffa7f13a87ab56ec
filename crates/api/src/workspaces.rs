//! `/workspaces` (`lifecycle.md` §5–9).

use axum::{
    Extension, Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use molecule_core::WorkspaceId;
use molecule_platform::workspaces::{Seen, StateAnswer};
use molecule_wire::{
    ErrorBody,
    workspaces::{
        BootstrapFailed, BootstrapNoted, ConfirmationRequired, CreateWorkspace, CreatedWorkspace, DeletedWorkspace,
        HibernatedWorkspace, PausedWorkspace, RestartWorkspace, RestartedWorkspace, RestoredWorkspace,
        ResumedWorkspace, StopFailures, UpdateWorkspace, UpdatedWorkspace, WokenWorkspace, WorkspaceGone,
        WorkspaceListItem, WorkspaceLogs, WorkspaceState, WorkspaceView,
    },
};

use crate::{
    audit::Made,
    error::ApiError,
    extract::{BaseUrl, Gone, Json, Lenient, Query, Who, WorkspacePath},
    scope::Scope,
    state::ApiState,
};

/// Bytes of a log's end unless asked otherwise.
const LOG_BYTES: usize = 64 << 10;
/// Most bytes of a log's end.
const LOG_BYTES_MAX: usize = 1 << 20;
/// What the owner of a removed workspace's token is told (LIFE-89).
const GONE_HINT: &str = "Regenerate the workspace and its token: this one was removed and its credentials are dead";

/// Workspaces that are not removed, by creation.
#[utoipa::path(
    get, path = "/workspaces", operation_id = "list_workspaces", tag = "workspaces",
    responses((status = 200, description = "Every workspace.", body = Vec<WorkspaceListItem>))
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    scope: Scope,
) -> Result<Answer<Vec<WorkspaceListItem>>, ApiError> {
    let listed = state.platform().workspaces.list().await;
    let listed = listed.map_err(|error| ApiError::store("query failed", &error))?;
    scope
        .keep(&state, listed, |item| Some(item.workspace.id))
        .await
        .map(Answer)
}

/// Creates a workspace and begins to start it. External ones only get an address and a token.
#[utoipa::path(
    post, path = "/workspaces", operation_id = "create_workspace", tag = "workspaces",
    request_body = CreateWorkspace,
    responses(
        (status = 201, description = "Created.", body = CreatedWorkspace),
        (status = 400, description = "A field is missing or not allowed; nothing was created.", body = ErrorBody),
    )
)]
pub(crate) async fn create(
    State(state): State<ApiState>,
    BaseUrl(base): BaseUrl,
    scope: Scope,
    Json(request): Json<CreateWorkspace>,
) -> Result<(StatusCode, Extension<Made>, Answer<CreatedWorkspace>), ApiError> {
    let parent = request.parent_id.as_deref().and_then(|parent| parent.parse().ok());
    scope.require(&state, parent).await?;
    let created = state.platform().workspaces.create(request, &base).await?;
    let made = Made(created.id.to_string());
    Ok((StatusCode::CREATED, Extension(made), Answer(created)))
}

/// One workspace, without what only admins may see.
#[utoipa::path(
    get, path = "/workspaces/{id}", operation_id = "get_workspace", tag = "workspaces",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace."),
        ("include_removed" = Option<bool>, Query, description = "`true`: a removed workspace is shown too."),
    ),
    responses(
        (status = 200, description = "The workspace.", body = WorkspaceView),
        (status = 404, description = "Unknown.", body = ErrorBody),
        (status = 410, description = "Removed; also for its withdrawn token.", body = WorkspaceGone),
    )
)]
pub(crate) async fn get(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    query: Query,
    Gone(departed): Gone,
) -> Result<Answer<WorkspaceView>, ApiError> {
    // To a withdrawn token `include_removed` shows nothing (LIFE-89a).
    let include_removed = query.flag("include_removed")? && departed.is_none();
    let seen = state.platform().workspaces.get(id).await;
    match seen.map_err(|error| ApiError::store("query failed", &error))? {
        Seen::Live(view) if departed.is_none() => Ok(Answer(*view)),
        Seen::Removed { view, .. } if include_removed => Ok(Answer(*view)),
        Seen::Removed { removed_at, .. } => Err(gone(id, removed_at)),
        // It was removed when the token was looked up; now its rows are purged.
        Seen::Unknown | Seen::Live(_) if departed.is_some() => Err(gone(id, None)),
        Seen::Unknown | Seen::Live(_) => Err(ApiError::not_found("workspace not found")),
    }
}

fn gone(id: WorkspaceId, removed_at: Option<molecule_core::Timestamp>) -> ApiError {
    let error = "workspace removed".to_owned();
    ApiError::json(
        StatusCode::GONE,
        &WorkspaceGone {
            error,
            id,
            removed_at,
            hint: GONE_HINT.to_owned(),
        },
    )
}

/// Changes the fields that were sent.
///
/// A workspace may change its own name, role and layout; the rest is for admins.
#[utoipa::path(
    patch, path = "/workspaces/{id}", operation_id = "update_workspace", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = UpdateWorkspace,
    responses(
        (status = 200, description = "Changed.", body = UpdatedWorkspace),
        (status = 400, description = "A field is not allowed; nothing changed.", body = ErrorBody),
        (status = 403, description = "A field is for admins only.", body = ErrorBody),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
    )
)]
pub(crate) async fn update(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    Who(identity): Who,
    Json(request): Json<UpdateWorkspace>,
) -> Result<Answer<UpdatedWorkspace>, ApiError> {
    if let Some(parent) = request.parent_id.clone().into_option() {
        let parent = parent.and_then(|parent| parent.parse().ok());
        Scope::of(&identity).require(&state, parent).await?;
    }
    let admin = identity.is_admin();
    let updated = state.platform().workspaces.patch(id, request, admin).await?;
    Ok(Answer(updated))
}

/// Removes a workspace and everything below it, then stops their agents.
#[utoipa::path(
    delete, path = "/workspaces/{id}", operation_id = "delete_workspace", tag = "workspaces",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace."),
        ("confirm" = Option<bool>, Query, description = "`true`: remove children too."),
        ("purge" = Option<bool>, Query, description = "`true`: delete rows and data for good."),
    ),
    responses(
        (status = 200, description = "Removed; also if it was before.", body = DeletedWorkspace),
        (status = 400, description = "A parameter is neither `true` nor `false`.", body = ErrorBody),
        (status = 409, description = "It has children; confirm.", body = ConfirmationRequired),
        (status = 500, description = "Removed, but a stop failed: repeat the call.", body = StopFailures),
    )
)]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    query: Query,
) -> Result<Answer<DeletedWorkspace>, ApiError> {
    let (confirm, purge) = (query.flag("confirm")?, query.flag("purge")?);
    let deleted = state.platform().workspaces.delete(id, confirm, purge).await?;
    Ok(Answer(deleted))
}

/// What an agent needs to know of its own workspace: go on, pause, or end.
#[utoipa::path(
    get, path = "/workspaces/{id}/state", operation_id = "workspace_state", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "It is there.", body = WorkspaceState),
        (status = 404, description = "Unknown or removed: the agent ends.", body = WorkspaceState),
        (status = 500, description = "The credential could not be checked.", body = ErrorBody),
    )
)]
pub(crate) async fn workspace_state(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Response, ApiError> {
    let answer = state.platform().workspaces.state(id).await;
    Ok(match answer.map_err(|error| ApiError::store("query failed", &error))? {
        StateAnswer::Live(state) => Answer(state).into_response(),
        StateAnswer::Gone(state) => (StatusCode::NOT_FOUND, Answer(state)).into_response(),
    })
}

/// Restarts the agent. Answers at once; stop and start follow.
#[utoipa::path(
    post, path = "/workspaces/{id}/restart", operation_id = "restart_workspace", tag = "workspaces",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace."),
        ("reset" = Option<bool>, Query, description = "`true`: as `reset` in the body."),
    ),
    request_body(content = Option<RestartWorkspace>),
    responses(
        (status = 200, description = "A restart began, or there is nothing to restart.", body = RestartedWorkspace),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
        (status = 409, description = "A parent is paused.", body = ErrorBody),
        (status = 503, description = "There is no backend.", body = ErrorBody),
    )
)]
pub(crate) async fn restart(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    query: Query,
    Lenient(mut request): Lenient<RestartWorkspace>,
) -> Result<Answer<RestartedWorkspace>, ApiError> {
    request.reset |= query.flag("reset")?;
    let restarted = state.platform().workspaces.restart(id, request).await?;
    Ok(Answer(restarted))
}

/// Stops a workspace's agent, and those of everything below it, until somebody resumes them.
#[utoipa::path(
    post, path = "/workspaces/{id}/pause", operation_id = "pause_workspace", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "Paused.", body = PausedWorkspace),
        (status = 404, description = "Unknown, removed, or paused already.", body = ErrorBody),
    )
)]
pub(crate) async fn pause(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<PausedWorkspace>, ApiError> {
    Ok(Answer(state.platform().workspaces.pause(id).await?))
}

/// Ends a pause, and those that reach down from it.
#[utoipa::path(
    post, path = "/workspaces/{id}/resume", operation_id = "resume_workspace", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "The agents are being started.", body = ResumedWorkspace),
        (status = 404, description = "Unknown, removed, or not paused.", body = ErrorBody),
        (status = 409, description = "A parent is paused.", body = ErrorBody),
        (status = 503, description = "There is no backend; nothing changed.", body = ErrorBody),
    )
)]
pub(crate) async fn resume(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<ResumedWorkspace>, ApiError> {
    Ok(Answer(state.platform().workspaces.resume(id).await?))
}

/// Stops a workspace's agent until a message for it comes.
#[utoipa::path(
    post, path = "/workspaces/{id}/hibernate", operation_id = "hibernate_workspace", tag = "workspaces",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace."),
        ("force" = Option<bool>, Query, description = "`true`: also if tasks run; they end."),
    ),
    responses(
        (status = 200, description = "Hibernated.", body = HibernatedWorkspace),
        (status = 404, description = "Unknown, or neither online nor degraded.", body = ErrorBody),
        (status = 409, description = "Tasks run, it is external, or it changed meanwhile.", body = ErrorBody),
        (status = 500, description = "It could not be stopped; it is tried again.", body = ErrorBody),
    )
)]
pub(crate) async fn hibernate(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    query: Query,
) -> Result<Answer<HibernatedWorkspace>, ApiError> {
    let force = query.flag("force")?;
    Ok(Answer(state.platform().workspaces.hibernate(id, force).await?))
}

/// Starts a hibernated workspace's agent, as a message for it would.
#[utoipa::path(
    post, path = "/workspaces/{id}/wake", operation_id = "wake_workspace", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "The agent is being started.", body = WokenWorkspace),
        (status = 404, description = "Unknown, or not hibernated.", body = ErrorBody),
        (status = 409, description = "A parent is paused.", body = ErrorBody),
        (status = 503, description = "There is no backend.", body = ErrorBody),
    )
)]
pub(crate) async fn wake(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<WokenWorkspace>, ApiError> {
    Ok(Answer(state.platform().workspaces.wake(id).await?))
}

/// The end of a managed agent's output.
#[utoipa::path(
    get, path = "/workspaces/{id}/logs", operation_id = "workspace_logs", tag = "workspaces",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace."),
        ("ticket" = Option<String>, Query, description = "A single-use ticket for `logs` of this workspace."),
        ("bytes" = Option<i64>, Query, minimum = 1, description = "At most so many; default 65536, more than 1048576 counts as that."),
    ),
    responses(
        (status = 200, description = "Its end.", body = WorkspaceLogs),
        (status = 400, description = "`bytes` is no number.", body = ErrorBody),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
        (status = 422, description = "External: its logs are elsewhere.", body = ErrorBody),
        (status = 501, description = "The backend keeps none.", body = ErrorBody),
        (status = 502, description = "The backend failed.", body = ErrorBody),
    )
)]
pub(crate) async fn logs(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    query: Query,
) -> Result<Answer<WorkspaceLogs>, ApiError> {
    let bytes = query.count("bytes")?.unwrap_or(LOG_BYTES).min(LOG_BYTES_MAX);
    Ok(Answer(state.platform().workspaces.logs(id, bytes).await?))
}

/// Undoes a removal that was not a purge. The tokens of the workspace stay dead.
#[utoipa::path(
    post, path = "/admin/workspaces/{id}/restore", operation_id = "restore_workspace", tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "It is there again; its agent is being started.", body = RestoredWorkspace),
        (status = 404, description = "Unknown, or purged.", body = ErrorBody),
        (status = 409, description = "It is not removed, or its parent is.", body = ErrorBody),
    )
)]
pub(crate) async fn restore(
    State(state): State<ApiState>,
    BaseUrl(base): BaseUrl,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<RestoredWorkspace>, ApiError> {
    Ok(Answer(state.platform().workspaces.restore(id, &base).await?))
}

/// Reports an instance that did not boot, from whoever watches it from outside.
#[utoipa::path(
    post, path = "/admin/workspaces/{id}/bootstrap-failed", operation_id = "report_failed_bootstrap",
    tag = "workspaces",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = BootstrapFailed,
    responses(
        (status = 200, description = "Noted; nothing changes unless a start is under way.", body = BootstrapNoted),
        (status = 400, description = "Not a report.", body = ErrorBody),
        (status = 500, description = "It could not be stored.", body = ErrorBody),
    )
)]
pub(crate) async fn bootstrap_failed(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    Json(BootstrapFailed { error, log_tail }): Json<BootstrapFailed>,
) -> Result<Answer<BootstrapNoted>, ApiError> {
    let noted = state
        .platform()
        .provisioner
        .bootstrap_failed(id, &error, &log_tail)
        .await;
    let changed = noted.map_err(|error| ApiError::store("db update failed", &error))?;
    Ok(Answer(BootstrapNoted {
        ok: true,
        no_change: (!changed).then_some(true),
    }))
}
