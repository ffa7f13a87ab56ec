//! Counts and durations per route (SEC-212). Kept here rather than in the recorder of the services: durations are a
//! counter with a fraction, and a handle per route and status costs no lookup by label.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use parking_lot::RwLock;

/// Route of requests that no route matches.
pub(crate) const UNMATCHED: &str = "unmatched";

#[derive(Debug, Default)]
struct Cell {
    requests: AtomicU64,
    nanos: AtomicU64,
}

impl Cell {
    fn add(&self, took: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        // 584 years of requests fit.
        self.nanos
            .fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Numbers of one route.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    method: &'static str,
    path: &'static str,
    /// A handful of statuses per route: a scan is faster than a map.
    cells: RwLock<Vec<(StatusCode, Arc<Cell>)>>,
}

impl RouteMetrics {
    pub(crate) fn observe(&self, status: StatusCode, took: Duration) {
        if let Some((_, cell)) = self.cells.read().iter().find(|(of, _)| *of == status) {
            cell.add(took);
            return;
        }
        let mut cells = self.cells.write();
        let known = cells.iter().position(|(of, _)| *of == status);
        let at = known.unwrap_or_else(|| {
            cells.push((status, Arc::default()));
            cells.len() - 1
        });
        cells[at].1.add(took);
    }
}

/// Numbers of all routes, and the gauge of open sockets.
#[derive(Debug, Default)]
pub(crate) struct HttpMetrics {
    routes: RwLock<Vec<Arc<RouteMetrics>>>,
    sockets: AtomicI64,
}

/// One open socket; the gauge falls when it is dropped, however the socket ended (ACT-81).
#[derive(Debug)]
pub(crate) struct OpenSocket(Arc<HttpMetrics>);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HttpMetrics {
    /// The numbers of a route, which all routers of one state share.
    pub(crate) fn route(&self, method: &'static str, path: &'static str) -> Arc<RouteMetrics> {
        let mut routes = self.routes.write();
        if let Some(known) = routes.iter().find(|route| (route.method, route.path) == (method, path)) {
            return known.clone();
        }
        let cells = RwLock::default();
        let route = Arc::new(RouteMetrics { method, path, cells });
        routes.push(route.clone());
        route
    }

    pub(crate) fn socket(self: &Arc<Self>) -> OpenSocket {
        self.sockets.fetch_add(1, Ordering::Relaxed);
        OpenSocket(self.clone())
    }

    /// Text format 0.0.4.
    pub(crate) fn render(&self, out: &mut String) {
        let mut requests = String::new();
        let mut seconds = String::new();
        for route in self.routes.read().iter() {
            for (status, cell) in route.cells.read().iter() {
                let labels = format!(
                    "{{method=\"{}\",path=\"{}\",status=\"{}\"}}",
                    route.method,
                    route.path,
                    status.as_u16()
                );
                let took = Duration::from_nanos(cell.nanos.load(Ordering::Relaxed)).as_secs_f64();
                // Writing to a string never fails.
                writeln!(
                    requests,
                    "molecule_http_requests_total{labels} {}",
                    cell.requests.load(Ordering::Relaxed)
                )
                .ok();
                writeln!(seconds, "molecule_http_request_duration_seconds_total{labels} {took}").ok();
            }
        }
        out.push_str("# HELP molecule_http_requests_total HTTP requests answered.\n# TYPE molecule_http_requests_total counter\n");
        out.push_str(&requests);
        out.push_str("# HELP molecule_http_request_duration_seconds_total Time until the answer began.\n# TYPE molecule_http_request_duration_seconds_total counter\n");
        out.push_str(&seconds);
        out.push_str("# HELP molecule_websocket_connections_active Open event sockets.\n# TYPE molecule_websocket_connections_active gauge\n");
        writeln!(
            out,
            "molecule_websocket_connections_active {}",
            self.sockets.load(Ordering::Relaxed)
        )
        .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rendered_by_pattern() {
        // SEC-212
        let metrics = Arc::new(HttpMetrics::default());
        let route = metrics.route("GET", "/workspaces/{id}");
        route.observe(StatusCode::OK, Duration::from_millis(250));
        route.observe(StatusCode::OK, Duration::from_millis(250));
        route.observe(StatusCode::NOT_FOUND, Duration::ZERO);
        let again = metrics.route("GET", "/workspaces/{id}");
        assert!(Arc::ptr_eq(&route, &again), "a series appears once");
        let socket = metrics.socket();
        let text = |metrics: &HttpMetrics| {
            let mut out = String::new();
            metrics.render(&mut out);
            out
        };
        let labels = r#"{method="GET",path="/workspaces/{id}",status="200"}"#;
        assert!(text(&metrics).contains(&format!("molecule_http_requests_total{labels} 2\n")));
        assert!(text(&metrics).contains(&format!("molecule_http_request_duration_seconds_total{labels} 0.5\n")));
        assert!(text(&metrics).contains(r#"status="404"} 1"#));
        assert!(text(&metrics).contains("molecule_websocket_connections_active 1\n"));
        drop(socket);
        assert!(text(&metrics).contains("molecule_websocket_connections_active 0\n"));
    }
}
