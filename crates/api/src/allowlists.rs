//! `/orgs/:id/plugins/allowlist` (SEC-150, SEC-151).

use axum::{Json as Answer, extract::State};
use molecule_core::WorkspaceId;
use molecule_wire::{
    ErrorBody,
    audit::{PluginAllowlist, ReplaceAllowlist, ReplacedAllowlist},
};

use crate::{
    error::ApiError,
    extract::{Json, WorkspacePath},
    state::ApiState,
};

/// Plugins that an org allows.
#[utoipa::path(
    get, path = "/orgs/{id}/plugins/allowlist", operation_id = "plugin_allowlist", tag = "plugins",
    params(("id" = WorkspaceId, Path, description = "The org: its root workspace.")),
    responses(
        (status = 200, description = "The list.", body = PluginAllowlist),
        (status = 404, description = "No such org.", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    WorkspacePath(org): WorkspacePath,
) -> Result<Answer<PluginAllowlist>, ApiError> {
    let allowlists = &state.platform().allowlists;
    allowlists.find_org(org).await?;
    Ok(Answer(allowlists.list(org).await?))
}

/// Replaces the plugins that an org allows. An empty list allows all.
#[utoipa::path(
    put, path = "/orgs/{id}/plugins/allowlist", operation_id = "replace_plugin_allowlist", tag = "plugins",
    params(("id" = WorkspaceId, Path, description = "The org: its root workspace.")),
    request_body = ReplaceAllowlist,
    responses(
        (status = 200, description = "Replaced.", body = ReplacedAllowlist),
        (status = 400, description = "Nobody is named, or `plugin_name` is none; nothing changed.", body = ErrorBody),
        (status = 404, description = "No such org.", body = ErrorBody),
    )
)]
pub(crate) async fn replace(
    State(state): State<ApiState>,
    WorkspacePath(org): WorkspacePath,
    Json(request): Json<ReplaceAllowlist>,
) -> Result<Answer<ReplacedAllowlist>, ApiError> {
    let allowlists = &state.platform().allowlists;
    allowlists.find_org(org).await?;
    Ok(Answer(allowlists.replace(org, request).await?))
}
