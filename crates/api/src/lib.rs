//! The HTTP surface: routes by resource, auth gates, error mapping, OpenAPI, the event socket, the pages.
//!
//! A request is followed by name: `routes` (the one table) → `guard` (everything before and after the handler) → the
//! module of its resource → the service of the same name in `molecule-platform`. Every error of a service gets its
//! status in `error`.

mod a2a;
mod activity;
mod admin;
mod agents;
mod allowlists;
mod artifacts;
mod audit;
mod auth;
mod budget;
mod canvas;
mod config;
mod error;
mod events;
mod extract;
mod guard;
mod limits;
mod matrix;
mod metrics;
mod openapi;
mod ops;
mod orgs;
mod pages;
mod readiness;
mod registry;
mod request;
mod route;
mod routes;
mod scope;
mod secrets;
mod serve;
mod settings;
mod state;
mod teams;
mod templates;
#[cfg(test)]
mod testing;
mod tickets;
mod tokens;
mod upstream;
mod workspaces;

pub use ipnet::IpNet;

pub use config::{ApiConfig, Bodies, ControlPlane, LogControl, ModelTrial, Rates, Tried};
pub use matrix::{Refusal, Standing, Verdict};
pub use ops::GIT_SHA;
pub use route::{Audited, Class, Reach, Route, Thing, Verb};
pub use routes::ROUTES;
pub use serve::{Tls, TlsError};

use axum::Router;
use futures_util::future::BoxFuture;
use molecule_platform::Platform;
use state::ApiState;
use tokio::net::TcpListener;

/// The HTTP surface of a platform. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    state: ApiState,
}

impl Api {
    /// Over a platform. Nothing is served yet.
    #[must_use]
    pub fn new(platform: Platform, config: ApiConfig) -> Self {
        let state = ApiState::new(platform, config, openapi::document_json);
        if state.config().test_tokens && !state.offers_test_tokens() {
            tracing::warn!(
                "MOLECULE_ENABLE_TEST_TOKENS is ignored: in production with open auth anybody here could have one"
            );
        }
        Self { state }
    }

    /// The router of every route. Peers are known only to requests that carry axum's `ConnectInfo<SocketAddr>`, which
    /// [`Api::serve`] adds; in open mode others count as strangers.
    pub fn router(&self) -> Router {
        routes::router(&self.state)
    }

    /// A URL that signs one browser in: `<base>/#code=…`. The code works once, for ten minutes (D2). `None` if the
    /// system has no randomness.
    #[must_use]
    pub fn issue_login_url(&self, base: &str) -> Option<String> {
        auth::login_url(&self.state, base)
    }

    /// Serves HTTP/1.1 until `shutdown` resolves; then accepts nothing more, closes event sockets and waits up to 30 s
    /// for requests in flight (SEC-218). With `tls` whoever asks from this very machine may do without: its agents and
    /// its command line do.
    ///
    /// Boxed on both sides, so that the work of a connection is compiled in this crate.
    pub fn serve<'a>(
        &'a self,
        listener: TcpListener,
        tls: Option<Tls>,
        shutdown: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(serve::serve(&self.state, self.router(), listener, tls, shutdown))
    }
}
