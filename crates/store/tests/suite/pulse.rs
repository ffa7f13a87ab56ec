//! Beats, flushed in batches.

use molecule_core::{Runtime, Timestamp, WorkspaceId, WorkspaceStatus};
use molecule_store::{
    StoreError, now,
    pulse::{FLUSH_ROWS, Pulse},
    workspaces::NewWorkspace,
};

use crate::support::{at_once, bulk, count, create, describe, execute, open, transition};

fn beat(workspace: WorkspaceId, at: i64) -> Pulse {
    Pulse {
        workspace,
        last_beat_at: Timestamp::from_micros(at),
        uptime_seconds: 60,
        error_rate: 0.25,
        sample_error: "boom".to_owned(),
        active_tasks: 3,
        current_task: "thinking".to_owned(),
        monthly_spend: None,
        active_at: None,
    }
}

molecule_testkit::both_engines! {
    // REG-51; and every workspace's status comes back, whatever the number of batches.
    async fn more_than_a_batch_is_stored(url: String) {
        let store = open(&url).await;
        let rows = i64::try_from(FLUSH_ROWS).unwrap() * 2 + 77;
        let ids = bulk(&store, rows).await;
        let beats: Vec<_> = (1..).zip(&ids).map(|(at, id)| beat(*id, at)).collect();
        let statuses = store.flush_pulses(&beats).await.unwrap();
        assert_eq!(statuses.len(), ids.len());
        assert!(
            statuses
                .iter()
                .all(|(id, status)| ids.contains(id) && *status == WorkspaceStatus::Online)
        );
        assert_eq!(
            count(&store, "workspace_pulse", "last_beat_at > 0 AND active_tasks = 3", []).await,
            rows
        );
        for (at, id) in [(1, ids[0]), (300, ids[299]), (rows, ids[ids.len() - 1])] {
            let row = store.workspace(id).await.unwrap().unwrap();
            assert_eq!(row.last_beat_at, Some(Timestamp::from_micros(at)));
            assert_eq!((row.uptime_seconds, row.error_rate, row.active_tasks), (60, 0.25, 3));
            assert_eq!(
                (row.sample_error.as_str(), row.current_task.as_str()),
                ("boom", "thinking")
            );
            // The first beat of a row that had none, without spend.
            assert_eq!(row.monthly_spend, 0);
        }
        assert!(store.flush_pulses(&[]).await.unwrap().is_empty());
    }

    async fn spend_stays_unless_reported(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        let spend = async |monthly_spend| {
            store
                .flush_pulses(&[Pulse {
                    monthly_spend,
                    ..beat(id, 1)
                }])
                .await
                .unwrap();
            store.route(id).await.unwrap().unwrap().monthly_spend
        };
        assert_eq!(spend(None).await, 0);
        assert_eq!(spend(Some(120)).await, 120);
        assert_eq!(spend(None).await, 120);
        assert_eq!(spend(Some(-7)).await, 120);
        assert_eq!(spend(Some(i64::MAX)).await, i64::MAX);
        assert_eq!(spend(Some(0)).await, 0);
    }

    // REG-51, LIFE-9: what is removed is told, not touched; what is unknown is neither.
    async fn removed_rows_are_not_touched(url: String) {
        let store = open(&url).await;
        let (live, gone) = (create(&store, "live", None).await, create(&store, "gone", None).await);
        store.flush_pulses(&[beat(gone, 5)]).await.unwrap();
        store.remove_subtree(gone).await.unwrap();
        let paused = create(&store, "paused", None).await;
        store
            .transition(transition(paused, &[WorkspaceStatus::Online], WorkspaceStatus::Paused))
            .await
            .unwrap()
            .unwrap();
        let before = store.workspace(gone).await.unwrap();
        let late = [
            beat(live, 9),
            beat(gone, 9),
            beat(WorkspaceId::random(), 9),
            beat(paused, 9),
        ];
        let mut statuses = store.flush_pulses(&late).await.unwrap();
        let mut expected = [
            (live, WorkspaceStatus::Online),
            (gone, WorkspaceStatus::Removed),
            (paused, WorkspaceStatus::Paused),
        ];
        statuses.sort_unstable_by_key(|(id, _)| *id);
        expected.sort_unstable_by_key(|(id, _)| *id);
        assert_eq!(statuses, expected);
        assert_eq!(store.workspace(gone).await.unwrap(), before);
        for id in [live, paused] {
            assert_eq!(
                store.workspace(id).await.unwrap().unwrap().last_beat_at,
                Some(Timestamp::from_micros(9))
            );
        }
        assert_eq!(count(&store, "workspace_pulse", "1 = 1", []).await, 3);
    }

    // ACT-5: what one agent says of itself fails nobody's beat.
    async fn odd_values_do_not_fail_the_batch(url: String) {
        let store = open(&url).await;
        let ids = bulk(&store, 5).await;
        let odd = [
            Pulse {
                sample_error: "a\0b".to_owned(),
                current_task: "\0".to_owned(),
                ..beat(ids[0], 1)
            },
            Pulse {
                error_rate: f64::NAN,
                ..beat(ids[1], 1)
            },
            Pulse {
                error_rate: f64::INFINITY,
                uptime_seconds: i64::MAX,
                active_tasks: i64::MIN,
                ..beat(ids[2], i64::MAX)
            },
            Pulse {
                sample_error: "\"quoted\" \\ \u{1f980} \u{7f}\n".to_owned(),
                error_rate: 0.1,
                ..beat(ids[3], 1)
            },
            beat(ids[4], 1),
        ];
        assert_eq!(store.flush_pulses(&odd).await.unwrap().len(), 5);
        let mut rows = Vec::new();
        for id in ids {
            rows.push(store.workspace(id).await.unwrap().unwrap());
        }
        assert_eq!(
            (rows[0].sample_error.as_str(), rows[0].current_task.as_str()),
            ("a\u{fffd}b", "\u{fffd}")
        );
        assert_eq!(
            (rows[1].error_rate, rows[2].error_rate, rows[3].error_rate),
            (0.0, 0.0, 0.1)
        );
        assert_eq!((rows[2].uptime_seconds, rows[2].active_tasks), (i64::MAX, i64::MIN));
        assert_eq!(rows[2].last_beat_at, Some(Timestamp::from_micros(i64::MAX)));
        assert_eq!(rows[3].sample_error, "\"quoted\" \\ \u{1f980} \u{7f}\n");
        assert_eq!(rows[4].sample_error, "boom");
    }

    async fn the_last_of_two_beats_counts(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        let statuses = store
            .flush_pulses(&[beat(id, 1), beat(id, 3), beat(id, 2)])
            .await
            .unwrap();
        assert_eq!(statuses.len(), 1);
        assert_eq!(
            store.workspace(id).await.unwrap().unwrap().last_beat_at,
            Some(Timestamp::from_micros(2))
        );
    }

    // Two servers that hear the same workspaces do not wait for each other in a circle.
    async fn servers_flush_the_same_workspaces(url: String) {
        let store = open(&url).await;
        let ids = bulk(&store, 200).await;
        let outcomes = at_once(6, |n| {
            let (store, mut ids) = (store.clone(), ids.clone());
            async move {
                for round in 0..5 {
                    ids.rotate_left(17 * (n + 1));
                    if n % 2 == 0 {
                        ids.reverse();
                    }
                    let beats: Vec<_> = ids.iter().map(|id| beat(*id, round)).collect();
                    store.flush_pulses(&beats).await?;
                }
                Ok::<(), StoreError>(())
            }
        })
        .await;
        for outcome in outcomes {
            outcome.unwrap();
        }
        assert_eq!(count(&store, "workspace_pulse", "last_beat_at = 4", []).await, 200);
    }

    // A2A-106
    async fn outbound_contact_is_noted(url: String) {
        let store = open(&url).await;
        let (with, without) = (create(&store, "a", None).await, create(&store, "b", None).await);
        let lost = [without.uuid().into()];
        execute(&store, "DELETE FROM workspace_pulse WHERE workspace_id = $1", lost)
            .await
            .unwrap();
        store.flush_pulses(&[beat(with, 1)]).await.unwrap();
        for id in [with, without, WorkspaceId::random()] {
            store.touch_outbound(id, Timestamp::from_micros(77)).await.unwrap();
        }
        for id in [with, without] {
            let row = store.workspace(id).await.unwrap().unwrap();
            assert_eq!(row.last_outbound_at, Some(Timestamp::from_micros(77)));
        }
        assert_eq!(
            store.workspace(with).await.unwrap().unwrap().active_tasks,
            3,
            "the beat is as it was"
        );
    }

    // REG-91, LIFE-180a: of external workspaces only those that are alive and silent.
    async fn who_is_looked_at_for_silence(url: String) {
        let store = open(&url).await;
        let mut ids = std::collections::HashMap::new();
        for (name, runtime, status) in [
            ("managed", Runtime::Echo, WorkspaceStatus::Online),
            ("managed and lost", Runtime::Echo, WorkspaceStatus::Offline),
            ("silent", Runtime::External, WorkspaceStatus::Degraded),
            ("heard", Runtime::External, WorkspaceStatus::Online),
            ("lost", Runtime::External, WorkspaceStatus::Offline),
            ("asleep", Runtime::Echo, WorkspaceStatus::Hibernated),
        ] {
            let new = NewWorkspace { runtime, status, ..describe(name) };
            ids.insert(new.id, name);
            store.create_workspace(new).await.unwrap();
        }
        let silent_since = now();
        let heard = *ids.iter().find(|(_, name)| **name == "heard").unwrap().0;
        let later = beat(heard, silent_since.plus(std::time::Duration::from_secs(1)).micros());
        store.flush_pulses(&[later]).await.unwrap();
        let watched = store.watched_workspaces(silent_since).await.unwrap();
        let mut watched: Vec<_> = watched.iter().map(|row| ids[&row.id]).collect();
        watched.sort_unstable();
        assert_eq!(watched, ["managed", "managed and lost", "silent"]);
    }
}
