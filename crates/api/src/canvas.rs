//! What the canvas keeps on the server (`activity.md` §11).

use axum::{Json as Answer, extract::State};
use molecule_wire::{ErrorBody, StatusBody, canvas::Viewport};

use crate::{error::ApiError, extract::Json, state::ApiState};

/// What the canvas looks at; the origin at its own size before anybody has looked elsewhere.
#[utoipa::path(
    get, path = "/canvas/viewport", operation_id = "get_viewport", tag = "canvas",
    responses((status = 200, description = "The viewport.", body = Viewport))
)]
pub(crate) async fn viewport(State(state): State<ApiState>) -> Answer<Viewport> {
    Answer(state.platform().canvas.viewport().await)
}

/// Keeps what the canvas looks at, for whoever opens it next.
#[utoipa::path(
    put, path = "/canvas/viewport", operation_id = "set_viewport", tag = "canvas",
    request_body = Viewport,
    responses(
        (status = 200, description = "Stored.", body = StatusBody),
        (status = 400, description = "Not a viewport.", body = ErrorBody),
    )
)]
pub(crate) async fn set_viewport(
    State(state): State<ApiState>,
    Json(viewport): Json<Viewport>,
) -> Result<Answer<StatusBody>, ApiError> {
    let kept = state.platform().canvas.set_viewport(viewport).await;
    kept.map_err(|error| ApiError::store("failed to save viewport", &error))?;
    Ok(Answer(StatusBody {
        status: "saved".to_owned(),
    }))
}
