//! `/templates` (`provisioning.md` §9).

use axum::{Json as Answer, extract::State};
use http::StatusCode;
use molecule_wire::{
    ErrorBody,
    templates::{ImportTemplate, ImportedTemplate, TemplateSummary},
};

use crate::{error::ApiError, extract::Json, state::ApiState};

/// Workspace templates, by id.
#[utoipa::path(
    get, path = "/templates", operation_id = "list_templates", tag = "templates",
    responses((status = 200, description = "Templates.", body = Vec<TemplateSummary>))
)]
pub(crate) async fn list(State(state): State<ApiState>) -> Result<Answer<Vec<TemplateSummary>>, ApiError> {
    let templates = state.platform().templates.clone();
    // Reads files.
    let listed = tokio::task::spawn_blocking(move || templates.list()).await;
    listed
        .map(Answer)
        .map_err(|error| ApiError::store("internal error", &error))
}

/// Adds a folder of files as a template (PROV-105). Without a `config.yaml` one is made from what is there.
#[utoipa::path(
    post, path = "/templates/import", operation_id = "import_template", tag = "templates",
    request_body = ImportTemplate,
    responses(
        (status = 201, description = "Added.", body = ImportedTemplate),
        (status = 400, description = "No name or file, too many files, or a path that leads elsewhere.", body = ErrorBody),
        (status = 409, description = "There is one of that name; `id` is its directory.", body = ErrorBody),
    )
)]
pub(crate) async fn import(
    State(state): State<ApiState>,
    Json(request): Json<ImportTemplate>,
) -> Result<(StatusCode, Answer<ImportedTemplate>), ApiError> {
    let templates = state.platform().templates.clone();
    let added = tokio::task::spawn_blocking(move || templates.import(request))
        .await
        .map_err(|error| ApiError::store("internal error", &error))??;
    Ok((StatusCode::CREATED, Answer(added)))
}
