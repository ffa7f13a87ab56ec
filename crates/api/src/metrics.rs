//! Numbers of the HTTP surface (SEC-212, ACT-205), made as all others are, but in a recorder of their own: handles are
//! kept per route and status, so that a request looks nothing up by label.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_process::Collector;
use parking_lot::RwLock;

/// Route of requests that no route matches.
pub(crate) const UNMATCHED: &str = "unmatched";

const REQUESTS: &str = "molecule_http_requests_total";
const SECONDS: &str = "molecule_http_request_duration_seconds";
const SOCKETS: &str = "molecule_websocket_connections_active";

/// Upper bounds of durations, seconds: a heartbeat takes one millisecond, an agent's answer minutes.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0,
];

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Numbers of one route.
pub(crate) struct RouteMetrics {
    method: &'static str,
    path: String,
    recorder: Arc<PrometheusRecorder>,
    /// A handful of statuses per route: a scan is faster than a map.
    cells: RwLock<Vec<(StatusCode, Cell)>>,
}

#[derive(Clone)]
struct Cell {
    requests: Counter,
    seconds: Histogram,
}

impl Cell {
    fn add(&self, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

impl RouteMetrics {
    pub(crate) fn observe(&self, status: StatusCode, took: Duration) {
        if let Some((_, cell)) = self.cells.read().iter().find(|(of, _)| *of == status) {
            cell.add(took);
            return;
        }
        // Registering one series twice is one series.
        let cell = self.cell(status);
        cell.add(took);
        let mut cells = self.cells.write();
        if cells.iter().all(|(of, _)| *of != status) {
            cells.push((status, cell));
        }
    }

    fn cell(&self, status: StatusCode) -> Cell {
        let labels = vec![
            Label::from_static_parts("method", self.method),
            Label::new("path", self.path.clone()),
            Label::new("status", status.as_str().to_owned()),
        ];
        Cell {
            requests: self
                .recorder
                .register_counter(&Key::from_parts(REQUESTS, labels.clone()), &METADATA),
            seconds: self
                .recorder
                .register_histogram(&Key::from_parts(SECONDS, labels), &METADATA),
        }
    }
}

/// Numbers of all routes and of the process, and the gauge of open sockets.
pub(crate) struct HttpMetrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    sockets: Gauge,
    process: Collector,
}

/// One open socket; the gauge falls when it is dropped, however the socket ended (ACT-81).
pub(crate) struct OpenSocket(Gauge);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Default for HttpMetrics {
    fn default() -> Self {
        let builder = PrometheusBuilder::new();
        // Refused only if there are none.
        let builder = builder
            .set_buckets(&BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let describe = |name: &'static str, text: &'static str| (name.into(), None, text.into());
        let (name, unit, text) = describe(REQUESTS, "HTTP requests answered.");
        recorder.describe_counter(name, unit, text);
        let (name, unit, text) = describe(SECONDS, "Time until the answer began.");
        recorder.describe_histogram(name, unit, text);
        let (name, unit, text) = describe(SOCKETS, "Open event sockets.");
        recorder.describe_gauge(name, unit, text);
        let process = Collector::default();
        with_local_recorder(&recorder, || process.describe());
        let sockets = recorder.register_gauge(&Key::from_static_name(SOCKETS), &METADATA);
        // Shown before the first one is opened.
        sockets.set(0.0);
        Self {
            handle: recorder.handle(),
            recorder: Arc::new(recorder),
            sockets,
            process,
        }
    }
}

impl HttpMetrics {
    /// The numbers of a route. Its pattern is spelled `/workspaces/:id` (ACT-205).
    pub(crate) fn route(&self, method: &'static str, path: &str) -> Arc<RouteMetrics> {
        Arc::new(RouteMetrics {
            method,
            path: path.replace("{*", "*").replace('{', ":").replace('}', ""),
            recorder: self.recorder.clone(),
            cells: RwLock::default(),
        })
    }

    pub(crate) fn socket(&self) -> OpenSocket {
        self.sockets.increment(1.0);
        OpenSocket(self.sockets.clone())
    }

    /// Sorts what was measured into its buckets. Until then every measurement is held by itself: to be called now and
    /// then, whether somebody reads the numbers or not.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Text format 0.0.4.
    pub(crate) fn render(&self) -> String {
        with_local_recorder(&self.recorder, || self.process.collect());
        let text = self.handle.render();
        let totals = duration_totals(&text);
        text + &totals
    }
}

/// The sum of durations under the name it has always had (ACT-205), beside the histogram that it is a part of.
fn duration_totals(text: &str) -> String {
    let prefix = format!("{SECONDS}_sum");
    let sums = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    let mut totals = sums.map(|rest| format!("{SECONDS}_total{rest}\n")).collect::<Vec<_>>();
    if !totals.is_empty() {
        totals.sort();
        totals.insert(
            0,
            format!(
                "# HELP {SECONDS}_total Time until the answer began, all together.\n# TYPE {SECONDS}_total counter\n"
            ),
        );
    }
    totals.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rendered_by_pattern() {
        // SEC-212, ACT-205
        let metrics = HttpMetrics::default();
        let route = metrics.route("GET", "/workspaces/{id}");
        route.observe(StatusCode::OK, Duration::from_millis(250));
        metrics.upkeep();
        metrics
            .route("GET", "/workspaces/{id}")
            .observe(StatusCode::OK, Duration::from_millis(250));
        route.observe(StatusCode::NOT_FOUND, Duration::ZERO);
        let socket = metrics.socket();
        let labels = r#"{method="GET",path="/workspaces/:id",status="200"}"#;
        let text = metrics.render();
        for line in [
            format!("molecule_http_requests_total{labels} 2\n"),
            format!("molecule_http_request_duration_seconds_total{labels} 0.5\n"),
            format!("molecule_http_request_duration_seconds_count{labels} 2\n"),
            r#"status="404"} 1"#.to_owned(),
            "molecule_websocket_connections_active 1\n".to_owned(),
            "process_resident_memory_bytes ".to_owned(),
            "process_cpu_seconds_total ".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        drop(socket);
        assert!(metrics.render().contains("molecule_websocket_connections_active 0\n"));
    }
}
