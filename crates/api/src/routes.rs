//! The one table of routes (SEC-80…84). What is not here is not served; what is here has a class, and nothing can be
//! registered without one.

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, MethodRouter, on},
};
use molecule_core::limits;

use crate::{
    a2a, activity, artifacts, auth, events, guard::GuardLayer, ops, orgs, pages, registry, secrets, settings,
    state::ApiState, templates, tokens, workspaces,
};

/// Who may call a route. Beside each class: what it asks for in required mode. In open mode a local request without a
/// bearer passes every gate (D2); a bearer that proves nothing is refused in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing.
    Public,
    /// Its handler decides: the token of the workspace in the body.
    Registry,
    /// Its handler decides: any credential, or the token of the workspace in `X-Workspace-ID`.
    Message,
    /// The token of the asking workspace, or a session.
    Peer,
    /// Any valid credential.
    Topology,
    /// Admin class, or the workspace's own token.
    Workspace,
    /// The workspace's own token; as [`Class::Workspace`] while it has none.
    WorkspaceOnly,
    /// Operator, org token or session.
    Admin,
    /// Its handler decides: a ticket, admin class, or a workspace's own token.
    Socket,
    /// The operator's own token, where test tokens are on.
    TestToken,
    /// Nothing if so configured, else admin class.
    Metrics,
}

impl Class {
    /// As `x-auth-class` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Registry => "registry",
            Self::Message => "message",
            Self::Peer => "peer",
            Self::Topology => "topology",
            Self::Workspace => "workspace",
            Self::WorkspaceOnly => "workspace-only",
            Self::Admin => "admin",
            Self::Socket => "socket",
            Self::TestToken => "test-token",
            Self::Metrics => "metrics",
        }
    }
}

/// Method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// As requests spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// Pattern, in axum's spelling.
    pub path: &'static str,
    /// Who may call it.
    pub class: Class,
    /// Does not count against its credential's rate (D2).
    pub unmetered: bool,
    /// Answers from the binary alone, and counts in a bucket of its own.
    pub built_in: bool,
    /// Tells a withdrawn bearer of the workspace in the path that it is gone (LIFE-89a, OP-17).
    pub tells_departed: bool,
    /// A GET that leaves something behind; pages of other origins cannot make one.
    pub mints: bool,
    /// Bytes of a request body; 0 if none is read.
    pub body: usize,
    handler: fn(Verb) -> MethodRouter<ApiState>,
}

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

/// Bytes that bodies have where a row says nothing else (SEC-190, A2A-2). What agents send stays small (D33).
const fn body_of(verb: Verb, class: Class) -> usize {
    match (verb, class) {
        (Verb::Get | Verb::Delete, _) => 0,
        (_, Class::Admin) => limits::JSON_BODY_BYTES,
        (_, Class::Message) => limits::A2A_REQUEST_BYTES,
        _ => limits::WORKSPACE_BODY_BYTES,
    }
}

impl Route {
    const fn plain(verb: Verb, path: &'static str, class: Class) -> Self {
        Self {
            verb,
            path,
            class,
            unmetered: false,
            built_in: false,
            tells_departed: false,
            mints: false,
            body: body_of(verb, class),
            handler: |_| MethodRouter::new(),
        }
    }
}

routes! {
    Get "/" Public [built_in] => pages::index;
    Get "/docs" Public [built_in] => pages::docs;
    Get "/assets/{*path}" Public [built_in] => pages::asset;
    Get "/health" Public [built_in] => ops::health;
    Get "/buildinfo" Public [built_in] => ops::build_info;
    Get "/metrics" Metrics => ops::metrics;
    Get "/openapi.json" Topology => ops::openapi;
    Get "/admin/liveness" Admin => ops::liveness;
    Get "/admin/server" Admin => ops::server;

    Post "/auth/login" Public [body = limits::LOGIN_BODY_BYTES] => auth::login;
    Post "/auth/logout" Admin [body = 0] => auth::logout;
    Post "/auth/login-codes" Admin [body = 0] => auth::login_code;
    Post "/auth/tickets" Admin [body = 0] => auth::ticket;

    Get "/workspaces" Admin => workspaces::list;
    Post "/workspaces" Admin => workspaces::create;
    Get "/workspaces/{id}" Topology [tells_departed] => workspaces::get;
    Patch "/workspaces/{id}" Workspace => workspaces::update;
    Delete "/workspaces/{id}" Admin => workspaces::delete;
    Get "/workspaces/{id}/state" WorkspaceOnly [tells_departed] => workspaces::workspace_state;
    Post "/workspaces/{id}/restart" Workspace => workspaces::restart;
    Get "/workspaces/{id}/logs" Workspace => workspaces::logs;

    Post "/workspaces/{id}/a2a" Message => a2a::send;
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

    Post "/registry/register" Registry [unmetered, body = limits::CARD_BODY_BYTES] => registry::register;
    Post "/registry/heartbeat" Registry [unmetered, body = limits::HEARTBEAT_BODY_BYTES] => registry::heartbeat;
    Post "/registry/update-card" Registry [body = limits::CARD_BODY_BYTES] => registry::update_card;
    Post "/registry/check-access" Topology => registry::check_access;
    Get "/registry/discover/{id}" Peer => registry::discover;
    Get "/registry/{id}/peers" Peer => registry::peers;

    Get "/templates" Admin => templates::list;
    Post "/templates/import" Admin => templates::import;
    Get "/org/templates" Admin => orgs::templates;
    Post "/org/import" Admin => orgs::import;
    Get "/org/tokens" Admin => tokens::list_org;
    Post "/org/tokens" Admin => tokens::mint_org;
    Delete "/org/tokens/{id}" Admin => tokens::revoke_org;

    Get "/events" Admin => events::list;
    Get "/events/{workspaceId}" Admin => events::of_workspace;
    Get "/ws" Socket => events::open;
}

/// The router of the table: every route behind its guard, and everything else behind one too.
pub(crate) fn router(state: &ApiState) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let guarded = (route.handler)(route.verb).route_layer(GuardLayer::of(state, route));
        router = router.route(route.path, guarded);
    }
    let unmatched = GuardLayer::unmatched(state);
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
            ["/", "/docs", "/assets/{*path}", "/health", "/buildinfo", "/auth/login"]
        );
        let built_in = ROUTES.iter().filter(|route| route.built_in).map(|route| route.path);
        assert_eq!(
            built_in.collect::<Vec<_>>(),
            public[..5],
            "signing in is an attempt at a credential"
        );
        let unmetered = ROUTES.iter().filter(|route| route.unmetered).map(|route| route.path);
        assert_eq!(
            unmetered.collect::<Vec<_>>(),
            ["/registry/register", "/registry/heartbeat"]
        );
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
