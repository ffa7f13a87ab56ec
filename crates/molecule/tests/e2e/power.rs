//! The power goes: the server is killed, and its files become what a disk may hold of them then. What was flushed is
//! there, of what was written since any part. So `FULL` and `NORMAL` are not believed but seen (D15).
//!
//! `MOLECULE_FAULT_ROUNDS` is how often (8 unless it says otherwise), `MOLECULE_FAULT_SEED` repeats a run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use molecule_client::{A2aOptions, ActivityFilter, Client};
use molecule_core::{ActivityId, WorkspaceId, WorkspaceStatus};
use molecule_wire::workspaces::CreateWorkspace;
use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    faults::{dice, rounds},
    server::{Server, Site, agent_pids, eventually, listed, message},
};

/// The files of a database.
const FILES: [&str; 2] = ["molecule.db", "molecule.db-wal"];
const BLOCK: usize = 4_096;

/// Keeps what the disk has of the files of a site.
struct Disk {
    root: PathBuf,
    kept: TempDir,
}

/// What a power cut leaves of what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// Nothing.
    All,
    /// Any part of it.
    Some,
}

impl Disk {
    /// Put below the servers that are started at `site` from now on. `None`: there is no C compiler.
    fn under(site: &mut Site) -> Option<Self> {
        let kept = tempfile::tempdir().unwrap();
        let library = kept.path().join("power.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/power.c"))
            .arg("-ldl")
            .status();
        if !built.is_ok_and(|status| status.success()) {
            return None;
        }
        let root = site.data.path().join("server");
        let store = kept.path().join("files");
        fs::create_dir(&store).unwrap();
        site.set("LD_PRELOAD", library.to_str().unwrap());
        site.set("POWER_ROOT", root.to_str().unwrap());
        site.set("POWER_KEPT", store.to_str().unwrap());
        Some(Self { root, kept })
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.kept.path().join("files").join(name)
    }

    /// Makes the files of the database what the disk has of them.
    fn lose_power(&self, loss: Loss, dice: &mut StdRng) {
        for name in FILES {
            let path = self.root.join(name);
            let written = fs::read(&path).unwrap_or_default();
            let Ok(flushed) = fs::read(self.kept(name)) else {
                fs::remove_file(&path).ok();
                continue;
            };
            let left = match loss {
                Loss::All => flushed,
                Loss::Some => mixed(&flushed, &written, dice),
            };
            fs::write(&path, &left).unwrap();
            // What is left, is on the disk.
            fs::write(self.kept(name), &left).unwrap();
        }
        // Shared memory; no disk has it.
        fs::remove_file(self.root.join("molecule.db-shm")).ok();
    }
}

/// Of every block, what was flushed or what was written since.
fn mixed(flushed: &[u8], written: &[u8], dice: &mut StdRng) -> Vec<u8> {
    let length = if dice.random_bool(0.5) {
        flushed.len()
    } else {
        written.len()
    };
    let mut left = vec![0; length];
    for at in (0..length).step_by(BLOCK) {
        let end = (at + BLOCK).min(length);
        let source = if dice.random_bool(0.5) { flushed } else { written };
        let there = source.get(at..end.min(source.len())).unwrap_or_default();
        left[at..at + there.len()].copy_from_slice(there);
    }
    left
}

/// What callers were told.
#[derive(Debug, Clone, Default)]
struct Told {
    created: BTreeSet<WorkspaceId>,
    /// Messages for a workspace that asks for them: acknowledged because they are recorded.
    polled: BTreeSet<String>,
    /// Messages that an agent answered.
    pushed: BTreeSet<String>,
}

/// A workspace that asks for its messages.
async fn poller(server: &Server) -> WorkspaceId {
    let workspace = CreateWorkspace {
        name: "Poller".to_owned(),
        runtime: Some("external".into()),
        external: true,
        ..CreateWorkspace::default()
    };
    let created = server.client().create_workspace(&workspace).await.unwrap();
    let registration = json!({ "id": created.id, "delivery_mode": "poll", "agent_card": { "name": "Poller" } });
    let agent = Client::new(&server.url, Some(created.connection.unwrap().auth_token.into())).unwrap();
    agent
        .register(&serde_json::from_value(registration).unwrap())
        .await
        .unwrap();
    created.id
}

/// Calls that go on until the server is gone; only such as need not be flushed, if `lightly`.
async fn call(client: Client, [poller, echo]: [WorkspaceId; 2], round: String, lightly: bool, told: Arc<Mutex<Told>>) {
    for n in 0.. {
        let id = format!("{round}{n}");
        let target = if lightly || n % 3 > 0 { echo } else { poller };
        let sent = client
            .send_a2a(target, &message(&id, "count me"), &A2aOptions::default())
            .await;
        match sent {
            Ok(reply) if reply.is_success() && target == poller => drop(told.lock().polled.insert(id)),
            Ok(reply) if reply.is_success() => drop(told.lock().pushed.insert(id)),
            Ok(_) => {}
            Err(_) => return,
        }
        if !lightly && n % 10 == 0 {
            let workspace = CreateWorkspace {
                name: format!("w{round}{n}"),
                runtime: Some("external".into()),
                external: true,
                ..CreateWorkspace::default()
            };
            if let Ok(created) = client.create_workspace(&workspace).await {
                told.lock().created.insert(created.id);
            }
        }
    }
}

/// The feed of a workspace, newest first, as far as one page goes, with the ids of its messages.
async fn feed(client: &Client, id: WorkspaceId) -> Vec<(ActivityId, String)> {
    let filter = ActivityFilter {
        limit: Some(500),
        ..ActivityFilter::default()
    };
    let rows = client.activity(id, &filter).await.unwrap();
    rows.into_iter()
        .filter_map(|row| {
            let body: Value = serde_json::from_str(row.request_body?.get()).unwrap();
            Some((row.id, body["params"]["message"]["messageId"].as_str()?.to_owned()))
        })
        .collect()
}

/// What the disk has is a database, and the logs in it have no gap. Looked at in a copy: opening it would mend it.
fn check_files(root: &Path) {
    let copy = tempfile::tempdir().unwrap();
    for name in FILES {
        fs::copy(root.join(name), copy.path().join(name)).ok();
    }
    let database = Connection::open(copy.path().join(FILES[0])).unwrap();
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    for (log, table) in [("activity", "activity_logs"), ("events", "structure_events")] {
        let (count, last, head): (i64, i64, i64) = database
            .query_row(
                &format!(
                    "SELECT COUNT(*), COALESCE(MAX(seq), 0), (SELECT seq FROM log_head WHERE name = '{log}') FROM {table}"
                ),
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!((count, last), (head, head), "{log} has a gap");
    }
}

async fn round(site: &Site, disk: &Disk, ids: [WorkspaceId; 2], n: u64, dice: &mut StdRng, told: &Arc<Mutex<Told>>) {
    let mut server = site.start("server");
    let client = server.client();
    let [poller, echo] = ids;
    eventually("the agent is online", || async {
        let row = client
            .get_workspace(echo, false)
            .await
            .map_err(|error| error.to_string())?;
        match row.status {
            WorkspaceStatus::Online => Ok(()),
            status => Err(format!("{status}\n{}", server.log_tail())),
        }
    })
    .await;
    let lightly = n.is_multiple_of(2);
    let calls: Vec<_> = (0..4)
        .map(|k| tokio::spawn(call(client.clone(), ids, format!("r{n}-{k}-"), lightly, told.clone())))
        .collect();
    // The moment is drawn, not waited for: any is as good as another.
    tokio::time::sleep(Duration::from_millis(dice.random_range(50..700))).await;
    // So few that they are within the page that is read afterwards, whatever is recorded before the end.
    let mut seen = feed(&client, echo).await;
    seen.truncate(100);
    server.kill();
    for call in calls {
        call.await.unwrap();
    }
    for pid in agent_pids(site.data.path()) {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
    }
    let loss = if lightly || dice.random_bool(0.5) {
        Loss::All
    } else {
        Loss::Some
    };
    disk.lose_power(loss, dice);
    check_files(&disk.root);

    let server = site.start("server");
    let client = server.client();
    let told = told.lock().clone();
    let there = BTreeSet::from_iter(listed(&client).await);
    let lost: Vec<_> = told.created.difference(&there).collect();
    assert!(lost.is_empty(), "created and gone after {loss:?}: {lost:?}");
    let polled: BTreeSet<_> = feed(&client, poller).await.into_iter().map(|(_, id)| id).collect();
    let round = format!("r{n}-");
    let lost: Vec<_> = told
        .polled
        .iter()
        .filter(|id| id.starts_with(&round) && !polled.contains(*id))
        .collect();
    assert!(
        lost.is_empty(),
        "acknowledged because recorded, and gone after {loss:?}: {lost:?}"
    );
    // Rows of answered calls may end early; who had read further is told that its place is gone.
    let left: BTreeSet<_> = feed(&client, echo).await.into_iter().map(|(row, _)| row).collect();
    let beyond: Vec<_> = seen.iter().filter(|(row, _)| !left.contains(row)).collect();
    eprintln!("round {n}: {loss:?}, {} answered rows seen and lost", beyond.len());
    for (row, _) in beyond {
        let filter = ActivityFilter {
            since_id: Some(*row),
            ..ActivityFilter::default()
        };
        let refused = client.activity(echo, &filter).await.unwrap_err();
        assert_eq!(refused.status(), Some(410), "{refused}");
    }
}

// D15
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_power_cut() {
    let mut site = Site::new(None);
    let Some(disk) = Disk::under(&mut site) else {
        molecule_testkit::skip(
            "e2e::what_was_acknowledged_outlives_a_power_cut",
            "there is no C compiler",
        );
        return;
    };
    let mut dice = dice();
    let told: Arc<Mutex<Told>> = Arc::default();
    let server = site.start("server");
    let echo = CreateWorkspace {
        name: "Echo".to_owned(),
        runtime: Some("echo".into()),
        ..CreateWorkspace::default()
    };
    let ids = [
        poller(&server).await,
        server.client().create_workspace(&echo).await.unwrap().id,
    ];
    drop(server);
    for n in 1..=rounds(6) {
        round(&site, &disk, ids, n, &mut dice, &told).await;
    }
    let told = told.lock();
    assert!(!told.polled.is_empty() && !told.pushed.is_empty() && !told.created.is_empty());
}
