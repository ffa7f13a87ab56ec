use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use molecule_client::{A2aOptions, ActivityFilter};
use molecule_core::WorkspaceStatus;
use parking_lot::Mutex;
use serde_json::Value;

use crate::server::{Site, id_of, message, online};

/// Messages sent at once.
const SENDS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_it_acknowledged() {
    // D15, D17, LIFE-195
    let site = Site::new(None);
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
    // In the middle of it: some are answered, most are not.
    while answered.load(Ordering::SeqCst) < SENDS / 10 {
        tokio::task::yield_now().await;
    }
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
