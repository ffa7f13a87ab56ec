//! The compare-and-set of a status.

use std::{sync::Arc, time::Duration};

use WorkspaceStatus::{Degraded, Failed, Offline, Online, Paused, Provisioning, Removed};
use molecule_core::{DeliveryMode, EventType, WorkspaceId, WorkspaceStatus, credential::TokenHash};
use molecule_store::{
    Store,
    events::Seq,
    now,
    pulse::Pulse,
    workspaces::{Change, Guard, NewUrl, NewWorkspace, StartPlan, Transition},
};
use tokio::sync::Barrier;

use crate::support::{at_once, create, describe, event, open, recorded, sealed, status, token, transition};

async fn created_as(store: &Store, status: WorkspaceStatus) -> WorkspaceId {
    let new = NewWorkspace {
        status,
        ..describe("a")
    };
    let id = new.id;
    store.create_workspace(new).await.unwrap();
    id
}

fn beat(id: WorkspaceId) -> Pulse {
    Pulse {
        workspace: id,
        last_beat_at: now(),
        uptime_seconds: 1,
        error_rate: 0.0,
        sample_error: String::new(),
        active_tasks: 2,
        current_task: "busy".to_owned(),
        monthly_spend: Some(70),
        active_at: None,
    }
}

molecule_testkit::both_engines! {
    // LIFE-36, ACT-75, ACT-76: one of many wins, with one event.
    async fn one_of_many_wins(url: String) {
        let store = open(&url).await;
        for _ in 0..5 {
            let id = created_as(&store, Provisioning).await;
            let before = recorded(&store).await.len();
            let start = Arc::new(Barrier::new(12));
            let outcomes = at_once(12, |_| {
                let (store, start) = (store.clone(), start.clone());
                let mut fail = transition(id, &[Provisioning], Failed);
                fail.events = vec![event(EventType::WorkspaceProvisionFailed, id)];
                async move {
                    start.wait().await;
                    store.transition(fail).await.unwrap()
                }
            })
            .await;
            assert_eq!(outcomes.iter().flatten().count(), 1);
            assert_eq!(
                recorded(&store).await[before..],
                [("WORKSPACE_PROVISION_FAILED".to_owned(), id)]
            );
            let row = store.workspace(id).await.unwrap().unwrap();
            assert_eq!((row.status, row.version), (Failed, 1));
        }
    }

    // ACT-75: N workspaces that fail at once are N events.
    async fn failures_at_once_are_as_many_events(url: String) {
        let store = open(&url).await;
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(created_as(&store, Provisioning).await);
        }
        at_once(20, |n| {
            let (store, id) = (store.clone(), ids[n]);
            let mut fail = transition(id, &[Provisioning], Failed);
            fail.events = vec![event(EventType::WorkspaceProvisionFailed, id)];
            async move { store.transition(fail).await.unwrap().unwrap() }
        })
        .await;
        let mut failed: Vec<_> = recorded(&store).await.into_iter().map(|(_, id)| id).collect();
        failed.sort_unstable();
        ids.sort_unstable();
        assert_eq!(failed, ids);
    }

    // LIFE-36, ACT-76: whoever is not where it is expected stays, unseen.
    async fn a_transition_that_does_not_apply_changes_nothing(url: String) {
        let store = open(&url).await;
        let id = created_as(&store, Paused).await;
        store.add_token(id, token("t")).await.unwrap();
        let before = store.workspace(id).await.unwrap().unwrap();
        for from in [&[][..], &[Online], &[Provisioning, Offline]] {
            let change = Change {
                url: Some(NewUrl {
                    url: "http://x".to_owned(),
                    assigned: true,
                }),
                sample_error: Some("late".to_owned()),
                beat: true,
                restart: true,
                ..Change::default()
            };
            let events = vec![event(EventType::WorkspaceOnline, id)];
            let late = Transition {
                change,
                events,
                ..transition(id, from, Online)
            };
            assert_eq!(store.transition(late).await.unwrap(), None);
        }
        let unknown = transition(WorkspaceId::random(), &[Online], Failed);
        assert_eq!(store.transition(unknown).await.unwrap(), None);
        assert_eq!(store.workspace(id).await.unwrap().unwrap(), before);
        assert!(store.has_live_token(id).await.unwrap());
        assert!(recorded(&store).await.is_empty());
    }

    async fn columns_change_with_the_status(url: String) {
        let store = open(&url).await;
        let id = created_as(&store, Provisioning).await;
        let before = store.workspace(id).await.unwrap().unwrap();
        let change = Change {
            token: None,
            url: Some(NewUrl {
                url: "http://127.0.0.1:1".to_owned(),
                assigned: true,
            }),
            agent_card: Some(r#"{"a":1}"#.to_owned()),
            delivery_mode: Some(DeliveryMode::Push),
            instance_ref: Some(Some("i".to_owned())),
            start_files: Some("files".to_owned()),
            reset_session: true,
            inbound_secret: Some(sealed("s")),
            sample_error: Some("nul \0".to_owned()),
            beat: true,
            restart: false,
        };
        let online = Transition {
            change,
            events: vec![
                event(EventType::WorkspaceOnline, id),
                event(EventType::AgentCardUpdated, id),
            ],
            ..transition(id, &[Provisioning, Offline], Online)
        };
        let moved = store.transition(online).await.unwrap().unwrap();
        assert_eq!((moved.seq, moved.generation), (Seq(2), 0));
        let row = store.workspace(id).await.unwrap().unwrap();
        assert_eq!(
            (row.status, row.url.as_str(), row.url_assigned),
            (Online, "http://127.0.0.1:1", true)
        );
        assert_eq!(
            (row.agent_card.as_deref(), row.delivery_mode),
            (Some(r#"{"a":1}"#), Some(DeliveryMode::Push))
        );
        assert_eq!(row.sample_error, "nul \u{fffd}"); // ACT-5
        let plan = StartPlan {
            start_files: Some("files".to_owned()),
            reset_session: true,
        };
        assert_eq!(store.start_plan(id).await.unwrap(), plan);
        assert!(row.last_beat_at.is_some() && row.status_changed_at > before.status_changed_at);
        assert_eq!(
            store.route(id).await.unwrap().unwrap().inbound_secret,
            Some(sealed("s"))
        );

        // What is not mentioned stays; without events there is no position.
        let moved = store
            .transition(transition(id, &[Online], Degraded))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(moved.seq, Seq(0));
        let after = store.workspace(id).await.unwrap().unwrap();
        assert_eq!(
            (after.url, after.agent_card, after.sample_error),
            (row.url, row.agent_card, row.sample_error)
        );
    }

    // OP-2: the age of a status counts from its beginning, however the transition was phrased.
    async fn staying_does_not_make_a_status_younger(url: String) {
        let store = open(&url).await;
        let id = created_as(&store, Offline).await;
        let age = async || store.workspace(id).await.unwrap().unwrap().status_changed_at;
        let begun = age().await;
        store
            .transition(transition(id, &[Offline, Online], Online))
            .await
            .unwrap()
            .unwrap();
        let online = age().await;
        assert!(online > begun);
        store
            .transition(transition(id, &[Offline, Online], Online))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(age().await, online);
        let restart = Transition {
            change: Change {
                restart: true,
                ..Change::default()
            },
            ..transition(id, &[Online], Online)
        };
        store.transition(restart).await.unwrap().unwrap();
        assert!(age().await > online);
    }

    // D17: a late answer of an earlier incarnation is not applied.
    async fn guarded_by_generation(url: String) {
        let store = open(&url).await;
        let id = created_as(&store, Provisioning).await;
        let of = |generation| Transition {
            guard: Guard {
                generation: Some(generation),
                ..Guard::default()
            },
            ..transition(id, &[Provisioning], Online)
        };
        assert_eq!(store.transition(of(1)).await.unwrap(), None);
        assert!(store.transition(of(0)).await.unwrap().is_some());
    }

    // D17: what was proven with a token is not applied once the token is revoked.
    async fn guarded_by_token(url: String) {
        let store = open(&url).await;
        let id = created_as(&store, Provisioning).await;
        let shown = store.add_token(id, token("shown")).await.unwrap();
        let ask = Transition {
            guard: Guard {
                token: Some(shown),
                ..Guard::default()
            },
            ..transition(id, &[Provisioning, Online], Online)
        };
        assert!(store.is_unrevoked(shown).await.unwrap());
        assert!(store.transition(ask.clone()).await.unwrap().is_some());
        let restart = Transition {
            change: Change {
                restart: true,
                ..Change::default()
            },
            ..transition(id, &[Online], Provisioning)
        };
        store.transition(restart).await.unwrap().unwrap();
        assert!(!store.is_unrevoked(shown).await.unwrap());
        assert_eq!(store.transition(ask).await.unwrap(), None);
        assert_eq!(status(&store, id).await, Provisioning);
    }

    // LIFE-192: age equal to the deadline is due.
    async fn guarded_by_age(url: String) {
        let store = open(&url).await;
        let id = created_as(&store, Provisioning).await;
        let begun = store.workspace(id).await.unwrap().unwrap().status_changed_at;
        let since = |at| Transition {
            guard: Guard {
                unchanged_since: Some(at),
                ..Guard::default()
            },
            ..transition(id, &[Provisioning], Failed)
        };
        assert_eq!(
            store
                .transition(since(begun.minus(Duration::from_micros(1))))
                .await
                .unwrap(),
            None
        );
        assert!(store.transition(since(begun)).await.unwrap().is_some());
    }

    // REG-95: the stored beat is asked again; never heard of counts as silent.
    async fn guarded_by_silence(url: String) {
        let store = open(&url).await;
        let (silent, id) = (created_as(&store, Online).await, created_as(&store, Online).await);
        let heard = beat(id);
        store.flush_pulses(std::slice::from_ref(&heard)).await.unwrap();
        let since = |id, at| Transition {
            guard: Guard {
                silent_since: Some(at),
                ..Guard::default()
            },
            ..transition(id, &[Online], Offline)
        };
        let just_before = heard.last_beat_at.minus(Duration::from_micros(1));
        assert_eq!(store.transition(since(id, just_before)).await.unwrap(), None);
        assert!(store.transition(since(id, heard.last_beat_at)).await.unwrap().is_some());
        assert!(store.transition(since(silent, just_before)).await.unwrap().is_some());
    }

    // D17, LIFE-135: generation, tokens and tasks turn over together.
    async fn a_restart_begins_anew(url: String) {
        let store = open(&url).await;
        let (id, other) = (created_as(&store, Online).await, created_as(&store, Online).await);
        store.add_token(id, token("a")).await.unwrap();
        store.add_token(id, token("b")).await.unwrap();
        store.add_token(other, token("c")).await.unwrap();
        store.flush_pulses(&[beat(id), beat(other)]).await.unwrap();
        let restart = Transition {
            change: Change {
                restart: true,
                ..Change::default()
            },
            events: vec![event(EventType::WorkspaceProvisioning, id)],
            ..transition(id, &[Online], Provisioning)
        };
        let moved = store.transition(restart).await.unwrap().unwrap();
        assert_eq!(moved.generation, 1);
        for (text, live) in [("a", false), ("b", false), ("c", true)] {
            assert_eq!(
                store.token_owner(&TokenHash::of(text)).await.unwrap().is_some(),
                live,
                "{text}"
            );
        }
        let row = store.workspace(id).await.unwrap().unwrap();
        assert_eq!(
            (row.active_tasks, row.current_task.as_str(), row.monthly_spend),
            (0, "", 70)
        );
        let other = store.workspace(other).await.unwrap().unwrap();
        assert_eq!(
            (other.active_tasks, other.current_task.as_str(), other.generation),
            (2, "busy", 0)
        );
    }

    // D17: if any part of it fails, all of it does.
    async fn a_restart_whose_event_fails_revokes_nothing(url: String) {
        let store = open(&url).await;
        let id = created_as(&store, Online).await;
        store.add_token(id, token("a")).await.unwrap();
        // The log has lost its head row, so that no position can be taken.
        crate::support::execute(&store, "DELETE FROM log_head WHERE name = 'events'", [])
            .await
            .unwrap();
        let restart = Transition {
            change: Change {
                restart: true,
                ..Change::default()
            },
            events: vec![event(EventType::WorkspaceProvisioning, id)],
            ..transition(id, &[Online], Provisioning)
        };
        store.transition(restart).await.unwrap_err();
        let row = store.workspace(id).await.unwrap().unwrap();
        assert_eq!((row.status, row.generation, row.version), (Online, 0, 0));
        assert!(store.token_owner(&TokenHash::of("a")).await.unwrap().is_some());
    }

    // LIFE-9
    async fn nothing_late_resurrects_a_removed_row(url: String) {
        let store = open(&url).await;
        let id = created_as(&store, Online).await;
        store.remove_subtree(id).await.unwrap();
        let before = store.workspace(id).await.unwrap().unwrap();
        let every: Vec<_> = WorkspaceStatus::ALL
            .into_iter()
            .filter(|status| *status != Removed)
            .collect();
        assert_eq!(store.transition(transition(id, &every, Online)).await.unwrap(), None);
        let statuses = store.flush_pulses(&[beat(id)]).await.unwrap();
        assert_eq!(statuses, [(id, Removed)]);
        store.touch_outbound(id, now()).await.unwrap();
        assert_eq!(store.workspace(id).await.unwrap().unwrap(), before);
        assert_eq!(status(&store, id).await, Removed);
        // LIFE-199: only a restoration names the status.
        assert!(
            store
                .transition(transition(id, &[Removed], Offline))
                .await
                .unwrap()
                .is_some()
        );
        let other = create(&store, "b", None).await;
        assert_eq!(status(&store, other).await, Online);
    }
}
