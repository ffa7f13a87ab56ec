//! What the composition root decides about HTTP. Everything else is in [`molecule_platform::config::Config`].

use std::{pin::Pin, sync::Arc};

use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use molecule_core::{Runtime, limits};
use molecule_platform::vault::Vault;
use molecule_wire::ops::{ModelEndpoint, ServerInfo};
use url::Url;

/// The log's filter, which can be changed while the server runs.
pub trait LogControl: Send + Sync {
    /// The filter in force.
    fn filter(&self) -> String;

    /// Puts another one in force.
    ///
    /// # Errors
    /// What is wrong with it; the old one stays.
    fn set_filter(&self, filter: &str) -> Result<(), String>;
}

/// What comes of trying the endpoints; why stored secrets could not be read.
pub type Tried<'a> = Pin<Box<dyn Future<Output = Result<Vec<ModelEndpoint>, String>> + Send + 'a>>;

/// Tries what agents think with.
pub trait ModelTrial: Send + Sync {
    /// Asks every endpoint that stored secrets lead to.
    fn try_all(&self) -> Tried<'_>;
}

/// Settings of the HTTP surface.
#[derive(Clone)]
pub struct ApiConfig {
    /// Limits of requests.
    pub rates: Rates,
    /// Memory for their bodies.
    pub bodies: Bodies,
    /// `CORS_ORIGINS`, trimmed; `None` when unset, which in required mode means nobody (D2) and in open mode the two
    /// local development origins (SEC-202).
    pub cors_origins: Option<Vec<String>>,
    /// `MOLECULE_TRUSTED_PROXIES`: peers that may say whom a request comes from and what it was addressed to (D28).
    pub trusted_proxies: Vec<IpNet>,
    /// `/metrics` answers without a credential.
    pub metrics_public: bool,
    /// Renders what the services count; `None` shows only the HTTP metrics.
    pub metrics: Option<PrometheusHandle>,
    /// The process' log; `None` if nothing can be changed about it.
    pub log: Option<Arc<dyn LogControl>>,
    /// Tries models' endpoints; `None` where nothing that runs here thinks.
    pub models: Option<Arc<dyn ModelTrial>>,
    /// Where the server's own keys are kept; `None` if they cannot be changed while it runs.
    pub vault: Option<Arc<dyn Vault>>,
    /// The control plane of a hosted org; `None`: there is none.
    pub control_plane: Option<ControlPlane>,
    /// `CANVAS_PROXY_URL`: who serves what no route matches; `None`: nobody.
    pub canvas_proxy: Option<Url>,
    /// `MOLECULE_ORG_ID`: the tenant guard lets only this org's requests through (SEC-54). `None`: no guard.
    pub org_id: Option<String>,
    /// `MOLECULE_ENABLE_TEST_TOKENS` is `1`: test tokens in a production environment too (SEC-120).
    pub test_tokens: bool,
    /// What the server tells of itself.
    pub about: ServerInfo,
}

impl Default for ApiConfig {
    /// Of a server that runs nothing itself.
    fn default() -> Self {
        Self {
            log: None,
            models: None,
            vault: None,
            control_plane: None,
            canvas_proxy: None,
            trusted_proxies: Vec::new(),
            rates: Rates::default(),
            bodies: Bodies::default(),
            cors_origins: None,
            metrics_public: false,
            metrics: None,
            org_id: None,
            test_tokens: false,
            about: ServerInfo {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                database: String::new(),
                backend: None,
                sandbox: None,
                runtimes: vec![Runtime::External],
            },
        }
    }
}

impl std::fmt::Debug for ApiConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiConfig")
            .field("rates", &self.rates)
            .field("bodies", &self.bodies)
            .field("cors_origins", &self.cors_origins)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("metrics_public", &self.metrics_public)
            .field("control_plane", &self.control_plane)
            .field("canvas_proxy", &self.canvas_proxy)
            .field("org_id", &self.org_id)
            .field("test_tokens", &self.test_tokens)
            .finish_non_exhaustive()
    }
}

/// Memory for request bodies, bytes (D33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bodies {
    /// All together; at least [`limits::JSON_BODY_BYTES`], or the longest body is never taken.
    pub all: usize,
    /// Of one admin credential; at least the same.
    pub of_admin: usize,
    /// Of agents and strangers together. One of them gets a quarter, in which [`limits::WORKSPACE_BODY_BYTES`] fit.
    pub of_guests: usize,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            all: limits::BODIES_BYTES,
            of_admin: limits::ADMIN_BODIES_BYTES,
            of_guests: limits::GUEST_BODIES_BYTES,
        }
    }
}

/// Limits of requests (SEC-205, SEC-206, D2). 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// `RATE_LIMIT`: anonymous requests and failed authentications per minute of one address; sign-ins that fail are
    /// counted apart, as many again. What the binary holds (pages, `/health`) counts nowhere.
    pub address: u32,
    /// Requests per minute of one valid credential; registrations and heartbeats do not count.
    pub credential: u32,
    /// Event sockets that one credential may hold open at once.
    pub sockets: u32,
    /// Org tokens minted per hour from one address.
    pub org_token_mints: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            address: limits::ADDRESS_RATE,
            credential: limits::CREDENTIAL_RATE,
            sockets: limits::SOCKETS_PER_CREDENTIAL,
            org_token_mints: limits::ORG_TOKEN_MINT_RATE,
        }
    }
}

/// The control plane of a hosted org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlane {
    /// `CP_UPSTREAM_URL`.
    pub url: Url,
    /// `MOLECULE_ORG_SLUG`: whose members its sessions must be (SEC-31). `None`: sessions do not count.
    pub org_slug: Option<String>,
}
