//! The yardstick: a proxy of the same parts as Molecule's (axum, hyper-util's pooled client, JSON parsed and
//! serialised again) that does nothing else. No credential, no access rule, no record.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Request, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::upstream::{announce, input_end};

struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    target: String,
}

/// Serves until standard input ends.
pub(crate) async fn serve(upstream: u16) -> anyhow::Result<()> {
    on_every_core(move || {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let proxy = Arc::new(Proxy {
            client,
            target: format!("http://127.0.0.1:{upstream}/"),
        });
        Router::new().fallback(forward).with_state(proxy)
    })
    .await
}

/// Serves what `app` gives until standard input ends, with a worker per core, like the server it is compared with.
pub(crate) async fn on_every_core(app: impl FnOnce() -> Router + Send + 'static) -> anyhow::Result<()> {
    let workers = tokio::task::spawn_blocking(|| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(run(app))
    });
    workers.await?
}

async fn run(app: impl FnOnce() -> Router) -> anyhow::Result<()> {
    let app = app();
    let (listener, _) = announce().await?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("nodelay: {error}");
        }
    });
    tokio::select! {
        result = axum::serve(listener, app) => Ok(result?),
        result = input_end() => result,
    }
}

async fn forward(State(proxy): State<Arc<Proxy>>, body: Bytes) -> Response {
    match exchange(&proxy, &body).await {
        Ok(reply) => ([(CONTENT_TYPE, "application/json")], reply).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn exchange(proxy: &Proxy, body: &[u8]) -> anyhow::Result<Bytes> {
    let message: serde_json::Value = serde_json::from_slice(body)?;
    let request = Request::post(&proxy.target)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(serde_json::to_vec(&message)?)))?;
    let reply = proxy.client.request(request).await?;
    anyhow::ensure!(reply.status().is_success(), "the upstream answered {}", reply.status());
    Ok(Body::new(reply.into_body()).collect().await?.to_bytes())
}
