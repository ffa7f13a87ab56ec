//! The outbox.

use std::collections::HashSet;

use molecule_core::{
    EventType, WorkspaceId, WorkspaceStatus,
    event::{CardUpdated, Event, Removed},
};
use molecule_store::{
    Store, StoreError,
    events::{NewEvent, RecordedEvent, Seq},
    workspaces::Transition,
};
use molecule_testkit::PATIENCE;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::support::{create, event, open, transition};

/// Reads as the pump does until `total` events have come, and checks that none was skipped on the way.
async fn follow(store: &Store, total: i64) -> Vec<RecordedEvent> {
    let mut seen: Vec<RecordedEvent> = Vec::new();
    let mut last = Seq(0);
    while last.0 < total {
        for row in store.events_after(last, 50).await.unwrap() {
            assert_eq!(
                row.seq.0,
                last.0 + 1,
                "a position became visible before the one in front of it"
            );
            last = row.seq;
            seen.push(row);
        }
    }
    seen
}

molecule_testkit::both_engines! {
    async fn recorded_in_order_with_payloads(url: String) {
        let store = open(&url).await;
        assert_eq!(store.events_head().await.unwrap(), Seq(0));
        assert_eq!(store.record_events(Vec::new()).await.unwrap(), Seq(0));
        let (a, b) = (WorkspaceId::random(), WorkspaceId::random());
        // ACT-4, ACT-5: payloads are JSON whatever is in them; the subject need not exist.
        let payload = json!({ "agent_card": { "name": "a \"b\" \\ \u{1}\0 \u{1f980}", "z": 1, "a": [null] } });
        let card: CardUpdated = serde_json::from_value(payload.clone()).unwrap();
        let rich = NewEvent::of(a, Event::AgentCardUpdated(card));
        let seq = store
            .record_events(vec![rich, event(EventType::WorkspaceOnline, b)])
            .await
            .unwrap();
        assert_eq!((seq, store.events_head().await.unwrap()), (Seq(2), Seq(2)));
        assert_eq!(
            store
                .record_events(vec![event(EventType::WorkspaceOffline, a)])
                .await
                .unwrap(),
            Seq(3)
        );

        let rows = store.events_after(Seq(0), 10).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&rows[0].payload).unwrap(),
            payload
        );
        assert!(rows.windows(2).all(|pair| pair[0].created_at < pair[1].created_at));
        assert_eq!(rows.iter().map(|row| row.id).collect::<HashSet<_>>().len(), 3);
        assert_eq!(store.events_after(Seq(1), 1).await.unwrap()[0].seq, Seq(2));
        assert!(store.events_after(Seq(3), 10).await.unwrap().is_empty());

        // ACT-69
        let newest = |of| {
            let store = store.clone();
            async move {
                let rows = store.newest_events(of, 2).await.unwrap();
                rows.into_iter().map(|row| row.seq.0).collect::<Vec<_>>()
            }
        };
        assert_eq!((newest(None).await, newest(Some(a)).await), (vec![3, 2], vec![3, 1]));
        assert_eq!(
            (newest(Some(b)).await, newest(Some(WorkspaceId::random())).await),
            (vec![2], vec![])
        );
    }

    // The reason for the head row: order of positions is order of visibility.
    async fn a_reader_beside_writers_misses_nothing(url: String) {
        let store = open(&url).await;
        const WRITERS: i64 = 8;
        const ROUNDS: i64 = 25;
        let mut writers = JoinSet::new();
        for n in 0..WRITERS {
            let store = store.clone();
            writers.spawn(async move {
                let mut written = 0;
                for round in 0..ROUNDS {
                    let size = usize::try_from((n + round) % 3 + 1).unwrap();
                    let batch = vec![event(EventType::WorkspaceOnline, WorkspaceId::random()); size];
                    store.record_events(batch).await.unwrap();
                    written += size;
                }
                written
            });
        }
        // Per writer the sizes 1, 2, 3 take turns.
        let total: i64 = (0..WRITERS)
            .flat_map(|n| (0..ROUNDS).map(move |round| (n + round) % 3 + 1))
            .sum();
        let seen = timeout(PATIENCE, follow(&store, total)).await.unwrap();
        let written: usize = writers.join_all().await.into_iter().sum();
        assert_eq!(seen.len(), written);
        assert!(
            seen.windows(2).all(|pair| pair[0].created_at < pair[1].created_at),
            "each has its own microsecond"
        );
    }

    // What fails takes no position with it.
    async fn failures_leave_no_gap(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        let mut writers = JoinSet::new();
        for n in 0..40 {
            let store = store.clone();
            writers.spawn(async move {
                if n % 2 == 0 {
                    store.record_events(vec![event(EventType::WorkspaceOnline, id)]).await
                } else {
                    // The position is taken, then the transaction is given up.
                    let statement = store
                        .db()
                        .statement("UPDATE log_head SET seq = seq + 1 WHERE name = 'events'", []);
                    store
                        .db()
                        .tx(|tx| {
                            Box::pin(async move {
                                sea_orm::ConnectionTrait::execute_raw(tx, statement).await?;
                                Err(StoreError::UnknownParent)
                            })
                        })
                        .await
                }
            });
        }
        let outcomes = writers.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 20);
        let seen = timeout(PATIENCE, follow(&store, 20)).await.unwrap();
        assert_eq!(seen.len(), 20);
    }

    // Mutations answer with the position that the pump has to pass.
    async fn mutations_tell_the_position_of_their_last_event(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        let events = vec![
            event(EventType::WorkspaceOffline, id),
            event(EventType::WorkspaceDegraded, id),
        ];
        let offline = Transition {
            events,
            ..transition(id, &[WorkspaceStatus::Online], WorkspaceStatus::Offline)
        };
        assert_eq!(store.transition(offline).await.unwrap().unwrap().seq, Seq(2));
        let card = event(EventType::AgentCardUpdated, id);
        assert_eq!(
            store.set_agent_card(id, "{}".to_owned(), card).await.unwrap(),
            Some(Seq(3))
        );
        assert_eq!(store.remove_subtree(id).await.unwrap().unwrap().seq, Seq(4));
    }

    async fn a_long_list_is_recorded_whole(url: String) {
        let store = open(&url).await;
        let many: Vec<_> = (0..1_500)
            .map(|n| {
                let cascade_deleted = Some(n);
                NewEvent::of(
                    WorkspaceId::random(),
                    Event::WorkspaceRemoved(Removed { cascade_deleted }),
                )
            })
            .collect();
        assert_eq!(store.record_events(many).await.unwrap(), Seq(1_500));
        let rows = store.events_after(Seq(0), 2_000).await.unwrap();
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(row.payload, format!(r#"{{"cascade_deleted":{n}}}"#));
        }
    }
}
