//! Transitions that are committed together.

use WorkspaceStatus::{Degraded, Offline, Online, Provisioning};
use molecule_core::{EventType, WorkspaceId, WorkspaceStatus};
use molecule_store::{
    Store, StoreError,
    events::Seq,
    workspaces::{Change, Moved, Transition},
};
use sea_orm::ConnectionTrait;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::{create, event, open, status, token, transition};

type Outcome = Result<Option<Moved>, StoreError>;

/// Has begun a commit that waits for somebody else: whatever is asked for now stands in line behind it.
struct Busy {
    release: oneshot::Sender<()>,
    holding: JoinHandle<()>,
    first: JoinHandle<Outcome>,
}

impl Busy {
    async fn begin(store: &Store) -> Self {
        let id = create(store, "first", None).await;
        let (held, holds) = oneshot::channel();
        let (release, released) = oneshot::channel::<()>();
        let holder = store.clone();
        let holding = tokio::spawn(async move {
            let lock = holder
                .db()
                .statement("UPDATE workspaces SET tier = tier WHERE id = $1", [id.uuid().into()]);
            let work = holder.db().tx(|tx| {
                Box::pin(async move {
                    tx.execute_raw(lock).await?;
                    held.send(()).ok();
                    released.await.ok();
                    Ok::<_, StoreError>(())
                })
            });
            work.await.unwrap();
        });
        holds.await.unwrap();
        let first = ask(store, transition(id, &[Online], Degraded));
        // It is alone in its commit, whose turn has not come.
        tokio::task::yield_now().await;
        Self {
            release,
            holding,
            first,
        }
    }

    async fn end(self) {
        self.release.send(()).unwrap();
        self.holding.await.unwrap();
        self.first.await.unwrap().unwrap().unwrap();
    }
}

fn ask(store: &Store, transition: Transition) -> JoinHandle<Outcome> {
    let store = store.clone();
    tokio::spawn(async move { store.transition(transition).await })
}

fn with_events(id: WorkspaceId, to: WorkspaceStatus, kinds: &[EventType]) -> Transition {
    Transition {
        events: kinds.iter().map(|kind| event(*kind, id)).collect(),
        ..transition(id, &[Online], to)
    }
}

molecule_testkit::both_engines! {
    // LIFE-36, ACT-75: however many share a commit, each has its own events and knows their position.
    async fn each_has_its_own_events(url: String) {
        let store = open(&url).await;
        let kinds = [EventType::WorkspaceOffline, EventType::WorkspaceDegraded];
        let mut ids = Vec::new();
        for n in 0..300 {
            ids.push(create(&store, &format!("w{n}"), None).await);
        }
        let gone = create(&store, "gone", None).await;
        store.remove_subtree(gone).await.unwrap();
        let busy = Busy::begin(&store).await;
        let asked: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(n, id)| ask(&store, with_events(*id, Offline, &kinds[..n % 3])))
            .collect();
        let refused = ask(&store, with_events(gone, Offline, &kinds));
        busy.end().await;
        assert_eq!(refused.await.unwrap().unwrap(), None);
        let events = store.events_after(Seq(0), 10_000).await.unwrap();
        for (n, (id, asked)) in ids.iter().zip(asked).enumerate() {
            let moved = asked.await.unwrap().unwrap().unwrap();
            let own: Vec<_> = events
                .iter()
                .filter(|event| event.workspace_id == Some(*id) && event.event != EventType::WorkspaceProvisioning)
                .collect();
            assert_eq!(own.len(), n % 3);
            assert_eq!(own.last().map_or(Seq(0), |event| event.seq), moved.seq);
            assert_eq!(status(&store, *id).await, Offline);
        }
        assert!(events.windows(2).all(|pair| pair[0].seq.0 + 1 == pair[1].seq.0), "no gap");
    }

    // LIFE-36: two of one workspace follow each other.
    async fn two_of_one_workspace_take_turns(url: String) {
        let store = open(&url).await;
        let id = create(&store, "w", None).await;
        let busy = Busy::begin(&store).await;
        let one = ask(&store, with_events(id, Offline, &[EventType::WorkspaceOffline]));
        tokio::task::yield_now().await;
        let two = ask(&store, with_events(id, Degraded, &[EventType::WorkspaceDegraded]));
        busy.end().await;
        let moved = [one.await.unwrap().unwrap(), two.await.unwrap().unwrap()];
        assert_eq!(moved.iter().flatten().count(), 1, "both saw it online; one was first");
    }

    // D17: what cannot be stored fails alone.
    async fn a_bad_one_fails_alone(url: String) {
        let store = open(&url).await;
        let mut ids = Vec::new();
        for n in 0..10 {
            ids.push(create(&store, &format!("w{n}"), None).await);
        }
        store.add_token(ids[0], token("taken")).await.unwrap();
        let busy = Busy::begin(&store).await;
        let asked: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(n, id)| {
                let change = Change {
                    restart: true,
                    // Nobody else's token may be this one's.
                    token: (n == 5).then(|| token("taken")),
                    ..Change::default()
                };
                let restart = with_events(*id, Provisioning, &[EventType::WorkspaceProvisioning]);
                ask(&store, Transition { change, ..restart })
            })
            .collect();
        busy.end().await;
        for (n, (id, asked)) in ids.iter().zip(asked).enumerate() {
            let outcome = asked.await.unwrap();
            let row = store.workspace(*id).await.unwrap().unwrap();
            if n == 5 {
                outcome.unwrap_err();
                assert_eq!((row.status, row.generation), (Online, 0));
            } else {
                assert_eq!(outcome.unwrap().unwrap().generation, 1);
                assert_eq!((row.status, row.generation), (Provisioning, 1));
            }
        }
    }

    // LIFE-8: who goes away undoes nothing, neither for others nor for itself.
    async fn who_does_not_wait_is_served_all_the_same(url: String) {
        let store = open(&url).await;
        let (one, two) = (create(&store, "one", None).await, create(&store, "two", None).await);
        let busy = Busy::begin(&store).await;
        let impatient = ask(&store, transition(one, &[Online], Offline));
        tokio::task::yield_now().await;
        let patient = ask(&store, transition(two, &[Online], Offline));
        impatient.abort();
        let stamp = store.changes().stamp();
        busy.end().await;
        patient.await.unwrap().unwrap().unwrap();
        assert_eq!(status(&store, two).await, Offline);
        if !impatient.await.is_err_and(|error| error.is_cancelled()) || status(&store, one).await == Offline {
            assert!(!store.changes().is_current(one.into(), stamp), "told of when it was committed");
        }
    }
}
