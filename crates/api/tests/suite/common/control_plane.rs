use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use hyper_util::rt::TokioIo;
use molecule_api::ControlPlane as Config;
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// What it was asked: method, path with query, headers, body.
pub(crate) type Asked = (String, String, HeaderMap, Vec<u8>);

/// The control plane of hosted orgs, on a port of its own. It knows members by their cookie, notes all it is asked, and says
/// again what it hears on a socket.
#[derive(Clone)]
pub(crate) struct ControlPlane {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    members: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<Asked>>,
}

impl ControlPlane {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shared }
    }

    pub(crate) fn url(&self) -> url::Url {
        format!("http://127.0.0.1:{}", self.port).parse().unwrap()
    }

    pub(crate) fn config(&self, slug: &str) -> Config {
        Config {
            url: self.url(),
            org_slug: Some(slug.to_owned()),
        }
    }

    /// A cookie by which a user is known as a member of the org `acme`.
    pub(crate) fn cookie_of(&self, user: &str) -> String {
        let cookie = format!("session={user}");
        self.shared.members.lock().insert(cookie.clone(), user.to_owned());
        cookie
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    let socket = request
        .headers()
        .contains_key(header::UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let path = head.uri.path_and_query().unwrap().to_string();
    let asked = (
        head.method.to_string(),
        path.clone(),
        head.headers.clone(),
        body.to_vec(),
    );
    shared.asked.lock().push(asked);
    if let Some(socket) = socket {
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(TokioIo::new(socket.await.unwrap()));
            tokio::io::copy(&mut read, &mut write).await.ok();
        });
        let switched = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")];
        return (StatusCode::SWITCHING_PROTOCOLS, switched).into_response();
    }
    if path == "/cp/auth/tenant-member?slug=acme" {
        let cookie = head.headers.get(header::COOKIE).map(|cookie| cookie.to_str().unwrap());
        let user = cookie.and_then(|cookie| shared.members.lock().get(cookie).cloned());
        let member = user.is_some();
        return axum::Json(serde_json::json!({ "member": member, "user_id": user.unwrap_or_default() }))
            .into_response();
    }
    if path.starts_with("/redirect") || path.ends_with("/redirect") {
        return (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response();
    }
    if path == "/with-policy" {
        return ([(header::CONTENT_SECURITY_POLICY, "default-src 'none'")], "page").into_response();
    }
    let said = [(header::CONTENT_TYPE, "text/plain"), (header::SET_COOKIE, "upstream=1")];
    (StatusCode::CREATED, said, Body::from(format!("{} {path}", head.method))).into_response()
}
