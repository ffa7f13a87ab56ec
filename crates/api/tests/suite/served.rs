//! The table of routes against the one of the specification (`security.md` §5): nothing is forgotten, and what is beside it
//! is beside it on purpose.

use std::collections::BTreeSet;

use molecule_api::ROUTES;

/// SEC-80…83: methods, and paths that have all of them. A parameter is `:`.
const SPECIFIED: [(&str, &str); 17] = [
    (
        "GET",
        "/health /metrics /buildinfo /workspaces/: /canvas/viewport /plugins /plugins/sources /channels/adapters",
    ),
    ("POST", "/registry/check-access"),
    (
        "POST",
        "/workspaces/:/a2a /registry/register /registry/heartbeat /registry/update-card",
    ),
    (
        "GET",
        "/workspaces/:/a2a/queue/: /registry/discover/: /registry/:/peers /workspaces/:/schedules/health",
    ),
    ("GET", "/admin/workspaces/:/test-token /ws"),
    ("POST", "/webhooks/github /webhooks/github/: /webhooks/:"),
    ("PUT", "/canvas/viewport"),
    ("GET POST", "/workspaces /admin/secrets /instructions /org/tokens"),
    (
        "DELETE",
        "/workspaces/: /settings/secrets/: /admin/secrets/: /org/tokens/:",
    ),
    (
        "GET",
        "/workspaces/:/console /admin/liveness /admin/schedules/health /admin/github-installation-token",
    ),
    (
        "GET",
        "/admin/memories/export /approvals/pending /events /events/: /templates /org/templates /bundles/export/:",
    ),
    ("PATCH", "/workspaces/:/budget"),
    (
        "POST",
        "/admin/memories/import /admin/workspaces/:/bootstrap-failed /admin/a2a-queue/drop-stale",
    ),
    (
        "POST",
        "/admin/workspace-images/refresh /templates/import /bundles/import /org/import /channels/discover",
    ),
    ("GET PUT POST", "/settings/secrets"),
    ("PUT DELETE", "/instructions/:"),
    ("GET PUT", "/orgs/:/plugins/allowlist"),
];

/// SEC-84: the same below `/workspaces/:`.
const OF_A_WORKSPACE: [(&str, &str); 17] = [
    ("PATCH", ""),
    (
        "GET",
        "state delegations traces transcript audit metrics budget session-search events/stream secrets/values",
    ),
    (
        "POST",
        "restart pause resume hibernate expand collapse delegate delegations/record delegations/:/update notify",
    ),
    (
        "GET POST",
        "activity memories memory approvals schedules tokens artifacts",
    ),
    (
        "DELETE",
        "memories/: memory/: tokens/: secrets/: checkpoints/: plugins/:",
    ),
    (
        "GET",
        "memory/: schedules/:/history checkpoints/latest checkpoints/: mcp/stream instructions/resolve",
    ),
    (
        "POST",
        "approvals/:/decide agent/move schedules/:/run artifacts/fork artifacts/token checkpoints mcp",
    ),
    ("POST PATCH DELETE", "agent"),
    ("GET PATCH", "config"),
    ("PATCH DELETE", "schedules/: channels/:"),
    ("GET POST PUT", "secrets"),
    ("GET PUT", "model provider files"),
    (
        "GET",
        "github-installation-token terminal terminal/diagnose chat/download",
    ),
    ("GET PUT DELETE", "files/:"),
    ("POST", "chat/uploads channels/:/send channels/:/test"),
    ("GET POST", "plugins channels"),
    ("GET", "plugins/available plugins/compatibility plugins/:/download"),
];

/// SEC-85, and what this server has of its own: its pages, signing in, its operation, and what became of workspaces.
const OURS: [(&str, &str); 8] = [
    ("GET POST PUT PATCH DELETE", "/cp/:"),
    ("GET", "/ /docs /assets/: /ready /openapi.json"),
    (
        "GET",
        "/admin/server /admin/models /admin/audit /admin/audit/verify /auth/sessions",
    ),
    ("GET PUT", "/admin/log"),
    (
        "POST",
        "/admin/token/rotate /admin/secrets/rotate /admin/workspaces/:/restore",
    ),
    (
        "POST",
        "/auth/login /auth/logout /auth/login-codes /auth/tickets /workspaces/:/wake",
    ),
    ("DELETE", "/auth/sessions/:"),
    ("GET", "/workspaces/:/logs"),
];

type Rows = BTreeSet<(String, String)>;

fn rows(table: &[(&str, &str)], below: &str) -> Rows {
    let mut rows = Rows::new();
    for (methods, paths) in table {
        for path in paths.split(' ') {
            let path = [below, path].concat();
            let path = if path.len() > 1 {
                path.trim_end_matches('/')
            } else {
                &path
            };
            rows.extend(methods.split(' ').map(|method| (method.to_owned(), path.to_owned())));
        }
    }
    rows
}

/// As the specification spells it, without the parameters' names.
fn spelled(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with('{') {
            ":".to_owned()
        } else {
            part.to_owned()
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn the_table_is_the_specifications() {
    // SEC-80…86
    let served = ROUTES
        .iter()
        .map(|route| (route.verb.as_str().to_owned(), spelled(route.path)));
    let served: Rows = served.collect();
    let mut specified = rows(&SPECIFIED, "");
    specified.extend(rows(&OF_A_WORKSPACE, "/workspaces/:/"));
    let missing: Vec<_> = specified.difference(&served).collect();
    assert!(missing.is_empty(), "specified, and not in the table: {missing:?}");
    let beside: Rows = served.difference(&specified).cloned().collect();
    assert_eq!(beside, rows(&OURS, ""));
}
