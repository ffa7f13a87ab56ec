//! `/registry` (`a2a.md` §2–6). Register, heartbeat and cards decide by themselves who may call: the workspace is named
//! in the body.

use axum::{Json as Answer, extract::State};
use http::HeaderMap;
use molecule_core::WorkspaceId;
use molecule_platform::registry::RegisterError;
use molecule_wire::{
    ErrorBody, StatusBody,
    registry::{AccessAnswer, CheckAccess, Discovered, Heartbeat, HeartbeatOk, Peer, Register, Registered, UpdateCard},
};
use secrecy::ExposeSecret;

use crate::{
    error::ApiError,
    extract::{BaseUrl, Json, LastPath, Query, Who, WorkspacePath},
    state::ApiState,
};

/// An agent says where it is and what it can do.
#[utoipa::path(
    post, path = "/registry/register", operation_id = "register", tag = "registry",
    request_body = Register,
    responses(
        (status = 200, description = "Registered. The inbound secret comes every time, a token only if it is new.", body = Registered),
        (status = 400, description = "A field is missing, or the address may not be dialled.", body = ErrorBody),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn register(
    State(state): State<ApiState>,
    Who(identity): Who,
    Json(request): Json<Register>,
) -> Result<Answer<Registered>, ApiError> {
    let reply = state.platform().registry.register(&identity, request).await?;
    Ok(Answer(reply.into_wire()))
}

/// An agent is alive; every 20 to 60 seconds.
#[utoipa::path(
    post, path = "/registry/heartbeat", operation_id = "heartbeat", tag = "registry",
    request_body = Heartbeat,
    responses(
        (status = 200, description = "Taken.", body = HeartbeatOk),
        (status = 400, description = "No workspace is named.", body = ErrorBody),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn heartbeat(
    State(state): State<ApiState>,
    Who(identity): Who,
    Json(beat): Json<Heartbeat>,
) -> Result<Answer<HeartbeatOk>, ApiError> {
    let reply = state.platform().registry.heartbeat(&identity, beat).await?;
    let secret = reply.inbound_secret.map(|secret| secret.expose_secret().to_owned());
    Ok(Answer(HeartbeatOk {
        status: "ok".to_owned(),
        platform_inbound_secret: secret,
    }))
}

/// An agent has a new card.
#[utoipa::path(
    post, path = "/registry/update-card", operation_id = "update_card", tag = "registry",
    request_body = UpdateCard,
    responses(
        (status = 200, description = "Stored.", body = StatusBody),
        (status = 400, description = "A field is missing.", body = ErrorBody),
    )
)]
pub(crate) async fn update_card(
    State(state): State<ApiState>,
    Who(identity): Who,
    Json(request): Json<UpdateCard>,
) -> Result<Answer<StatusBody>, ApiError> {
    let updated = state.platform().registry.update_card(&identity, request).await;
    updated.map_err(|error| match error {
        RegisterError::Store(cause) => ApiError::store("failed to update card", &cause),
        refused => refused.into(),
    })?;
    Ok(Answer(StatusBody {
        status: "updated".to_owned(),
    }))
}

/// May one workspace send to another?
#[utoipa::path(
    post, path = "/registry/check-access", operation_id = "check_access", tag = "registry",
    request_body = CheckAccess,
    responses(
        (status = 200, description = "What the hierarchy says.", body = AccessAnswer),
        (status = 400, description = "An id is missing.", body = ErrorBody),
    )
)]
pub(crate) async fn check_access(
    State(state): State<ApiState>,
    Json(request): Json<CheckAccess>,
) -> Result<Answer<AccessAnswer>, ApiError> {
    if request.caller_id.is_empty() || request.target_id.is_empty() {
        return Err(ApiError::bad_request("invalid request body"));
    }
    let allowed = match (request.caller_id.parse(), request.target_id.parse()) {
        (Ok(caller), Ok(target)) => state.platform().registry.check_access(caller, target).await,
        // What is no id names nobody (SEC-97).
        _ => false,
    };
    Ok(Answer(AccessAnswer { allowed }))
}

/// Where the calling workspace reaches another one.
#[utoipa::path(
    get, path = "/registry/discover/{id}", operation_id = "discover", tag = "registry",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace to reach."),
        ("X-Workspace-ID" = WorkspaceId, Header, description = "The calling workspace."),
    ),
    responses(
        (status = 200, description = "Its address.", body = Discovered),
        (status = 400, description = "The caller is not named.", body = ErrorBody),
        (status = 403, description = "The two may not talk.", body = ErrorBody),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
        (status = 503, description = "Not available now.", body = ErrorBody),
    )
)]
pub(crate) async fn discover(
    State(state): State<ApiState>,
    headers: HeaderMap,
    BaseUrl(base): BaseUrl,
    LastPath(target): LastPath,
) -> Result<Answer<Discovered>, ApiError> {
    let forbidden = || ApiError::from(molecule_platform::registry::DiscoverError::Forbidden);
    let caller = headers
        .get("x-workspace-id")
        .and_then(|header| header.to_str().ok()?.parse().ok());
    let caller = caller.ok_or_else(forbidden)?;
    let target = target.parse().map_err(|_| forbidden())?;
    Ok(Answer(state.platform().registry.discover(caller, target, &base).await?))
}

/// Whom a workspace may talk to: siblings, children, parent.
#[utoipa::path(
    get, path = "/registry/{id}/peers", operation_id = "peers", tag = "registry",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace itself."),
        ("q" = Option<String>, Query, description = "Part of a name or role."),
    ),
    responses(
        (status = 200, description = "Its peers.", body = Vec<Peer>),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn peers(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    BaseUrl(base): BaseUrl,
    query: Query,
) -> Result<Answer<Vec<Peer>>, ApiError> {
    let peers = state.platform().registry.peers(id, query.get("q"), &base).await?;
    let peers = peers.into_iter().map(|row| Peer {
        id: row.id,
        name: row.name,
        role: row.role,
        tier: row.tier,
        status: row.status,
        agent_card: row
            .agent_card
            .as_deref()
            .and_then(|card| serde_json::from_str(card).ok()),
        url: row.url,
        parent_id: row.parent_id,
        active_tasks: row.active_tasks,
    });
    Ok(Answer(peers.collect()))
}
