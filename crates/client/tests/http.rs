//! The client against a real HTTP server.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, State, WebSocketUpgrade, ws},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use futures_util::{StreamExt, stream};
use molecule_client::{
    A2aAnswer, A2aOptions, ActivityFilter, ActivitySource, Client, ClientError, DeleteAnswer, SseFrame,
};
use molecule_core::{ActivityId, WorkspaceId};
use molecule_wire::orgs::{ImportOrg, MissingEnv};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What the server saw of one request.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

type Log = Arc<Mutex<Vec<Seen>>>;

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Answers everything the same and keeps what it was asked.
async fn canned(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> (String, Log) {
    let log = Log::default();
    let answer = move |State(log): State<Log>, method, uri, request_headers, body_in| async move {
        log.lock().unwrap().push(Seen {
            method,
            uri,
            headers: request_headers,
            body: body_in,
        });
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(Body::from(body)).unwrap()
    };
    (
        serve(Router::new().fallback(any(answer)).with_state(log.clone())).await,
        log,
    )
}

fn last(log: &Log) -> Seen {
    log.lock().unwrap().last().cloned().unwrap()
}

fn client(url: &str) -> Client {
    Client::new(url, Some("tok".into())).unwrap()
}

#[tokio::test]
async fn identity_goes_with_every_request() {
    // A2A-193, SEC-10
    let (url, log) = canned(200, &[], "[]").await;
    let id = WorkspaceId::random();
    let speaking = client(&url).with_workspace(id);
    assert!(speaking.peers(id, Some("a&b=c")).await.unwrap().is_empty());
    let seen = last(&log);
    assert_eq!(seen.headers[header::AUTHORIZATION], "Bearer tok");
    assert_eq!(seen.headers[header::ORIGIN], url.as_str());
    assert_eq!(seen.headers["x-workspace-id"], id.to_string().as_str());
    assert_eq!(seen.uri.to_string(), format!("/registry/{id}/peers?q=a%26b%3Dc"));

    Client::new(&url, None).unwrap().list_workspaces().await.unwrap();
    let seen = last(&log);
    assert!(!seen.headers.contains_key(header::AUTHORIZATION) && !seen.headers.contains_key("x-workspace-id"));
}

#[tokio::test]
async fn filters_become_parameters() {
    // ACT §1.2
    let (url, log) = canned(200, &[], "[]").await;
    let (id, peer) = (WorkspaceId::random(), WorkspaceId::random());
    let cursor: ActivityId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let filter = ActivityFilter {
        activity_type: Some("a2a_receive".into()),
        source: Some(ActivitySource::Agent),
        peer_id: Some(peer),
        since_secs: Some(60),
        since_id: Some(cursor),
        limit: Some(7),
        before_ts: Some(molecule_core::Timestamp::parse_rfc3339("2024-01-01T00:00:00Z").unwrap()),
    };
    client(&url).activity(id, &filter).await.unwrap();
    assert_eq!(
        last(&log).uri.query().unwrap(),
        format!(
            "type=a2a_receive&source=agent&peer_id={peer}&since_secs=60&before_ts=2024-01-01T00%3A00%3A00Z\
             &since_id={cursor}&limit=7"
        )
    );
    client(&url).activity(id, &ActivityFilter::default()).await.unwrap();
    assert_eq!(last(&log).uri.query(), None);
}

#[tokio::test]
async fn error_answers_keep_text_code_and_retry() {
    let (url, _) = canned(
        429,
        &[("retry-after", "12")],
        r#"{"error":"too many requests","code":"rate_limited"}"#,
    )
    .await;
    let error = client(&url).list_workspaces().await.unwrap_err();
    let status = error.as_status().unwrap();
    assert_eq!(
        (status.status, status.retry_after, status.code.as_deref()),
        (429, Some(12), Some("rate_limited"))
    );
    assert_eq!(error.to_string(), "too many requests (HTTP 429); try again in 12 s");
    assert!(!error.is_unreachable());

    // PROV-133: members beside `error` stay readable.
    let body = r#"{"error":"missing required environment variables","missing_env":["K"],"required_env":["K"],"template":"t","suggestion":"s"}"#;
    let (url, _) = canned(412, &[], body).await;
    let error = client(&url).import_org(&ImportOrg::default()).await.unwrap_err();
    let missing: MissingEnv = error.as_status().unwrap().body_as().unwrap();
    assert_eq!(missing.missing_env, ["K"]);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, log) = canned(200, &[], "[]").await;
    let location: &'static str = elsewhere.leak();
    let headers: &'static [(&str, &str)] = vec![("location", location)].leak();
    let (url, _) = canned(307, headers, "").await;
    assert_eq!(client(&url).list_workspaces().await.unwrap_err().status(), Some(307));
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_listening_says_so() {
    // Bound and never listening: refused for as long as the socket lives, and nobody else can be given the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let error = client(&url).health().await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(
        error.to_string().contains("molecule up") && error.to_string().contains(&url),
        "{error}"
    );
    let error = Client::new(&url, None).unwrap().events().await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn answers_of_another_shape_are_told_apart() {
    let (url, _) = canned(200, &[], r#"{"auth_token":1708170917101711,"token":"s3cret"}"#).await;
    let error = client(&url).list_workspaces().await.unwrap_err();
    assert!(
        error.to_string().starts_with("the server's answer is not understood"),
        "{error}"
    );
    // SEC-145: nothing of a credential route's body is quoted.
    let error = client(&url).mint_token(WorkspaceId::random()).await.unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(!told.contains("1708170917101711") && !told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn delete_without_confirmation_is_an_answer() {
    // LIFE-99
    let child = WorkspaceId::random();
    let body: &'static str = json!({
        "status": "confirmation_required", "message": "has children", "children_count": 1,
        "children": [{"id": child, "name": "Kid"}],
    })
    .to_string()
    .leak();
    let (url, log) = canned(409, &[], body).await;
    let answer = client(&url)
        .delete_workspace(WorkspaceId::random(), false, true)
        .await
        .unwrap();
    let DeleteAnswer::ConfirmationRequired(required) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (required.children[0].id, required.children[0].name.as_str()),
        (child, "Kid")
    );
    assert_eq!(
        (last(&log).method, last(&log).uri.query().unwrap()),
        (Method::DELETE, "purge=true")
    );
}

#[tokio::test]
async fn a_deleted_state_is_an_answer_but_an_empty_404_is_not() {
    // LIFE-92, A2A-193
    let id = WorkspaceId::random();
    let body: &'static str = json!({"workspace_id": id, "deleted": true}).to_string().leak();
    let (url, _) = canned(404, &[], body).await;
    assert!(client(&url).workspace_state(id).await.unwrap().deleted);
    let (url, _) = canned(404, &[], "").await;
    assert_eq!(client(&url).workspace_state(id).await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn a2a_replies_come_raw_with_their_status() {
    // A2A-14, A2A-67
    let (url, log) = canned(
        503,
        &[("retry-after", "15")],
        r#"{"error":"restarting", "restarting":true}"#,
    )
    .await;
    let target = WorkspaceId::random();
    let options = A2aOptions {
        timeout: Some(Duration::from_millis(1_500)),
        version: Some("1.0".into()),
        ..Default::default()
    };
    let raw = serde_json::value::RawValue::from_string(r#"{"n":12345678901234567890123, "b":1}"#.into()).unwrap();
    let reply = client(&url).send_a2a(target, &raw, &options).await.unwrap();
    assert_eq!(
        (reply.status, reply.retry_after, reply.is_success()),
        (503, Some(15), false)
    );
    assert_eq!(&reply.body[..], br#"{"error":"restarting", "restarting":true}"#);
    let seen = last(&log);
    assert_eq!(&seen.body[..], raw.get().as_bytes());
    assert_eq!(
        (&seen.headers["x-timeout"], &seen.headers["a2a-version"]),
        (&"2".parse().unwrap(), &"1.0".parse().unwrap())
    );
    assert_eq!(seen.headers[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn an_agents_refusal_is_told_from_the_platforms() {
    // A2A-86: an agent's 401 says nothing of the caller's credential.
    let (agents, _) = canned(
        401,
        &[("x-molecule-upstream-status", "401")],
        r#"{"error":"unauthorized"}"#,
    )
    .await;
    let (platforms, _) = canned(401, &[], r#"{"error":"invalid caller auth token"}"#).await;
    let target = WorkspaceId::random();
    for (url, upstream, status) in [(agents, Some(401), None), (platforms, None, Some(401))] {
        let sent = client(&url).send_a2a(target, &json!({}), &A2aOptions::default()).await;
        let reply = sent.unwrap();
        assert_eq!((reply.status, reply.upstream_status), (401, upstream));
        let error = reply.to_error();
        assert_eq!(error.upstream_status, upstream);
        assert_eq!(ClientError::from(error).status(), status);
    }
}

#[tokio::test]
async fn streams_frames_or_takes_a_plain_answer() {
    let sse = post(|| async {
        let chunks =
            ["data: {\"a\"", ":1}\n\n: ping\n\nda", "ta: 2\n\n"].map(|chunk| Ok::<_, std::io::Error>(chunk.to_owned()));
        (
            [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")],
            Body::from_stream(stream::iter(chunks)),
        )
    });
    let url = serve(Router::new().route("/workspaces/{id}/a2a", sse)).await;
    let options = A2aOptions::default();
    let answer = client(&url)
        .stream_a2a(WorkspaceId::random(), &json!({}), &options)
        .await
        .unwrap();
    let A2aAnswer::Stream(mut frames) = answer else {
        panic!("{answer:?}")
    };
    let frame = |data: &str| {
        Some(SseFrame {
            data: data.into(),
            ..Default::default()
        })
    };
    assert_eq!(frames.next().await.unwrap(), frame("{\"a\":1}"));
    assert_eq!(frames.next().await.unwrap(), frame("2"));
    assert_eq!(frames.next().await.unwrap(), None);

    let (url, log) = canned(202, &[], r#"{"queued":true}"#).await;
    let answer = client(&url)
        .stream_a2a(WorkspaceId::random(), &json!({}), &options)
        .await
        .unwrap();
    let A2aAnswer::Reply(reply) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (reply.status, reply.json::<Value>().unwrap()),
        (202, json!({"queued": true}))
    );
    assert!(
        last(&log).headers[header::ACCEPT]
            .to_str()
            .unwrap()
            .contains("text/event-stream")
    );
}

#[tokio::test]
async fn a_stream_that_breaks_is_an_error_not_an_end() {
    let read = Arc::new(Notify::new());
    let first_read = read.clone();
    let sse = post(|| async move {
        let first = stream::iter([Ok("data: 1\n\n".to_owned())]);
        let then = stream::once(async move {
            first_read.notified().await;
            Err(std::io::Error::other("agent died"))
        });
        (
            [(header::CONTENT_TYPE, "text/event-stream")],
            Body::from_stream(first.chain(then)),
        )
    });
    let url = serve(Router::new().route("/workspaces/{id}/a2a", sse)).await;
    let options = A2aOptions::default();
    let answer = client(&url)
        .stream_a2a(WorkspaceId::random(), &json!({}), &options)
        .await
        .unwrap();
    let A2aAnswer::Stream(mut frames) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(frames.next().await.unwrap().unwrap().data, "1");
    read.notify_one();
    let broken = frames.next().await;
    assert!(matches!(broken, Err(ClientError::Interrupted { .. })), "{broken:?}");
}

#[tokio::test]
async fn sockets_are_opened_with_a_ticket_and_agents_with_their_bearer() {
    // ACT-77, D2
    async fn socket(headers: HeaderMap, Query(query): Query<Value>, upgrade: WebSocketUpgrade) -> Response {
        let by_ticket = query["ticket"] == "t1" && !headers.contains_key(header::AUTHORIZATION);
        let by_agent = headers.contains_key("x-workspace-id") && headers[header::AUTHORIZATION] == "Bearer tok";
        if !by_ticket && !by_agent {
            return (
                StatusCode::UNAUTHORIZED,
                Json(json!({"error": "missing workspace auth token"})),
            )
                .into_response();
        }
        upgrade.on_upgrade(|mut socket| async move {
            let event = json!({"event": "X", "workspace_id": "", "timestamp": "2024-01-01T00:00:00Z", "payload": {}});
            for message in [
                ws::Message::Ping(Bytes::new()),
                ws::Message::text("?"),
                ws::Message::text(event.to_string()),
            ] {
                socket.send(message).await.unwrap();
            }
            socket.send(ws::Message::Close(None)).await.unwrap();
            while socket.next().await.is_some() {}
        })
    }
    let ticket = post(|headers: HeaderMap| async move {
        assert_eq!(headers[header::AUTHORIZATION], "Bearer tok");
        (StatusCode::CREATED, Json(json!({"ticket": "t1", "expires_in": 30})))
    });
    let url = serve(Router::new().route("/auth/tickets", ticket).route("/ws", get(socket))).await;
    for client in [client(&url), client(&url).with_workspace(WorkspaceId::random())] {
        let mut events = client.events().await.unwrap();
        assert!(matches!(events.next().await, Err(ClientError::Decode { .. })));
        assert_eq!(events.next().await.unwrap().unwrap().event, "X");
        assert!(events.next().await.unwrap().is_none());
    }
    let refused = Client::new(&url, None).unwrap().events().await.unwrap_err();
    assert_eq!(refused.status(), Some(401));
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let url = serve(Router::new().route("/health", get(std::future::pending::<()>))).await;
    let limit = Duration::from_millis(50);
    let error = client(&url).with_timeout(limit).health().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Timeout { after: Some(after), .. } if after == limit),
        "{error:?}"
    );
    assert!(error.is_unreachable());
}

#[tokio::test]
async fn models_of_an_openai_compatible_endpoint() {
    let (url, log) = canned(
        200,
        &[],
        r#"{"object":"list","data":[{"id":"llama3","object":"model"}]}"#,
    )
    .await;
    let models = molecule_client::list_models(&format!("{url}/v1"), None, Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(
        (models, last(&log).uri.path()),
        (vec!["llama3".to_owned()], "/v1/models")
    );
}
