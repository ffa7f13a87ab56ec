//! Requests that are handed on as they come, and answers that are handed back (SEC-180…183).

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;
use molecule_core::limits;

use super::Upstream;
use crate::{error::ApiError, pages, state::ApiState};

/// What concerns one connection only (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// What a client could say of itself in a proxy's name.
const FORWARDED: [&str; 7] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
];

/// `/cp/…`: what browsers ask of the control plane. Its other routes would honour the same cookie. Without a control plane
/// these paths are as any other (SEC-182).
pub(crate) async fn control_plane(State(state): State<ApiState>, request: Request) -> Response {
    match &state.upstreams().control_plane {
        Some(upstream) if is_for_browsers(request.uri().path()) => {
            hand_on(&state, upstream, request, "control plane unavailable").await
        }
        None if state.upstreams().canvas.is_some() => canvas(State(state), request).await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Whatever no route matches, and the page itself, if the web UI is served by somebody else.
pub(crate) async fn canvas(State(state): State<ApiState>, mut request: Request) -> Response {
    let Some(upstream) = state.upstreams().canvas.as_ref() else {
        return ApiError::not_found("not found").into_response();
    };
    // The reference stays ours. Its files are named by their contents, so that they are nobody else's.
    if let Some(file) = pages::file_at(request.uri().path(), request.headers()) {
        return file;
    }
    // Whoever serves pages needs neither.
    for name in [header::AUTHORIZATION, header::COOKIE] {
        request.headers_mut().remove(name);
    }
    hand_on(&state, upstream, request, "canvas unavailable").await
}

/// Is this a path that browsers have business with (SEC-180), spelled so that nobody reads another from it (SEC-181)?
fn is_for_browsers(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/cp/") else {
        return false;
    };
    let lower = rest.to_ascii_lowercase();
    // An encoded percent sign could be decoded twice.
    let odd = ["//", "\\", "%2e", "%2f", "%5c", "%25", "%00"];
    if odd.iter().any(|odd| lower.contains(odd)) || rest.split('/').any(|segment| matches!(segment, "." | "..")) {
        return false;
    }
    match rest.split_once('/') {
        Some(("auth" | "billing" | "legal", below)) => !below.is_empty(),
        Some(("orgs" | "templates", _)) => true,
        Some(_) => false,
        None => matches!(rest, "orgs" | "templates"),
    }
}

async fn hand_on(state: &ApiState, upstream: &Upstream, mut request: Request, unavailable: &'static str) -> Response {
    let upgrade = wants_upgrade(request.headers());
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    clean(request.headers_mut());
    for name in FORWARDED {
        request.headers_mut().remove(name);
    }
    if let Some(protocol) = upgrade {
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    let mut answer = match upstream.send(request, limits::UPSTREAM_TIMEOUT).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%error, unavailable, "an upstream gave no answer");
            return (StatusCode::BAD_GATEWAY, unavailable).into_response();
        }
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client) = client
    {
        let server = hyper::upgrade::on(&mut answer);
        let closing = state.serving().closing.clone();
        state.serving().sockets.spawn(async move {
            let (Ok(client), Ok(server)) = (client.await, server.await) else {
                return;
            };
            let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
            tokio::select! {
                ended = tokio::io::copy_bidirectional(&mut client, &mut server) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a socket to an upstream ended");
                    }
                }
                () = closing.cancelled() => {}
            }
        });
        let (head, _) = answer.into_parts();
        return Response::from_parts(head, Body::empty());
    }
    clean(answer.headers_mut());
    answer.map(Body::new)
}

fn wants_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(header::UPGRADE).cloned()
}

/// Takes out what concerns this connection only, and whatever it says concerns it.
fn clean(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.into_iter().chain(HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_have_business_with() {
        // SEC-180, SEC-181
        for path in [
            "/cp/auth/login",
            "/cp/auth/a/b",
            "/cp/billing/x",
            "/cp/legal/terms",
            "/cp/orgs",
            "/cp/orgs/",
            "/cp/orgs/acme",
            "/cp/templates",
            "/cp/templates/x",
            "/cp/auth/name.with.dots",
            "/cp/auth/a%20b",
        ] {
            assert!(is_for_browsers(path), "{path}");
        }
        for path in [
            "/cp",
            "/cp/",
            "/cp/auth",
            "/cp/auth/",
            "/cp/orgsabc",
            "/cp/authx/y",
            "/cp/admin/users",
            "/cp/workspaces/x",
            "/cp/tenants/config",
            "/cp/internal/x",
            "/cp/auth/../admin",
            "/cp/auth/..",
            "/cp/auth/./x",
            "/cp/auth/%2e%2e/admin",
            "/cp/auth/%2E%2E/admin",
            "/cp/auth/.%2e/admin",
            "/cp/auth/..%2fadmin",
            "/cp/auth/..%5cadmin",
            "/cp/auth/..\\admin",
            "/cp/auth/%252e%252e/admin",
            "/cp/auth//x",
            "/cp//auth/x",
            "/CP/auth/x",
        ] {
            assert!(!is_for_browsers(path), "{path}");
        }
    }

    #[test]
    fn what_concerns_one_connection_is_not_handed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Own"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("accept", "*/*"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        clean(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("accept"));
    }
}
