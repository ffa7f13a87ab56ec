//! Plans of the hot statements on both engines: their cost must grow with what they return, not with what is stored.

use molecule_core::{ActivityId, Timestamp, WorkspaceId};
use molecule_db::Engine;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value, prelude::Uuid, sea_query::QueryBuilder};

use crate::{
    Store, StoreError,
    activity::{ActivityFilter, feed},
    events::Seq,
    pulse::{self, Pulse},
    workspaces::{list_sql, peers_sql},
};

const WORKSPACE: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(0xaaaa));
const PEER: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(0xbbbb));

async fn execute(store: &Store, sql: &str) {
    let sql = match store.engine() {
        Engine::Sqlite => sql
            .replace("{random}", "randomblob(16)")
            .replace("{peer}", "unhex(printf('%032x', i % 50))")
            .replace(
                "{half}",
                "CASE WHEN i % 2 = 0 THEN NULL ELSE unhex(printf('%032x', i % 50)) END",
            ),
        Engine::Postgres => sql
            .replace("{random}", "gen_random_uuid()")
            .replace("{peer}", "lpad(to_hex(i % 50), 32, '0')::uuid")
            .replace(
                "{half}",
                "CASE WHEN i % 2 = 0 THEN NULL ELSE lpad(to_hex(i % 50), 32, '0')::uuid END",
            ),
    };
    let work = store.db().tx(|tx| {
        Box::pin(async move {
            tx.execute_unprepared(&sql).await?;
            Ok::<(), StoreError>(())
        })
    });
    work.await.unwrap();
}

fn literal(id: WorkspaceId, engine: Engine) -> String {
    match engine {
        Engine::Sqlite => format!("x'{}'", id.uuid().simple()),
        Engine::Postgres => format!("'{id}'::uuid"),
    }
}

/// The plans an engine may choose: SQLite has one; PostgreSQL one for the values at hand, and one for any values, which
/// it may change to after a statement has run a few times.
async fn plans(store: &Store, statement: &Statement) -> Vec<String> {
    let backend = store.db().backend();
    let (set_up, explained) = match backend {
        DbBackend::Postgres => {
            let values = statement.values.as_ref().map_or(&[][..], |values| values.0.as_slice());
            let mut arguments = String::new();
            for value in values {
                let mark = if arguments.is_empty() { "(" } else { ", " };
                arguments.push_str(mark);
                arguments.push_str(&sea_orm::sea_query::PostgresQueryBuilder.value_to_string(value));
            }
            let call = if values.is_empty() {
                String::new()
            } else {
                arguments + ")"
            };
            let prepare = format!("PREPARE hot AS {}", statement.sql);
            let force = "SET LOCAL plan_cache_mode = force_generic_plan".to_owned();
            (
                vec![force, prepare],
                vec![format!("EXPLAIN EXECUTE hot {call}"), format!("EXPLAIN {statement}")],
            )
        }
        _ => (Vec::new(), vec![format!("EXPLAIN QUERY PLAN {statement}")]),
    };
    let column = if backend == DbBackend::Postgres {
        "QUERY PLAN"
    } else {
        "detail"
    };
    let work = store.db().tx(|tx| {
        Box::pin(async move {
            for sql in set_up {
                tx.execute_unprepared(&sql).await?;
            }
            let mut plans = Vec::new();
            for sql in explained {
                let rows = tx.query_all_raw(Statement::from_string(backend, sql)).await?;
                let lines: Vec<String> = rows.iter().map(|row| row.try_get("", column).unwrap()).collect();
                plans.push(lines.join("\n"));
            }
            Ok::<_, StoreError>(plans)
        })
    });
    work.await.unwrap()
}

/// No plan walks a table, or an index from end to end.
fn assert_searches(plan: &str, indices: &[&str], what: &str) {
    for index in indices {
        assert!(plan.contains(index), "{what} does not use {index}:\n{plan}");
    }
    let walks = |line: &str| {
        let line = line.trim_start();
        line.starts_with("SCAN ")
            && !["inbound", "outbound", "json_each", "b", "SUBQUERY"]
                .iter()
                .any(|of| line[5..].starts_with(of))
    };
    assert!(
        !plan.lines().any(walks) && !plan.contains("Seq Scan"),
        "{what} walks a table:\n{plan}"
    );
}

const MANY_ROWS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    INSERT INTO activity_logs (seq, id, workspace_id, activity_type, source_id, target_id, status, created_at)
    SELECT i, {random}, {workspace}, 'a2a_receive', {half}, {workspace}, 'ok', i FROM n";

const ROWS_OF_THE_PEER: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
    INSERT INTO activity_logs (seq, id, workspace_id, activity_type, source_id, target_id, status, created_at)
    SELECT i * 5000 + 1000000, {random}, {workspace}, 'a2a_receive', {other}, {target}, 'ok', i FROM n";

molecule_testkit::both_engines! {
    // ACT-12, ACT-12a: a peer's history costs what that peer wrote, beside 100 000 rows of others.
    async fn peer_history_walks_the_peers_rows(url: String) {
        let store = Store::open(&url).await.unwrap();
        let engine = store.engine();
        let (workspace, peer) = (literal(WORKSPACE, engine), literal(PEER, engine));
        execute(&store, &MANY_ROWS.replace("{workspace}", &workspace)).await;
        let theirs = ROWS_OF_THE_PEER.replace("{workspace}", &workspace);
        execute(&store, &theirs.replace("{other}", &peer).replace("{target}", &workspace)).await;
        let outbound = theirs.replace("1000000", "2000000").replace("{other}", "NULL").replace("{target}", &peer);
        execute(&store, &outbound).await;

        let base = ActivityFilter { peer: Some(PEER), limit: 100, ..ActivityFilter::default() };
        let kind = Some("a2a_receive".to_owned());
        let before = Some(Timestamp::from_micros(90_000));
        let filters = [
            (base.clone(), None),
            (ActivityFilter { activity_type: kind.clone(), ..base.clone() }, None),
            (ActivityFilter { before, ..base.clone() }, None),
            (ActivityFilter { activity_type: kind.clone(), before, ..base.clone() }, None),
            (ActivityFilter { activity_type: kind, after: Some(ActivityId::from_uuid(Uuid::nil())), ..base.clone() }, Some(Seq(5))),
            (ActivityFilter { since: before, ..base.clone() }, None),
        ];
        // As they are right after the rows came, and once the engine has looked at them.
        for analyzed in [false, true] {
            if analyzed {
                execute(&store, "ANALYZE").await;
            }
            for (filter, cursor) in &filters {
                let statement = store.db().backend().build(&feed(WORKSPACE, filter, *cursor));
                for plan in plans(&store, &statement).await {
                    let what = format!("{filter:?} (analyzed: {analyzed})");
                    assert_searches(&plan, &["activity_logs_source", "activity_logs_target"], &what);
                    for other in ["activity_logs_feed", "activity_logs_pkey", "activity_logs_created", "INTEGER PRIMARY KEY"] {
                        assert!(!plan.contains(other), "{what} uses {other}:\n{plan}");
                    }
                }
            }
        }
        assert_eq!(store.activity_feed(WORKSPACE, &base).await.unwrap().len(), 40);
    }

    // ACT-11: what a poller asks for, beside 100 000 rows of others.
    async fn a_poll_begins_at_its_cursor(url: String) {
        let store = Store::open(&url).await.unwrap();
        execute(&store, &MANY_ROWS.replace("{workspace}", &literal(WORKSPACE, store.engine()))).await;
        execute(&store, "ANALYZE").await;
        let kind = Some("a2a_receive".to_owned());
        for (activity_type, cursor) in [(kind.clone(), None), (kind, Some(Seq(99_990))), (None, Some(Seq(99_990)))] {
            let filter = ActivityFilter { activity_type, limit: 100, ..ActivityFilter::default() };
            let statement = store.db().backend().build(&feed(WORKSPACE, &filter, cursor));
            for plan in plans(&store, &statement).await {
                assert_searches(&plan, &[], &format!("{filter:?} after {cursor:?}"));
                assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{filter:?}:\n{plan}");
            }
        }
    }

    // The canvas' list in its order, without the removed rows that pile up beside it.
    async fn the_list_walks_the_living_in_order(url: String) {
        let store = Store::open(&url).await.unwrap();
        execute(&store, "
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
            INSERT INTO workspaces (id, name, runtime, status, awareness_namespace, status_changed_at, created_at, updated_at)
            SELECT {random}, 'w', 'echo', CASE WHEN i % 20 = 0 THEN 'online' ELSE 'removed' END, '', i, i, i FROM n").await;
        execute(&store, "ANALYZE").await;
        for plan in plans(&store, &store.db().statement(&list_sql(), [])).await {
            assert!(plan.contains("workspaces_order"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
        assert_eq!(store.workspaces().await.unwrap().len(), 500);
    }

    // Beside 10 000 workspaces: relatives, tokens, beats.
    async fn single_workspaces_are_found_by_index(url: String) {
        let store = Store::open(&url).await.unwrap();
        execute(&store, "
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
            INSERT INTO workspaces (id, name, runtime, status, awareness_namespace, status_changed_at, created_at, updated_at)
            SELECT {random}, 'w', 'echo', 'online', '', i, i, i FROM n").await;
        execute(&store, "UPDATE workspaces SET parent_id = (SELECT MIN(id) FROM (SELECT id FROM workspaces LIMIT 50) x) WHERE created_at > 9000").await;
        execute(&store, "ANALYZE").await;
        let ids: [Value; 2] = [WORKSPACE.uuid().into(), PEER.uuid().into()];
        for plan in plans(&store, &store.db().statement(&peers_sql(true), ids)).await {
            assert!(!plan.contains("SCAN w") && !plan.contains("Seq Scan on workspaces"), "{plan}");
        }
        let beat = Pulse {
            workspace: WORKSPACE,
            last_beat_at: Timestamp::from_micros(1),
            uptime_seconds: 1,
            error_rate: 0.0,
            sample_error: String::new(),
            active_tasks: 0,
            current_task: String::new(),
            monthly_spend: None,
        };
        let backend = store.db().backend();
        let batch = pulse::encode(&[beat]);
        for statement in [pulse::upsert(backend, batch.clone()), pulse::statuses(backend, batch)] {
            for plan in plans(&store, &statement).await {
                // PostgreSQL may hash a whole table for a whole batch; SQLite would walk it once per beat.
                assert!(!plan.contains("SCAN w") && !plan.contains("SCAN p"), "{plan}");
            }
        }
    }
}
