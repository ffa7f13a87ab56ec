//! A small platform and agents that run in the test's own process, over real sockets.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "in a test there is nobody else to tell")]

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use molecule_agent::{
    Tuning,
    env::{Settings, Vars},
    heartbeat::Cadence,
    runtimes::native::llm::Patience,
    state::Exit,
};
use molecule_core::WorkspaceId;
use molecule_testkit::PATIENCE;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How the platform treats an agent's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Fine,
    /// 401 to everything.
    Refusing,
    /// 404 to heartbeats: the row is not known.
    Forgetful,
    /// 401, and 410 for the workspace itself.
    Removed,
    /// 500 to register.
    Broken,
}

#[derive(Default)]
pub struct Seen {
    pub registers: Vec<Value>,
    pub beats: Vec<Value>,
    pub bearers: Vec<Option<String>>,
    pub activity: Vec<Value>,
    pub notes: Vec<Value>,
    /// Target and body of each A2A call.
    pub a2a: Vec<(String, Value)>,
    pub callers: Vec<Caller>,
}

/// Who called, by its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub route: &'static str,
    pub bearer: Option<String>,
    pub workspace: Option<String>,
}

impl Caller {
    fn of(route: &'static str, headers: &HeaderMap) -> Self {
        let workspace = headers.get("x-workspace-id").map(|id| id.to_str().unwrap().to_owned());
        Self {
            route,
            bearer: bearer(headers),
            workspace,
        }
    }
}

pub struct Inner {
    seen: Mutex<Seen>,
    mood: Mutex<Mood>,
    peers: Mutex<Vec<Value>>,
    instructions: Mutex<Option<String>>,
    /// Replaces the forwarding of A2A calls.
    a2a_answer: Mutex<Option<(u16, Value)>>,
    secret: Mutex<String>,
    urls: Mutex<HashMap<String, String>>,
    changed: Notify,
}

/// How to stop what runs at the platform's port, and its thread.
type Serving = (CancellationToken, std::thread::JoinHandle<()>);

/// The platform.
#[derive(Clone)]
pub struct FakePlatform {
    pub url: String,
    inner: Arc<Inner>,
    router: Router,
    /// Kept through a crash, so that nobody else is given the port.
    listener: Arc<std::net::TcpListener>,
    server: Arc<Mutex<Option<Serving>>>,
}

impl FakePlatform {
    pub async fn start() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            seen: Mutex::default(),
            mood: Mutex::new(Mood::Fine),
            peers: Mutex::default(),
            instructions: Mutex::default(),
            a2a_answer: Mutex::default(),
            secret: Mutex::new("inbound-secret".into()),
            urls: Mutex::default(),
            changed: Notify::new(),
        });
        let router = Router::new()
            .route("/registry/register", post(register))
            .route("/registry/heartbeat", post(heartbeat))
            .route("/registry/{id}/peers", get(peers))
            .route("/workspaces/{id}", get(workspace))
            .route("/workspaces/{id}/a2a", post(a2a))
            .route("/workspaces/{id}/notify", post(notify))
            .route("/workspaces/{id}/activity", post(activity))
            .route("/workspaces/{id}/instructions/resolve", get(instructions))
            .with_state(Arc::clone(&inner));
        let platform = Self {
            url,
            inner,
            router,
            listener: Arc::new(listener.into_std().unwrap()),
            server: Arc::default(),
        };
        platform.serve();
        platform
    }

    fn serve(&self) {
        let router = self.router.clone();
        self.run(async move |listener| axum::serve(listener, router).await.unwrap());
    }

    /// Runs on a thread of its own, so that its end takes the open connections along.
    fn run<W>(&self, work: impl FnOnce(TcpListener) -> W + Send + 'static)
    where
        W: Future<Output = ()>,
    {
        let listener = self.listener.try_clone().unwrap();
        let down = CancellationToken::new();
        let ended = down.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = work(listener) => {}
                }
            });
        });
        *self.server.lock().unwrap() = Some((down, thread));
    }

    /// All connections are broken, and new ones break too.
    pub fn crash(&self) {
        self.end();
        self.run(async |listener| {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                connection.set_zero_linger().unwrap();
            }
        });
    }

    /// Serves again.
    pub fn revive(&self) {
        self.end();
        self.serve();
    }

    fn end(&self) {
        let (down, thread) = self.server.lock().unwrap().take().unwrap();
        down.cancel();
        thread.join().unwrap();
    }

    pub fn mood(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap() = mood;
    }

    pub fn secret(&self, secret: &str) {
        *self.inner.secret.lock().unwrap() = secret.into();
    }

    pub fn instruct(&self, text: &str) {
        *self.inner.instructions.lock().unwrap() = Some(text.into());
    }

    pub fn answer_a2a(&self, status: u16, body: Value) {
        *self.inner.a2a_answer.lock().unwrap() = Some((status, body));
    }

    /// Makes a peer known to everybody.
    pub fn introduce(&self, id: WorkspaceId, name: &str, parent: Option<WorkspaceId>) {
        self.introduce_as(id, name, parent, &json!({"name": name, "description": "works"}));
    }

    /// The same, with a card of the peer's own.
    pub fn introduce_as(&self, id: WorkspaceId, name: &str, parent: Option<WorkspaceId>, card: &Value) {
        self.inner.peers.lock().unwrap().push(json!({
            "id": id, "name": name, "role": format!("{name}s"), "tier": 1, "status": "online",
            "agent_card": card, "url": "", "parent_id": parent, "active_tasks": 0
        }));
    }

    pub fn see<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.inner.seen.lock().unwrap())
    }

    /// Waits until `condition` holds of what was seen.
    pub async fn until(&self, what: &str, mut condition: impl FnMut(&mut Seen) -> bool) {
        let waiting = async {
            loop {
                let changed = self.inner.changed.notified();
                if self.see(&mut condition) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{what} did not happen"));
    }
}

impl Inner {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap());
        self.changed.notify_waiters();
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    headers
        .get("authorization")?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
        .map(str::to_owned)
}

fn error(status: u16, text: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({"error": text}))).into_response()
}

async fn register(State(inner): State<Arc<Inner>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let id = body["id"].as_str().unwrap().to_owned();
    inner
        .urls
        .lock()
        .unwrap()
        .insert(id, body["url"].as_str().unwrap().to_owned());
    inner.note(|seen| {
        seen.registers.push(body);
        seen.bearers.push(bearer(&headers));
    });
    match inner.mood() {
        Mood::Refusing | Mood::Removed => error(401, "invalid workspace auth token"),
        Mood::Broken => error(500, "registration failed"),
        Mood::Fine | Mood::Forgetful => Json(json!({
            "status": "registered", "delivery_mode": "push", "auth_token": "issued-token",
            "platform_inbound_secret": inner.secret.lock().unwrap().clone()
        }))
        .into_response(),
    }
}

async fn heartbeat(State(inner): State<Arc<Inner>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    inner.note(|seen| {
        seen.beats.push(body);
        seen.bearers.push(bearer(&headers));
    });
    match inner.mood() {
        Mood::Refusing | Mood::Removed => error(401, "invalid workspace auth token"),
        Mood::Forgetful => error(404, "workspace not found"),
        Mood::Fine | Mood::Broken => {
            Json(json!({"status": "ok", "platform_inbound_secret": inner.secret.lock().unwrap().clone()}))
                .into_response()
        }
    }
}

async fn peers(State(inner): State<Arc<Inner>>, Path(id): Path<String>, headers: HeaderMap) -> Json<Vec<Value>> {
    inner.note(|seen| seen.callers.push(Caller::of("peers", &headers)));
    let peers = inner.peers.lock().unwrap();
    Json(peers.iter().filter(|peer| peer["id"] != id).cloned().collect())
}

async fn workspace(State(inner): State<Arc<Inner>>) -> Response {
    match inner.mood() {
        Mood::Removed => error(410, "workspace removed"),
        Mood::Forgetful => error(404, "workspace not found"),
        _ => Json(json!({"id": "x"})).into_response(),
    }
}

async fn a2a(State(inner): State<Arc<Inner>>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let value: Value = serde_json::from_slice(&body).unwrap();
    inner.note(|seen| {
        seen.a2a.push((id.clone(), value));
        seen.callers.push(Caller::of("a2a", &headers));
    });
    if let Some((status, body)) = inner.a2a_answer.lock().unwrap().clone() {
        return (StatusCode::from_u16(status).unwrap(), Json(body)).into_response();
    }
    let Some(url) = inner.urls.lock().unwrap().get(&id).cloned() else {
        return error(404, "workspace not found");
    };
    let secret = inner.secret.lock().unwrap().clone();
    let ceiling = headers
        .get("x-timeout")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let sent = http().post(url).bearer_auth(secret).body(body).send();
    match tokio::time::timeout(Duration::from_secs(ceiling.unwrap_or(3_600)), sent).await {
        Ok(Ok(answer)) => {
            let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
            (status, answer.bytes().await.unwrap_or_default()).into_response()
        }
        Ok(Err(_)) => error(502, "failed to reach workspace agent"),
        Err(_) => {
            let busy = json!({"error": "workspace agent busy", "busy": true, "retry_after": 30});
            (StatusCode::SERVICE_UNAVAILABLE, Json(busy)).into_response()
        }
    }
}

async fn notify(State(inner): State<Arc<Inner>>, Json(body): Json<Value>) -> Json<Value> {
    inner.note(|seen| seen.notes.push(body));
    Json(json!({"status": "sent"}))
}

async fn activity(State(inner): State<Arc<Inner>>, Json(body): Json<Value>) -> Json<Value> {
    inner.note(|seen| seen.activity.push(body));
    Json(json!({"status": "logged"}))
}

async fn instructions(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    inner.note(|seen| seen.callers.push(Caller::of("instructions", &headers)));
    match inner.instructions.lock().unwrap().clone() {
        Some(text) => Json(json!({"workspace_id": "x", "instructions": text})).into_response(),
        None => error(404, "not found"),
    }
}

/// A client without ambition.
pub fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .build()
        .unwrap()
}

/// The directories of one workspace.
pub struct Home {
    pub id: WorkspaceId,
    pub dir: tempfile::TempDir,
    pub vars: Vec<(String, String)>,
}

impl Home {
    pub fn new(platform: &FakePlatform, runtime: &str, yaml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let id = WorkspaceId::random();
        let path = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path.display().to_string()
        };
        let vars = vec![
            ("WORKSPACE_ID".to_owned(), id.to_string()),
            ("PLATFORM_URL".to_owned(), platform.url.clone()),
            ("CONFIGS_DIR".to_owned(), path("configs")),
            ("WORKSPACE_CONFIG_PATH".to_owned(), path("configs")),
            ("PLUGINS_DIR".to_owned(), path("plugins")),
            ("MOLECULE_WORKSPACE_DIR".to_owned(), path("work")),
            ("MOLECULE_STATE_DIR".to_owned(), path("state")),
            ("MOLECULE_BIND".to_owned(), "127.0.0.1:0".to_owned()),
            ("MOLECULE_AGENT_RUNTIME".to_owned(), runtime.to_owned()),
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
        ];
        let home = Self { id, dir, vars };
        std::fs::write(home.file("configs/config.yaml"), yaml).unwrap();
        std::fs::write(home.file("configs/system-prompt.md"), "I am the system prompt.").unwrap();
        std::fs::write(home.file("configs/.platform_inbound_secret"), "inbound-secret").unwrap();
        home
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file, with the directories above it.
    pub fn put(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn settings(&self) -> Settings {
        Settings::from_vars(self.vars.iter().cloned().collect::<Vars>()).unwrap()
    }

    /// Starts the agent and waits until it has said where it listens.
    pub async fn start(self) -> Agent {
        self.start_tuned(tuning()).await
    }

    pub async fn start_tuned(self, tuning: Tuning) -> Agent {
        // An earlier instance's word; `main` clears it itself.
        molecule_agent::state::clear(&self.file("state"));
        let stop = CancellationToken::new();
        let task = tokio::spawn(molecule_agent::run(self.settings(), tuning, stop.clone()));
        let file = self.file("state/endpoint.json");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let port = loop {
            assert!(
                tokio::time::Instant::now() < deadline && !task.is_finished(),
                "the agent did not start"
            );
            let endpoint = std::fs::read(&file)
                .ok()
                .and_then(|body| serde_json::from_slice::<Value>(&body).ok());
            match endpoint {
                Some(endpoint) => break endpoint["port"].as_u64().unwrap(),
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        };
        Agent {
            url: format!("http://127.0.0.1:{port}"),
            home: self,
            stop,
            task,
        }
    }
}

/// Fast, so that tests see many beats; slow enough not to be noise.
pub fn tuning() -> Tuning {
    let millis = Duration::from_millis;
    Tuning {
        cadence: Cadence {
            beat: millis(50),
            retry: millis(5),
            retry_cap: millis(20),
        },
        patience: Patience {
            retries: 3,
            pause: millis(1),
            longest_pause: millis(5),
            silence: Duration::from_secs(30),
        },
    }
}

/// A running agent.
pub struct Agent {
    pub url: String,
    pub home: Home,
    stop: CancellationToken,
    task: JoinHandle<Exit>,
}

impl Agent {
    /// Posts a JSON-RPC body with the inbound secret.
    pub async fn post(&self, body: &Value) -> reqwest::Response {
        http()
            .post(&self.url)
            .bearer_auth("inbound-secret")
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// The whole answer to one.
    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        self.post(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))
            .await
            .json()
            .await
            .unwrap()
    }

    /// The whole answer to one in v1.0.
    pub async fn rpc_v1(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = http().post(&self.url).bearer_auth("inbound-secret").json(&body);
        let answer = request.header("A2A-Version", "1.0").send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Sends a message and returns the result.
    pub async fn send(&self, message_id: &str, context_id: &str, text: &str) -> Value {
        let answer = self.rpc("message/send", message(message_id, context_id, text)).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Text of the answer to a message of its own.
    pub async fn say(&self, text: &str) -> String {
        let id = WorkspaceId::random().to_string();
        text_of(&self.send(&id, "ctx", text).await)
    }

    /// The agent's own end.
    pub async fn ended(self) -> (Exit, Home) {
        let exit = tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("the agent ends")
            .unwrap();
        (exit, self.home)
    }

    pub async fn stop(self) -> (Exit, Home) {
        self.stop.cancel();
        self.ended().await
    }
}

pub fn message(message_id: &str, context_id: &str, text: &str) -> Value {
    json!({"message": {
        "kind": "message", "role": "user", "messageId": message_id, "contextId": context_id,
        "parts": [{"kind": "text", "text": text}]
    }})
}

/// Text of a message, or of what a task that failed says.
pub fn text_of(result: &Value) -> String {
    let said = if result["kind"] == "task" {
        &result["status"]["message"]
    } else {
        result
    };
    said["parts"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {result}"))
        .to_owned()
}

/// The `data` of each frame of an event stream.
pub async fn frames(answer: reqwest::Response) -> Vec<Value> {
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let text = answer.text().await.unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}
