//! Headers of every answer, refusals included (SEC-200, SEC-201, SEC-205).

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::limits::{Allowance, Verdict};

/// Policy of API answers.
const API_POLICY: HeaderValue = HeaderValue::from_static("default-src 'self'");
/// Policy of our pages. D2 replaces the `unsafe-inline` of SEC-201: nothing of ours is inline.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; \
     font-src 'self' data:; frame-ancestors 'none'",
);
/// Policy of pages of other servers that say nothing themselves (SEC-201): what they are made of is not ours to say.
const OTHERS_PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; connect-src 'self' ws: wss:; font-src 'self' data:",
);

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("Origin, Content-Type, X-Workspace-ID, Authorization");

/// Whose answer it is: that decides what it may do in a browser (SEC-201).
#[derive(Debug, Clone, Copy)]
pub(super) enum Policy {
    /// The API's.
    Api,
    /// A page of ours, or beside the API.
    Page,
    /// A page of a server behind this one.
    OthersPage,
}

/// What such an answer may do.
pub(super) fn policy(policy: Policy) -> HeaderValue {
    match policy {
        Policy::Api => API_POLICY,
        Policy::Page => PAGE_POLICY,
        Policy::OthersPage => OTHERS_PAGE_POLICY,
    }
}

/// Completes an answer. What the handler set stays.
pub(super) fn complete(response: &mut Response, policy: HeaderValue, verdict: &Verdict, allowance: Option<Allowance>) {
    let headers = response.headers_mut();
    headers.reserve(10);
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("strict-origin-when-cross-origin"),
        ),
        (
            PERMISSIONS,
            HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
        ),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(value);
    }
    if let Some(allowance) = allowance {
        rate(headers, allowance);
    }
    if let Verdict::Listed(origin) = verdict {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

/// What a page asks before it calls (SEC-202).
pub(super) fn preflight(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
}

fn rate(headers: &mut HeaderMap, allowance: Allowance) {
    match allowance.limit {
        Some(limit) => {
            headers.insert(LIMIT, limit.into());
            headers.insert(REMAINING, allowance.remaining.into());
            headers.insert(RESET, allowance.reset.into());
        }
        None => {
            headers.insert(LIMIT, HeaderValue::from_static("unlimited"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_no_code_of_their_own() {
        let text = PAGE_POLICY;
        let text = text.to_str().unwrap();
        assert!(!text.contains("unsafe"), "D2: {text}");
    }

    #[test]
    fn a_handler_may_override() {
        // SEC-200
        let mut response = Response::default();
        response
            .headers_mut()
            .insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        complete(
            &mut response,
            API_POLICY,
            &Verdict::SameOrigin,
            Some(Allowance::UNLIMITED),
        );
        let headers = response.headers();
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(headers["x-ratelimit-limit"], "unlimited");
        assert!(!headers.contains_key("x-ratelimit-remaining"));
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
