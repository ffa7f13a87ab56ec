//! Whoever listens where an agent was (D13, D32): ports are free again the moment an agent dies, and a hostile neighbour
//! waits for them.

use std::time::Instant;

use molecule_platform::messaging::MessagingError;
use molecule_testkit::{PATIENCE, backend::ScriptedBackend, both_engines};

use crate::common::*;

const REPLY: &str = r#"{"jsonrpc":"2.0","id":"r1","result":{"parts":[{"kind":"text","text":"hi"}]}}"#;
const LIE: &str = r#"{"jsonrpc":"2.0","id":"r1","result":{"parts":[{"kind":"text","text":"trust me"}]}}"#;

async fn served(harness: &Harness, name: &str, agent: &Agent) -> WorkspaceId {
    harness.backend.endpoint(&agent.url());
    harness.online(name).await
}

/// The stranger heard nothing, and nothing that it said is in the feed.
async fn was_left_alone(harness: &Harness, id: WorkspaceId, stranger: &Agent) {
    assert!(stranger.heard().is_empty(), "{:?}", stranger.heard());
    let feed = harness.feed(id).await;
    let said = feed.iter().filter_map(|row| row.response_body.as_deref());
    assert!(said.into_iter().all(|body| !body.contains("trust me")), "{feed:?}");
}

both_engines! {
    async fn a_stored_address_is_not_dialled_before_its_instance_is_known(url: String) {
        // D32: after a crash or a reboot, before it is settled what runs.
        let first = Harness::new(&url).await;
        let stranger = Agent::json(LIE).await;
        let id = served(&first, "Lead", &stranger).await;
        let backend = ScriptedBackend::default();
        backend.keep_volumes_of(&first.backend);
        first.stop().await;
        let options = Options {
            backend: Some(backend.clone()),
            begin: false,
            ..Options::default()
        };
        let second = Harness::with(&url, options).await;
        let row = second.row(id).await;
        assert_eq!(
            (row.status, row.url.as_str(), row.url_assigned),
            (WorkspaceStatus::Online, &*stranger.url(), true)
        );
        let refused = second.ask(id, "secret plans").await;
        assert!(matches!(refused, Err(MessagingError::NotLive(_))), "{refused:?}");
        was_left_alone(&second, id, &stranger).await;
        // Nor while it is brought back; then at its new address.
        let agent = Agent::json(REPLY).await;
        backend.endpoint(&agent.url());
        second.platform.begin().await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Err(refused) = second.ask(id, "secret plans").await {
            assert!(Instant::now() < deadline, "{refused:?}");
            tokio::task::yield_now().await;
        }
        assert!(!agent.heard().is_empty());
        was_left_alone(&second, id, &stranger).await;
    }

    async fn an_instance_that_was_left_running_is_dialled_once_adopted(url: String) {
        // D19, D32
        let first = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&first, "Lead", &agent).await;
        first.stop().await;
        let backend = ScriptedBackend::default();
        backend.leave_behind(id, 0, &agent.url());
        let options = Options {
            backend: Some(backend),
            begin: false,
            ..Options::default()
        };
        let second = Harness::with(&url, options).await;
        assert!(matches!(second.ask(id, "x").await, Err(MessagingError::NotLive(_))));
        second.platform.begin().await.unwrap();
        assert_eq!(second.ask(id, "x").await.unwrap().1, REPLY.as_bytes());
        assert_eq!(agent.heard().len(), 1);
    }

    async fn without_a_backend_no_assigned_address_is_dialled(url: String) {
        // D32
        let first = Harness::new(&url).await;
        let stranger = Agent::json(LIE).await;
        let id = served(&first, "Lead", &stranger).await;
        first.stop().await;
        let second = Harness::without_backend(&url).await;
        assert!(matches!(second.ask(id, "x").await, Err(MessagingError::NotLive(_))));
        was_left_alone(&second, id, &stranger).await;
    }

    async fn nobody_speaks_for_an_agent_that_has_just_died(url: String) {
        // D32: its end has not got about yet, and somebody else has the port.
        let harness = Harness::new(&url).await;
        let stranger = Agent::json(LIE).await;
        let id = served(&harness, "Lead", &stranger).await;
        harness.backend.vanish(id);
        let answer = harness.ask(id, "secret plans").await;
        assert!(matches!(answer, Err(MessagingError::Restarting)), "{answer:?}");
        was_left_alone(&harness, id, &stranger).await;
        let row = harness.only_row(id).await;
        assert_eq!(
            (row.status.as_str(), row.error_detail.as_deref()),
            ("error", Some("agent not known to run"))
        );
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
    }

    async fn where_it_cannot_be_told_nothing_is_sent(url: String) {
        // D32
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", &agent).await;
        harness.backend.answers(id, Answer::Unknown);
        let answer = harness.ask(id, "x").await;
        assert!(matches!(answer, Err(MessagingError::NotLive(_))), "{answer:?}");
        assert!(agent.heard().is_empty());
        assert_eq!(
            harness.status(id).await,
            WorkspaceStatus::Online,
            "uncertainty recycles nobody"
        );
        harness.backend.answers(id, Answer::Yes);
        harness.ask(id, "x").await.unwrap();
    }

    async fn the_next_incarnation_is_not_looked_for_where_the_last_one_was(url: String) {
        // D17, D32: connections that were open to the last one are not used for the next either.
        let harness = Harness::new(&url).await;
        let old = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", &old).await;
        harness.ask(id, "x").await.unwrap();
        let next = Agent::json(REPLY).await;
        harness.backend.endpoint(&next.url());
        old.reply(Reply::Json(200, LIE.to_owned()));
        harness.backend.exit(id, "killed by signal 9");
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        let deadline = Instant::now() + PATIENCE;
        let reply = loop {
            match harness.ask(id, "y").await {
                Ok((_, reply)) => break reply,
                Err(refused) => assert!(Instant::now() < deadline, "{refused:?}"),
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(reply, REPLY.as_bytes());
        assert_eq!((old.heard().len(), next.heard().len()), (1, 1));
    }
}
