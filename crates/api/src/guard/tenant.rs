//! The tenant guard of hosted servers (SEC-54…58). It never authenticates: what passes still meets its route's gate.

use http::{HeaderMap, request::Parts};

use super::origin::Origins;

/// Paths that agents and probes call before they know the org (SEC-55).
const PATHS: [&str; 5] = [
    "/health",
    "/metrics",
    "/buildinfo",
    "/registry/register",
    "/registry/heartbeat",
];

/// Does the request belong to this org?
pub(super) fn admits(org_id: Option<&str>, origins: &Origins, head: &Parts) -> bool {
    let Some(org_id) = org_id else { return true };
    let path = head.uri.path();
    PATHS.contains(&path)
        || path.starts_with("/cp/")
        || is_page(path)
        || names_org(&head.headers, org_id)
        || origins.is_own_page(&head.headers)
}

/// The login page and its assets (SEC-58).
fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/assets/")
}

fn names_org(headers: &HeaderMap, org_id: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let state = |source: &str| {
        source
            .split(';')
            .filter_map(|part| part.trim().strip_prefix("state="))
            .any(|state| state == org_id)
    };
    text("x-molecule-org-id") == Some(org_id) || text("fly-replay-src").is_some_and(state)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use molecule_platform::AuthMode;

    use super::*;

    fn passes(path: &str, headers: &[(&str, &str)]) -> bool {
        let origins = Origins::new(AuthMode::Required, None, None);
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        admits(Some("acme"), &origins, &request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn exact_paths_pass() {
        // SEC-55, SEC-58, REG-15
        for path in [
            "/health",
            "/metrics",
            "/buildinfo",
            "/registry/register",
            "/registry/heartbeat",
            "/",
            "/assets/a.js",
        ] {
            assert!(passes(path, &[]), "{path}");
        }
        for path in [
            "/health/x",
            "/workspaces",
            "/registry/update-card",
            "/healthz",
            "/openapi.json",
            "/ws",
        ] {
            assert!(!passes(path, &[]), "{path}");
        }
    }

    #[test]
    fn the_org_is_named_exactly() {
        // SEC-54
        assert!(passes("/ws", &[("x-molecule-org-id", "acme")]));
        assert!(!passes("/ws", &[("x-molecule-org-id", "acme2")]));
        assert!(passes("/ws", &[("fly-replay-src", "instance=1;state=acme;t=2")]));
        assert!(!passes("/ws", &[("fly-replay-src", "state=other")]));
        assert!(passes("/ws", &[("host", "h"), ("origin", "https://h")]));
        assert!(!passes("/ws", &[("host", "h"), ("origin", "https://e")]));
    }
}
