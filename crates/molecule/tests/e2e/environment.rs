//! What the variables of the specification do to an assembled server (SEC-220, SEC-221). Those whose effect takes a clock
//! of days are seen where the server's settings are shown.

use std::path::Path;

use axum::{
    Json, Router,
    extract::{Query, Request},
    http::HeaderMap,
    routing::get,
};
use molecule_client::{A2aOptions, Client};
use molecule_core::{WorkspaceId, WorkspaceStatus};
use molecule_wire::workspaces::CreateWorkspace;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::server::{ADMIN, Server, Site, agent_pids, eventually, message};

/// The answer to a request, as it came.
async fn ask(server: &Server, line: &str, headers: &[(&str, &str)], body: &str) -> String {
    let host = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let mut request = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn bearer() -> String {
    format!("Bearer {ADMIN}")
}

#[track_caller]
fn holds(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "{part}: {answer}");
    }
}

async fn create(client: &Client, name: &str, runtime: &str) -> WorkspaceId {
    let request = CreateWorkspace {
        name: name.into(),
        runtime: Some(runtime.into()),
        ..CreateWorkspace::default()
    };
    client.create_workspace(&request).await.unwrap().id
}

async fn until(client: &Client, id: WorkspaceId, status: WorkspaceStatus) {
    eventually("the workspace changes", || async {
        let view = client.get_workspace(id, false).await;
        let found = view.map_err(|error| error.to_string())?.status;
        if found == status {
            Ok(())
        } else {
            Err(found.to_string())
        }
    })
    .await;
}

/// The environment of the one agent.
async fn environment_of_agent(data: &Path) -> String {
    eventually("an agent is started", || async {
        let pid = *agent_pids(data).first().ok_or("no agent")?;
        let environment = std::fs::read(format!("/proc/{pid}/environ")).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&environment).replace('\0', "\n"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agents_and_browsers_are_told() {
    let work = tempfile::tempdir().unwrap();
    let manifest = work.path().join("manifest.json");
    let runtimes = json!({ "workspace_templates": [{ "name": "claude-code-default" }] });
    std::fs::write(&manifest, runtimes.to_string()).unwrap();
    let mut site = Site::new(None);
    for (name, value) in [
        // Nobody is there: agents start, and never register.
        ("PLATFORM_URL", "http://127.0.0.1:9"),
        ("PROVISION_TIMEOUT_SECONDS", "1"),
        ("EXTERNAL_PLATFORM_URL", "https://agents.example/m"),
        ("WORKSPACE_MANIFEST_PATH", manifest.to_str().unwrap()),
        ("WORKSPACE_DIR", work.path().to_str().unwrap()),
        ("SECRETS_ENCRYPTION_KEY", "abcdefghijklmnopqrstuvwxyz012345"),
        ("MOLECULE_ENABLE_TEST_TOKENS", "1"),
        ("MOLECULE_DEPLOY_MODE", "saas"),
        ("CORS_ORIGINS", "https://ui.example"),
        ("ACTIVITY_CLEANUP_INTERVAL_HOURS", "3"),
        ("ACTIVITY_RETENTION_DAYS", "2"),
        ("MOLECULE_PROVISION_CONCURRENCY", "5"),
    ] {
        site.set(name, value);
    }
    let server = site.start("server");
    let client = server.client();

    let scribe = json!({
        "name": "Scribe", "runtime": "echo", "workspace_dir": "${WORKSPACE_DIR}", "workspace_access": "read_write",
    });
    let org = work.path().join("org.json");
    std::fs::write(&org, json!({ "name": "One", "workspaces": [scribe] }).to_string()).unwrap();
    let imported = site.run(&["org", "import", "--file", org.to_str().unwrap()]).await;
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    let id = client.list_workspaces().await.unwrap()[0].workspace.id;
    let environment = environment_of_agent(site.data.path()).await;
    let work_dir = format!("MOLECULE_WORKSPACE_DIR={}", work.path().display());
    holds(&environment, &["PLATFORM_URL=http://127.0.0.1:9\n", &work_dir]);
    until(&client, id, WorkspaceStatus::Failed).await;
    let all = client.list_workspaces().await.unwrap();
    let failed = all.iter().find(|item| item.workspace.id == id).unwrap();
    holds(&failed.last_sample_error, &["timed out after 1 s"]);

    let request = CreateWorkspace {
        name: "Elsewhere".into(),
        runtime: Some("external".into()),
        ..CreateWorkspace::default()
    };
    let external = client.create_workspace(&request).await.unwrap();
    assert_eq!(external.connection.unwrap().platform_url, "https://agents.example/m");
    // None but those of the manifest: another one becomes the default.
    let other = create(&client, "Coder", "codex").await;
    let view = client.get_workspace(other, false).await.unwrap();
    assert_eq!(view.runtime.as_str(), "claude-code");
    assert!(!site.data.path().join("server/secrets_key").exists());

    let bearer = bearer();
    let admin = ("authorization", bearer.as_str());
    let token = ask(&server, &format!("GET /admin/workspaces/{id}/test-token"), &[admin], "").await;
    holds(&token, &["200 OK", "auth_token"]);
    // Within an organisation's network, which only hosted servers reach.
    let private = json!({ "name": "Near", "runtime": "external", "url": "http://10.1.2.3:9000" }).to_string();
    let typed = ("content-type", "application/json");
    let near = ask(&server, "POST /workspaces", &[admin, typed], &private).await;
    holds(&near, &["201 Created"]);
    let origin = ("origin", "https://ui.example");
    let foreign = ask(&server, "GET /health", &[origin], "").await;
    holds(&foreign, &["access-control-allow-origin: https://ui.example"]);

    let shown = site.run(&["--json", "config"]).await.out;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    for (key, value) in [
        ("activity_retention_days", "2"),
        ("activity_cleanup_interval_hours", "3"),
        ("provision_concurrency", "5"),
    ] {
        let of_key = |setting: &&Value| setting["key"] == key;
        let setting = shown.as_array().unwrap().iter().find(of_key).unwrap();
        assert_eq!(setting["value"], value, "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_silence_is_borne() {
    let mut site = Site::new(None);
    site.set("A2A_IDLE_TIMEOUT_SECONDS", "1");
    site.set("REMOTE_LIVENESS_STALE_AFTER", "1");
    let server = site.start("server");
    let client = server.client();
    // None of what the first test sets: the strict answer.
    let bearer = bearer();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let private = json!({ "name": "Near", "runtime": "external", "url": "http://10.1.2.3:9000" }).to_string();
    let near = ask(&server, "POST /workspaces", &headers, &private).await;
    holds(&near, &["400 Bad Request"]);

    let request = CreateWorkspace {
        name: "Elsewhere".into(),
        runtime: Some("external".into()),
        ..CreateWorkspace::default()
    };
    let external = client.create_workspace(&request).await.unwrap();
    let connection = external.connection.unwrap();
    let beat = json!({ "workspace_id": external.id }).to_string();
    let register = json!({
        "id": external.id, "url": "", "delivery_mode": "poll",
        "agent_card": { "name": "x", "version": "1.0.0", "skills": [] },
    });
    let token = format!("Bearer {}", connection.auth_token);
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let registered = ask(&server, "POST /registry/register", &headers, &register.to_string()).await;
    holds(&registered, &["200 OK"]);
    holds(
        &ask(&server, "POST /registry/heartbeat", &headers, &beat).await,
        &["200 OK"],
    );
    until(&client, external.id, WorkspaceStatus::Online).await;

    let scribe = create(&client, "Scribe", "echo").await;
    until(&client, scribe, WorkspaceStatus::Online).await;
    let slow = message("m-1", "sleep 600000");
    let answer = client.send_a2a(scribe, &slow, &A2aOptions::default()).await;
    let refused = match answer {
        Ok(reply) => format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)),
        Err(error) => error.to_string(),
    };
    holds(&refused, &["busy"]);
    // The sweep comes every fifteen seconds, and 90 s of silence are borne otherwise.
    until(&client, external.id, WorkspaceStatus::AwaitingAgent).await;
}

/// A control plane and a web UI in one: it knows one member, and answers everything else with what it was asked.
async fn upstream() -> String {
    let member = async |Query(asked): Query<Vec<(String, String)>>, headers: HeaderMap| {
        let cookie = headers.get("cookie").and_then(|cookie| cookie.to_str().ok());
        let slug = asked
            .iter()
            .find(|(name, _)| name == "slug")
            .map(|(_, slug)| slug.as_str());
        Json(json!({ "member": cookie == Some("session=hers") && slug == Some("acme"), "user_id": "ada" }))
    };
    let router = Router::new()
        .route("/cp/auth/tenant-member", get(member))
        .fallback(async |request: Request| format!("upstream has {}", request.uri().path()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosted_organisation() {
    let (control_plane, canvas) = (upstream().await, upstream().await);
    let mut site = Site::new(None);
    for (name, value) in [
        ("MOLECULE_ORG_ID", "org-1"),
        ("MOLECULE_ORG_SLUG", "acme"),
        ("MOLECULE_BACKEND", "none"),
        ("CP_UPSTREAM_URL", &control_plane),
        ("CANVAS_PROXY_URL", &canvas),
        ("RATE_LIMIT", "37"),
    ] {
        site.set(name, value);
    }
    let server = site.start("server");
    let bearer = bearer();
    let admin = ("authorization", bearer.as_str());
    let (ours, others) = (("x-molecule-org-id", "org-1"), ("x-molecule-org-id", "org-2"));
    for (headers, status) in [
        (vec![admin, ours], "200 OK"),
        (vec![admin, others], "404 Not Found"),
        (vec![admin], "404 Not Found"),
        (vec![ours], "401 Unauthorized"),
        (vec![ours, ("cookie", "session=hers")], "200 OK"),
        (vec![ours, ("cookie", "session=his")], "401 Unauthorized"),
    ] {
        let answer = ask(&server, "GET /workspaces", &headers, "").await;
        assert!(answer.contains(status), "{headers:?}: {answer}");
    }
    let handed_on = ask(&server, "GET /cp/orgs/mine", &[ours], "").await;
    holds(&handed_on, &["200 OK", "upstream has /cp/orgs/mine"]);
    let page = ask(&server, "GET /some/page", &[ours], "").await;
    holds(&page, &["200 OK", "upstream has /some/page"]);
    let anonymous = ask(&server, "GET /workspaces", &[ours], "").await;
    holds(&anonymous, &["x-ratelimit-limit: 37"]);
}
