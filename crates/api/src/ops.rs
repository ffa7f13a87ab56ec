//! What operators and probes ask (`security.md` §18).

use std::time::{Duration, SystemTime};

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use molecule_core::Timestamp;
use molecule_platform::supervise::LoopStatus;
use molecule_wire::{
    ErrorBody,
    ops::{BuildInfo, Health, Liveness, LogFilter, ModelEndpoint, Ready, ServerInfo, Subsystem},
};

use crate::{config::LogControl, error::ApiError, extract::Json, state::ApiState};

/// Commit the binary was built from. An unstamped build can never match a release (SEC-211).
pub const GIT_SHA: &str = match option_env!("GIT_SHA") {
    Some(sha) if !sha.is_empty() => sha,
    _ => "dev",
};

/// The server answers. Nothing it depends on is looked at.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "operations",
    responses((status = 200, description = "It answers.", body = Health))
)]
pub(crate) async fn health() -> Answer<Health> {
    Answer(Health {
        status: "ok".to_owned(),
    })
}

/// Which commit this is.
#[utoipa::path(
    get, path = "/buildinfo", operation_id = "build_info", tag = "operations",
    responses((status = 200, description = "The commit; `dev` if the build was not stamped.", body = BuildInfo))
)]
pub(crate) async fn build_info() -> Answer<BuildInfo> {
    Answer(BuildInfo {
        git_sha: GIT_SHA.to_owned(),
    })
}

/// Numbers for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "operations",
    responses((status = 200, description = "Text format 0.0.4.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(state): State<ApiState>) -> Response {
    let mut text = state.metrics().render();
    if let Some(services) = &state.config().metrics {
        text.push_str(&services.render());
    }
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

/// The server can do its work: the database answers, boot is over, and no stop has begun. For load balancers; whether
/// to restart the process is what `/health` tells.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "operations",
    responses(
        (status = 200, description = "It can.", body = Ready),
        (status = 503, description = "It cannot, and why.", body = Ready),
    )
)]
pub(crate) async fn ready(State(state): State<ApiState>) -> (StatusCode, Answer<Ready>) {
    let platform = state.platform();
    let ready = Ready {
        status: String::new(),
        database: state.readiness().database(platform).await,
        settled: platform.is_ready(),
        stopping: state.serving().closing.is_cancelled() || platform.supervisor.stopping().is_cancelled(),
    };
    let (status, word) = if ready.database && ready.settled && !ready.stopping {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let status_text = word.to_owned();
    (
        status,
        Answer(Ready {
            status: status_text,
            ..ready
        }),
    )
}

/// What the server writes into its log.
#[utoipa::path(
    get, path = "/admin/log", operation_id = "get_log_filter", tag = "operations",
    responses(
        (status = 200, description = "The filter in force.", body = LogFilter),
        (status = 501, description = "This server's log cannot be changed.", body = ErrorBody),
    )
)]
pub(crate) async fn log_filter(State(state): State<ApiState>) -> Result<Answer<LogFilter>, ApiError> {
    let filter = log_of(&state)?.filter();
    Ok(Answer(LogFilter { filter }))
}

/// Changes what the server writes into its log, until it is changed again or the server stops.
#[utoipa::path(
    put, path = "/admin/log", operation_id = "set_log_filter", tag = "operations",
    request_body = LogFilter,
    responses(
        (status = 200, description = "The filter in force.", body = LogFilter),
        (status = 400, description = "Not a filter; the old one stays.", body = ErrorBody),
        (status = 501, description = "This server's log cannot be changed.", body = ErrorBody),
    )
)]
pub(crate) async fn set_log_filter(
    State(state): State<ApiState>,
    Json(LogFilter { filter }): Json<LogFilter>,
) -> Result<Answer<LogFilter>, ApiError> {
    let log = log_of(&state)?;
    let before = log.filter();
    log.set_filter(&filter)
        .map_err(|reason| ApiError::bad_request("not a log filter").with("detail", reason))?;
    let filter = log.filter();
    tracing::warn!(before, now = filter, "log filter changed");
    Ok(Answer(LogFilter { filter }))
}

fn log_of(state: &ApiState) -> Result<&dyn LogControl, ApiError> {
    let log = state.config().log.as_deref();
    log.ok_or_else(|| ApiError::new(StatusCode::NOT_IMPLEMENTED, "this server's log cannot be changed"))
}

/// Background loops and when they last did something.
#[utoipa::path(
    get, path = "/admin/liveness", operation_id = "liveness", tag = "operations",
    responses((status = 200, description = "Every loop that has ticked.", body = Liveness))
)]
pub(crate) async fn liveness(State(state): State<ApiState>) -> Answer<Liveness> {
    let now = Timestamp::from(SystemTime::now());
    let loops = state.platform().supervisor.status();
    let subsystems = loops
        .into_iter()
        .map(|(name, status)| (name.to_owned(), subsystem(status, now)));
    Answer(Liveness {
        subsystems: subsystems.collect(),
        lag_ms: millis(state.platform().supervisor.lag().worst),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn subsystem(status: LoopStatus, now: Timestamp) -> Subsystem {
    let LoopStatus {
        description,
        period,
        last_tick_at,
        last_success_at,
        last_error,
        last_reason,
        last_duration,
        running_since,
        last_report,
        iterations,
    } = status;
    Subsystem {
        last_tick_at,
        seconds_ago: now.since(last_tick_at).as_secs(),
        last_success_at,
        last_error: last_error.map(str::to_owned),
        description: description.to_owned(),
        period_ms: period.map(millis),
        last_reason: last_reason.map(|reason| reason.as_str().to_owned()),
        last_duration_ms: last_duration.map(millis),
        running_since,
        last_report,
        iterations,
    }
}

/// What this server is, and what it can run.
#[utoipa::path(
    get, path = "/admin/server", operation_id = "server_info", tag = "operations",
    responses((status = 200, description = "The server.", body = ServerInfo))
)]
pub(crate) async fn server(State(state): State<ApiState>) -> Answer<ServerInfo> {
    Answer(state.config().about.clone())
}

/// The models' endpoints that global secrets lead to, each tried now.
#[utoipa::path(
    get, path = "/admin/models", operation_id = "try_models", tag = "operations",
    responses(
        (status = 200, description = "What each answered; none if no secret leads to one.", body = Vec<ModelEndpoint>),
        (status = 500, description = "The secrets could not be read.", body = ErrorBody),
    )
)]
pub(crate) async fn models(State(state): State<ApiState>) -> Result<Answer<Vec<ModelEndpoint>>, ApiError> {
    let Some(models) = &state.config().models else {
        return Ok(Answer(Vec::new()));
    };
    models.try_all().await.map(Answer).map_err(|error| {
        tracing::error!(error, "models' endpoints could not be tried");
        ApiError::internal()
    })
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value))
)]
pub(crate) async fn openapi(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], state.openapi()).into_response()
}
