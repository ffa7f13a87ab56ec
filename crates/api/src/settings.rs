//! Model and provider of a workspace (`provisioning.md` §10).

use axum::{Json as Answer, extract::State};
use molecule_core::WorkspaceId;
use molecule_wire::{
    ErrorBody,
    secrets::{ModelView, ProviderView, SetModel, SetProvider, SettingChanged},
    words::SettingSource,
};

use crate::{
    error::{ApiError, SecretAct, secret_error},
    extract::{Json, Live, WorkspacePath},
    state::ApiState,
};

/// Where a value comes from (PROV-110).
fn source_of(value: Option<&String>) -> String {
    let source = match value {
        Some(_) => SettingSource::WorkspaceSecrets,
        None => SettingSource::Default,
    };
    source.as_str().to_owned()
}

/// What a write did: `saved`, or `cleared` for an empty value.
fn outcome(value: &str) -> SettingChanged {
    let status = if value.is_empty() { "cleared" } else { "saved" }.to_owned();
    SettingChanged {
        status,
        model: None,
        provider: None,
    }
}

fn act(name: &'static str, value: &str) -> SecretAct {
    if value.is_empty() {
        SecretAct::ClearSetting(name)
    } else {
        SecretAct::SetSetting(name)
    }
}

/// The model a workspace uses.
#[utoipa::path(
    get, path = "/workspaces/{id}/model", operation_id = "get_model", tag = "settings",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses((status = 200, description = "The model.", body = ModelView))
)]
pub(crate) async fn model(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<ModelView>, ApiError> {
    let stored = state.platform().secrets.model(id).await;
    let value = stored
        .map_err(|error| secret_error(SecretAct::ReadSetting, error))?
        .value;
    Ok(Answer(ModelView {
        source: source_of(value.as_ref()),
        model: value.unwrap_or_default(),
    }))
}

/// Chooses the model and restarts the workspace; an empty one is the default.
#[utoipa::path(
    put, path = "/workspaces/{id}/model", operation_id = "set_model", tag = "settings",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = SetModel,
    responses(
        (status = 200, description = "Stored.", body = SettingChanged),
        (status = 400, description = "Not a model.", body = ErrorBody),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn set_model(
    State(state): State<ApiState>,
    Live(WorkspacePath(id)): Live<WorkspacePath>,
    Json(SetModel { model }): Json<SetModel>,
) -> Result<Answer<SettingChanged>, ApiError> {
    let act = act("model", &model);
    let set = state.platform().settings.set_model(id, &model).await;
    set.map_err(|error| secret_error(act, error))?;
    let outcome = outcome(&model);
    Ok(Answer(SettingChanged {
        model: Some(model).filter(|model| !model.is_empty()),
        ..outcome
    }))
}

/// The provider a workspace uses.
#[utoipa::path(
    get, path = "/workspaces/{id}/provider", operation_id = "get_provider", tag = "settings",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses((status = 200, description = "The provider.", body = ProviderView))
)]
pub(crate) async fn provider(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
) -> Result<Answer<ProviderView>, ApiError> {
    let stored = state.platform().secrets.provider(id).await;
    let value = stored
        .map_err(|error| secret_error(SecretAct::ReadSetting, error))?
        .value;
    Ok(Answer(ProviderView {
        source: source_of(value.as_ref()),
        provider: value.unwrap_or_default(),
    }))
}

/// Chooses the provider and restarts the workspace; an empty one is the default.
#[utoipa::path(
    put, path = "/workspaces/{id}/provider", operation_id = "set_provider", tag = "settings",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    request_body = SetProvider,
    responses(
        (status = 200, description = "Stored.", body = SettingChanged),
        (status = 400, description = "Not a provider.", body = ErrorBody),
        (status = 404, description = "Unknown workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn set_provider(
    State(state): State<ApiState>,
    Live(WorkspacePath(id)): Live<WorkspacePath>,
    Json(SetProvider { provider }): Json<SetProvider>,
) -> Result<Answer<SettingChanged>, ApiError> {
    let act = act("provider", &provider);
    let set = state.platform().settings.set_provider(id, &provider).await;
    set.map_err(|error| secret_error(act, error))?;
    let outcome = outcome(&provider);
    Ok(Answer(SettingChanged {
        provider: Some(provider).filter(|provider| !provider.is_empty()),
        ..outcome
    }))
}
