//! Operations and pages.

use std::collections::BTreeMap;

use molecule_core::Runtime;
use molecule_wire::{
    StatusBody,
    canvas::Viewport,
    ops::{BuildInfo, Health, Liveness, LogFilter, ModelEndpoint, Ready, ServerInfo, Subsystem},
};
use serde_json::json;

use super::{Example, NOW};

pub(super) fn examples() -> Vec<Example> {
    [operations(), pages()].into_iter().flatten().collect()
}

fn operations() -> Vec<Example> {
    let ready = Ready {
        status: "ready".to_owned(),
        database: true,
        settled: true,
        stopping: false,
    };
    let filter = || LogFilter {
        filter: "info,molecule_platform=debug".to_owned(),
    };
    let server = ServerInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        database: "sqlite".to_owned(),
        backend: Some("process".to_owned()),
        sandbox: Some("best-effort".to_owned()),
        runtimes: vec![Runtime::Native, Runtime::External],
    };
    let numbers = "# HELP molecule_http_requests_total HTTP requests answered.\n\
                   # TYPE molecule_http_requests_total counter\n\
                   molecule_http_requests_total{method=\"GET\",path=\"/health\",status=\"200\"} 7\n";
    vec![
        Example::of("health").gives(
            "200",
            Health {
                status: "ok".to_owned(),
            },
        ),
        Example::of("ready").gives("200", ready),
        Example::of("build_info").gives(
            "200",
            BuildInfo {
                git_sha: "dev".to_owned(),
            },
        ),
        Example::of("metrics").gives_as("200", "text/plain", numbers),
        Example::of("openapi").gives("200", json!({ "openapi": "3.1.0", "info": { "title": "Molecule" } })),
        Example::of("liveness").gives("200", liveness()),
        Example::of("try_models").gives("200", models()),
        Example::of("server_info").gives("200", server),
        Example::of("get_log_filter").gives("200", filter()),
        Example::of("set_log_filter").asks(filter()).gives("200", filter()),
    ]
}

fn models() -> [ModelEndpoint; 2] {
    let url = |url: &str| url.to_owned();
    [
        ModelEndpoint {
            credential: "ANTHROPIC_API_KEY".to_owned(),
            url: url("https://api.anthropic.com"),
            models: Some(9),
            error: None,
        },
        ModelEndpoint {
            credential: "MOLECULE_LLM_BASE_URL".to_owned(),
            url: url("http://127.0.0.1:11434/v1"),
            models: None,
            error: Some("127.0.0.1:11434 refused the connection".to_owned()),
        },
    ]
}

fn liveness() -> Liveness {
    let sweep = Subsystem {
        last_tick_at: NOW,
        seconds_ago: 4,
        last_success_at: Some(NOW),
        last_error: None,
        description: "Marks agents offline that are silent or gone, and has them restarted".to_owned(),
        period_ms: Some(15_000),
        last_reason: Some("period".to_owned()),
        last_duration_ms: Some(3),
        running_since: None,
        last_report: Some(json!({ "silent": 0, "vanished": 0 })),
        iterations: 240,
    };
    Liveness {
        subsystems: BTreeMap::from([("health-sweep".to_owned(), sweep)]),
        lag_ms: 1,
    }
}

fn pages() -> Vec<Example> {
    let viewport = Viewport {
        x: -240.0,
        y: 80.0,
        zoom: 0.75,
    };
    let page = "<!doctype html>\n<title>Molecule</title>\n";
    vec![
        Example::of("get_viewport").gives("200", viewport),
        Example::of("set_viewport").asks(viewport).gives(
            "200",
            StatusBody {
                status: "saved".to_owned(),
            },
        ),
        Example::of("page").gives_as("200", "text/html", page),
        Example::of("docs").gives_as("200", "text/html", page),
        Example::of("asset").gives_as("200", "application/octet-stream", "the file"),
    ]
}
