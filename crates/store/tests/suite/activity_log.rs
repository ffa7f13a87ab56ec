//! What becomes of rows later: open ones are closed, old ones go.

use std::time::Duration;

use molecule_core::{
    ActivityId, DeliveryMode, Timestamp, WorkspaceId,
    activity::{ActivityFilter, ActivityStatus, ActivityType},
};
use molecule_store::{
    Store,
    activity::{Activity, ActivityWriter, Durability, FeedError, Finished, NewActivity},
    now,
    workspaces::NewWorkspace,
};

use crate::support::{count, create, describe, execute, open};

async fn record(store: &Store, rows: Vec<NewActivity>) {
    let writer = ActivityWriter::start(store).unwrap();
    for row in rows {
        writer.record(row, Durability::Process).await.unwrap();
    }
    writer.finish().await;
}

fn open_row(workspace: WorkspaceId) -> NewActivity {
    NewActivity {
        status: ActivityStatus::InProgress.into(),
        ..NewActivity::new(workspace, ActivityType::A2aReceive)
    }
}

async fn row(store: &Store, workspace: WorkspaceId, id: ActivityId) -> Activity {
    let filter = ActivityFilter {
        limit: 100,
        ..ActivityFilter::default()
    };
    let rows = store.activity_feed(workspace, &filter).await.unwrap();
    rows.into_iter().find(|row| row.id == id).unwrap()
}

fn finished(status: ActivityStatus, body: &str) -> Finished {
    Finished {
        response_body: Some(body.to_owned().into()),
        tool_trace: None,
        duration_ms: Some(7),
        status,
        error_detail: None,
    }
}

molecule_testkit::both_engines! {
    // D15: a stream's row is written at its start and finished once.
    async fn an_open_row_is_finished_once(url: String) {
        let store = open(&url).await;
        let workspace = WorkspaceId::random();
        let new = open_row(workspace);
        let id = new.id;
        record(&store, vec![new]).await;
        let begun = row(&store, workspace, id).await;
        assert!(
            store
                .finish_activity(id, finished(ActivityStatus::Ok, "\"a\0\""))
                .await
                .unwrap()
        );
        let ended = row(&store, workspace, id).await;
        assert_eq!((ended.status.as_str(), ended.duration_ms), ("ok", Some(7)));
        assert_eq!(ended.response_body.as_deref(), Some("\"a\u{fffd}\"")); // ACT-5
        assert_eq!(
            (ended.seq, ended.created_at),
            (begun.seq, begun.created_at),
            "ACT-32: it keeps its place"
        );
        assert!(
            !store
                .finish_activity(id, finished(ActivityStatus::Error, "late"))
                .await
                .unwrap()
        );
        assert_eq!(row(&store, workspace, id).await, ended);
    }

    // D15: what a stopped server left open is closed as interrupted.
    async fn rows_left_open_are_closed_at_boot(url: String) {
        let store = open(&url).await;
        let workspace = WorkspaceId::random();
        let (left, done) = (
            open_row(workspace),
            NewActivity::new(workspace, ActivityType::A2aReceive),
        );
        let ids = (left.id, done.id);
        record(&store, vec![left, done]).await;
        store.close().await.unwrap();
        let store = open(&url).await;
        assert_eq!(store.close_interrupted_activity().await.unwrap(), 1);
        let closed = row(&store, workspace, ids.0).await;
        assert_eq!(closed.status, "error");
        assert!(closed.error_detail.unwrap().contains("interrupted"));
        assert_eq!(row(&store, workspace, ids.1).await.status, "ok");
        assert_eq!(store.close_interrupted_activity().await.unwrap(), 0);
    }

    // ACT-13, D21: at most 500 rows at a time; messages that wait for a poll are kept.
    async fn old_rows_go_in_batches(url: String) {
        let store = open(&url).await;
        let pushed = create(&store, "pushed", None).await;
        let polled = NewWorkspace {
            delivery_mode: Some(DeliveryMode::Poll),
            ..describe("polled")
        };
        let polled_id = polled.id;
        store.create_workspace(polled).await.unwrap();
        let kinds = [ActivityType::A2aReceive, ActivityType::AgentLog];
        let mut rows = Vec::new();
        for n in 0..1_200 {
            rows.push(NewActivity::new(
                if n % 10 == 0 { polled_id } else { pushed },
                kinds[n / 10 % 2],
            ));
        }
        let first = rows[1].id;
        let writer = ActivityWriter::start(&store).unwrap();
        let outcomes =
            futures_util::future::join_all(rows.into_iter().map(|row| writer.record(row, Durability::Process))).await;
        assert!(outcomes.into_iter().all(|outcome| outcome.is_ok()));
        execute(&store, "UPDATE activity_logs SET created_at = seq", [])
            .await
            .unwrap();
        let young = NewActivity::new(pushed, ActivityType::A2aReceive);
        writer.record(young, Durability::Process).await.unwrap();

        let before = now().minus(Duration::from_secs(3_600));
        let (mut batches, mut after) = (Vec::new(), Timestamp::from_micros(0));
        while let Some(batch) = store.prune_activity(after, before).await.unwrap() {
            batches.push(batch.rows);
            after = batch.upto;
        }
        // 1 080 of the pushed one and every second of the polled one's 120.
        assert_eq!(batches, [500, 500, 140]);
        assert_eq!(
            count(&store, "activity_logs", "workspace_id = $1", [polled_id.uuid().into()]).await,
            60
        );
        assert_eq!(
            count(&store, "activity_logs", "workspace_id = $1", [pushed.uuid().into()]).await,
            1
        );
        // ACT-13: a cursor on a pruned row is gone.
        let filter = ActivityFilter {
            after: Some(first),
            limit: 1,
            ..ActivityFilter::default()
        };
        let gone = store.activity_feed(pushed, &filter).await.unwrap_err();
        assert!(matches!(gone, FeedError::CursorGone));
    }
}
