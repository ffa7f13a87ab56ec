//! The one table of routes (SEC-80…84). What is not here is not served; what is here has a class, and nothing can be
//! registered without one.

use std::collections::HashSet;

use axum::{Router, handler::Handler, routing::on};
use molecule_core::limits;
use molecule_wire::auth::TicketPurpose;

use crate::{
    a2a, activity, agents, artifacts, auth, canvas, events,
    guard::GuardLayer,
    ops, orgs, pages, registry,
    route::{Class, Route, Verb},
    secrets, settings,
    state::ApiState,
    teams, templates, tokens, workspaces,
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
    Get "/" Public [built_in, page, any_org] => pages::index;
    Get "/docs" Public [built_in, page] => pages::docs;
    Get "/assets/{*path}" Public [built_in, page, any_org] => pages::asset;
    Get "/health" Public [built_in, any_org] => ops::health;
    Get "/ready" Public [built_in, any_org] => ops::ready;
    Get "/buildinfo" Public [built_in, any_org] => ops::build_info;
    Get "/metrics" Metrics [any_org] => ops::metrics;
    Get "/openapi.json" Topology => ops::openapi;
    Get "/admin/liveness" Admin => ops::liveness;
    Get "/admin/server" Admin => ops::server;
    Get "/admin/models" Admin => ops::models;
    Get "/admin/log" Admin => ops::log_filter;
    Put "/admin/log" Admin [body = limits::LOGIN_BODY_BYTES] => ops::set_log_filter;

    Post "/auth/login" Public [counts_refusals, body = limits::LOGIN_BODY_BYTES] => auth::login;
    Post "/auth/logout" Admin [body = 0] => auth::logout;
    Post "/auth/login-codes" Admin [body = 0] => auth::login_code;
    Post "/auth/tickets" Admin [body = limits::LOGIN_BODY_BYTES] => auth::ticket;

    Get "/workspaces" Admin => workspaces::list;
    Post "/workspaces" Admin => workspaces::create;
    Get "/workspaces/{id}" Topology [tells_departed] => workspaces::get;
    Patch "/workspaces/{id}" Workspace => workspaces::update;
    Delete "/workspaces/{id}" Admin => workspaces::delete;
    Get "/workspaces/{id}/state" WorkspaceOnly [tells_departed] => workspaces::workspace_state;
    Post "/workspaces/{id}/restart" Workspace => workspaces::restart;
    Post "/workspaces/{id}/pause" Workspace [body = 0] => workspaces::pause;
    Post "/workspaces/{id}/resume" Workspace [body = 0] => workspaces::resume;
    Post "/workspaces/{id}/hibernate" Workspace [body = 0] => workspaces::hibernate;
    Post "/workspaces/{id}/wake" Workspace [body = 0] => workspaces::wake;
    Post "/workspaces/{id}/expand" Workspace [body = 0] => teams::expand;
    Post "/workspaces/{id}/collapse" Workspace [body = 0] => teams::collapse;
    Post "/workspaces/{id}/agent" Workspace => agents::assign;
    Patch "/workspaces/{id}/agent" Workspace => agents::replace;
    Delete "/workspaces/{id}/agent" Workspace => agents::remove;
    Post "/workspaces/{id}/agent/move" Workspace => agents::relocate;
    Post "/admin/workspaces/{id}/restore" Admin [body = 0] => workspaces::restore;
    Post "/admin/workspaces/{id}/bootstrap-failed" Admin => workspaces::bootstrap_failed;
    Get "/workspaces/{id}/logs" Workspace [ticket = Some(TicketPurpose::Logs)] => workspaces::logs;

    Post "/workspaces/{id}/a2a" Message [own_task] => a2a::send;
    Get "/workspaces/{id}/activity" Workspace => activity::list;
    Post "/workspaces/{id}/activity" Workspace => activity::report;
    Post "/workspaces/{id}/notify" Workspace => activity::notify;

    Get "/workspaces/{id}/artifacts" Workspace => artifacts::show;
    Post "/workspaces/{id}/artifacts" Workspace [body = 0] => artifacts::create;
    Post "/workspaces/{id}/artifacts/fork" Workspace [body = 0] => artifacts::fork;
    Post "/workspaces/{id}/artifacts/token" Workspace [body = 0] => artifacts::token;

    Get "/workspaces/{id}/tokens" Workspace => tokens::list;
    Post "/workspaces/{id}/tokens" Workspace [body = 0] => tokens::mint;
    Delete "/workspaces/{id}/tokens/{tokenId}" Workspace => tokens::revoke;
    Get "/admin/workspaces/{id}/test-token" TestToken [mints] => tokens::test_token;

    Get "/workspaces/{id}/secrets" Workspace => secrets::list;
    Post "/workspaces/{id}/secrets" Workspace => secrets::set;
    Put "/workspaces/{id}/secrets" Workspace => secrets::put;
    Get "/workspaces/{id}/secrets/values" WorkspaceOnly => secrets::values;
    Delete "/workspaces/{id}/secrets/{key}" Workspace => secrets::delete;
    Get "/workspaces/{id}/model" Workspace => settings::model;
    Put "/workspaces/{id}/model" Workspace => settings::set_model;
    Get "/workspaces/{id}/provider" Workspace => settings::provider;
    Put "/workspaces/{id}/provider" Workspace => settings::set_provider;

    Get "/settings/secrets" Admin => secrets::list_global;
    Post "/settings/secrets" Admin => secrets::set_global;
    Put "/settings/secrets" Admin => secrets::put_global;
    Delete "/settings/secrets/{key}" Admin => secrets::delete_global;
    Get "/admin/secrets" Admin => secrets::list_global;
    Post "/admin/secrets" Admin => secrets::set_global;
    Delete "/admin/secrets/{key}" Admin => secrets::delete_global;

    Post "/registry/register" Registry [unmetered, any_org, body = limits::CARD_BODY_BYTES] => registry::register;
    Post "/registry/heartbeat" Registry [unmetered, any_org, body = limits::HEARTBEAT_BODY_BYTES] => registry::heartbeat;
    Post "/registry/update-card" Registry [body = limits::CARD_BODY_BYTES] => registry::update_card;
    Post "/registry/check-access" Topology => registry::check_access;
    Get "/registry/discover/{id}" Peer [asked_in_header] => registry::discover;
    Get "/registry/{id}/peers" Peer => registry::peers;

    Get "/templates" Admin => templates::list;
    Post "/templates/import" Admin => templates::import;
    Get "/org/templates" Admin => orgs::templates;
    Post "/org/import" Admin => orgs::import;
    Get "/org/tokens" Admin => tokens::list_org;
    Post "/org/tokens" Admin => tokens::mint_org;
    Delete "/org/tokens/{tokenId}" Admin => tokens::revoke_org;

    Get "/canvas/viewport" Topology => canvas::viewport;
    Put "/canvas/viewport" Topology => canvas::set_viewport;

    Get "/events" Admin => events::list;
    Get "/events/{workspaceId}" Admin => events::of_workspace;
    Get "/ws" Socket [ticket = Some(TicketPurpose::Events)] => events::open;
}

/// The router of the table: every route behind its guard, and everything else behind one too.
pub(crate) fn router(state: &ApiState) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let guarded = (route.handler)(route.verb).route_layer(GuardLayer::of(state, route));
        router = router.route(route.path, guarded);
    }
    // A refusal below an API path is an answer of the API (SEC-201).
    let served: HashSet<_> = ROUTES.iter().filter(|route| !route.page).map(Route::segment).collect();
    let unmatched = GuardLayer::unmatched(state, served);
    router
        .fallback(pages::unmatched.layer(unmatched.clone()))
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
        let own_task = ROUTES.iter().filter(|route| route.own_task).map(|route| route.path);
        assert_eq!(own_task.collect::<Vec<_>>(), ["/workspaces/{id}/a2a"]);
        for route in ROUTES.iter().filter(|route| !route.own_task) {
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
        let any_org = ROUTES.iter().filter(|route| route.any_org).map(|route| route.path);
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
                assert!(matches!(route.class, Class::Admin | Class::TestToken), "{}", route.path);
            }
            let below = route.path.strip_prefix("/workspaces/{id}/");
            if let Some(below) = below.filter(|below| *below != "a2a") {
                assert!(
                    matches!(route.class, Class::Workspace | Class::WorkspaceOnly),
                    "{below}"
                );
            }
        }
    }
}
