//! What was acknowledged is there after the process was killed.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use molecule_core::{
    EventType, WorkspaceId,
    activity::{ActivityFilter, ActivityType},
};
use molecule_store::{
    Store, StoreError,
    activity::{ActivityWriter, Durability, NewActivity},
    events::Seq,
};
use sea_orm::{ConnectionTrait, prelude::Uuid};

use crate::support::{column, count, create, event, execute, open};

/// Tells the writing process where to write.
const URL: &str = "MOLECULE_TEST_CRASH_URL";
/// One workspace for all of them.
const WORKSPACE: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(7));
/// Acknowledged rows after which the process is killed.
const ROWS: usize = 400;

/// The process that is killed: a copy of this test program that runs this only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process of another test"]
async fn writes_until_killed() {
    let url = std::env::var(URL).expect("another test says where to write");
    let store = open(&url).await;
    let writer = ActivityWriter::start(&store).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..6 {
        let (store, writer) = (store.clone(), writer.clone());
        tasks.spawn(async move {
            loop {
                let row = NewActivity::new(WORKSPACE, ActivityType::A2aReceive);
                let id = row.id;
                if n == 0 {
                    let seq = store
                        .record_events(vec![event(EventType::WorkspaceOnline, WORKSPACE); 3])
                        .await
                        .unwrap();
                    println!("\nEVENT {}", seq.0);
                } else {
                    let durability = if n % 2 == 0 {
                        Durability::Power
                    } else {
                        Durability::Process
                    };
                    writer.record(row, durability).await.unwrap();
                    println!("\nROW {id}");
                }
            }
        });
    }
    tasks.join_all().await;
}

/// What the process had acknowledged when it was killed: activity rows and the last event.
fn kill_in_the_middle(url: &str) -> (Vec<String>, i64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::writes_until_killed", "--exact", "--ignored", "--nocapture"])
        .env(URL, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut rows, mut event) = (Vec::new(), 0);
    let mut killed = false;
    for line in lines {
        let line = line.unwrap();
        if let Some(id) = line.strip_prefix("ROW ") {
            rows.push(id.to_owned());
        } else if let Some(seq) = line.strip_prefix("EVENT ") {
            event = event.max(seq.parse().unwrap());
        }
        if rows.len() >= ROWS && event > 0 && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(killed, "it ended by itself");
    child.wait().unwrap();
    // The kill may have cut the last line.
    rows.retain(|id| id.len() == 36);
    (rows, event)
}

async fn check_logs(store: &Store, rows: &[String], event: i64) {
    let filter = ActivityFilter {
        limit: 1_000_000,
        ..ActivityFilter::default()
    };
    let mut stored = store.activity_feed(WORKSPACE, &filter).await.unwrap();
    stored.reverse();
    let ids: std::collections::HashSet<String> = stored.iter().map(|row| row.id.to_string()).collect();
    let lost: Vec<_> = rows.iter().filter(|id| !ids.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} rows lost", lost.len(), rows.len());
    for (n, row) in (1..).zip(&stored) {
        assert_eq!(row.seq, Seq(n), "positions have no gap");
    }
    let events = store.events_after(Seq(0), 1_000_000).await.unwrap();
    assert!(store.events_head().await.unwrap() >= Seq(event));
    assert_eq!(events.len() % 3, 0, "three at a time or none");
    for (n, row) in (1..).zip(&events) {
        assert_eq!(row.seq, Seq(n));
    }
    // And it goes on from there.
    let writer = ActivityWriter::start(store).unwrap();
    writer
        .record(NewActivity::new(WORKSPACE, ActivityType::Error), Durability::Power)
        .await
        .unwrap();
    let newest = ActivityFilter {
        limit: 1,
        ..ActivityFilter::default()
    };
    let newest = store.activity_feed(WORKSPACE, &newest).await.unwrap().remove(0);
    assert_eq!(newest.seq, Seq(i64::try_from(stored.len()).unwrap() + 1));
    assert!(stored.last().is_none_or(|last| last.created_at < newest.created_at));
}

molecule_testkit::both_engines! {
    // D15: acknowledged rows survive a killed process.
    async fn acknowledged_rows_survive_a_kill(url: String) {
        let address = url.clone();
        let (rows, event) = tokio::task::spawn_blocking(move || kill_in_the_middle(&address))
            .await
            .unwrap();
        let store = open(&url).await;
        if let Some(path) = store.db().sqlite_path() {
            assert!(std::path::Path::new(path).exists());
            let verdict: Vec<String> =
                column(&store, "SELECT integrity_check AS v FROM pragma_integrity_check", []).await;
            assert_eq!(verdict, ["ok"]);
        }
        check_logs(&store, &rows, event).await;
    }
}

// A copy of file and log, taken while a transaction is under way, opens with what was committed and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_in_the_middle_of_a_transaction_opens() {
    let (original, copy) = (
        molecule_testkit::sqlite::database(),
        molecule_testkit::sqlite::database(),
    );
    let store = open(original.url()).await;
    let id = create(&store, "committed", None).await;
    let writer = ActivityWriter::start(&store).unwrap();
    let row = NewActivity::new(id, ActivityType::A2aReceive);
    let cursor = row.id;
    writer.record(row, Durability::Process).await.unwrap();
    // Large enough that the page cache spills into the log before the commit.
    let large = "x".repeat(8 << 20);
    let source = std::path::PathBuf::from(store.db().sqlite_path().unwrap());
    let target = copy.directory().to_owned();
    let statement = store.db().statement(
        "INSERT INTO workspace_config (workspace_id, data, updated_at) VALUES ($1, $2, 0)",
        [id.uuid().into(), large.into()],
    );
    let copied = store.db().tx(|tx| {
        Box::pin(async move {
            tx.execute_raw(statement).await?;
            for suffix in ["", "-wal"] {
                let name = format!("molecule.db{suffix}");
                std::fs::copy(source.with_file_name(&name), target.join(&name)).unwrap();
            }
            let log = std::fs::metadata(target.join("molecule.db-wal")).unwrap().len();
            assert!(log > 4 << 20, "the transaction did not reach the log: {log} bytes");
            Ok::<(), StoreError>(())
        })
    });
    copied.await.unwrap();

    let reopened = open(copy.url()).await;
    assert_eq!(reopened.workspace(id).await.unwrap().unwrap().name, "committed");
    assert_eq!(reopened.workspace_config(id).await.unwrap(), None);
    let filter = ActivityFilter {
        limit: 9,
        ..ActivityFilter::default()
    };
    let rows = reopened.activity_feed(id, &filter).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [cursor]);
    assert_eq!(count(&store, "workspace_config", "1 = 1", []).await, 1);
    execute(&reopened, "UPDATE workspaces SET name = 'still writable'", [])
        .await
        .unwrap();
}
