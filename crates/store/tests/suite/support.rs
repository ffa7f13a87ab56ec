//! What the tests share: short ways to arrange rows and to look behind the store's back.

use molecule_core::{
    EventType, Runtime, WorkspaceId, WorkspaceStatus,
    credential::TokenHash,
    event::{self, Event},
    model::Origin,
    validate::WorkspaceAccess,
};
use molecule_store::{
    Engine, Store, StoreError,
    events::NewEvent,
    secrets::{NewSecret, Sealed},
    tokens::NewToken,
    workspaces::{Change, Guard, NewLayout, NewWorkspace, Transition},
};
use sea_orm::{ConnectionTrait, TryGetable, Value};
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

pub(crate) async fn open(url: &str) -> Store {
    Store::open(url).await.unwrap()
}

/// An online workspace, described but not created.
pub(crate) fn describe(name: &str) -> NewWorkspace {
    NewWorkspace {
        id: WorkspaceId::random(),
        name: name.to_owned(),
        role: None,
        tier: 2,
        runtime: Runtime::Echo,
        status: WorkspaceStatus::Online,
        parent_id: None,
        template: None,
        agent_card: None,
        url: String::new(),
        delivery_mode: None,
        workspace_dir: None,
        workspace_access: WorkspaceAccess::None,
        budget_limit: None,
        max_concurrent_tasks: 1,
        start_files: None,
        inbound_secret: None,
        layout: NewLayout::default(),
        secrets: Vec::new(),
        token: None,
        events: Vec::new(),
    }
}

pub(crate) async fn create(store: &Store, name: &str, parent: Option<WorkspaceId>) -> WorkspaceId {
    let new = NewWorkspace {
        parent_id: parent,
        ..describe(name)
    };
    let id = new.id;
    store.create_workspace(new).await.unwrap();
    id
}

/// An event of that name, of which nothing in particular is said.
pub(crate) fn event(kind: EventType, id: WorkspaceId) -> NewEvent {
    use event::{CardUpdated, FailureDetail, Lost, Nothing, Online, ProvisionFailed, Provisioning, Removed};
    let event = match kind {
        EventType::WorkspaceProvisioning => Event::WorkspaceProvisioning(Provisioning::default()),
        EventType::WorkspaceOnline => Event::WorkspaceOnline(Online::Recovered(Nothing {})),
        EventType::WorkspaceOffline => Event::WorkspaceOffline(Lost::default()),
        EventType::WorkspaceDegraded => Event::WorkspaceDegraded(event::Degraded::Erring {
            error_rate: 1.0,
            sample_error: String::new(),
        }),
        EventType::WorkspaceRemoved => Event::WorkspaceRemoved(Removed::default()),
        EventType::WorkspaceProvisionFailed => Event::WorkspaceProvisionFailed(ProvisionFailed {
            error: String::new(),
            detail: FailureDetail::None {},
        }),
        EventType::AgentCardUpdated => Event::AgentCardUpdated(CardUpdated { agent_card: json!({}) }),
        kind => panic!("{kind:?} is not recorded, or not made here yet"),
    };
    NewEvent::of(id, event)
}

pub(crate) fn sealed(text: &str) -> Sealed {
    Sealed {
        bytes: text.as_bytes().to_vec(),
        version: 1,
        key_id: "k1".to_owned(),
    }
}

pub(crate) fn secret(key: &str, value: &str) -> NewSecret {
    NewSecret {
        key: key.to_owned(),
        value: sealed(value),
        origin: Origin::Set,
    }
}

/// The token whose text is `text`.
pub(crate) fn token(text: &str) -> NewToken {
    NewToken {
        hash: TokenHash::of(text),
        prefix: text.chars().take(8).collect(),
    }
}

/// A transition without side effects.
pub(crate) fn transition(id: WorkspaceId, from: &[WorkspaceStatus], to: WorkspaceStatus) -> Transition {
    Transition {
        id,
        from: from.to_vec(),
        to,
        change: Change::default(),
        guard: Guard::default(),
        events: Vec::new(),
    }
}

pub(crate) async fn status(store: &Store, id: WorkspaceId) -> WorkspaceStatus {
    store.workspace(id).await.unwrap().unwrap().status
}

/// Names of the recorded events with their subjects, in order.
pub(crate) async fn recorded(store: &Store) -> Vec<(String, WorkspaceId)> {
    let rows = store
        .events_after(molecule_store::events::Seq(0), 100_000)
        .await
        .unwrap();
    rows.into_iter()
        .map(|row| (row.event.to_string(), row.workspace_id.unwrap()))
        .collect()
}

/// Runs a statement behind the store's back; returns how many rows it changed.
pub(crate) async fn execute(
    store: &Store,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StoreError> {
    let statement = store.db().statement(sql, values);
    store
        .db()
        .tx(|tx| Box::pin(async move { Ok(tx.execute_raw(statement).await?.rows_affected()) }))
        .await
}

/// The column `v` of every row.
pub(crate) async fn column<T: TryGetable>(store: &Store, sql: &str, values: impl IntoIterator<Item = Value>) -> Vec<T> {
    let rows = store
        .db()
        .reader()
        .query_all_raw(store.db().statement(sql, values))
        .await
        .unwrap();
    rows.iter().map(|row| row.try_get("", "v").unwrap()).collect()
}

/// Rows of `table` that meet `condition`.
pub(crate) async fn count(store: &Store, table: &str, condition: &str, values: impl IntoIterator<Item = Value>) -> i64 {
    column(
        store,
        &format!("SELECT COUNT(*) AS v FROM {table} WHERE {condition}"),
        values,
    )
    .await[0]
}

/// Inserts `rows` bare online workspaces, without layout and pulse, in one statement.
pub(crate) async fn bulk(store: &Store, rows: i64) -> Vec<WorkspaceId> {
    let id = match store.engine() {
        Engine::Sqlite => "randomblob(16)",
        Engine::Postgres => "gen_random_uuid()",
    };
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO workspaces (id, name, runtime, status, awareness_namespace, status_changed_at, created_at, updated_at)
         SELECT {id}, 'bulk', 'echo', $1, '', i, i, i FROM n"
    );
    execute(store, &sql, [WorkspaceStatus::Online.as_str().into()])
        .await
        .unwrap();
    let ids = column::<sea_orm::prelude::Uuid>(store, "SELECT id AS v FROM workspaces WHERE name = 'bulk'", []).await;
    ids.into_iter().map(WorkspaceId::from_uuid).collect()
}

/// Holds back every writer of both logs until released.
pub(crate) struct Hold {
    release: oneshot::Sender<()>,
    held: JoinHandle<()>,
}

impl Hold {
    pub(crate) async fn writers(store: &Store) -> Self {
        let (release, released) = oneshot::channel::<()>();
        let (begun, holds) = oneshot::channel::<()>();
        let store = store.clone();
        let held = tokio::spawn(async move {
            let lock = store.db().statement("UPDATE log_head SET seq = seq", []);
            let work = store.db().tx(|tx| {
                Box::pin(async move {
                    tx.execute_raw(lock).await?;
                    begun.send(()).unwrap();
                    released.await.unwrap();
                    Ok::<(), StoreError>(())
                })
            });
            work.await.unwrap();
        });
        holds.await.unwrap();
        Self { release, held }
    }

    pub(crate) async fn release(self) {
        self.release.send(()).unwrap();
        self.held.await.unwrap();
    }
}

/// Runs the same work `times` times at once and returns the results.
pub(crate) async fn at_once<T, F, W>(times: usize, work: W) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
    W: Fn(usize) -> F,
{
    let mut tasks = JoinSet::new();
    for n in 0..times {
        tasks.spawn(work(n));
    }
    tasks.join_all().await
}
