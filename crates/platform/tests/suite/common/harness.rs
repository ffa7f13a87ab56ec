use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use molecule_backends::Backend;
use molecule_core::{WorkspaceId, WorkspaceStatus, activity::ActivityFilter, netguard::Policy, runtime::Allowlist};
use molecule_platform::{
    Config, Paths, Platform, Setup,
    credentials::{Identity, Principal},
    messaging::{Delivered, Message, MessagingError},
    secrets::Keyring,
};
use molecule_store::{Store, activity::Activity, workspaces::Workspace};
use molecule_testkit::{PATIENCE, backend::ScriptedBackend};
use molecule_wire::{
    registry::{Heartbeat, Register, raw},
    workspaces::CreateWorkspace,
};
use parking_lot::Mutex;
use sea_orm::ConnectionTrait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Sealing key of every harness; two of them can share a database.
const KEY: [u8; 32] = [7; 32];

/// What a harness is made of, where a test wants something else.
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) backend: Option<ScriptedBackend>,
    pub(crate) paths: Paths,
    pub(crate) key: [u8; 32],
    /// Run the background loops and settle what an earlier server left.
    pub(crate) begin: bool,
}

impl Default for Options {
    fn default() -> Self {
        let templates = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../templates"));
        Self {
            config: Config {
                admin_token: "the operator's token".to_owned().into(),
                netguard: Policy {
                    dev: true,
                    ..Policy::default()
                },
                import_pause: Duration::ZERO,
                ..Config::default()
            },
            backend: Some(ScriptedBackend::default()),
            paths: Paths {
                templates: vec![templates.join("workspaces")],
                orgs: vec![templates.join("orgs")],
            },
            key: KEY,
            begin: true,
        }
    }
}

/// A platform that runs.
pub(crate) struct Harness {
    pub(crate) platform: Platform,
    pub(crate) store: Store,
    pub(crate) backend: ScriptedBackend,
    frames: Arc<Mutex<Vec<Value>>>,
}

impl Harness {
    pub(crate) async fn new(url: &str) -> Self {
        Self::with(url, Options::default()).await
    }

    pub(crate) async fn without_backend(url: &str) -> Self {
        let options = Options {
            backend: None,
            ..Options::default()
        };
        Self::with(url, options).await
    }

    pub(crate) async fn with(url: &str, options: Options) -> Self {
        let backend = options
            .backend
            .clone()
            .map(|backend| Arc::new(backend) as Arc<dyn Backend>);
        Self::over(url, options, backend).await
    }

    /// Over a backend that is not the scripted one.
    pub(crate) async fn over(url: &str, options: Options, handed: Option<Arc<dyn Backend>>) -> Self {
        super::log::collect();
        let store = Store::open(url).await.unwrap();
        let backend = options.backend.clone().unwrap_or_default();
        let platform = Platform::build(Setup {
            config: options.config,
            store: store.clone(),
            keyring: Keyring::of(&options.key),
            backend: handed,
            paths: options.paths,
            allowlist: Allowlist::fallback(),
        })
        .await
        .unwrap();
        let frames = Arc::new(Mutex::new(Vec::new()));
        let (mut bus, seen) = (platform.events.subscribe(), frames.clone());
        tokio::spawn(async move {
            while let Ok(frame) = bus.recv().await {
                seen.lock().push(serde_json::from_slice(&frame.text).unwrap());
            }
        });
        if options.begin {
            platform.begin().await.unwrap();
        }
        Self {
            platform,
            store,
            backend,
            frames,
        }
    }

    /// Shuts the platform down, as a server does that is told to stop.
    pub(crate) async fn stop(self) {
        let Self { platform, .. } = self;
        let drained = tokio::time::timeout(PATIENCE, platform.shutdown()).await;
        assert_eq!(drained, Ok(true), "the shutdown ends, and everything was drained");
    }

    // ---- arranging --------------------------------------------------------------------------------------------------

    pub(crate) async fn create(&self, request: CreateWorkspace) -> WorkspaceId {
        self.platform
            .workspaces
            .create(request, "http://m.example")
            .await
            .unwrap()
            .id
    }

    /// A managed workspace whose instance has been started.
    pub(crate) async fn started(&self, name: &str) -> WorkspaceId {
        self.started_below(name, None).await
    }

    pub(crate) async fn started_below(&self, name: &str, parent: Option<WorkspaceId>) -> WorkspaceId {
        let request = CreateWorkspace {
            name: name.to_owned(),
            runtime: Some("echo".into()),
            parent_id: parent.map(|parent| parent.to_string()),
            ..CreateWorkspace::default()
        };
        let id = self.create(request).await;
        self.until_instance(id).await;
        id
    }

    /// A managed workspace whose agent has registered.
    pub(crate) async fn online(&self, name: &str) -> WorkspaceId {
        self.online_below(name, None).await
    }

    pub(crate) async fn online_below(&self, name: &str, parent: Option<WorkspaceId>) -> WorkspaceId {
        let id = self.started_below(name, parent).await;
        self.register(id).await;
        id
    }

    /// One of many.
    pub(crate) async fn online_named(&self, number: usize) -> WorkspaceId {
        self.online(&format!("W{number}")).await
    }

    /// An external workspace that polls, and its token.
    pub(crate) async fn polling(&self, name: &str) -> (WorkspaceId, String) {
        let request = CreateWorkspace {
            name: name.to_owned(),
            external: true,
            ..CreateWorkspace::default()
        };
        let created = self
            .platform
            .workspaces
            .create(request, "http://m.example")
            .await
            .unwrap();
        let token = created.connection.unwrap().auth_token;
        let register = Register {
            delivery_mode: "poll".into(),
            ..registration(created.id)
        };
        self.platform
            .registry
            .register(&self.bearer(&token).await, register)
            .await
            .unwrap();
        (created.id, token)
    }

    /// An external workspace that reported where it is.
    pub(crate) async fn reporting(&self, name: &str, url: &str) -> WorkspaceId {
        self.create(CreateWorkspace {
            name: name.to_owned(),
            external: true,
            url: Some(url.to_owned()),
            ..CreateWorkspace::default()
        })
        .await
    }

    /// Registers the managed workspace's current instance.
    pub(crate) async fn register(&self, id: WorkspaceId) {
        let identity = self.agent(id).await;
        self.platform
            .registry
            .register(&identity, registration(id))
            .await
            .unwrap();
    }

    /// A beat of the current instance.
    pub(crate) async fn beat(&self, id: WorkspaceId, beat: Heartbeat) {
        let identity = self.agent(id).await;
        self.beat_as(&identity, id, beat).await;
    }

    pub(crate) async fn beat_as(&self, identity: &Identity, id: WorkspaceId, beat: Heartbeat) {
        let beat = Heartbeat {
            workspace_id: id.to_string(),
            ..beat
        };
        self.platform.registry.heartbeat(identity, beat).await.unwrap();
    }

    /// What the current instance proves.
    pub(crate) async fn agent(&self, id: WorkspaceId) -> Identity {
        self.bearer(self.backend.spec(id).auth_token.expose_secret()).await
    }

    /// What a bearer proves.
    pub(crate) async fn bearer(&self, token: &str) -> Identity {
        Identity {
            principal: self.platform.credentials.authenticate(token).await.unwrap(),
            presented: true,
            open: false,
        }
    }

    /// Runs SQL behind the platform's back.
    pub(crate) async fn sql(&self, sql: &str) {
        let sql = sql.to_owned();
        let run = self.store.db().tx(|tx| {
            Box::pin(async move {
                tx.execute_unprepared(&sql).await?;
                Ok::<_, sea_orm::DbErr>(())
            })
        });
        run.await.unwrap();
    }

    /// Changes columns of one workspace behind the platform's back, in a table that has its id as `column`.
    pub(crate) async fn set(&self, table: &str, column: &str, id: WorkspaceId, assignments: &str) {
        let literal = match self.store.engine() {
            molecule_store::Engine::Sqlite => format!("X'{}'", id.uuid().simple()),
            molecule_store::Engine::Postgres => format!("'{id}'"),
        };
        self.sql(&format!("UPDATE {table} SET {assignments} WHERE {column} = {literal}"))
            .await;
    }

    // ---- looking ----------------------------------------------------------------------------------------------------

    pub(crate) async fn row(&self, id: WorkspaceId) -> Workspace {
        self.store.workspace(id).await.unwrap().unwrap()
    }

    pub(crate) async fn status(&self, id: WorkspaceId) -> WorkspaceStatus {
        self.row(id).await.status
    }

    /// Recorded events of a workspace, oldest first: the name and the payload.
    pub(crate) async fn recorded(&self, id: WorkspaceId) -> Vec<(String, Value)> {
        let mut events = self.platform.history.newest(Some(id)).await.unwrap();
        events.reverse();
        events
            .into_iter()
            .map(|event| (event.event_type.to_string(), event.payload))
            .collect()
    }

    pub(crate) async fn recorded_names(&self, id: WorkspaceId) -> Vec<String> {
        self.recorded(id).await.into_iter().map(|(name, _)| name).collect()
    }

    /// Payloads of one recorded event.
    pub(crate) async fn payloads(&self, id: WorkspaceId, event: &str) -> Vec<Value> {
        let events = self.recorded(id).await;
        events
            .into_iter()
            .filter(|(name, _)| name == event)
            .map(|(_, payload)| payload)
            .collect()
    }

    /// Everything published so far: recorded and live.
    pub(crate) fn frames(&self) -> Vec<Value> {
        self.frames.lock().clone()
    }

    /// Published frames of one workspace and one event.
    pub(crate) fn published(&self, id: WorkspaceId, event: &str) -> Vec<Value> {
        let id = id.to_string();
        let of = |frame: &Value| frame["workspace_id"] == id.as_str() && frame["event"] == event;
        self.frames()
            .into_iter()
            .filter(of)
            .map(|frame| frame["payload"].clone())
            .collect()
    }

    /// Waits until an event was published so often.
    pub(crate) async fn until_published(&self, id: WorkspaceId, event: &str, count: usize) -> Vec<Value> {
        eventually(event, async || self.published(id, event).len() >= count).await;
        self.published(id, event)
    }

    /// Rows of a workspace's feed, newest first.
    pub(crate) async fn feed(&self, id: WorkspaceId) -> Vec<Activity> {
        let filter = ActivityFilter {
            limit: 100,
            ..ActivityFilter::default()
        };
        self.store.activity_feed(id, &filter).await.unwrap()
    }

    /// The only row of a workspace's feed, once it is there.
    pub(crate) async fn only_row(&self, id: WorkspaceId) -> Activity {
        eventually("an activity row", async || !self.feed(id).await.is_empty()).await;
        let mut rows = self.feed(id).await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    pub(crate) async fn until_status(&self, id: WorkspaceId, status: WorkspaceStatus) {
        eventually(&format!("status {status}"), async || self.status(id).await == status).await;
    }

    /// Waits until the current incarnation runs and the platform knows where.
    pub(crate) async fn until_instance(&self, id: WorkspaceId) {
        eventually("an instance", async || {
            // It runs a moment before it is noted that it does, and that what it was to start with is written.
            self.platform.provisioner.start_settled(id).await;
            let row = self.row(id).await;
            let instance = self.backend.instance(id);
            instance.is_some_and(|instance| {
                let known = instance.endpoint.as_deref().unwrap_or_default() == row.url;
                known && instance.generation == row.generation
            })
        })
        .await;
    }

    // ---- messages ---------------------------------------------------------------------------------------------------

    pub(crate) async fn send(
        &self,
        identity: &Identity,
        target: WorkspaceId,
        body: &str,
    ) -> Result<Delivered, MessagingError> {
        self.deliver(identity, message(target, body)).await
    }

    pub(crate) async fn deliver(&self, identity: &Identity, message: Message) -> Result<Delivered, MessagingError> {
        self.platform.messenger.deliver(identity, message).await
    }

    /// A message from the operator; what the agent replied.
    pub(crate) async fn ask(&self, target: WorkspaceId, text: &str) -> Result<(u16, Bytes), MessagingError> {
        match self.send(&admin(), target, &text_message(text)).await? {
            Delivered::Reply { status, body } => Ok((status, body)),
            other => panic!("no reply: {other:?}"),
        }
    }
}

pub(crate) fn message(target: WorkspaceId, body: &str) -> Message {
    Message {
        target,
        caller_header: None,
        version_header: None,
        timeout: None,
        body: Bytes::from(body.to_owned()),
    }
}

pub(crate) fn text_message(text: &str) -> String {
    json!({
        "jsonrpc": "2.0", "id": "r1", "method": "message/send",
        "params": { "message": { "role": "user", "messageId": "m1", "parts": [{ "kind": "text", "text": text }] } },
    })
    .to_string()
}

fn registration(id: WorkspaceId) -> Register {
    Register {
        id: id.to_string(),
        agent_card: raw(&json!({ "name": "agent", "version": "1.0.0" })),
        url: String::new(),
        delivery_mode: "".into(),
    }
}

pub(crate) fn admin() -> Identity {
    Identity {
        principal: Some(Principal::Admin),
        presented: true,
        open: false,
    }
}

/// Somebody without a credential, in required mode.
pub(crate) fn nobody() -> Identity {
    Identity::default()
}

/// Somebody without a credential on the same machine, in open mode.
pub(crate) fn anonymous() -> Identity {
    Identity {
        open: true,
        ..Identity::default()
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
