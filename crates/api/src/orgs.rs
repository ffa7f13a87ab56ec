//! `/org` (`provisioning.md` §12).

use axum::{Json as Answer, extract::State};
use http::StatusCode;
use molecule_wire::{
    ErrorBody,
    orgs::{ImportOrg, ImportedOrg, MissingEnv, OrgTemplateView},
};

use crate::{error::ApiError, extract::Json, state::ApiState};

/// Org templates that can be imported.
#[utoipa::path(
    get, path = "/org/templates", operation_id = "list_org_templates", tag = "orgs",
    responses((status = 200, description = "Templates.", body = Vec<OrgTemplateView>))
)]
pub(crate) async fn templates(State(state): State<ApiState>) -> Result<Answer<Vec<OrgTemplateView>>, ApiError> {
    let orgs = state.platform().orgs.clone();
    // Reads files.
    let listed = tokio::task::spawn_blocking(move || orgs.templates()).await;
    listed
        .map(Answer)
        .map_err(|error| ApiError::store("internal error", &error))
}

/// Creates every workspace of an org template and begins to start them.
#[utoipa::path(
    post, path = "/org/import", operation_id = "import_org", tag = "orgs",
    request_body = ImportOrg,
    responses(
        (status = 201, description = "All were created.", body = ImportedOrg),
        (status = 207, description = "Stopped at the first that failed; earlier ones stay.", body = ImportedOrg),
        (status = 400, description = "Nothing usable was given.", body = ErrorBody),
        (status = 404, description = "No such template.", body = ErrorBody),
        (status = 409, description = "`if_exists` is `refuse`, and `workspaces` are there.", body = ErrorBody),
        (status = 412, description = "Environment variables are missing; nothing was created.", body = MissingEnv),
    )
)]
pub(crate) async fn import(
    State(state): State<ApiState>,
    Json(request): Json<ImportOrg>,
) -> Result<(StatusCode, Answer<ImportedOrg>), ApiError> {
    let imported = state.platform().orgs.import(request).await?;
    let status = if imported.error.is_some() {
        StatusCode::MULTI_STATUS
    } else {
        StatusCode::CREATED
    };
    Ok((status, Answer(imported)))
}
