//! The one table of routes (SEC-80…84). What is not here is not served; what is here has a class, and nothing can be
//! registered without one.

use std::collections::HashSet;

use axum::{
    Router,
    handler::Handler,
    routing::{any, on},
};
use molecule_core::limits;
use molecule_wire::auth::TicketPurpose;

use crate::{
    a2a, activity, admin, agents, allowlists, artifacts, audit, auth, budget, canvas, events,
    guard::GuardLayer,
    ops, orgs, pages, registry,
    route::{Audited, Class, Reach, Route, Thing, Verb},
    secrets, settings,
    state::ApiState,
    teams, templates, tokens, upstream, workspaces,
};

macro_rules! routes {
    ($($verb:ident $path:literal $class:ident $([$($fact:ident $(= $value:expr)?),+])? => $($handler:ident)::+;)+) => {
        /// Every route.
        pub static ROUTES: &[Route] = &[$(Route {
            handler: |verb| on(verb.filter(), $($handler)::+),
            $($($fact: fact!($($value)?),)+)?
            ..Route::plain(Verb::$verb, $path, Class::$class)
        }),+];
    };
}

/// A fact without a value is one that holds.
macro_rules! fact {
    () => {
        true
    };
    ($value:expr) => {
        $value
    };
}

routes! {
    Get "/" Public [built_in, page, web_ui, any_org] => pages::index;
    Get "/docs" Public [built_in, page] => pages::docs;
    Get "/assets/{*path}" Public [built_in, page, web_ui, any_org] => pages::asset;
    Get "/health" Public [built_in, any_org] => ops::health;
    Get "/ready" Public [built_in, any_org] => ops::ready;
    Get "/buildinfo" Public [built_in, any_org] => ops::build_info;
    Get "/metrics" Metrics [any_org] => ops::metrics;
    Get "/openapi.json" Topology [reach = Reach::Nothing] => ops::openapi;
    Get "/admin/liveness" Admin => ops::liveness;
    Get "/admin/server" Admin [reach = Reach::Nothing] => ops::server;
    Get "/admin/models" Admin => ops::models;
    Get "/admin/log" Admin => ops::log_filter;
    Put "/admin/log" Admin [body = limits::LOGIN_BODY_BYTES, audit = record("log.filter", Thing::Log)] => ops::set_log_filter;
    Get "/admin/audit" Admin => audit::list;
    Get "/admin/audit/verify" Admin => audit::verify;
    Post "/admin/token/rotate" Operator [body = 0, audit = record("admin-token.rotate", Thing::Opaque)] => admin::rotate_token;
    Post "/admin/secrets/rotate" Operator [body = 0, audit = record("secrets.rotate", Thing::Opaque)] => admin::rotate_secrets;

    Post "/auth/login" Public [counts_refusals, body = limits::LOGIN_BODY_BYTES, audit = record("session.begin", Thing::Opaque)] => auth::login;
    Post "/auth/logout" Admin [body = 0, reads, reach = Reach::Nothing, audit = record("session.end", Thing::Sessions)] => auth::logout;
    Post "/auth/login-codes" Admin [body = 0, audit = record("login-code.issue", Thing::Opaque)] => auth::login_code;
    Post "/auth/tickets" Admin [body = limits::LOGIN_BODY_BYTES, reads, reach = Reach::Part] => auth::ticket;
    Get "/auth/sessions" Admin => auth::sessions;
    Delete "/auth/sessions/{sessionId}" Admin [audit = record("session.end", Thing::Sessions)] => auth::end_session;

    Get "/workspaces" Admin [reach = Reach::Part] => workspaces::list;
    Post "/workspaces" Admin [reach = Reach::Part, audit = record("workspace.create", Thing::Opaque)] => workspaces::create;
    Get "/workspaces/{id}" Topology [tells_departed] => workspaces::get;
    Patch "/workspaces/{id}" Workspace [audit = record("workspace.update", Thing::Workspace)] => workspaces::update;
    Delete "/workspaces/{id}" Admin [audit = record("workspace.delete", Thing::Workspace)] => workspaces::delete;
    Get "/workspaces/{id}/state" WorkspaceOnly [tells_departed] => workspaces::workspace_state;
    Post "/workspaces/{id}/restart" Workspace [audit = record("workspace.restart", Thing::Workspace)] => workspaces::restart;
    Post "/workspaces/{id}/pause" Workspace [body = 0, audit = record("workspace.pause", Thing::Workspace)] => workspaces::pause;
    Post "/workspaces/{id}/resume" Workspace [body = 0, audit = record("workspace.resume", Thing::Workspace)] => workspaces::resume;
    Post "/workspaces/{id}/hibernate" Workspace [body = 0, audit = record("workspace.hibernate", Thing::Workspace)] => workspaces::hibernate;
    Post "/workspaces/{id}/wake" Workspace [body = 0, audit = record("workspace.wake", Thing::Workspace)] => workspaces::wake;
    Post "/workspaces/{id}/expand" Workspace [body = 0, audit = record("workspace.expand", Thing::Workspace)] => teams::expand;
    Post "/workspaces/{id}/collapse" Workspace [body = 0, audit = record("workspace.collapse", Thing::Workspace)] => teams::collapse;
    Post "/workspaces/{id}/agent" Workspace [audit = record("agent.assign", Thing::Workspace)] => agents::assign;
    Patch "/workspaces/{id}/agent" Workspace [audit = record("agent.replace", Thing::Workspace)] => agents::replace;
    Delete "/workspaces/{id}/agent" Workspace [audit = record("agent.remove", Thing::Workspace)] => agents::remove;
    Post "/workspaces/{id}/agent/move" Workspace [audit = record("agent.move", Thing::Workspace)] => agents::relocate;
    Post "/admin/workspaces/{id}/restore" Admin [body = 0, audit = record("workspace.restore", Thing::Workspace)] => workspaces::restore;
    Post "/admin/workspaces/{id}/bootstrap-failed" Admin [audit = record("workspace.bootstrap-failed", Thing::Workspace)] => workspaces::bootstrap_failed;
    Get "/workspaces/{id}/logs" Workspace [ticket = Some(TicketPurpose::Logs)] => workspaces::logs;

    Get "/workspaces/{id}/budget" Workspace => budget::show;
    Patch "/workspaces/{id}/budget" Admin [audit = record("budget.set", Thing::Budget)] => budget::set;

    Post "/workspaces/{id}/a2a" Message [own_task] => a2a::send;
    Get "/workspaces/{id}/activity" Workspace => activity::list;
    Post "/workspaces/{id}/activity" Workspace => activity::report;
    Post "/workspaces/{id}/notify" Workspace => activity::notify;

    Get "/workspaces/{id}/artifacts" Workspace => artifacts::show;
    Post "/workspaces/{id}/artifacts" Workspace [body = 0] => artifacts::create;
    Post "/workspaces/{id}/artifacts/fork" Workspace [body = 0] => artifacts::fork;
    Post "/workspaces/{id}/artifacts/token" Workspace [body = 0] => artifacts::token;

    Get "/workspaces/{id}/tokens" Workspace => tokens::list;
    Post "/workspaces/{id}/tokens" Workspace [body = 0, audit = record("token.mint", Thing::Tokens)] => tokens::mint;
    Delete "/workspaces/{id}/tokens/{tokenId}" Workspace [audit = record("token.revoke", Thing::Tokens)] => tokens::revoke;
    Get "/admin/workspaces/{id}/test-token" TestToken [mints, audit = record("token.mint", Thing::Tokens)] => tokens::test_token;

    Get "/workspaces/{id}/secrets" Workspace => secrets::list;
    Post "/workspaces/{id}/secrets" Workspace [audit = record("secret.set", Thing::WorkspaceSecrets)] => secrets::set;
    Put "/workspaces/{id}/secrets" Workspace [audit = record("secret.set", Thing::WorkspaceSecrets)] => secrets::put;
    Get "/workspaces/{id}/secrets/values" WorkspaceOnly => secrets::values;
    Delete "/workspaces/{id}/secrets/{key}" Workspace [audit = record("secret.delete", Thing::WorkspaceSecrets)] => secrets::delete;
    Get "/workspaces/{id}/model" Workspace => settings::model;
    Put "/workspaces/{id}/model" Workspace [audit = record("model.set", Thing::Settings)] => settings::set_model;
    Get "/workspaces/{id}/provider" Workspace => settings::provider;
    Put "/workspaces/{id}/provider" Workspace [audit = record("provider.set", Thing::Settings)] => settings::set_provider;

    Get "/settings/secrets" Admin => secrets::list_global;
    Post "/settings/secrets" Admin [audit = record("global-secret.set", Thing::GlobalSecrets)] => secrets::set_global;
    Put "/settings/secrets" Admin [audit = record("global-secret.set", Thing::GlobalSecrets)] => secrets::put_global;
    Delete "/settings/secrets/{key}" Admin [audit = record("global-secret.delete", Thing::GlobalSecrets)] => secrets::delete_global;
    Get "/admin/secrets" Admin => secrets::list_global;
    Post "/admin/secrets" Admin [audit = record("global-secret.set", Thing::GlobalSecrets)] => secrets::set_global;
    Delete "/admin/secrets/{key}" Admin [audit = record("global-secret.delete", Thing::GlobalSecrets)] => secrets::delete_global;

    Post "/registry/register" Registry [unmetered, any_org, body = limits::CARD_BODY_BYTES] => registry::register;
    Post "/registry/heartbeat" Registry [unmetered, any_org, body = limits::HEARTBEAT_BODY_BYTES] => registry::heartbeat;
    Post "/registry/update-card" Registry [body = limits::CARD_BODY_BYTES] => registry::update_card;
    Post "/registry/check-access" Topology [reads] => registry::check_access;
    Get "/registry/discover/{id}" Peer [asked_in_header] => registry::discover;
    Get "/registry/{id}/peers" Peer => registry::peers;

    Get "/templates" Admin [reach = Reach::Nothing] => templates::list;
    Post "/templates/import" Admin [audit = record("template.import", Thing::Opaque)] => templates::import;
    Get "/org/templates" Admin [reach = Reach::Nothing] => orgs::templates;
    Post "/org/import" Admin [audit = record("org.import", Thing::Opaque)] => orgs::import;
    Get "/org/tokens" Admin [reach = Reach::Part] => tokens::list_org;
    Post "/org/tokens" Admin [reach = Reach::Part, audit = record("org-token.mint", Thing::OrgTokens)] => tokens::mint_org;
    Delete "/org/tokens/{tokenId}" Admin [reach = Reach::Part, audit = record("org-token.revoke", Thing::OrgTokens)] => tokens::revoke_org;
    Get "/orgs/{id}/plugins/allowlist" Admin [reach = Reach::Exactly] => allowlists::list;
    Put "/orgs/{id}/plugins/allowlist" Admin [reach = Reach::Exactly, audit = record("plugin-allowlist.replace", Thing::Allowlist)] => allowlists::replace;

    Get "/canvas/viewport" Topology [page, reach = Reach::Nothing] => canvas::viewport;
    Put "/canvas/viewport" Topology [page, reach = Reach::Nothing] => canvas::set_viewport;

    Get "/events" Admin [reach = Reach::Part] => events::list;
    Get "/events/{workspaceId}" Admin [reach = Reach::Part] => events::of_workspace;
    Get "/ws" Socket [ticket = Some(TicketPurpose::Events), reach = Reach::Part] => events::open;

    // SEC-85
    Get "/cp/{*path}" Proxied [any_org, streams, own_task] => upstream::control_plane;
    Post "/cp/{*path}" Proxied [any_org, streams, own_task] => upstream::control_plane;
    Put "/cp/{*path}" Proxied [any_org, streams, own_task] => upstream::control_plane;
    Patch "/cp/{*path}" Proxied [any_org, streams, own_task] => upstream::control_plane;
    Delete "/cp/{*path}" Proxied [any_org, streams, own_task] => upstream::control_plane;

    // SEC-80…84: who may call is decided; what is answered comes with its service.
    Get "/workspaces/{id}/console" Admin [later] => pages::unmatched;
    Get "/plugins" Topology [later] => pages::unmatched;
    Get "/plugins/sources" Topology [later] => pages::unmatched;
    Get "/channels/adapters" Topology [later] => pages::unmatched;
    Get "/workspaces/{id}/a2a/queue/{queueId}" Queue [later] => pages::unmatched;
    Get "/workspaces/{id}/schedules/health" Topology [later] => pages::unmatched;
    Post "/webhooks/github" Signed [later] => pages::unmatched;
    Post "/webhooks/github/{id}" Signed [later] => pages::unmatched;
    Post "/webhooks/{kind}" Signed [later] => pages::unmatched;
    Get "/admin/schedules/health" Admin [later] => pages::unmatched;
    Get "/admin/github-installation-token" Admin [later] => pages::unmatched;
    Get "/admin/memories/export" Admin [later] => pages::unmatched;
    Get "/approvals/pending" Admin [later] => pages::unmatched;
    Get "/instructions" Admin [later] => pages::unmatched;
    Get "/bundles/export/{id}" Admin [later] => pages::unmatched;
    Post "/admin/memories/import" Admin [later] => pages::unmatched;
    Post "/admin/a2a-queue/drop-stale" Admin [later] => pages::unmatched;
    Post "/admin/workspace-images/refresh" Admin [later] => pages::unmatched;
    Post "/instructions" Admin [later] => pages::unmatched;
    Post "/bundles/import" Admin [later] => pages::unmatched;
    Post "/channels/discover" Admin [later] => pages::unmatched;
    Put "/instructions/{instructionId}" Admin [later] => pages::unmatched;
    Delete "/instructions/{instructionId}" Admin [later] => pages::unmatched;
    Post "/workspaces/{id}/delegate" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/delegations/record" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/delegations/{delegationId}/update" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/delegations" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/traces" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/transcript" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/audit" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/metrics" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/session-search" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/events/stream" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/memories" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/memories" Workspace [later] => pages::unmatched;
    Delete "/workspaces/{id}/memories/{memoryId}" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/memory" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/memory" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/memory/{key}" Workspace [later] => pages::unmatched;
    Delete "/workspaces/{id}/memory/{key}" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/approvals" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/approvals" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/config" Workspace [later] => pages::unmatched;
    Patch "/workspaces/{id}/config" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/schedules" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/schedules" Workspace [later] => pages::unmatched;
    Patch "/workspaces/{id}/schedules/{scheduleId}" Workspace [later] => pages::unmatched;
    Delete "/workspaces/{id}/schedules/{scheduleId}" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/schedules/{scheduleId}/run" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/schedules/{scheduleId}/history" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/checkpoints" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/checkpoints/latest" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/checkpoints/{wfid}" Workspace [later] => pages::unmatched;
    Delete "/workspaces/{id}/checkpoints/{wfid}" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/mcp" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/mcp/stream" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/instructions/resolve" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/github-installation-token" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/terminal" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/terminal/diagnose" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/files" Workspace [later] => pages::unmatched;
    Put "/workspaces/{id}/files" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/files/{*path}" Workspace [later] => pages::unmatched;
    Put "/workspaces/{id}/files/{*path}" Workspace [later] => pages::unmatched;
    Delete "/workspaces/{id}/files/{*path}" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/chat/uploads" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/chat/download" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/plugins" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/plugins" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/plugins/available" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/plugins/compatibility" Workspace [later] => pages::unmatched;
    Delete "/workspaces/{id}/plugins/{name}" Workspace [later] => pages::unmatched;
    Get "/workspaces/{id}/channels" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/channels" Workspace [later] => pages::unmatched;
    Patch "/workspaces/{id}/channels/{channelId}" Workspace [later] => pages::unmatched;
    Delete "/workspaces/{id}/channels/{channelId}" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/channels/{channelId}/send" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/channels/{channelId}/test" Workspace [later] => pages::unmatched;
    Post "/workspaces/{id}/approvals/{approvalId}/decide" Admin [later] => pages::unmatched;
    Get "/workspaces/{id}/plugins/{name}/download" WorkspaceOnly [later] => pages::unmatched;
}

const fn record(action: &'static str, thing: Thing) -> Option<Audited> {
    Some(Audited::of(action, thing))
}

/// The router of the table: every route behind its guard, and everything else behind one too.
pub(crate) fn router(state: &ApiState) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let guarded = if route.web_ui && state.upstreams().canvas.is_some() {
            any(upstream::canvas).layer(GuardLayer::web_ui(state, route))
        } else {
            (route.handler)(route.verb).route_layer(GuardLayer::of(state, route))
        };
        router = router.route(route.path, guarded);
    }
    // A refusal below an API path is an answer of the API (SEC-201).
    let served: HashSet<_> = ROUTES.iter().filter(|route| !route.page).map(Route::segment).collect();
    let unmatched = GuardLayer::unmatched(state, served);
    router
        .fallback(upstream::canvas.layer(unmatched.clone()))
        // A method that a path does not have is a route that is not there (SEC §5).
        .method_not_allowed_fallback(pages::unmatched.layer(unmatched))
        .with_state(state.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_unique() {
        let rows: HashSet<_> = ROUTES.iter().map(|route| (route.verb.as_str(), route.path)).collect();
        assert_eq!(rows.len(), ROUTES.len());
    }

    #[test]
    fn who_must_not_exist_does_not() {
        // SEC-86, PROV-99
        assert!(ROUTES.iter().all(|route| !route.path.contains("shared-context")));
    }

    #[test]
    fn public_routes_are_few() {
        // D2: this list may only shrink.
        let public = ROUTES
            .iter()
            .filter(|route| route.class == Class::Public)
            .map(|route| route.path);
        let public: Vec<_> = public.collect();
        assert_eq!(
            public,
            [
                "/",
                "/docs",
                "/assets/{*path}",
                "/health",
                "/ready",
                "/buildinfo",
                "/auth/login"
            ]
        );
        let built_in = ROUTES.iter().filter(|route| route.built_in).map(|route| route.path);
        assert_eq!(
            built_in.collect::<Vec<_>>(),
            public[..6],
            "signing in is an attempt at a credential"
        );
        let unmetered = ROUTES.iter().filter(|route| route.unmetered).map(|route| route.path);
        assert_eq!(
            unmetered.collect::<Vec<_>>(),
            ["/registry/register", "/registry/heartbeat"]
        );
    }

    #[test]
    fn whatever_changes_something_outlives_its_client() {
        // Architecture §4: exceptions see to it themselves.
        let own_task = ROUTES.iter().filter(|route| route.own_task && !route.streams);
        let own_task: Vec<_> = own_task.map(|route| route.path).collect();
        assert_eq!(own_task, ["/workspaces/{id}/a2a"]);
        for route in ROUTES.iter().filter(|route| !route.own_task && !route.later) {
            assert_eq!(
                route.outlives_its_client(),
                route.verb != Verb::Get || route.mints,
                "{}",
                route.path
            );
        }
    }

    #[test]
    fn what_any_org_may_ask() {
        // SEC-55, SEC-58
        let any_org = ROUTES.iter().filter(|route| route.any_org && !route.streams);
        let any_org = any_org.map(|route| route.path);
        let expected = [
            "/",
            "/assets/{*path}",
            "/health",
            "/ready",
            "/buildinfo",
            "/metrics",
            "/registry/register",
            "/registry/heartbeat",
        ];
        assert_eq!(any_org.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn classes_by_path() {
        // SEC-80…84
        for route in ROUTES {
            let admin = ["/settings/", "/admin/", "/org/", "/events", "/templates"];
            if admin.iter().any(|prefix| route.path.starts_with(prefix)) {
                let held = matches!(route.class, Class::Admin | Class::Operator | Class::TestToken);
                assert!(held, "{}", route.path);
            }
            // What agents must not decide about themselves (SEC-87, D4), and what they ask of others.
            let others = [
                ("a2a", Class::Message),
                ("a2a/queue/{queueId}", Class::Queue),
                ("schedules/health", Class::Topology),
                ("approvals/{approvalId}/decide", Class::Admin),
                ("console", Class::Admin),
            ];
            let Some(below) = route.path.strip_prefix("/workspaces/{id}/") else {
                continue;
            };
            match others.iter().find(|(path, _)| *path == below) {
                Some((_, class)) => assert_eq!(route.class, *class, "{below}"),
                None if below == "budget" && route.verb == Verb::Patch => assert_eq!(route.class, Class::Admin),
                None => assert!(
                    matches!(route.class, Class::Workspace | Class::WorkspaceOnly),
                    "{below}"
                ),
            }
        }
    }

    #[test]
    fn every_change_is_in_the_audit() {
        // What agents report of themselves, and what they say to each other, has records of its own (ACT-1, A2A-1);
        // nothing is changed by a ticket or a question.
        let apart = [
            "/workspaces/{id}/a2a",
            "/workspaces/{id}/activity",
            "/workspaces/{id}/notify",
            "/registry/register",
            "/registry/heartbeat",
            "/registry/update-card",
            // Where somebody looks.
            "/canvas/viewport",
            // Answer that they are not built.
            "/workspaces/{id}/artifacts",
            "/workspaces/{id}/artifacts/fork",
            "/workspaces/{id}/artifacts/token",
        ];
        for route in ROUTES.iter().filter(|route| !route.later && !route.streams) {
            let expected = route.changes() && !apart.contains(&route.path);
            let logout = route.path == "/auth/logout";
            // Attempts of whoever need not prove anything cost no look at what is stored.
            let read_for_anybody =
                route.class == Class::Public && route.audit.is_some_and(|audit| audit.thing != Thing::Opaque);
            assert!(!read_for_anybody, "{}", route.path);
            assert_eq!(
                route.audit.is_some(),
                expected || logout,
                "{} {}",
                route.verb.as_str(),
                route.path
            );
            // A name for what is done, and the same for the same thing.
            let well_formed = |action: &str| {
                action
                    .split_once('.')
                    .is_some_and(|(thing, deed)| !thing.is_empty() && !deed.is_empty())
            };
            assert!(
                route.audit.is_none_or(|audit| well_formed(audit.action)),
                "{}",
                route.path
            );
        }
    }

    #[test]
    fn what_is_not_built_changes_nothing() {
        for route in ROUTES.iter().filter(|route| route.later) {
            assert!(route.audit.is_none() && !route.outlives_its_client(), "{}", route.path);
        }
    }
}
