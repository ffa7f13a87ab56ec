//! The stored schema: how it comes up, and that it admits exactly what the code can write.

use std::collections::BTreeSet;

use molecule_core::{DeliveryMode, WorkspaceStatus, model::Origin, validate::WorkspaceAccess};
use molecule_db::Db;
use molecule_store::{DbError, Engine, Store, agents::AgentStatus, workspaces::NewWorkspace};

use crate::support::{at_once, column, count, create, describe, execute, open};

molecule_testkit::both_engines! {
    async fn coming_up_twice_changes_nothing(url: String) {
        let store = open(&url).await;
        let id = create(&store, "kept", None).await;
        store.close().await.unwrap();
        let store = open(&url).await;
        assert_eq!(store.workspace(id).await.unwrap().unwrap().name, "kept");
        let applied: Vec<String> =
            column(&store, "SELECT version AS v FROM seaql_migrations ORDER BY version", []).await;
        assert_eq!(
            applied,
            [
                "m0001_initial",
                "m0002_canvas_viewport",
                "m0003_lifecycle",
                "m0004_credentials"
            ]
        );
    }

    async fn servers_that_begin_at_once_agree(url: String) {
        // On SQLite the file exists and is in WAL mode; only one server runs there.
        let first = Db::connect(&url).await.unwrap();
        let opened = at_once(6, |_| {
            let url = url.clone();
            async move { Store::open(&url).await.map(|_| ()) }
        })
        .await;
        for outcome in opened {
            outcome.unwrap();
        }
        assert_eq!(count(&open(&url).await, "log_head", "seq = 0", []).await, 3);
        first.close().await.unwrap();
    }

    async fn a_newer_database_is_refused(url: String) {
        let store = open(&url).await;
        execute(
            &store,
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)",
            [],
        )
        .await
        .unwrap();
        store.close().await.unwrap();
        let refused = Store::open(&url).await.unwrap_err();
        assert!(
            matches!(&refused, DbError::Newer(version) if version == "m9999_future"),
            "{refused}"
        );
    }

    // LIFE-6, REG-2: the stored constraint admits exactly the code's list.
    async fn constraints_equal_the_lists_of_the_code(url: String) {
        let store = open(&url).await;
        let set = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(
            admitted(&store, "workspaces_status_check").await,
            set(&WorkspaceStatus::ALL.map(WorkspaceStatus::as_str))
        );
        assert_eq!(
            admitted(&store, "workspaces_delivery_mode_check").await,
            set(&DeliveryMode::ALL.map(DeliveryMode::as_str))
        );
        assert_eq!(
            admitted(&store, "workspaces_access_check").await,
            set(&WorkspaceAccess::ALL.map(WorkspaceAccess::as_str))
        );
        assert_eq!(
            admitted(&store, "workspace_secrets_origin_check").await,
            set(&Origin::ALL.map(Origin::as_str))
        );
        assert_eq!(
            admitted(&store, "agents_status_check").await,
            set(&AgentStatus::ALL.map(AgentStatus::as_str))
        );
    }

    // LIFE-6, REG-2
    async fn every_variant_is_written_and_read(url: String) {
        let store = open(&url).await;
        for status in WorkspaceStatus::ALL {
            let new = NewWorkspace {
                status,
                ..describe(status.as_str())
            };
            let id = new.id;
            store.create_workspace(new).await.unwrap();
            assert_eq!(store.workspace(id).await.unwrap().unwrap().status, status);
        }
        for mode in [None].into_iter().chain(DeliveryMode::ALL.map(Some)) {
            for access in WorkspaceAccess::ALL {
                let new = NewWorkspace {
                    delivery_mode: mode,
                    workspace_access: access,
                    ..describe("x")
                };
                let id = new.id;
                store.create_workspace(new).await.unwrap();
                let row = store.workspace(id).await.unwrap().unwrap();
                assert_eq!((row.delivery_mode, row.workspace_access), (mode, access));
            }
        }
    }

    // LIFE-6, REG-2: a value outside the list fails loudly.
    async fn values_outside_are_refused(url: String) {
        let store = open(&url).await;
        let id = create(&store, "x", None).await;
        store
            .change_workspace_secrets(id, vec![crate::support::secret("K", "v")], Vec::new())
            .await
            .unwrap();
        for (table, column) in [
            ("workspaces", "status"),
            ("workspaces", "delivery_mode"),
            ("workspaces", "workspace_access"),
            ("workspace_secrets", "origin"),
        ] {
            for bad in ["", "Online", "POLL", "unheard-of"] {
                let written = execute(&store, &format!("UPDATE {table} SET {column} = $1"), [bad.into()]).await;
                assert!(written.is_err(), "{table}.{column} took {bad:?}");
            }
        }
        let kept = store.workspace(id).await.unwrap().unwrap();
        assert_eq!(kept.status, WorkspaceStatus::Online);
    }

    // Migrations are frozen: what they make is compared with a copy that only a new migration may change.
    async fn the_migrated_schema_is_the_frozen_one(url: String) {
        let store = open(&url).await;
        let (frozen, actual) = frozen_and_actual(&store).await;
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            let file = match store.engine() {
                Engine::Sqlite => "sqlite.sql",
                Engine::Postgres => "postgres.sql",
            };
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/schema")
                .join(file);
            std::fs::write(path, &actual).unwrap();
        } else {
            assert_eq!(
                actual, frozen,
                "tests/schema differs; with a new migration, run with UPDATE_SCHEMA=1"
            );
        }
    }
}

/// The schema as it ought to be, and as it is.
pub(crate) async fn frozen_and_actual(store: &Store) -> (&'static str, String) {
    let frozen = match store.engine() {
        Engine::Sqlite => include_str!("../schema/sqlite.sql"),
        Engine::Postgres => include_str!("../schema/postgres.sql"),
    };
    (frozen, dump(store).await)
}

/// Quoted values of a named CHECK constraint.
async fn admitted(store: &Store, constraint: &str) -> BTreeSet<String> {
    let definition = match store.engine() {
        Engine::Sqlite => {
            let tables: Vec<String> = column(
                store,
                "SELECT sql AS v FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL",
                [],
            )
            .await;
            let begin = format!("CONSTRAINT {constraint} CHECK (");
            let table = tables.iter().find(|sql| sql.contains(&begin)).unwrap();
            let (_, rest) = table.split_once(&begin).unwrap();
            rest.split_once("))").unwrap().0.to_owned()
        }
        Engine::Postgres => {
            let sql = "SELECT pg_get_constraintdef(oid) AS v FROM pg_constraint WHERE conname = $1";
            column::<String>(store, sql, [constraint.into()]).await.remove(0)
        }
    };
    definition.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Everything of the schema that a migration decides, as text that is the same on every version of the engine.
async fn dump(store: &Store) -> String {
    let sql = match store.engine() {
        Engine::Sqlite => {
            "SELECT sql AS v FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name <> 'seaql_migrations'
             ORDER BY tbl_name, type DESC, name"
        }
        Engine::Postgres => {
            "SELECT line AS v FROM (
                SELECT c.relname::text AS tab, 1 AS part, a.attnum::text AS pos, format('%s.%s %s%s%s', c.relname,
                    a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                    COALESCE(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')) AS line
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
                WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0
                    AND NOT a.attisdropped
                UNION ALL
                SELECT c.relname::text, 2, k.conname::text, format('%s: %s %s', c.relname, k.conname, pg_get_constraintdef(k.oid))
                FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
                WHERE c.relnamespace = 'public'::regnamespace AND k.contype <> 'n'
                UNION ALL
                SELECT tablename::text, 3, indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public'
             ) lines WHERE tab <> 'seaql_migrations' ORDER BY tab COLLATE \"C\", part, lpad(pos, 64) COLLATE \"C\""
        }
    };
    let lines: Vec<String> = column(store, sql, []).await;
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.split_whitespace().collect::<Vec<_>>().join(" "));
        text.push_str(";\n");
    }
    text
}
