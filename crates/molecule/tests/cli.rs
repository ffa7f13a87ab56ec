//! The program itself, against a real HTTP server.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use molecule_core::WorkspaceId;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

/// A server with three workspaces, two of them namesakes.
struct Server {
    url: String,
    lead: WorkspaceId,
    seen: Seen,
}

/// Bearer and body of every request that was looked at.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

fn workspace(id: WorkspaceId, name: &str, status: &str) -> Value {
    json!({
        "id": id, "name": name, "role": null, "tier": 3, "status": status, "url": "", "parent_id": null,
        "active_tasks": 0, "max_concurrent_tasks": 1, "last_error_rate": 0.0, "uptime_seconds": 0, "runtime": "echo",
        "delivery_mode": null, "restarts": 0, "x": 0.0, "y": 0.0, "collapsed": false, "agent_card": null, "budget_limit": null,
        "monthly_spend": 0, "current_task": "", "last_sample_error": "no model key", "workspace_dir": null,
    })
}

fn error(status: u16, text: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"error": text}))).into_response()
}

fn bearer(headers: &HeaderMap) -> String {
    headers
        .get(header::AUTHORIZATION)
        .map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

async fn answer(Path(_): Path<WorkspaceId>, body: String) -> Response {
    let text = serde_json::from_str::<Value>(&body).unwrap()["params"]["message"]["parts"][0]["text"].clone();
    match text.as_str().unwrap() {
        "busy" => (
            StatusCode::ACCEPTED,
            Json(json!({"queued": true, "queue_id": "q", "queue_depth": 1, "message": ""})),
        )
            .into_response(),
        "unstarted" => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"error": "workspace has no URL", "status": "failed"})),
        )
            .into_response(),
        "dead" => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"error": "the agent is being restarted", "restarting": true, "retry_after": 15})),
        )
            .into_response(),
        text => {
            let chunk = |text: &str, append: bool| {
                json!({"jsonrpc": "2.0", "id": 1, "result": {"kind": "artifact-update", "taskId": "t", "contextId": "c",
                    "append": append, "artifact": {"artifactId": "a", "parts": [{"kind": "text", "text": text}]}}})
            };
            let state = if text == "fail" { "failed" } else { "completed" };
            let last = json!({"jsonrpc": "2.0", "id": 1, "result": {"kind": "status-update", "taskId": "t",
                "contextId": "c", "final": true, "status": {"state": state}}});
            let frames = format!(
                "data: {}\n\n: ping\n\ndata: {}\n\ndata: {last}\n\n",
                chunk("echo: ", false),
                chunk(text, true)
            );
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from(frames)).into_response()
        }
    }
}

async fn serve() -> Server {
    let (lead, twin, other) = (WorkspaceId::random(), WorkspaceId::random(), WorkspaceId::random());
    let seen = Seen::default();
    let list = move |State(seen): State<Seen>, headers: HeaderMap| async move {
        seen.lock().unwrap().push((bearer(&headers), String::new()));
        if bearer(&headers) != "Bearer right" {
            return error(401, "missing workspace auth token");
        }
        let all = [
            workspace(lead, "Lead", "online"),
            workspace(twin, "Twin", "online"),
            workspace(other, "Twin", "failed"),
        ];
        Json(all).into_response()
    };
    let one = move |Path(id): Path<WorkspaceId>| async move {
        if id == lead {
            Json(workspace(lead, "Lead", "failed")).into_response()
        } else {
            error(404, "workspace not found")
        }
    };
    let create = move || async move {
        (StatusCode::CREATED, Json(json!({"id": lead, "status": "provisioning"}))).into_response()
    };
    let remove = move || async move {
        let body = json!({"status": "confirmation_required", "message": "m", "children": [{"id": twin, "name": "Twin"}], "children_count": 1});
        (StatusCode::CONFLICT, Json(body))
    };
    let secret = |State(seen): State<Seen>, headers: HeaderMap, body: Bytes| async move {
        seen.lock()
            .unwrap()
            .push((bearer(&headers), String::from_utf8(body.to_vec()).unwrap()));
        Json(json!({"status": "saved", "key": "K", "scope": "global"}))
    };
    let router = Router::new()
        .route(
            "/templates",
            get(|| async { Json(json!([{"id": "codex", "runtime": "codex"}, {"id": "native", "runtime": "native"}])) }),
        )
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/workspaces", get(list).post(create))
        .route("/workspaces/{id}", get(one).delete(remove))
        .route("/workspaces/{id}/a2a", post(answer))
        .route(
            "/settings/secrets",
            get(|| async { error(403, "admin only") }).put(secret),
        )
        .with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { url, lead, seen }
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program in an environment of its own.
struct Shell {
    home: TempDir,
    vars: Vec<(&'static str, String)>,
}

impl Shell {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            vars: Vec::new(),
        }
    }

    fn at(server: &Server) -> Self {
        Self::new()
            .with("MOLECULE_URL", &server.url)
            .with("MOLECULE_TOKEN", "right")
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.vars.retain(|(other, _)| *other != name);
        self.vars.push((name, value.to_owned()));
        self
    }

    fn data_dir(&self) -> std::path::PathBuf {
        self.home.path().join(".local/share/molecule")
    }

    async fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "").await
    }

    async fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_molecule"))
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .envs(self.vars.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let done = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran {
            code: done.status.code().unwrap(),
            out: text(done.stdout),
            err: text(done.stderr),
        }
    }
}

#[tokio::test]
async fn lists_as_table_and_as_json() {
    let server = serve().await;
    let shell = Shell::at(&server);
    let ran = shell.run(&["ws", "ls"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("NAME  STATUS  RUNTIME  DOING"), "{}", lines[0]);
    assert!(
        lines[1].starts_with("Lead  online  echo") && lines[1].ends_with(&server.lead.to_string()),
        "{}",
        lines[1]
    );
    assert!(
        lines[3].contains("failed") && lines[3].contains("no model key"),
        "{}",
        lines[3]
    );
    let ran = shell.run(&["--json", "ws", "ls"]).await;
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["name"]), (3, &json!("Lead")));
}

#[tokio::test]
async fn exit_codes_can_be_trusted() {
    let server = serve().await;
    let shell = Shell::at(&server);
    for (args, code, said) in [
        (&["ws", "ls"][..], 0, ""),
        (&["ws", "show", "Nobody"], 3, "no workspace is named"),
        (
            &["ws", "show", "6fa459ea-ee8a-4ca4-894e-db77e160355e"],
            3,
            "workspace not found (HTTP 404)",
        ),
        (&["ws", "show", "Twin"], 2, "2 workspaces are named"),
        (&["ws", "rm", "Lead"], 2, "--yes"),
        (&["secret", "ls", "--global"], 4, "admin only"),
        (&["ws", "ls", "--url", "http://127.0.0.1:1"], 5, "molecule up"),
        (&["ws", "ls", "--url", "127.0.0.1"], 2, "not usable"),
        (&["ws", "frobnicate"], 2, "unrecognized subcommand"),
        (&["send", "Lead", "dead"], 1, "try again in 15 s"),
        (&["config", "--port", "x"], 2, "--port: expected a port"),
        (&["config", "--config", "none.toml"], 2, "there is no such file"),
        (
            &["ws", "create", "X", "--runtime", "echo", "--wait"],
            1,
            "X is failed: no model key",
        ),
        // LIFE-4: the wire would take these for claude-code.
        (
            &["ws", "create", "X", "--runtime", "nativ"],
            2,
            "there is no runtime \"nativ\"",
        ),
        (
            &["ws", "create", "X", "--runtime", "codex"],
            2,
            "it runs echo, exec, native",
        ),
        (&["ws", "create", "X", "--runtime", "exec"], 2, "needs a template"),
        (
            &["ws", "create", "X", "--template", "nativ"],
            3,
            "there are: codex, native",
        ),
        (&["ws", "create", "X", "--template", "codex"], 2, "cannot run"),
        (
            &["ws", "restart", "Lead", "--template", "nope"],
            3,
            "no workspace template",
        ),
        (
            &["org", "import", "starter", "--runtime", "nativ"],
            2,
            "there is no runtime",
        ),
        (
            &["send", "Lead", "unstarted"],
            1,
            "error: Lead is failed: no model key\n",
        ),
        (&["--help"], 0, ""),
    ] {
        let ran = shell.run(args).await;
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    }
    let ran = Shell::new()
        .with("MOLECULE_URL", &server.url)
        .run(&["--json", "ws", "ls"])
        .await;
    let told: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(
        (ran.code, &told["exit_code"], &told["status"]),
        (4, &json!(4), &json!(401))
    );
}

#[tokio::test]
async fn usage_errors_are_json_on_request() {
    for args in [&["ws", "frobnicate", "--json"][..], &["--json", "send", "Lead"]] {
        let ran = Shell::new().run(args).await;
        let told: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(
            (ran.code, &told["exit_code"], &told["status"]),
            (2, &json!(2), &Value::Null)
        );
        let text = told["error"].as_str().unwrap();
        assert!(!text.starts_with("error") && !text.contains('\n'), "{text}");
    }
    let ran = Shell::new().run(&["ws", "frobnicate", "--", "--json"]).await;
    assert!(ran.err.starts_with("error: "), "{}", ran.err);
}

#[tokio::test]
async fn a_message_that_no_server_takes_is_not_sent() {
    // A2A-2
    let server = serve().await;
    let ran = Shell::at(&server)
        .run_with(&["send", "Lead", "-"], &"x".repeat(1 << 20))
        .await;
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.contains("too large") && ran.err.contains("1048576"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_failed_workspace_shows_its_reason() {
    // SEC-88: the single answer leaves it out.
    let server = serve().await;
    let ran = Shell::at(&server).run(&["ws", "show", "Lead"]).await;
    assert!(
        ran.out.contains("status      failed\nreason      no model key\n"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn messages_stream_their_answer() {
    let server = serve().await;
    let shell = Shell::at(&server);
    let ran = shell.run(&["send", "lead", "hello"]).await;
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "echo: hello\n", ""));
    let ran = shell
        .run_with(&["send", "Lead", "-", "--context", "c1"], "from a pipe")
        .await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "echo: from a pipe\n"));
    let ran = shell.run(&["send", "Lead", "fail"]).await;
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (1, "echo: fail\n", "error: Lead failed\n")
    );
    let ran = shell.run(&["send", "Lead", "busy"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.starts_with("queued: Lead is busy"), "{}", ran.err);
    let ran = shell.run(&["send", "Lead", "x", "--json"]).await;
    let frames: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(frames.len(), 3);
    let ran = shell.run(&["send", "Lead", "  "]).await;
    assert_eq!(ran.code, 2);
}

#[tokio::test]
async fn secrets_come_from_standard_input() {
    let server = serve().await;
    let shell = Shell::at(&server).with("FROM", "value of FROM");
    let ran = shell.run_with(&["secret", "set", "K", "--global"], "s3cret\n").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "K saved\n"));
    assert!(!ran.err.contains("s3cret"));
    shell
        .run(&["secret", "set", "K", "--global", "--from-env", "FROM"])
        .await;
    let bodies: Vec<String> = server
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| body.clone())
        .filter(|body| !body.is_empty())
        .collect();
    assert_eq!(
        bodies,
        [
            r#"{"key":"K","value":"s3cret"}"#,
            r#"{"key":"K","value":"value of FROM"}"#
        ]
    );
    assert_eq!(shell.run_with(&["secret", "set", "K", "--global"], "\n").await.code, 2);
    assert_eq!(shell.run(&["secret", "set", "K"]).await.code, 2);
}

#[tokio::test]
async fn the_data_directory_names_server_and_credential() {
    let server = serve().await;
    let shell = Shell::new();
    let dir = shell.data_dir().join("server");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("admin_token"), "right\n").unwrap();
    let endpoint = json!({"url": server.url, "pid": 1, "version": "0.1.0"});
    std::fs::write(dir.join("endpoint.json"), endpoint.to_string()).unwrap();
    assert_eq!(shell.run(&["ws", "ls"]).await.code, 0);
    // A credential of the environment wins over the file.
    let shell = shell.with("ADMIN_TOKEN", "wrong");
    assert_eq!(shell.run(&["ws", "ls"]).await.code, 4);
    assert_eq!(shell.with("MOLECULE_TOKEN", "right").run(&["ws", "ls"]).await.code, 0);
}

#[tokio::test]
async fn config_shows_origins_and_hides_secrets() {
    // D10
    let shell = Shell::new().with("PORT", "9").with("ADMIN_TOKEN", "hunter2");
    let ran = shell.run(&["config", "--host", "::1"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let line = |key: &str| {
        let line = ran
            .out
            .lines()
            .find(|line| line.split_whitespace().next() == Some(key))
            .unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("port"), "port 9 PORT PORT");
    assert_eq!(line("host"), "host ::1 --host MOLECULE_HOST");
    assert_eq!(line("admin_token"), "admin_token set ADMIN_TOKEN ADMIN_TOKEN");
    assert_eq!(line("org_id"), "org_id - default MOLECULE_ORG_ID");
    assert!(!ran.out.contains("hunter2"));
    let example = shell.run(&["config", "--example"]).await.out;
    std::fs::write(shell.home.path().join("m.toml"), &example).unwrap();
    assert_eq!(shell.run(&["config", "--config", "m.toml"]).await.code, 0);
}

#[tokio::test]
async fn the_doctor_says_what_is_missing() {
    let shell = Shell::new();
    let ran = shell.run(&["doctor", "--port", "0", "--json"]).await;
    let checks: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let check = |name: &str| {
        checks
            .iter()
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    for name in [
        "configuration",
        "data directory",
        "disk space",
        "server",
        "database",
        "sandbox",
        "tier limits",
        "agent program",
        "models",
    ] {
        assert!(check(name)["found"].is_string());
    }
    assert_eq!(check("CLI runtimes")["verdict"], "absent");
    assert!(check("CLI runtimes")["remedy"].as_str().unwrap().contains("native"));
    assert!(!shell.data_dir().exists(), "looking creates nothing");
    let ran = shell.run(&["doctor", "--sandbox", "maybe"]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("FAILED  configuration  --sandbox: expected one of"),
        "{}",
        ran.out
    );
}

#[tokio::test]
async fn servers_refuse_what_they_cannot_use() {
    let shell = Shell::new();
    let file = shell.home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ran = shell
        .run(&["server", "--port", "0", "--data-dir", file.to_str().unwrap()])
        .await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cannot be used: it is not a directory"), "{}", ran.err);
    // Where not even root may write.
    let ran = shell.run(&["server", "--data-dir", "/sys"]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("the data directory /sys cannot be used"),
        "{}",
        ran.err
    );
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = shell.run(&["server", "--port", &port]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("the port is in use"), "{}", ran.err);
    let ran = shell.run(&["up", "--port", "0", "--backend", "docker"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no docker backend"), "{}", ran.err);
    assert!(!shell.data_dir().exists(), "a refused start leaves nothing behind");
    let ran = shell.run(&["up", "--auth", "open", "--host", "0.0.0.0"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("open needs a loopback address"), "{}", ran.err);
}

#[tokio::test]
async fn completions_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Shell::new().run(&["completions", shell]).await;
        assert!(ran.code == 0 && ran.out.contains("molecule"), "{shell}");
    }
}
