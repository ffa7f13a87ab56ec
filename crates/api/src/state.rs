//! What every handler and the guard share.

use std::sync::Arc;

use bytes::Bytes;
use molecule_core::limits;
use molecule_platform::{AuthMode, Platform, credentials::OneTimeCodes};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::ApiConfig,
    limits::Limits,
    metrics::HttpMetrics,
    readiness::Readiness,
    tickets::{self, Grant},
    upstream::Upstreams,
};

/// Codes that work once.
#[derive(Debug)]
pub(crate) struct Codes {
    pub(crate) logins: OneTimeCodes<()>,
    pub(crate) tickets: OneTimeCodes<Grant>,
}

/// What ends with the server.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    /// Cancelled when the server stops accepting: sockets close.
    pub(crate) closing: CancellationToken,
    /// Open sockets, which outlive their HTTP connection's request.
    pub(crate) sockets: TaskTracker,
}

/// Shared by all requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiState {
    inner: Arc<Inner>,
}

struct Inner {
    platform: Platform,
    config: ApiConfig,
    limits: Limits,
    codes: Codes,
    metrics: Arc<HttpMetrics>,
    openapi: fn() -> Bytes,
    serving: Serving,
    readiness: Readiness,
    upstreams: Upstreams,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl ApiState {
    /// `openapi` makes the description of the API, as JSON.
    pub(crate) fn new(platform: Platform, config: ApiConfig, openapi: fn() -> Bytes) -> Self {
        let external = platform.config.public_url.as_deref();
        let inner = Inner {
            limits: Limits::new(platform.config.auth, external, &config),
            codes: Codes {
                logins: OneTimeCodes::new(limits::LOGIN_CODE_TTL),
                tickets: tickets::tickets(),
            },
            metrics: Arc::default(),
            openapi,
            serving: Serving::default(),
            readiness: Readiness::default(),
            upstreams: Upstreams::new(&config),
            platform,
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.inner.platform
    }

    pub(crate) fn config(&self) -> &ApiConfig {
        &self.inner.config
    }

    pub(crate) fn mode(&self) -> AuthMode {
        self.inner.platform.config.auth
    }

    /// SEC-120. In production whoever gets one has shown the operator's token: in open mode nobody need.
    pub(crate) fn offers_test_tokens(&self) -> bool {
        !self.platform().config.production || (self.config().test_tokens && self.mode() == AuthMode::Required)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn codes(&self) -> &Codes {
        &self.inner.codes
    }

    pub(crate) fn metrics(&self) -> &Arc<HttpMetrics> {
        &self.inner.metrics
    }

    /// The description of the API, as JSON.
    pub(crate) fn openapi(&self) -> Bytes {
        (self.inner.openapi)()
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.inner.readiness
    }

    pub(crate) fn upstreams(&self) -> &Upstreams {
        &self.inner.upstreams
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.inner.serving
    }
}
