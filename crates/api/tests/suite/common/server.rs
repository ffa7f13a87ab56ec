use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::Method;
use molecule_api::{Api, ApiConfig, Rates, Tls};
use molecule_core::{WorkspaceId, netguard::Policy, runtime::Allowlist};
use molecule_platform::{AuthMode, Config, Paths, Platform, Setup, secrets::Keyring};
use molecule_store::Store;
use molecule_testkit::{PATIENCE, backend::ScriptedBackend};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::Call;

/// The operator's token.
pub(crate) const ADMIN: &str = "the-operators-token";

/// What a server is made of, where a test wants something else.
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) api: ApiConfig,
    /// Roots of workspace templates.
    pub(crate) templates: Vec<std::path::PathBuf>,
    /// Where workspaces run.
    pub(crate) backend: Option<ScriptedBackend>,
}

impl Default for Options {
    fn default() -> Self {
        let unlimited = Rates {
            address: 0,
            credential: 0,
            sockets: 0,
            org_token_mints: 0,
        };
        Self {
            config: Config {
                admin_token: ADMIN.to_owned().into(),
                netguard: Policy {
                    dev: true,
                    ..Policy::default()
                },
                import_pause: Duration::ZERO,
                ..Config::default()
            },
            api: ApiConfig {
                rates: unlimited,
                ..ApiConfig::default()
            },
            templates: Vec::new(),
            backend: None,
        }
    }
}

/// Open mode.
pub(crate) fn open_mode() -> Options {
    let options = Options::default();
    Options {
        config: Config {
            auth: AuthMode::Open,
            ..options.config
        },
        ..options
    }
}

/// A workspace and its token.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    pub(crate) id: WorkspaceId,
    pub(crate) token: String,
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) api: Api,
    pub(crate) platform: Platform,
    pub(crate) store: Store,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn new(url: &str) -> Self {
        Self::with(url, Options::default()).await
    }

    pub(crate) async fn with(url: &str, options: Options) -> Self {
        Self::begin(url, options, None).await
    }

    pub(crate) async fn with_tls(url: &str, options: Options, tls: Tls) -> Self {
        Self::begin(url, options, Some(tls)).await
    }

    async fn begin(url: &str, options: Options, tls: Option<Tls>) -> Self {
        let store = Store::open(url).await.unwrap();
        let platform = Platform::build(Setup {
            config: options.config,
            store: store.clone(),
            keyring: Keyring::of(&[7; 32]),
            backend: options.backend.map(|backend| Arc::new(backend) as _),
            paths: Paths {
                templates: options.templates,
                ..Paths::default()
            },
            allowlist: Allowlist::fallback(),
        })
        .await
        .unwrap();
        let api = Api::new(platform.clone(), options.api);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = api.clone();
        let serving = tokio::spawn(async move {
            let stopped = Box::pin(async move { stopped.await.unwrap_or_default() });
            served.serve(listener, tls, stopped).await;
        });
        platform.begin().await.unwrap();
        Self {
            address,
            api,
            platform,
            store,
            stop: Some(stop),
            serving,
        }
    }

    /// Asks the server to stop.
    pub(crate) fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has.
    pub(crate) async fn stopped(self) {
        tokio::time::timeout(PATIENCE, self.serving)
            .await
            .expect("the server stops")
            .unwrap();
        // Another handle of the store is still held here, so that nothing can be said about its end.
        let tasks = self.platform.supervisor.shutdown(PATIENCE).await;
        assert!(tasks, "tasks in flight end");
    }

    pub(crate) fn call(&self, method: Method, path: impl Into<String>) -> Call {
        Call::new(self.address, method, path)
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: impl Into<String>, body: &Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// Creates an external workspace that polls, below `parent` if given.
    pub(crate) async fn workspace(&self, name: &str, parent: Option<&Workspace>) -> Workspace {
        let body = json!({ "name": name, "external": true, "parent_id": parent.map(|parent| parent.id) });
        let created = self.post("/workspaces", &body).bearer(ADMIN).send().await.expect(201);
        let id: WorkspaceId = created["id"].as_str().unwrap().parse().unwrap();
        let token = created["connection"]["auth_token"].as_str().unwrap().to_owned();
        let register = json!({ "id": id, "agent_card": { "name": name }, "delivery_mode": "poll" });
        self.post("/registry/register", &register)
            .bearer(&token)
            .send()
            .await
            .expect(200);
        Workspace { id, token }
    }

    /// Creates an external workspace that listens at `url`.
    pub(crate) async fn listening(&self, name: &str, url: &str) -> WorkspaceId {
        let body = json!({ "name": name, "external": true, "url": url });
        let created = self.post("/workspaces", &body).bearer(ADMIN).send().await.expect(201);
        created["id"].as_str().unwrap().parse().unwrap()
    }

    /// Removes a workspace.
    pub(crate) async fn remove(&self, workspace: &Workspace) {
        let path = format!("/workspaces/{}?confirm=true", workspace.id);
        self.call(Method::DELETE, path).bearer(ADMIN).send().await.expect(200);
    }

    /// A session's bearer.
    pub(crate) async fn session(&self) -> String {
        let url = self.api.issue_login_url("http://m.example/").unwrap();
        let code = url.strip_prefix("http://m.example/#code=").unwrap();
        let reply = self
            .post("/auth/login", &json!({ "code": code }))
            .send()
            .await
            .expect(200);
        reply["session_token"].as_str().unwrap().to_owned()
    }

    /// An org token.
    pub(crate) async fn org_token(&self) -> String {
        let reply = self
            .post("/org/tokens", &json!({ "name": "test" }))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        reply["auth_token"].as_str().unwrap().to_owned()
    }

    /// An org token that is good for what is asked.
    pub(crate) async fn org_token_for(&self, wanted: &Value) -> String {
        let minted = self.post("/org/tokens", wanted).bearer(ADMIN).send().await.expect(200);
        minted["auth_token"].as_str().unwrap().to_owned()
    }

    /// A single-use ticket.
    pub(crate) async fn ticket(&self, bearer: &str) -> String {
        let reply = self
            .post("/auth/tickets", &json!({}))
            .bearer(bearer)
            .send()
            .await
            .expect(201);
        reply["ticket"].as_str().unwrap().to_owned()
    }
}

/// Waits for a state.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, wait).await.is_ok(),
        "{what} did not come about"
    );
}
