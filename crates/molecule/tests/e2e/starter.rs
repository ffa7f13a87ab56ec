use molecule_client::{A2aOptions, Client};
use molecule_core::WorkspaceId;
use molecule_testkit::PATIENCE;
use molecule_wire::events::EventEnvelope;
use serde_json::Value;

use crate::server::{Site, agent_pids, eventually, id_of, message, online};

/// Sends a text and returns the reply's text.
pub(crate) async fn ask(client: &Client, target: WorkspaceId, id: &str, text: &str) -> String {
    let reply = client
        .send_a2a(target, &message(id, text), &A2aOptions::default())
        .await
        .unwrap();
    let body: Value = reply.json().unwrap();
    assert!(reply.is_success(), "{body}");
    molecule_a2a::reply::text_or_body(body.to_string().as_bytes())
}

/// The newcomer's first minute: one command, three agents online, one delegates to another, both hops are recorded and
/// seen live.
async fn first_minute(site: Site) {
    let mut server = site.start("up");
    server.line_with("echo");
    let client = server.client();
    let all = online(&client, 3).await;
    let (lead, researcher) = (id_of(&all, "Lead"), id_of(&all, "Researcher"));

    let mut events = client.events().await.unwrap();
    let answer = ask(&client, lead, "m-1", "delegate Researcher: what is up?").await;
    assert!(
        answer.contains("Researcher") && answer.contains("what is up?"),
        "{answer}"
    );

    // Both hops in the activity log: the person's on the Lead, the Lead's on the Researcher.
    let hop = |target: WorkspaceId| {
        let client = client.clone();
        async move {
            let rows = client
                .activity(target, &molecule_client::ActivityFilter::default())
                .await
                .unwrap();
            rows.into_iter()
                .find(|row| row.activity_type == "a2a_receive" && row.method.as_deref() == Some("message/send"))
        }
    };
    let to_lead = hop(lead).await.expect("the hop to the Lead is recorded");
    assert_eq!(to_lead.source_id, None);
    let to_researcher = hop(researcher).await.expect("the hop to the Researcher is recorded");
    assert_eq!(to_researcher.source_id, Some(lead));

    // And both on /ws.
    let mut seen: Vec<EventEnvelope> = Vec::new();
    let logged = |seen: &[EventEnvelope], target: WorkspaceId| {
        seen.iter()
            .any(|event| event.event == "ACTIVITY_LOGGED" && event.workspace_id == target.to_string())
    };
    while !(logged(&seen, lead) && logged(&seen, researcher)) {
        let next = tokio::time::timeout(PATIENCE, events.next()).await;
        seen.push(
            next.expect("both hops appear live")
                .unwrap()
                .expect("the socket stays open"),
        );
    }

    assert_eq!(agent_pids(site.data.path()).len(), 3, "one process each");
    assert_eq!(server.terminate(), Some(0), "{}", server.log_tail());
    assert_eq!(
        agent_pids(site.data.path()),
        Vec::<i32>::new(),
        "`up` takes its agents down"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn first_minute_on_sqlite() {
    first_minute(Site::new(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_minute_on_postgres() {
    let Some(database) = molecule_testkit::postgres::database_for("e2e::first_minute_on_postgres") else {
        return;
    };
    first_minute(Site::new(Some(database.url()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_comes_back_and_answers() {
    // LIFE-20, LIFE-25, D19
    let site = Site::new(None);
    let server = site.start("up");
    let client = server.client();
    let all = online(&client, 3).await;
    let lead = id_of(&all, "Lead");
    let mut events = client.events().await.unwrap();

    let pid = agent_of(&site, lead);
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();

    let mut wanted = vec!["WORKSPACE_OFFLINE", "WORKSPACE_PROVISIONING", "WORKSPACE_ONLINE"];
    while !wanted.is_empty() {
        let next = tokio::time::timeout(PATIENCE, events.next()).await;
        let event = next
            .unwrap_or_else(|_| panic!("missing {wanted:?}\n{}", server.log_tail()))
            .unwrap()
            .unwrap();
        if event.workspace_id == lead.to_string() && event.event == wanted[0] {
            wanted.remove(0);
        }
    }
    assert_ne!(agent_of(&site, lead), pid);
    assert!(ask(&client, lead, "m-2", "hello").await.contains("hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_organisation_is_adopted_not_duplicated() {
    // D17, D19
    let site = Site::new(None);
    let mut server = site.start("up");
    online(&server.client(), 3).await;
    let before = agent_pids(site.data.path());
    assert_eq!(before.len(), 3, "one process each");
    server.kill();

    let mut next = site.start("server");
    let client = next.client();
    let all = online(&client, 3).await;
    let writer = id_of(&all, "Writer");
    // Nobody is spoken to before it is known who runs (D32).
    let answer = eventually("an adopted agent answers", || async {
        let (message, options) = (message("m-3", "still there?"), A2aOptions::default());
        let sent = client.send_a2a(writer, &message, &options).await;
        let reply = sent.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        if reply.is_success() { Ok(text) } else { Err(text) }
    });
    assert!(answer.await.contains("still there?"));
    assert_eq!(agent_pids(site.data.path()), before);

    // `server` leaves its agents running.
    assert_eq!(next.terminate(), Some(0), "{}", next.log_tail());
    assert_eq!(agent_pids(site.data.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_the_terminal_ends_the_organisation() {
    // D19
    let site = Site::new(None);
    let mut server = site.start("up");
    online(&server.client(), 3).await;
    assert_eq!(agent_pids(site.data.path()).len(), 3);
    let hangup = rustix::process::Signal::HUP;
    assert_eq!(server.signal(hangup), Some(0), "{}", server.log_tail());
    assert_eq!(agent_pids(site.data.path()), Vec::<i32>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starter_that_was_cut_short_is_told_of_once() {
    let site = Site::new(None);
    let mut server = site.start("up");
    online(&server.client(), 3).await;
    assert_eq!(server.terminate(), Some(0), "{}", server.log_tail());
    let mark = site.data.path().join("server/starter_import");
    assert!(!mark.exists(), "it was imported");
    std::fs::write(&mark, "").unwrap();
    let mut server = site.start("up");
    server.line_with("not imported completely");
    let told = || async {
        if mark.exists() {
            Err("the mark is there".to_owned())
        } else {
            Ok(())
        }
    };
    eventually("it is told once", told).await;
}

fn agent_of(site: &Site, id: WorkspaceId) -> i32 {
    let record = site.data.path().join(format!("server/instances/{id}.json"));
    let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    i32::try_from(record["process"]["pid"].as_i64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_data_directory_is_refused() {
    // D19
    let site = Site::new(None);
    let server = site.start("server");
    let second = site.run(&["server", "--port", "0"]).await;
    assert_eq!(second.code, Some(1));
    assert!(
        second.err.contains("another server") && second.err.contains(&server.pid().to_string()),
        "{}",
        second.err
    );
    eventually("the first server goes on", || async {
        server.client().health().await.map_err(|e| e.to_string())
    })
    .await;
}
