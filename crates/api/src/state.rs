//! What every handler and the guard share.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use molecule_core::limits;
use molecule_platform::{AuthMode, Platform, credentials::OneTimeCodes};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{config::ApiConfig, limits::Limits, metrics::HttpMetrics, tickets::{self, Grant}};

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
    openapi: Bytes,
    serving: Serving,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl ApiState {
    /// `openapi` is the description of the API, as JSON.
    pub(crate) fn new(platform: Platform, config: ApiConfig, openapi: impl Into<Bytes>) -> Self {
        let external = platform.config.external_platform_url.as_deref();
        let inner = Inner {
            limits: Limits::new(platform.config.auth, external, &config),
            codes: Codes {
                logins: OneTimeCodes::new(limits::LOGIN_CODE_TTL),
                tickets: tickets::tickets(),
            },
            metrics: Arc::default(),
            openapi: openapi.into(),
            serving: Serving::default(),
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
        self.inner.openapi.clone()
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.inner.serving
    }

    /// This server as the client sees it (LIFE-79): configured, else as the request says.
    pub(crate) fn base_url(&self, headers: &HeaderMap) -> String {
        let configured = self.inner.platform.config.external_platform_url.as_deref();
        let url = configured.map_or_else(|| requested_base(headers), str::to_owned);
        url.trim_end_matches('/').to_owned()
    }
}

/// Scheme and host the request was made with. No TLS ends here, so a secure client came through a proxy.
fn requested_base(headers: &HeaderMap) -> String {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .filter(|text| !text.is_empty())
    };
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    let host = text("x-forwarded-host").or_else(|| text("host")).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_base_follows_proxies() {
        // LIFE-79
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("m:8080"));
        assert_eq!(requested_base(&headers), "http://m:8080");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        headers.insert("x-forwarded-host", HeaderValue::from_static("molecule.example"));
        assert_eq!(requested_base(&headers), "https://molecule.example");
        headers.insert("x-forwarded-proto", HeaderValue::from_static("javascript"));
        assert_eq!(requested_base(&headers), "http://molecule.example");
    }
}
