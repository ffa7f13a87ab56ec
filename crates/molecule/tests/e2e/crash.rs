use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use molecule_client::{A2aOptions, ActivityFilter};
use molecule_core::WorkspaceStatus;
use molecule_testkit::PATIENCE;
use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    server::{Site, agent_pids, id_of, message, online},
    starter::ask,
};

/// Messages sent at once.
const SENDS: usize = 200;

/// What was acknowledged is recorded, and the agents are those there were.
async fn a_killed_server_loses_nothing(site: Site) {
    // D15, D17, D19, LIFE-195
    let mut server = site.start("up");
    let client = server.client();
    let all = online(&client, 3).await;
    let targets = [id_of(&all, "Lead"), id_of(&all, "Researcher"), id_of(&all, "Writer")];

    let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let answered = Arc::new(AtomicUsize::new(0));
    let mut sends = Vec::new();
    for n in 0..SENDS {
        let (client, acknowledged, answered) = (client.clone(), acknowledged.clone(), answered.clone());
        let target = targets[n % targets.len()];
        sends.push(tokio::spawn(async move {
            let id = format!("crash-{n}");
            let reply = client
                .send_a2a(target, &message(&id, "count me"), &A2aOptions::default())
                .await;
            if reply.is_ok_and(|reply| reply.is_success()) {
                acknowledged.lock().insert(id);
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    let agents = agent_pids(site.data.path());
    assert_eq!(agents.len(), 3, "one process each");
    // In the middle of it: some are answered, most are not.
    let some = async {
        while answered.load(Ordering::SeqCst) < SENDS / 10 {
            tokio::task::yield_now().await;
        }
    };
    let some = tokio::time::timeout(PATIENCE, some).await;
    assert!(some.is_ok(), "{answered:?} of {SENDS} answered\n{}", server.log_tail());
    server.kill();
    for send in sends {
        send.await.unwrap();
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock());
    assert!(acknowledged.len() >= SENDS / 10);

    let server = site.start("server");
    let client = server.client();
    let all = online(&client, 3).await;
    assert!(all.iter().all(|item| item.workspace.status == WorkspaceStatus::Online));
    assert_eq!(agent_pids(site.data.path()), agents, "adopted, not duplicated");

    let mut recorded = BTreeSet::new();
    for target in targets {
        let filter = ActivityFilter {
            limit: Some(500),
            ..ActivityFilter::default()
        };
        for row in client.activity(target, &filter).await.unwrap() {
            let Some(body) = row.request_body else { continue };
            let body: Value = serde_json::from_str(body.get()).unwrap();
            recorded.extend(body["params"]["message"]["messageId"].as_str().map(str::to_owned));
        }
    }
    let lost: Vec<_> = acknowledged.difference(&recorded).collect();
    assert!(lost.is_empty(), "acknowledged but not recorded: {lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_on_sqlite() {
    a_killed_server_loses_nothing(Site::new(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_on_postgres() {
    let Some(database) = molecule_testkit::postgres::database_for("e2e::a_killed_server_loses_nothing_on_postgres")
    else {
        return;
    };
    a_killed_server_loses_nothing(Site::new(Some(database.url()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_answers_first() {
    // LIFE-178
    let site = Site::new(None);
    let mut server = site.start("up");
    let client = server.client();
    let all = online(&client, 3).await;
    let lead = id_of(&all, "Lead");
    let mut events = client.events().await.unwrap();
    let sender = client.clone();
    let answer = tokio::spawn(async move { ask(&sender, lead, "m-1", "sleep 3000").await });
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await;
        let event = event.expect("the agent is at work").unwrap().unwrap();
        if event.event == "TASK_UPDATED" && event.workspace_id == lead.to_string() {
            break;
        }
    }
    drop(events);
    assert_eq!(server.terminate(), Some(0), "{}", server.log_tail());
    // OP-18: nobody holds it up for long.
    assert!(!server.log_tail().contains("still holds"), "{}", server.log_tail());
    assert!(answer.await.unwrap().contains("3000"));
    assert_eq!(agent_pids(site.data.path()), Vec::<i32>::new());
}
