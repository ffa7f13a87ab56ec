//! The server is killed at random moments of whatever changes workspaces, again and again; then everything that was
//! acknowledged is there, nothing is stuck, and rows, events, tokens and processes agree.
//!
//! `MOLECULE_FAULT_ROUNDS` is how often (24 unless it says otherwise), `MOLECULE_FAULT_SEED` repeats a run.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use molecule_client::Client;
use molecule_core::{WorkspaceId, WorkspaceStatus, contract};
use molecule_store::{Store, events::Seq};
use molecule_wire::workspaces::{CreateWorkspace, RestartWorkspace};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

use crate::server::{Server, Site, agent_pids, eventually, listed};

/// Workspaces that are kept alive at once; beyond that more are deleted than created.
const FLEET: usize = 6;
/// What is asked for at once before a kill.
const AT_ONCE: usize = 5;
/// Longest time between the first request and the kill.
const BEFORE_THE_KILL_MS: u64 = 700;

/// What callers were told.
#[derive(Debug, Default)]
struct Told {
    created: BTreeSet<WorkspaceId>,
    /// The root of what was imported together: with it all of them go.
    roots: BTreeMap<WorkspaceId, WorkspaceId>,
    /// Somebody asked for the removal, whatever came of it.
    removal_asked: BTreeSet<WorkspaceId>,
    removed: BTreeSet<WorkspaceId>,
    /// Requests that were acknowledged, by kind.
    acknowledged: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Create,
    Import,
    Restart,
    Pause,
    Resume,
    Hibernate,
    Wake,
    Delete,
}

const WISHES: [Wish; 8] = [
    Wish::Create,
    Wish::Import,
    Wish::Restart,
    Wish::Pause,
    Wish::Resume,
    Wish::Hibernate,
    Wish::Wake,
    Wish::Delete,
];

async fn ask(client: Client, wish: Wish, id: Option<WorkspaceId>, n: u64, told: Arc<Mutex<Told>>) {
    let done = |what| *told.lock().acknowledged.entry(what).or_default() += 1;
    match (wish, id) {
        (Wish::Create, _) | (_, None) => {
            let workspace = CreateWorkspace {
                name: format!("created {n}"),
                runtime: Some("echo".into()),
                ..CreateWorkspace::default()
            };
            if let Ok(created) = client.create_workspace(&workspace).await {
                told.lock().created.insert(created.id);
                done("create");
            }
        }
        (Wish::Import, _) => {
            let template = json!({ "name": "Imported", "workspaces": [
                { "name": format!("imported {n}"), "runtime": "echo", "children": [{ "name": "below", "runtime": "echo" }] }
            ]});
            let import = serde_json::from_value(json!({ "template": template })).unwrap();
            if let Ok(imported) = client.import_org(&import).await {
                let ids: Vec<_> = imported.workspaces.iter().map(|created| created.id).collect();
                told.lock().roots.extend(ids.iter().map(|id| (*id, ids[0])));
                told.lock().created.extend(ids);
                done("import");
            }
        }
        (Wish::Restart, Some(id)) => {
            if client.restart_workspace(id, &RestartWorkspace::default()).await.is_ok() {
                done("restart");
            }
        }
        (Wish::Pause, Some(id)) => {
            if client.pause_workspace(id).await.is_ok() {
                done("pause");
            }
        }
        (Wish::Resume, Some(id)) => {
            if client.resume_workspace(id).await.is_ok() {
                done("resume");
            }
        }
        (Wish::Hibernate, Some(id)) => {
            if client.hibernate_workspace(id, true).await.is_ok() {
                done("hibernate");
            }
        }
        (Wish::Wake, Some(id)) => {
            if client.wake_workspace(id).await.is_ok() {
                done("wake");
            }
        }
        (Wish::Delete, Some(id)) => {
            told.lock().removal_asked.insert(id);
            if client.delete_workspace(id, true, false).await.is_ok() {
                told.lock().removed.insert(id);
                done("delete");
            }
        }
    }
}

/// One life of a server: requests, and an end in the middle of them.
async fn round(site: &Site, dice: &mut StdRng, told: &Arc<Mutex<Told>>, n: u64) {
    let mut server = site.start("server");
    let client = server.client();
    let alive = listed(&client).await;
    let mut asked = Vec::new();
    for k in 0..AT_ONCE {
        let mut wish = *WISHES.choose(dice).unwrap();
        if alive.len() >= FLEET && matches!(wish, Wish::Create | Wish::Import) {
            wish = Wish::Delete;
        }
        let id = alive.choose(dice).copied();
        let ask = ask(client.clone(), wish, id, n * 10 + k as u64, told.clone());
        asked.push(tokio::spawn(ask));
    }
    // The moment is drawn, not waited for: any is as good as another.
    tokio::time::sleep(Duration::from_millis(dice.random_range(0..BEFORE_THE_KILL_MS))).await;
    if dice.random_bool(0.25) {
        // In the middle of a drain.
        let pid = rustix::process::Pid::from_raw(server.pid().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..200))).await;
    }
    server.kill();
    for asked in asked {
        asked.await.unwrap();
    }
}

/// Waits until no status is one that something still has to end.
async fn settled(server: &Server) -> HashMap<WorkspaceId, WorkspaceStatus> {
    let client = server.client();
    eventually("everything settles", || async {
        let all = client.list_workspaces().await.map_err(|error| error.to_string())?;
        let statuses: HashMap<_, _> = all
            .iter()
            .map(|item| (item.workspace.id, item.workspace.status))
            .collect();
        let rest = |status: &WorkspaceStatus| {
            matches!(
                status,
                WorkspaceStatus::Online | WorkspaceStatus::Paused | WorkspaceStatus::Hibernated
            )
        };
        match statuses.values().all(rest) {
            true => Ok(statuses),
            false => Err(format!("{statuses:?}\n{}", server.log_tail())),
        }
    })
    .await
}

/// Agents by workspace, as their environment says.
fn agents(data: &Path) -> BTreeMap<String, usize> {
    let prefix = format!("{}=", contract::env::WORKSPACE_ID);
    let mut agents = BTreeMap::new();
    for pid in agent_pids(data) {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let id = environment
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(prefix.as_bytes()));
        if let Some(id) = id {
            *agents.entry(String::from_utf8_lossy(id).into_owned()).or_default() += 1;
        }
    }
    agents
}

/// Which status an event announces.
fn announced(event: &str) -> Option<WorkspaceStatus> {
    Some(match event {
        "WORKSPACE_PROVISIONING" => WorkspaceStatus::Provisioning,
        "WORKSPACE_ONLINE" => WorkspaceStatus::Online,
        "WORKSPACE_DEGRADED" => WorkspaceStatus::Degraded,
        "WORKSPACE_OFFLINE" => WorkspaceStatus::Offline,
        "WORKSPACE_PROVISION_FAILED" => WorkspaceStatus::Failed,
        "WORKSPACE_PAUSED" => WorkspaceStatus::Paused,
        "WORKSPACE_HIBERNATED" => WorkspaceStatus::Hibernated,
        "WORKSPACE_REMOVED" => WorkspaceStatus::Removed,
        _ => return None,
    })
}

/// The store once no server has it: events tell what the rows say, and no removed workspace has a live token.
async fn check_store(url: &str, statuses: &HashMap<WorkspaceId, WorkspaceStatus>, told: &Told) {
    let store = Store::connect(url).await.unwrap();
    let mut last = HashMap::new();
    let mut after = Seq(0);
    loop {
        let page = store.events_after(after, 500).await.unwrap();
        let Some(newest) = page.last() else { break };
        after = newest.seq;
        for event in page {
            if let (Some(id), Some(status)) = (event.workspace_id, announced(event.event.as_str())) {
                last.insert(id, status);
            }
        }
    }
    for (id, announced) in &last {
        let row = store.workspace(*id).await.unwrap();
        let status = row.map_or(WorkspaceStatus::Removed, |row| row.status);
        assert_eq!(*announced, status, "the last event of {id} and its row disagree");
        if status == WorkspaceStatus::Removed {
            assert!(
                !store.has_live_token(*id).await.unwrap(),
                "{id} is removed and has a live token"
            );
        }
    }
    for id in &told.created {
        assert!(last.contains_key(id), "{id} was acknowledged and has no event");
        let root = told.roots.get(id).unwrap_or(id);
        let may_be_gone = told.removal_asked.contains(id) || told.removal_asked.contains(root);
        assert!(
            may_be_gone || statuses.contains_key(id),
            "{id} was acknowledged and is gone"
        );
    }
    store.close().await.unwrap();
}

async fn nothing_is_lost_stuck_or_left_over(site: Site, url: &str, rounds: u64) {
    let mut dice = dice();
    let told: Arc<Mutex<Told>> = Arc::default();
    for n in 0..rounds {
        round(&site, &mut dice, &told, n).await;
    }
    let mut server = site.start("server");
    let statuses = settled(&server).await;
    let told = std::mem::take(&mut *told.lock());
    eprintln!(
        "{rounds} rounds, acknowledged: {:?}; at rest: {statuses:?}",
        told.acknowledged
    );

    for id in &told.removed {
        assert!(!statuses.contains_key(id), "the removal of {id} was acknowledged");
    }
    let running = agents(site.data.path());
    for (id, status) in &statuses {
        let expected = usize::from(*status == WorkspaceStatus::Online);
        let found = running.get(&id.to_string()).copied().unwrap_or_default();
        assert_eq!(found, expected, "agents of {id}, which is {status}");
    }
    let strangers: Vec<_> = running
        .keys()
        .filter(|id| !statuses.keys().any(|known| known.to_string() == **id))
        .collect();
    assert!(strangers.is_empty(), "agents of nobody: {strangers:?}");
    server.kill();
    check_store(url, &statuses, &told).await;
}

/// What is drawn; a seed repeats it.
pub(crate) fn dice() -> StdRng {
    let seed = std::env::var("MOLECULE_FAULT_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::rng().random());
    eprintln!("MOLECULE_FAULT_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// How many rounds are asked for.
pub(crate) fn rounds(otherwise: u64) -> u64 {
    let rounds = std::env::var("MOLECULE_FAULT_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(otherwise)
}

// LIFE-195…198, D17, D19
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_stuck_or_left_over_on_sqlite() {
    let site = Site::new(None);
    let url = format!("sqlite://{}", site.data.path().join("server/molecule.db").display());
    nothing_is_lost_stuck_or_left_over(site, &url, rounds(24)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_stuck_or_left_over_on_postgres() {
    let name = "e2e::nothing_is_lost_stuck_or_left_over_on_postgres";
    let Some(database) = molecule_testkit::postgres::database_for(name) else {
        return;
    };
    let site = Site::new(Some(database.url()));
    nothing_is_lost_stuck_or_left_over(site, database.url(), rounds(12)).await;
}
