//! Plans of the hot statements on both engines: their cost must grow with what they return, not with what is stored.

use molecule_core::{
    ActivityId, Timestamp, Word, WorkspaceId,
    activity::{ActivityFilter, ActivityType},
};
use molecule_db::Engine;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, Statement, Value,
    prelude::Uuid,
    sea_query::{PostgresQueryBuilder, QueryBuilder},
};

use crate::{
    Store, StoreError,
    activity::{Span, feed, prune},
    events::Seq,
    pulse::{self, Pulse},
    workspaces::{idle_sql, list_sql, peers_sql, watched_sql},
};

const WORKSPACE: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(0xaaaa));
const PEER: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(0xbbbb));

async fn execute(store: &Store, sql: &str) {
    // One of 50 workspaces.
    let (random, peer) = match store.engine() {
        Engine::Sqlite => ("randomblob(16)", "unhex(printf('%032x', i % 50))"),
        Engine::Postgres => ("gen_random_uuid()", "lpad(to_hex(i % 50), 32, '0')::uuid"),
    };
    let sql = sql.replace("{random}", random).replace("{peer}", peer);
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

/// Executions of a prepared statement after which PostgreSQL may change to a plan for any values.
const PREPARED_RUNS: usize = 8;

/// The plans that the engine chooses: at the first run of a prepared statement, and after it has run a few times.
async fn plans(store: &Store, statement: &Statement) -> Vec<String> {
    let backend = store.db().backend();
    let text = statement.to_string();
    let work = match backend {
        DbBackend::Postgres => {
            let values = statement.values.as_ref().map_or(&[][..], |values| values.0.as_slice());
            let types: Vec<_> = values.iter().map(sql_type).collect();
            let values: Vec<_> = values
                .iter()
                .map(|value| PostgresQueryBuilder.value_to_string(value))
                .collect();
            let list = |of: String| if of.is_empty() { of } else { format!("({of})") };
            (
                Some(format!("PREPARE hot {} AS {}", list(types.join(", ")), statement.sql)),
                format!("EXPLAIN EXECUTE hot {}", list(values.join(", "))),
                PREPARED_RUNS,
            )
        }
        _ => (None, format!("EXPLAIN QUERY PLAN {text}"), 1),
    };
    let explained = store.db().tx(|tx| Box::pin(async move { explain(tx, work).await }));
    explained.await.unwrap()
}

/// The type that the driver announces for a parameter.
fn sql_type(value: &Value) -> &'static str {
    match value {
        Value::Uuid(_) => "uuid",
        Value::BigInt(_) | Value::BigUnsigned(_) => "bigint",
        Value::Double(_) => "double precision",
        _ => "text",
    }
}

async fn explain(
    tx: &DatabaseTransaction,
    (prepare, explain, runs): (Option<String>, String, usize),
) -> Result<Vec<String>, StoreError> {
    if let Some(prepare) = &prepare {
        // A plan that sorts may look cheaper for some random sample of ANALYZE; one that has to sort still does.
        tx.execute_unprepared("SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off")
            .await?;
        tx.execute_unprepared(prepare).await?;
    }
    let mut plans = Vec::new();
    for _ in 0..runs {
        let rows = tx
            .query_all_raw(Statement::from_string(tx.get_database_backend(), explain.clone()))
            .await?;
        let column = if prepare.is_some() { "QUERY PLAN" } else { "detail" };
        let lines: Vec<String> = rows
            .iter()
            .map(|row| row.try_get("", column))
            .collect::<Result<_, _>>()?;
        plans.push(lines.join("\n"));
    }
    if prepare.is_some() {
        tx.execute_unprepared("DEALLOCATE hot").await?;
    }
    plans.dedup();
    Ok(plans)
}

/// No plan walks a table, or an index from end to end.
fn assert_searches(plan: &str, indices: &[&str], what: &str) {
    for index in indices {
        assert!(plan.contains(index), "{what} does not use {index}:\n{plan}");
    }
    // `direction` is what a search found.
    let walks = |line: &str| line.trim_start().starts_with("SCAN ") && !line.contains("SCAN direction");
    assert!(
        !plan.lines().any(walks) && !plan.contains("Seq Scan"),
        "{what} walks a table:\n{plan}"
    );
}

/// Half of them were received from one of 50 peers, half were sent to one.
const MANY_ROWS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    INSERT INTO activity_logs (seq, id, workspace_id, activity_type, source_id, target_id, status, created_at)
    SELECT i, {random}, {workspace}, CASE WHEN i % 100 < 50 THEN 'a2a_receive' ELSE 'a2a_send' END,
        CASE WHEN i % 100 < 50 THEN {peer} ELSE {workspace} END,
        CASE WHEN i % 100 < 50 THEN {workspace} ELSE {peer} END, 'ok', i FROM n";

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
        let kind = Some(ActivityType::A2aReceive.into());
        let instant = Some(Timestamp::from_micros(90_000));
        let cursor = Some(ActivityId::from_uuid(Uuid::nil()));
        let (after, until) = (Some(Seq(5)), Some(Seq(90_000)));
        let filters = [
            (base.clone(), Span::default()),
            (ActivityFilter { activity_type: kind.clone(), ..base.clone() }, Span::default()),
            (ActivityFilter { before: instant, ..base.clone() }, Span { until, ..Span::default() }),
            (
                ActivityFilter { activity_type: kind.clone(), before: instant, ..base.clone() },
                Span { until, ..Span::default() },
            ),
            (
                ActivityFilter { activity_type: kind, after: cursor, since: instant, ..base.clone() },
                Span { after, from: until, until: None },
            ),
        ];
        // As they are right after the rows came, and once the engine has looked at them.
        for analyzed in [false, true] {
            if analyzed {
                execute(&store, "ANALYZE").await;
            }
            for (filter, span) in &filters {
                let statement = store.db().backend().build(&feed(WORKSPACE, filter, *span));
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

    // ACT-11: what pollers and the canvas ask for, of the workspace that wrote half of the log and of a quiet one.
    async fn a_feed_begins_at_its_end(url: String) {
        let store = Store::open(&url).await.unwrap();
        let (busy, quiet) = (WORKSPACE, PEER);
        let mixed = format!("CASE WHEN i % 2 = 0 THEN {} ELSE {{peer}} END", literal(busy, store.engine()));
        execute(&store, &MANY_ROWS.replace("{workspace}", &mixed)).await;
        execute(&store, "ANALYZE").await;
        let whole = Span::default();
        let recent = Span { after: Some(Seq(99_000)), ..Span::default() };
        let window = Span { from: Some(Seq(50_000)), until: Some(Seq(60_000)), ..Span::default() };
        // Within a narrow span, or for a workspace that wrote half of the log, PostgreSQL may as well walk the log.
        for (workspace, index) in [(busy, &[][..]), (quiet, &["activity_logs_feed"])] {
            for kind in [None, Some(ActivityType::A2aReceive), Some(ActivityType::Error)] {
                for span in [whole, recent, window] {
                    let activity_type = kind.map(Word::from);
                    let filter = ActivityFilter { activity_type, limit: 100, ..ActivityFilter::default() };
                    let statement = store.db().backend().build(&feed(workspace, &filter, span));
                    for plan in plans(&store, &statement).await {
                        let what = format!("{filter:?} {span:?}");
                        assert_searches(&plan, if span == whole { index } else { &[] }, &what);
                        assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{what} sorts:\n{plan}");
                    }
                }
            }
        }
    }

    // ACT-13: retention holds up every writer; it must not walk the log, least of all when nothing is old enough.
    async fn retention_walks_what_is_old(url: String) {
        let store = Store::open(&url).await.unwrap();
        let workspace = literal(WORKSPACE, store.engine());
        execute(&store, &MANY_ROWS.replace("{workspace}", &workspace)).await;
        execute(&store, "ANALYZE").await;
        let statement = prune(store.db().backend(), Timestamp::from_micros(10), Timestamp::from_micros(20));
        for plan in plans(&store, &statement).await {
            assert!(plan.contains("activity_logs_created"), "{plan}");
            assert!(!plan.contains("SCAN a") && !plan.contains("Seq Scan on activity_logs"), "{plan}");
        }
        let none = store.prune_activity(Timestamp::default(), Timestamp::from_micros(1)).await.unwrap();
        assert_eq!(none, None);
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

    // LIFE-182, LIFE-193: what is looked at again and again costs what there is to look at, not what is asleep beside it.
    async fn sweeps_find_their_workspaces_by_status(url: String) {
        let store = Store::open(&url).await.unwrap();
        execute(&store, "
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            INSERT INTO workspaces (id, name, runtime, status, awareness_namespace, hibernation_idle_minutes,
                status_changed_at, created_at, updated_at)
            SELECT {random}, 'w', 'echo', CASE WHEN i % 1000 = 0 THEN 'online' ELSE 'hibernated' END, '',
                CASE WHEN i % 1000 = 0 THEN 5 END, i, i, i FROM n").await;
        execute(&store, "INSERT INTO workspace_pulse (workspace_id, last_beat_at) SELECT id, 1 FROM workspaces").await;
        execute(&store, "ANALYZE").await;
        let texts = |texts: &[&str]| texts.iter().map(|text| Value::from(*text)).collect::<Vec<_>>();
        let mut values = texts(&["online", "degraded", "offline", "external"]);
        values.push(1i64.into());
        for plan in plans(&store, &store.db().statement(watched_sql(), values)).await {
            assert_searches(&plan, &["workspaces_status"], "the health sweep");
        }
        let mut values = vec![Value::from(1i64)];
        values.extend(texts(&["online", "degraded", "external"]));
        for plan in plans(&store, &store.db().statement(&idle_sql(), values)).await {
            assert!(plan.contains("workspaces_status") || plan.contains("workspaces_hibernation"), "{plan}");
            assert_searches(&plan, &[], "the hibernation monitor");
        }
        assert_eq!(store.watched_workspaces(Timestamp::default()).await.unwrap().len(), 20);
        let late = Timestamp::from_micros(10_000_000_000);
        assert_eq!(store.idle_workspaces(late).await.unwrap().len(), 20);
    }

    // Beside 10 000 workspaces: relatives, tokens, beats.
    async fn single_workspaces_are_found_by_index(url: String) {
        let store = Store::open(&url).await.unwrap();
        execute(&store, "
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
            INSERT INTO workspaces (id, name, runtime, status, awareness_namespace, status_changed_at, created_at, updated_at)
            SELECT {random}, 'w', 'echo', 'online', '', i, i, i FROM n").await;
        execute(&store, "UPDATE workspaces SET parent_id = (SELECT id FROM workspaces WHERE created_at = 1) WHERE created_at > 9000").await;
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
            active_at: None,
        };
        let backend = store.db().backend();
        let beats = [beat.clone(), beat];
        for statement in [pulse::upsert(backend, &beats), pulse::statuses(backend, &beats)] {
            for plan in plans(&store, &statement).await {
                // PostgreSQL may hash a whole table for a whole batch; SQLite would walk it once per beat.
                assert!(!plan.contains("SCAN w") && !plan.contains("SCAN p"), "{plan}");
            }
        }
    }
}
