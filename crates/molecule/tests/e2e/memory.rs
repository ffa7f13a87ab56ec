//! What peers can make the server hold (D33).

use std::time::Duration;

use axum::{Router, http::header, routing::post};
use molecule_client::{A2aOptions, Client};
use molecule_core::{WorkspaceId, limits};
use molecule_testkit::PATIENCE;
use molecule_wire::workspaces::CreatedWorkspace;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::server::{ADMIN, Server, Site, message};

/// Connections that stop in the middle of their bodies.
const STALLED: usize = 200;
/// Agents that answer as much as they may.
const AGENTS: usize = 64;
/// What the server may come to.
const CEILING_KIB: u64 = 400 << 10;

/// Resident memory of a process, KiB.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

/// Sends half of a body and waits for what the server says to that: its status, or 0 if it just closes.
async fn stall(address: String, head: String, bytes: usize) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let writing = async {
        let piece = vec![b' '; 64 << 10];
        for _ in 0..bytes / piece.len() {
            if writer.write_all(&piece).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut answer = [0; 12];
        match reader.read_exact(&mut answer).await {
            Ok(_) => std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap(),
            Err(_) => 0,
        }
    };
    tokio::select! {
        status = reading => status,
        () = writing => unreachable!("it never ends"),
    }
}

fn head(path: &str, bearer: &str, length: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\n{length}\r\n\r\n")
}

/// An agent that answers 10 MB, to whoever asks at whichever path.
async fn talkative() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = "x".repeat(limits::A2A_REPLY_BYTES - 1_024);
    let reply = json!({
        "jsonrpc": "2.0", "id": "m",
        "result": { "kind": "message", "role": "agent", "messageId": "r", "parts": [{ "kind": "text", "text": text }] },
    });
    let reply = axum::body::Bytes::from(reply.to_string());
    let answer = post(move || async move { ([(header::CONTENT_TYPE, "application/json")], reply) });
    tokio::spawn(async move {
        let router = Router::new().route("/{agent}", answer);
        axum::serve(listener, router).await.unwrap();
    });
    format!("http://localhost:{port}")
}

async fn external(client: &Client, name: &str, url: Option<String>) -> CreatedWorkspace {
    let body = serde_json::from_value(json!({ "name": name, "external": true, "url": url })).unwrap();
    client.create_workspace(&body).await.unwrap()
}

/// Others are answered while it lasts, and the server stays small.
async fn goes_on(server: &Server, agent: &Client, id: WorkspaceId) {
    for _ in 0..20 {
        let beat = serde_json::from_value(json!({ "workspace_id": id })).unwrap();
        let answered = tokio::time::timeout(PATIENCE, agent.heartbeat(&beat)).await;
        answered.expect("an answer").unwrap();
        let large = "x".repeat(100 << 10).into();
        let stored = tokio::time::timeout(PATIENCE, agent.set_secret(id, "LARGE", &large)).await;
        stored.expect("an answer").unwrap();
        let resident = resident(server);
        assert!(resident < CEILING_KIB, "{resident} KiB");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn stalled_bodies_and_long_replies_leave_room() {
    // D33
    let mut site = Site::new(None);
    // Where agents on this machine may be dialled.
    site.set("MOLECULE_ENV", "development");
    let server = site.start("server");
    let client = server.client();
    let url = talkative().await;
    let victim = external(&client, "victim", None).await;
    let token = victim.connection.unwrap().auth_token;
    let victim = victim.id;
    let agent = Client::new(&server.url, Some(token.clone().into())).unwrap();

    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let long = limits::JSON_BODY_BYTES;
    let mut bodies = JoinSet::new();
    for n in 0..STALLED {
        let length = if n % 2 == 0 {
            format!("content-length: {long}")
        } else {
            // One endless chunk.
            "transfer-encoding: chunked\r\n\r\nffffffff".to_owned()
        };
        bodies.spawn(stall(address.clone(), head("/org/import", ADMIN, &length), long / 2));
    }
    let mut replies = JoinSet::new();
    for n in 0..AGENTS {
        let id = external(&client, &format!("agent-{n}"), Some(format!("{url}/{n}")))
            .await
            .id;
        let client = client.clone();
        replies.spawn(async move {
            let (message, options) = (message(&format!("m-{n}"), "go on"), A2aOptions::default());
            let sent = client.send_a2a(id, &message, &options).await;
            sent.is_ok_and(|reply| reply.is_success())
        });
    }
    goes_on(&server, &agent, victim).await;
    let given_up = tokio::time::timeout(PATIENCE, bodies.join_all())
        .await
        .expect("all are given up");
    assert!(
        given_up.iter().all(|status| matches!(status, 0 | 408 | 503)),
        "{given_up:?}"
    );
    let answered = tokio::time::timeout(PATIENCE, replies.join_all())
        .await
        .expect("all are answered");
    assert!(answered.iter().all(|answered| *answered), "{}", server.log_tail());

    // An agent's own routes take no more than they need, whatever it announces.
    let path = format!("/workspaces/{victim}/activity");
    let announced = format!("content-length: {}", limits::WORKSPACE_BODY_BYTES + 1);
    assert_eq!(stall(address.clone(), head(&path, &token, &announced), 0).await, 413);
    let chunked = "transfer-encoding: chunked\r\n\r\nffffffff";
    let endless = stall(address, head(&path, &token, chunked), limits::WORKSPACE_BODY_BYTES * 2).await;
    assert!(matches!(endless, 0 | 413), "{endless}");
    assert!(resident(&server) < CEILING_KIB);
}
