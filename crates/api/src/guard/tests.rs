use axum::extract::ConnectInfo;
use std::net::SocketAddr;
use tokio::sync::{mpsc, oneshot};
use tower::service_fn;

use super::*;
use crate::testing;

static CHANGE: Route = Route::plain(Verb::Post, "/change", Class::Public);

fn ask(path: &str) -> Request {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_change_ends_though_its_client_leaves() {
    // Architecture §4
    let (state, _database) = testing::state().await;
    let (go, gone) = oneshot::channel::<()>();
    let (ended, mut ends) = mpsc::unbounded_channel();
    let gone = gone.shared();
    let handler = service_fn(move |_: Request| {
        let (gone, ended) = (gone.clone(), ended.clone());
        async move {
            gone.await.unwrap();
            ended.send(()).unwrap();
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    });
    let mut guard = GuardLayer::of(&state, &CHANGE).layer(handler);
    let mut change = guard.call(ask("/change"));
    // Begun, not ended, and left.
    assert!(futures_util::poll!(&mut change).is_pending());
    drop(change);
    go.send(()).unwrap();
    ends.recv().await.unwrap();
    assert_eq!(
        guard.call(ask("/change")).await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn what_is_logged_tells_whose_request_it_is_for() {
    static MINE: Route = Route::plain(Verb::Post, "/change", Class::Admin);
    let (state, _database) = testing::state().await;
    let (log, _guard) = testing::log();
    let handler = service_fn(|_: Request| async {
        // So that it goes on in a task of its own.
        tokio::task::yield_now().await;
        let carried = trace::current().unwrap();
        tracing::info!(carried = carried.traceparent(), "done");
        Ok(StatusCode::NO_CONTENT.into_response())
    });
    let mut request = ask("/change");
    let peer: SocketAddr = "192.0.2.7:9".parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    let headers = request.headers_mut();
    headers.insert("authorization", HeaderValue::from_static("Bearer admin"));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sent = format!("00-{trace}-00f067aa0ba902b7-01");
    headers.insert("traceparent", HeaderValue::from_str(&sent).unwrap());
    let answer = GuardLayer::of(&state, &MINE)
        .layer(handler)
        .call(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let text = log.text();
    let line = text.lines().find(|line| line.contains("done")).unwrap();
    for part in [
        "method=GET",
        "route=\"/change\"",
        "actor=admin",
        // SEC-92
        "address=192.0.2.7",
        &format!("trace={trace}"),
        &format!("00-{trace}-"),
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains(&sent), "a step of its own");
}

#[tokio::test]
async fn a_change_that_panics_is_an_answer() {
    let (state, _database) = testing::state().await;
    let handler = service_fn(|_: Request| async {
        tokio::task::yield_now().await;
        panic!("boom");
    });
    let mut guard = GuardLayer::of(&state, &CHANGE).layer(handler);
    let answer = guard.call(ask("/change")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn policies_by_row_and_by_whole_segment() {
    // SEC-201
    let (state, _database) = testing::state().await;
    let served = HashSet::from(["workspaces", "ws"]);
    let unmatched = GuardLayer::unmatched(&state, served);
    let policy = |path: &'static str| unmatched.0.policy_of(&Uri::from_static(path));
    for api in ["/workspaces", "/workspaces/x/y", "/ws"] {
        assert_eq!(policy(api), headers::policy(Policy::Api), "{api}");
    }
    for page in ["/", "/workspacesX", "/wsx", "/canvas/viewport"] {
        assert_eq!(policy(page), headers::policy(Policy::Page), "{page}");
    }
    assert_eq!(
        GuardLayer::of(&state, &CHANGE).0.policy_of(&Uri::from_static("/")),
        headers::policy(Policy::Api)
    );
}

#[tokio::test]
async fn a_panic_is_one_answer_and_no_more() {
    // SEC-148, SEC-208
    let (state, _database) = testing::state().await;
    let handler = service_fn(|request: Request| async move {
        assert_ne!(request.uri().path(), "/panics", "boom");
        Ok(StatusCode::NO_CONTENT.into_response())
    });
    let mut guard = GuardLayer::unmatched(&state, HashSet::new()).layer(handler);
    let mut ask = async |path: &str| guard.call(ask(path)).await.unwrap();
    let response = ask("/panics").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["x-frame-options"], "DENY");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({ "code": "internal", "error": "internal error" })
    );
    assert_eq!(ask("/").await.status(), StatusCode::NO_CONTENT);
    let text = state.metrics().render();
    assert!(
        text.contains(r#"{method="any",path="unmatched",status="500"} 1"#),
        "{text}"
    );
}
