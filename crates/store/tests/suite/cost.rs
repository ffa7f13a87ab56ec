//! What the hot statements cost, printed for people: `cargo test -p molecule-store --test suite cost -- --ignored
//! --nocapture`. Nothing is asserted about time.

use std::time::Instant;

use molecule_core::{
    EventType, WorkspaceStatus,
    activity::{ActivityFilter, ActivityType},
};
use molecule_store::{
    activity::{ActivityWriter, Durability, NewActivity},
    now,
    pulse::Pulse,
    workspaces::{Change, Transition},
};

use crate::support::{bulk, event, execute, open, transition};

molecule_testkit::both_engines! {
    #[ignore = "prints durations, asserts nothing"]
    async fn of_sweeps_over_a_fleet_that_sleeps(url: String) {
        let store = open(&url).await;
        let engine = store.engine();
        bulk(&store, 100_000).await;
        for (status, beats) in [
            ("hibernated", 0),
            ("awaiting_agent", 0),
            ("offline", 0),
            ("online", now().micros()),
        ] {
            execute(
                &store,
                "UPDATE workspaces SET status = $1, runtime = 'external'",
                [status.into()],
            )
            .await
            .unwrap();
            execute(&store, "DELETE FROM workspace_pulse", []).await.unwrap();
            execute(
                &store,
                "INSERT INTO workspace_pulse (workspace_id, last_beat_at) SELECT id, $1 FROM workspaces",
                [beats.into()],
            )
            .await
            .unwrap();
            execute(&store, "ANALYZE", []).await.unwrap();
            for _ in 0..2 {
                let begun = Instant::now();
                let watched = store
                    .watched_workspaces(now().minus(std::time::Duration::from_secs(90)))
                    .await
                    .unwrap();
                let health = begun.elapsed();
                let idle = store.idle_workspaces(now()).await.unwrap();
                let hibernation = begun.elapsed() - health;
                let starting = store
                    .workspaces_in(&[WorkspaceStatus::Provisioning, WorkspaceStatus::Hibernating])
                    .await
                    .unwrap();
                let starts = begun.elapsed() - health - hibernation;
                println!(
                    "{engine:?} 100 000 {status}: health {health:?} ({}), hibernation {hibernation:?} ({}), starts {starts:?} ({})",
                    watched.len(),
                    idle.len(),
                    starting.len()
                );
            }
        }
    }

    #[ignore = "prints durations, asserts nothing"]
    async fn of_a_mass_return(url: String) {
        let store = open(&url).await;
        let ids = bulk(&store, 20_000).await;
        for (from, to) in [
            (WorkspaceStatus::Online, WorkspaceStatus::Offline),
            (WorkspaceStatus::Offline, WorkspaceStatus::Online),
        ] {
            let begun = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for id in ids.iter().copied() {
                let store = store.clone();
                tasks.spawn(async move {
                    let back = Transition {
                        change: Change {
                            beat: true,
                            ..Change::default()
                        },
                        events: vec![event(EventType::WorkspaceOnline, id)],
                        ..transition(id, &[from], to)
                    };
                    store.transition(back).await.unwrap().unwrap();
                });
            }
            tasks.join_all().await;
            println!("{:?} 20 000 to {to}: {:?}", store.engine(), begun.elapsed());
        }
    }

    #[ignore = "prints durations, asserts nothing"]
    async fn of_hot_statements(url: String) {
        let store = open(&url).await;
        let engine = store.engine();
        let ids = bulk(&store, 10_000).await;
        let beats: Vec<_> = ids[..5_000]
            .iter()
            .map(|id| Pulse {
                workspace: *id,
                last_beat_at: now(),
                uptime_seconds: 3_600,
                error_rate: 0.1,
                sample_error: String::new(),
                active_tasks: 1,
                current_task: "working on the quarterly report".to_owned(),
                monthly_spend: Some(5),
                active_at: None,
            })
            .collect();
        for round in 0..3 {
            let begun = Instant::now();
            store.flush_pulses(&beats).await.unwrap();
            println!("{engine:?} 5 000 beats, round {round}: {:?}", begun.elapsed());
        }
        for _ in 0..2 {
            let begun = Instant::now();
            let rows = store.workspaces().await.unwrap().len();
            println!("{engine:?} list of {rows}: {:?}", begun.elapsed());
        }
        let writer = ActivityWriter::start(&store).unwrap();
        for durability in [Durability::Process, Durability::Power] {
            let begun = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for id in ids[..64].iter().copied() {
                let writer = writer.clone();
                tasks.spawn(async move {
                    for _ in 0..150 {
                        let body = Some("x".repeat(330).into());
                        let row = NewActivity {
                            source_id: Some(id),
                            target_id: Some(id),
                            request_body: body.clone(),
                            response_body: body,
                            ..NewActivity::new(id, ActivityType::A2aReceive)
                        };
                        writer.record(row, durability).await.unwrap();
                    }
                });
            }
            tasks.join_all().await;
            println!(
                "{engine:?} 9 600 rows by 64 callers, {durability:?}: {:?}",
                begun.elapsed()
            );
        }
        let filter = ActivityFilter {
            limit: 100,
            ..ActivityFilter::default()
        };
        let begun = Instant::now();
        for id in &ids[..64] {
            assert_eq!(store.activity_feed(*id, &filter).await.unwrap().len(), 100);
        }
        println!("{engine:?} 64 feeds: {:?}", begun.elapsed());
    }
}
