//! The activity writer: one row or many, all or each, now or after a restart.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use molecule_core::{
    ActivityId, EventType, WorkspaceId,
    activity::{ActivityFilter, ActivityStatus, ActivityType},
};
use molecule_store::{
    DbErrorKind, Store,
    activity::{Activity, ActivityWriter, Durability, NewActivity},
    events::Seq,
};
use molecule_testkit::PATIENCE;
use tokio::{
    task::{JoinSet, coop::unconstrained},
    time::timeout,
};

use crate::support::{Hold, count, create, event, open};

fn row(workspace: WorkspaceId, summary: impl Into<String>) -> NewActivity {
    NewActivity {
        summary: Some(summary.into()),
        ..NewActivity::new(workspace, ActivityType::A2aReceive)
    }
}

/// A durability that takes turns, so that batches mix both.
fn durability(n: usize) -> Durability {
    if n.is_multiple_of(2) {
        Durability::Process
    } else {
        Durability::Power
    }
}

/// The whole feed, oldest first.
async fn feed(store: &Store, workspace: WorkspaceId) -> Vec<Activity> {
    let mut rows: Vec<Activity> = Vec::new();
    loop {
        let filter = ActivityFilter {
            limit: 100_000,
            before: rows.last().map(|row| row.created_at),
            ..ActivityFilter::default()
        };
        let page = store.activity_feed(workspace, &filter).await.unwrap();
        if page.is_empty() {
            rows.reverse();
            return rows;
        }
        rows.extend(page);
    }
}

async fn summaries(store: &Store, workspace: WorkspaceId) -> Vec<String> {
    feed(store, workspace)
        .await
        .into_iter()
        .map(|row| row.summary.unwrap())
        .collect()
}

/// Waits until `expected` calls are on their way.
async fn reaches(counter: &AtomicUsize, expected: usize) {
    let arrived = async {
        while counter.load(Ordering::SeqCst) < expected {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, arrived).await.unwrap();
}

molecule_testkit::both_engines! {
    async fn every_column_is_stored(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let (workspace, peer) = (WorkspaceId::random(), WorkspaceId::random());
        let full = NewActivity {
            source_id: Some(peer),
            target_id: Some(workspace),
            method: Some("message/send".to_owned()),
            summary: Some("s".to_owned()),
            // D15: bodies are text; big integers, exponents and the order of keys survive.
            request_body: Some(
                r#"{"z":123456789012345678901234567890,"a":1.0e400,"m":{"b":1,"a":[]}}"#
                    .to_owned()
                    .into(),
            ),
            response_body: Some("null".to_owned().into()),
            tool_trace: Some("[ 1 ]".to_owned()),
            duration_ms: Some(i64::MAX),
            status: ActivityStatus::Error.into(),
            error_detail: Some("e".to_owned()),
            ..NewActivity::new(workspace, ActivityType::Delegation)
        };
        writer.record(full.clone(), Durability::Power).await.unwrap();
        writer
            .record(NewActivity::new(workspace, ActivityType::Error), Durability::Process)
            .await
            .unwrap();
        let rows = feed(&store, workspace).await;
        let stored = &rows[0];
        assert_eq!(
            (stored.seq, stored.id, stored.workspace_id),
            (Seq(1), full.id, workspace)
        );
        assert_eq!(
            (stored.activity_type.as_str(), stored.status.as_str()),
            ("delegation", "error")
        );
        assert_eq!((stored.source_id, stored.target_id), (full.source_id, full.target_id));
        assert_eq!((&stored.method, &stored.summary), (&full.method, &full.summary));
        assert_eq!(stored.request_body.as_deref(), full.request_body.as_deref());
        assert_eq!(stored.response_body.as_deref(), full.response_body.as_deref());
        assert_eq!(
            (&stored.tool_trace, &stored.error_detail),
            (&full.tool_trace, &full.error_detail)
        );
        assert_eq!(stored.duration_ms, full.duration_ms);
        assert_eq!(
            (rows[1].source_id, rows[1].summary.as_ref(), rows[1].status.as_str()),
            (None, None, "ok")
        );
        // ACT-14, LIFE-111: the log of events is another one.
        assert_eq!(store.events_head().await.unwrap(), Seq(0));
    }

    // ACT-5: NUL is replaced, everything else stays.
    async fn odd_text_is_stored(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let text = "a\0b \u{fffd}\u{10ffff}\u{202e} \u{1f980}\r\n'\"\\";
        let odd = NewActivity {
            method: Some(text.to_owned()),
            summary: Some("\0".to_owned()),
            request_body: Some(text.to_owned().into()),
            // Lone surrogates exist in JSON's escapes only.
            response_body: Some(r#""\ud800 \u0000""#.to_owned().into()),
            tool_trace: Some(text.to_owned()),
            error_detail: Some(text.to_owned()),
            status: text.into(),
            ..NewActivity::new(workspace, ActivityType::A2aReceive)
        };
        writer.record(odd, Durability::Process).await.unwrap();
        let stored = feed(&store, workspace).await.remove(0);
        let clean = Some(text.replace('\0', "\u{fffd}"));
        assert_eq!((&stored.method, &stored.request_body), (&clean, &clean));
        assert_eq!((&stored.tool_trace, &stored.error_detail), (&clean, &clean));
        assert_eq!(
            (Some(stored.status.to_string()), stored.summary.as_deref()),
            (clean, Some("\u{fffd}"))
        );
        assert_eq!(stored.response_body.as_deref(), Some(r#""\ud800 \u0000""#));
    }

    // What waits during a commit is the next one; rows keep the order in which they were recorded.
    async fn commits_are_shared_and_in_order(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let hold = Hold::writers(&store).await;
        // Without tokio's budget, which would have some calls begin later than their neighbours.
        let records = join_all((0..600).map(|n| writer.record(row(workspace, n.to_string()), durability(n))));
        let (outcomes, ()) = unconstrained(async { tokio::join!(records, hold.release()) }).await;
        assert!(outcomes.into_iter().all(|outcome| outcome.is_ok()));
        let rows = feed(&store, workspace).await;
        let order: Vec<_> = rows.iter().map(|row| row.summary.clone().unwrap()).collect();
        assert_eq!(order, (0..600).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(rows.windows(2).all(|pair| pair[1].seq.0 == pair[0].seq.0 + 1));
        assert!(rows.windows(2).all(|pair| pair[0].created_at < pair[1].created_at));
        // Rows of one commit follow each other by one microsecond. The first commit had one row at least, the others
        // were as large as a commit may be.
        let commits = 1 + rows
            .windows(2)
            .filter(|pair| pair[1].created_at.micros() - pair[0].created_at.micros() > 1)
            .count();
        assert!(commits <= 4, "{commits} commits");
    }

    // A bad row fails alone, and leaves no gap.
    async fn a_bad_row_fails_alone(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let taken = row(workspace, "taken");
        writer.record(taken.clone(), Durability::Process).await.unwrap();
        let hold = Hold::writers(&store).await;
        let records = join_all((0..100).map(|n| {
            let id = if n % 10 == 3 { taken.id } else { row(workspace, "").id };
            writer.record(
                NewActivity {
                    id,
                    ..row(workspace, n.to_string())
                },
                durability(n),
            )
        }));
        let (outcomes, ()) = tokio::join!(records, hold.release());
        for (n, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Ok(()) => assert_ne!(n % 10, 3),
                Err(error) => {
                    assert_eq!(n % 10, 3, "{error}");
                    assert_eq!(error.kind(), DbErrorKind::Unique, "{error:?}");
                }
            }
        }
        let rows = feed(&store, workspace).await;
        assert_eq!(rows.len(), 91);
        assert!(rows.windows(2).all(|pair| pair[1].seq.0 == pair[0].seq.0 + 1));
        // A bad row all alone.
        writer.record(taken, Durability::Power).await.unwrap_err();
        writer.record(row(workspace, "after"), Durability::Power).await.unwrap();
        assert_eq!(feed(&store, workspace).await.last().unwrap().seq, Seq(92));
    }

    // A writer that is behind makes its callers wait; nothing is dropped.
    async fn callers_wait_for_a_writer_that_is_behind(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let hold = Hold::writers(&store).await;
        let begun = Arc::new(AtomicUsize::new(0));
        let mut calls = JoinSet::new();
        for n in 0..6_000 {
            let (writer, begun) = (writer.clone(), begun.clone());
            calls.spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                writer.record(row(workspace, n.to_string()), Durability::Process).await
            });
        }
        reaches(&begun, 6_000).await;
        // Whoever waits for room has left nothing behind when he goes; what was accepted is stored without him.
        calls.shutdown().await;
        hold.release().await;
        timeout(PATIENCE, writer.finish()).await.unwrap();
        let stored = feed(&store, workspace).await.len();
        assert!((4_096..=4_096 + 256).contains(&stored), "{stored} rows were accepted");
    }

    async fn everybody_who_waited_is_served(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let hold = Hold::writers(&store).await;
        let records = join_all((0..5_000).map(|n| writer.record(row(workspace, n.to_string()), Durability::Process)));
        let (outcomes, ()) = tokio::join!(records, hold.release());
        assert!(outcomes.into_iter().all(|outcome| outcome.is_ok()));
        assert_eq!(feed(&store, workspace).await.len(), 5_000);
    }

    // `finish` returns when all is written, whoever calls it and however often.
    async fn finishing_drains_the_queue(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let hold = Hold::writers(&store).await;
        let mut calls = JoinSet::new();
        for n in 0..500 {
            let writer = writer.clone();
            let call = async move { writer.record(row(workspace, n.to_string()), durability(n)).await };
            // Accepted with the first poll: there is room for all of them.
            let mut call = Box::pin(unconstrained(call));
            assert!(futures_util::poll!(call.as_mut()).is_pending());
            calls.spawn(call);
        }
        let other = writer.clone();
        let (mut one, mut two) = (tokio::spawn(writer.finish()), tokio::spawn(other.finish()));
        // Neither returns while rows are held back.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(!one.is_finished() && !two.is_finished());
        hold.release().await;
        timeout(PATIENCE, async { tokio::join!(&mut one, &mut two) })
            .await
            .unwrap()
            .0
            .unwrap();
        assert_eq!(feed(&store, workspace).await.len(), 500);
        assert!(calls.join_all().await.into_iter().all(|outcome| outcome.is_ok()));
        store.close().await.unwrap();
        // Rows survive.
        assert_eq!(feed(&open(&url).await, workspace).await.len(), 500);
    }

    // A caller that goes away does not take its row along.
    async fn a_cancelled_caller_leaves_its_row(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let hold = Hold::writers(&store).await;
        {
            let mut call = std::pin::pin!(writer.record(row(workspace, "kept"), Durability::Power));
            assert!(futures_util::poll!(call.as_mut()).is_pending());
        }
        hold.release().await;
        writer.finish().await;
        assert_eq!(summaries(&store, workspace).await, ["kept"]);
    }

    // ACT-32: a poller that goes from row to row loses none, whatever happens beside it.
    async fn a_poller_beside_writers_loses_nothing(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let (workspace, other) = (WorkspaceId::random(), WorkspaceId::random());
        let first = row(workspace, "first");
        let mut cursor = first.id;
        writer.record(first, Durability::Process).await.unwrap();
        let mut writers = JoinSet::new();
        for n in 0..8 {
            let writer = writer.clone();
            writers.spawn(async move {
                for round in 0..60 {
                    // Every third row is somebody else's.
                    let to = if round % 3 == 2 { other } else { workspace };
                    writer
                        .record(row(to, format!("{n}-{round}")), durability(round))
                        .await
                        .unwrap();
                }
            });
        }
        let poll = async {
            let mut seen: Vec<String> = Vec::new();
            while seen.len() < 8 * 40 {
                let filter = ActivityFilter {
                    after: Some(cursor),
                    limit: 7,
                    ..ActivityFilter::default()
                };
                for row in store.activity_feed(workspace, &filter).await.unwrap() {
                    cursor = row.id;
                    seen.push(row.summary.unwrap());
                }
            }
            seen
        };
        let seen = timeout(PATIENCE, poll).await.unwrap();
        writers.join_all().await;
        let all = summaries(&store, workspace).await;
        assert_eq!(seen, all[1..]);
        for n in 0..8 {
            let prefix = format!("{n}-");
            let rounds: Vec<usize> = seen
                .iter()
                .filter_map(|text| text.strip_prefix(&prefix))
                .map(|round| round.parse().unwrap())
                .collect();
            assert!(rounds.is_sorted() && rounds.len() == 40, "writer {n}: {rounds:?}");
        }
    }

    // The activity writer and the other transactions take turns.
    async fn other_transactions_take_turns(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = create(&store, "a", None).await;
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let (store, writer) = (store.clone(), writer.clone());
            tasks.spawn(async move {
                for round in 0..30 {
                    if n % 2 == 0 {
                        writer.record(row(workspace, "x"), durability(round)).await.unwrap();
                    } else {
                        store
                            .record_events(vec![event(EventType::WorkspaceOnline, workspace)])
                            .await
                            .unwrap();
                    }
                }
            });
        }
        timeout(PATIENCE, tasks.join_all()).await.unwrap();
        assert_eq!(count(&store, "activity_logs", "1 = 1", []).await, 120);
        assert_eq!(store.events_head().await.unwrap(), Seq(120));
    }

    // Large bodies are split over commits, in order.
    async fn large_bodies(url: String) {
        let store = open(&url).await;
        let writer = ActivityWriter::start(&store).unwrap();
        let workspace = WorkspaceId::random();
        let body = format!("\"{}\"", "x".repeat(3 << 20));
        let hold = Hold::writers(&store).await;
        let records = join_all((0..12).map(|n| {
            let large = NewActivity {
                request_body: Some(body.clone().into()),
                ..row(workspace, n.to_string())
            };
            writer.record(large, Durability::Process)
        }));
        let (outcomes, ()) = tokio::join!(records, hold.release());
        assert!(outcomes.into_iter().all(|outcome| outcome.is_ok()));
        let rows = feed(&store, workspace).await;
        assert_eq!(rows.len(), 12);
        assert!(rows.iter().all(|row| row.request_body.as_ref() == Some(&body)));
        let commits = 1 + rows
            .windows(2)
            .filter(|pair| pair[1].created_at.micros() - pair[0].created_at.micros() > 1)
            .count();
        assert!(commits >= 4, "{commits} commits");
    }
}

#[test]
fn ids_are_unique_and_sortable() {
    let ids: Vec<ActivityId> = (0..100).map(|_| row(WorkspaceId::random(), "").id).collect();
    assert!(ids.is_sorted_by(|one, next| one < next));
}

// PostgreSQL may be restarted at any time; no row is lost for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_cost_no_row() {
    let Some(database) = molecule_testkit::postgres::database_for("activity_writer::cut_connections_cost_no_row")
    else {
        return;
    };
    let store = open(database.url()).await;
    let writer = ActivityWriter::start(&store).unwrap();
    let workspace = WorkspaceId::random();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for n in 0..5 {
        writer
            .record(row(workspace, n.to_string()), durability(n))
            .await
            .unwrap();
        assert!(!database.sql(cut).is_empty());
    }
    writer.record(row(workspace, "5"), Durability::Power).await.unwrap();
    writer.check().unwrap();
    let again = open(database.url()).await;
    assert_eq!(summaries(&again, workspace).await, ["0", "1", "2", "3", "4", "5"]);
}
