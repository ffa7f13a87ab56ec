//! What operators and probes ask (`security.md` §18).

use std::time::{Duration, SystemTime};

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use molecule_core::Timestamp;
use molecule_platform::supervise::LoopStatus;
use molecule_wire::ops::{BuildInfo, Health, Liveness, ServerInfo, Subsystem};

use crate::state::ApiState;

/// Commit the binary was built from. An unstamped build can never match a release (SEC-211).
const GIT_SHA: &str = match option_env!("GIT_SHA") {
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
    let mut text = String::new();
    state.metrics().render(&mut text);
    process(&mut text);
    if let Some(services) = &state.config().metrics {
        text.push_str(&services.render());
    }
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

/// The standard numbers of a process, as far as the kernel tells them.
fn process(out: &mut String) {
    let mut gauge = |name: &str, help: &str, value: u64| {
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |label: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(label))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    if let Some(kib) = number("VmRSS:") {
        gauge("process_resident_memory_bytes", "Resident memory.", kib * 1024);
    }
    if let Some(kib) = number("VmSize:") {
        gauge("process_virtual_memory_bytes", "Virtual memory.", kib * 1024);
    }
    if let Some(threads) = number("Threads:") {
        gauge("process_threads", "Threads.", threads);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the listing itself.
        gauge(
            "process_open_fds",
            "Open file descriptors.",
            u64::try_from(open.count()).unwrap_or(1).saturating_sub(1),
        );
    }
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

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value))
)]
pub(crate) async fn openapi(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], state.openapi()).into_response()
}
