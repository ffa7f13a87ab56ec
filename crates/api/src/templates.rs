//! `/templates` (`provisioning.md` §9).

use axum::{Json as Answer, extract::State};
use molecule_platform::templates::TemplateSummary;

use crate::{error::ApiError, state::ApiState};

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
