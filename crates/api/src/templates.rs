//! `/templates` (`provisioning.md` §9).

use axum::{Json as Answer, extract::State};
use http::StatusCode;
use molecule_platform::templates::TemplateSummary;
use molecule_wire::{
    ErrorBody,
    templates::{ImportTemplate, ImportedTemplate},
};

use crate::{error::ApiError, extract::Json, state::ApiState};

/// Workspace templates, by id.
#[utoipa::path(
    get, path = "/templates", operation_id = "list_templates", tag = "templates",
    responses((status = 200, description = "Templates.", body = Vec<TemplateSummary>))
)]
pub(crate) async fn list(State(state): State<ApiState>) -> Result<Answer<Vec<TemplateSummary>>, ApiError> {
    let catalogue = state.platform().catalogue.clone();
    // Reads files.
    let listed = tokio::task::spawn_blocking(move || catalogue.list()).await;
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
    let catalogue = state.platform().catalogue.clone();
    let ImportTemplate { name, files } = request;
    let written = tokio::task::spawn_blocking(move || catalogue.import(&name, &files).map(|imported| (imported, name)));
    let (imported, name) = written
        .await
        .map_err(|error| ApiError::store("internal error", &error))??;
    let added = ImportedTemplate {
        status: "imported".to_owned(),
        id: imported.id,
        name,
    };
    Ok((StatusCode::CREATED, Answer(added)))
}
