//! The sending core, as what speaks within the server uses it (A2A-12), and its bounds (D33).

use std::time::{Duration, Instant};

use molecule_core::trace::TraceContext;
use molecule_platform::{
    messaging::{Caller, Crowded, Delivered, Envelope, MessagingError, Payload},
    trace,
};
use molecule_testkit::{PATIENCE, both_engines};

use crate::common::*;

const REPLY: &str = r#"{"jsonrpc":"2.0","id":"r1","result":{"parts":[{"kind":"text","text":"hi"}]}}"#;
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn served(harness: &Harness, name: &str, agent: &Agent) -> WorkspaceId {
    harness.backend.endpoint(&agent.url());
    harness.online(name).await
}

fn payload(text: &str) -> Payload {
    Payload {
        body: text_message(text).into(),
        version: None,
    }
}

both_engines! {
    async fn the_server_speaks_for_itself(url: String) {
        // A2A-10, A2A-12, A2A-102, A2A-105
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let root = harness.online("Root").await;
        harness.backend.endpoint(&agent.url());
        let id = harness.online_below("Deep", Some(root)).await;
        let envelope = Envelope::new(id, Caller::System, payload("wake up"));
        let Delivered::Reply { body, .. } = harness.platform.messenger.send(envelope).await.unwrap() else {
            panic!("a reply")
        };
        assert_eq!(body, REPLY.as_bytes());
        let row = harness.only_row(id).await;
        assert_eq!((row.source_id, row.status.as_str()), (None, "ok"));
        harness.until_published(id, "ACTIVITY_LOGGED", 1).await;
        assert!(harness.published(id, "A2A_RESPONSE").is_empty(), "nobody looks on");
    }

    async fn what_is_not_to_be_recorded_leaves_no_row(url: String) {
        // A2A-42, A2A-105, A2A-131
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", &agent).await;
        let (polling, _) = harness.polling("Laptop").await;
        let messenger = &harness.platform.messenger;
        let quiet = |target| Envelope {
            record: false,
            ..Envelope::new(target, Caller::Person, payload("x"))
        };
        messenger.send(quiet(id)).await.unwrap();
        agent.reply(Reply::Json(500, String::new()));
        messenger.send(quiet(id)).await.unwrap_err();
        agent.reply(Reply::Stream);
        let Delivered::Stream(_reader) = messenger.send(quiet(id)).await.unwrap() else {
            panic!("a stream")
        };
        agent.end_stream();
        assert!(harness.feed(id).await.is_empty());
        assert!(harness.published(id, "A2A_RESPONSE").is_empty());
        // There the row is the delivery.
        assert!(matches!(
            messenger.send(quiet(polling)).await.unwrap(),
            Delivered::Polled { .. }
        ));
        assert_eq!(harness.feed(polling).await.len(), 1);
    }

    async fn a_workspace_is_held_to_the_hierarchy_whoever_sends_for_it(url: String) {
        // A2A-10
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let [one, other] = [harness.online("One").await, harness.online("Other").await];
        harness.backend.endpoint(&agent.url());
        let nephew = harness.online_below("Nephew", Some(other)).await;
        let child = harness.online_below("Child", Some(one)).await;
        let envelope = Envelope::new(nephew, Caller::Workspace(child), payload("x"));
        assert_eq!(envelope.ceiling, Some(molecule_core::limits::A2A_CALLER_CEILING));
        let refused = harness.platform.messenger.send(envelope).await;
        assert!(matches!(refused, Err(MessagingError::AccessDenied)), "{refused:?}");
        assert!(agent.heard().is_empty());
    }

    async fn the_trace_goes_on_to_the_agent(url: String) {
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", &agent).await;
        let caller = trace::enter(Some(TRACE), Some("vendor=1"));
        trace::scope(caller.clone(), harness.ask(id, "x")).await.unwrap();
        harness.ask(id, "y").await.unwrap();
        let heard = agent.heard();
        assert_eq!(heard[0].headers["traceparent"], caller.traceparent());
        assert_eq!(heard[0].headers["tracestate"], "vendor=1");
        let begun = TraceContext::parse(heard[1].headers["traceparent"].to_str().unwrap(), None).unwrap();
        assert_ne!(begun.trace_id(), caller.trace_id(), "without one a trace begins");
    }

    async fn calls_in_flight_are_bounded(url: String) {
        // D33: an agent that answers nobody keeps no more than its share; another one is served.
        let mut options = Options::default();
        options.config.a2a_in_flight_per_agent = 2;
        options.config.a2a_in_flight = 3;
        let harness = Harness::with(&url, options).await;
        let gate = Gate::default();
        let slow = Agent::new(Reply::Held(gate.clone(), REPLY.to_owned())).await;
        let quick = Agent::json(REPLY).await;
        let held = served(&harness, "Slow", &slow).await;
        let served = served(&harness, "Quick", &quick).await;
        let ask = |id| {
            let messenger = harness.platform.messenger.clone();
            tokio::spawn(async move { messenger.send(Envelope::new(id, Caller::Person, payload("x"))).await })
        };
        let waiting = [ask(held), ask(held)];
        slow.until_heard(2).await;
        let refused = harness.ask(held, "x").await;
        assert!(
            matches!(refused, Err(MessagingError::Crowded(Crowded::Agent))),
            "{refused:?}"
        );
        harness.ask(served, "x").await.unwrap();
        quick.reply(Reply::Held(gate.clone(), REPLY.to_owned()));
        let third = ask(served);
        quick.until_heard(2).await;
        let refused = harness.ask(served, "x").await;
        assert!(
            matches!(refused, Err(MessagingError::Crowded(Crowded::Server))),
            "{refused:?}"
        );
        assert_eq!((slow.heard().len(), quick.heard().len()), (2, 2), "nothing was sent");
        gate.open();
        for answer in waiting.into_iter().chain([third]) {
            answer.await.unwrap().unwrap();
        }
        // Their places are free again; a stream keeps its own until its end.
        quick.reply(Reply::Stream);
        let stream = harness.send(&admin(), served, &text_message("x")).await.unwrap();
        let again = Gate::default();
        quick.reply(Reply::Held(again.clone(), REPLY.to_owned()));
        let second = ask(served);
        quick.until_heard(4).await;
        let refused = harness.ask(served, "x").await;
        assert!(
            matches!(refused, Err(MessagingError::Crowded(Crowded::Agent))),
            "{refused:?}"
        );
        quick.end_stream();
        quick.reply(Reply::Json(200, REPLY.to_owned()));
        let deadline = Instant::now() + PATIENCE;
        while let Err(refused) = harness.ask(served, "x").await {
            assert!(
                matches!(refused, MessagingError::Crowded(_)) && Instant::now() < deadline,
                "{refused:?}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        again.open();
        second.await.unwrap().unwrap();
        drop(stream);
    }
}
