//! Removal and purge.

use std::sync::Arc;

use WorkspaceStatus::{Offline, Online, Removed};
use molecule_core::{
    WorkspaceId, WorkspaceStatus,
    activity::{ActivityFilter, ActivityType},
    credential::TokenHash,
};
use molecule_store::{
    Engine, StoreError,
    activity::{ActivityWriter, Durability, NewActivity},
    events::Seq,
    org_tokens::NewOrgToken,
    workspaces::{NewWorkspace, WorkspacePatch},
};
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::{
    at_once, bulk, count, create, describe, execute, open, recorded, secret, status, token, transition,
};

fn removal(id: WorkspaceId) -> (String, WorkspaceId) {
    ("WORKSPACE_REMOVED".to_owned(), id)
}

molecule_testkit::both_engines! {
    // LIFE-101, LIFE-102, LIFE-107, SEC-12
    async fn the_whole_subtree_goes_at_once(url: String) {
        let store = open(&url).await;
        let root = create(&store, "root", None).await;
        let child = create(&store, "child", Some(root)).await;
        let twin = create(&store, "twin", Some(root)).await;
        let grandchild = create(&store, "grandchild", Some(child)).await;
        let bystander = create(&store, "bystander", None).await;
        for (id, text) in [(root, "r"), (child, "c"), (grandchild, "g"), (bystander, "b")] {
            store.add_token(id, token(text)).await.unwrap();
        }
        execute(&store, "UPDATE workspaces SET url = 'http://x'", [])
            .await
            .unwrap();

        let removed = store.remove_subtree(root).await.unwrap().unwrap();
        assert_eq!(removed.scope, [root, child, twin, grandchild]);
        assert_eq!(removed.cascade, 3);
        assert_eq!(removed.seq, store.events_head().await.unwrap());

        let events = store.events_after(Seq(0), 10).await.unwrap();
        let order: Vec<_> = events.iter().map(|row| row.workspace_id.unwrap()).collect();
        assert_eq!(
            order,
            [child, twin, grandchild, root],
            "LIFE-107: descendants before the root"
        );
        let payloads: Vec<serde_json::Value> = events
            .iter()
            .map(|row| serde_json::from_str(&row.payload).unwrap())
            .collect();
        assert_eq!(
            payloads,
            [json!({}), json!({}), json!({}), json!({ "cascade_deleted": 3 })]
        );

        for (id, text) in [(root, "r"), (child, "c"), (grandchild, "g")] {
            let row = store.workspace(id).await.unwrap().unwrap();
            assert_eq!((row.status, row.url.as_str(), row.version), (Removed, "", 1));
            assert!(store.token_owner(&TokenHash::of(text)).await.unwrap().is_none());
            assert!(!store.has_live_token(id).await.unwrap());
            assert_eq!(
                store.removed_owner(&TokenHash::of(text)).await.unwrap(),
                Some(id),
                "LIFE-89a"
            );
        }
        assert_eq!(count(&store, "canvas_layouts", "1 = 1", []).await, 1);
        let kept = store.workspace(bystander).await.unwrap().unwrap();
        assert_eq!((kept.status, kept.version), (Online, 0));
        assert!(store.token_owner(&TokenHash::of("b")).await.unwrap().is_some());
        assert_eq!(
            store.removed_owner(&TokenHash::of("b")).await.unwrap(),
            None,
            "LIFE-89a: only of removed ones"
        );
    }

    // OP-10, LIFE-109: a repetition finds the removed subtree again and changes nothing.
    async fn a_repetition_walks_the_removed_subtree(url: String) {
        let store = open(&url).await;
        let root = create(&store, "root", None).await;
        let child = create(&store, "child", Some(root)).await;
        let grandchild = create(&store, "grandchild", Some(child)).await;
        let first = store.remove_subtree(root).await.unwrap().unwrap();
        let before = (recorded(&store).await, store.workspace(root).await.unwrap());
        let again = store.remove_subtree(root).await.unwrap().unwrap();
        assert_eq!(again.scope, first.scope);
        assert_eq!((again.seq, again.cascade), (Seq(0), 0));
        assert_eq!(
            store.remove_subtree(grandchild).await.unwrap().unwrap().scope,
            [grandchild]
        );
        assert_eq!((recorded(&store).await, store.workspace(root).await.unwrap()), before);
        assert_eq!(store.remove_subtree(WorkspaceId::random()).await.unwrap(), None);
    }

    // OP-10: a restored child of a removed root goes with the repetition, with its event.
    async fn a_repetition_takes_what_came_alive(url: String) {
        let store = open(&url).await;
        let root = create(&store, "root", None).await;
        let child = create(&store, "child", Some(root)).await;
        store.remove_subtree(root).await.unwrap();
        store
            .transition(transition(child, &[Removed], Offline))
            .await
            .unwrap()
            .unwrap();
        let before = recorded(&store).await.len();
        let again = store.remove_subtree(root).await.unwrap().unwrap();
        assert_eq!((again.scope, again.cascade), (vec![root, child], 1));
        assert_eq!(recorded(&store).await[before..], [removal(child)]);
    }

    // LIFE-36: however many ask, each workspace is removed once.
    async fn removals_at_once_have_one_event_each(url: String) {
        let store = open(&url).await;
        for _ in 0..5 {
            let root = create(&store, "root", None).await;
            let child = create(&store, "child", Some(root)).await;
            let before = recorded(&store).await.len();
            let start = Arc::new(Barrier::new(6));
            at_once(6, |n| {
                let (store, start, id) = (store.clone(), start.clone(), if n % 2 == 0 { root } else { child });
                async move {
                    start.wait().await;
                    store.remove_subtree(id).await.unwrap().unwrap()
                }
            })
            .await;
            let events = recorded(&store).await;
            assert_eq!(events.len(), before + 2, "{events:?}");
            assert_eq!(events[before..], [removal(child), removal(root)]);
        }
    }

    // LIFE-101: no child is born into a removal and survives it.
    async fn a_child_is_refused_or_removed(url: String) {
        let store = open(&url).await;
        for round in 0..12 {
            let root = create(&store, "root", None).await;
            let other = create(&store, "other", None).await;
            let start = Arc::new(Barrier::new(3));
            let child = NewWorkspace {
                parent_id: Some(root),
                ..describe("child")
            };
            let child_id = child.id;
            let born = tokio::spawn({
                let (store, start) = (store.clone(), start.clone());
                async move {
                    start.wait().await;
                    store.create_workspace(child).await
                }
            });
            let adopted = tokio::spawn({
                let (store, start) = (store.clone(), start.clone());
                let patch = WorkspacePatch {
                    parent_id: Some(Some(root)),
                    ..WorkspacePatch::default()
                };
                async move {
                    start.wait().await;
                    store.patch_workspace(other, patch).await
                }
            });
            start.wait().await;
            store.remove_subtree(root).await.unwrap().unwrap();
            match born.await.unwrap() {
                Ok(_) => assert_eq!(status(&store, child_id).await, Removed, "round {round}"),
                Err(error) => assert!(matches!(error, StoreError::UnknownParent), "{error}"),
            }
            match adopted.await.unwrap() {
                Ok(true) => assert_eq!(status(&store, other).await, Removed, "round {round}"),
                Ok(false) => panic!("the workspace exists"),
                Err(error) => assert!(matches!(error, StoreError::UnknownParent), "{error}"),
            }
        }
    }

    async fn a_subtree_may_be_larger_than_a_statement(url: String) {
        let store = open(&url).await;
        let root = create(&store, "root", None).await;
        let ids = bulk(&store, 1_203).await;
        let values = [root.uuid().into()];
        execute(
            &store,
            "UPDATE workspaces SET parent_id = $1 WHERE name = 'bulk'",
            values,
        )
        .await
        .unwrap();
        let removed = store.remove_subtree(root).await.unwrap().unwrap();
        assert_eq!((removed.scope.len(), removed.cascade), (1_204, 1_203));
        assert_eq!(removed.seq, Seq(1_204));
        assert_eq!(store.purge(removed.scope).await.unwrap().rows, 1_204);
        assert_eq!(count(&store, "workspaces", "1 = 1", []).await, 0);
        assert_eq!(ids.len(), 1_203);
    }

    // LIFE-111: tables of other crates are in no list; the schema says what belongs to a workspace.
    async fn a_purge_takes_what_other_tenants_keep(url: String) {
        let store = open(&url).await;
        let id = match store.engine() {
            Engine::Sqlite => "BLOB",
            Engine::Postgres => "uuid",
        };
        for table in [
            "notes (id bigint PRIMARY KEY, owner ID NOT NULL REFERENCES workspaces (id))",
            "lines (note bigint NOT NULL REFERENCES notes (id), workspace_id ID NOT NULL)",
            "visits (visitor ID REFERENCES workspaces (id) ON DELETE SET NULL)",
        ] {
            execute(&store, &format!("CREATE TABLE {}", table.replace("ID", id)), [])
                .await
                .unwrap();
        }
        let (gone, stays) = (create(&store, "gone", None).await, create(&store, "stays", None).await);
        for (note, owner) in [(1i64, gone), (2, stays)] {
            execute(
                &store,
                "INSERT INTO notes VALUES ($1, $2)",
                [note.into(), owner.uuid().into()],
            )
            .await
            .unwrap();
            execute(
                &store,
                "INSERT INTO lines VALUES ($1, $2)",
                [note.into(), owner.uuid().into()],
            )
            .await
            .unwrap();
            execute(&store, "INSERT INTO visits VALUES ($1)", [owner.uuid().into()])
                .await
                .unwrap();
        }
        store.remove_subtree(gone).await.unwrap();
        assert_eq!(store.purge(vec![gone]).await.unwrap().rows, 1);
        for (table, left) in [("notes", 1), ("lines", 1), ("visits", 2)] {
            assert_eq!(count(&store, table, "1 = 1", []).await, left, "{table}");
        }
        assert_eq!(count(&store, "visits", "visitor IS NULL", []).await, 1);
    }

    // LIFE-111: everything that belongs to it goes; events stay, references of others become null.
    async fn a_purge_leaves_events_only(url: String) {
        let store = open(&url).await;
        let root = create(&store, "root", None).await;
        let child = create(&store, "child", Some(root)).await;
        let sender = create(&store, "sender", None).await;
        let writer = ActivityWriter::start(&store).unwrap();
        for id in [root, child, sender] {
            store.add_token(id, token(&id.to_string())).await.unwrap();
            store
                .change_workspace_secrets(id, vec![secret("K", "v")], Vec::new())
                .await
                .unwrap();
            store.put_workspace_config(id, &json!({ "a": 1 })).await.unwrap();
            writer
                .record(NewActivity::new(id, ActivityType::AgentLog), Durability::Process)
                .await
                .unwrap();
        }
        writer.finish().await;
        let anchored = NewOrgToken {
            hash: TokenHash::of("org"),
            prefix: "org".to_owned(),
            name: None,
            created_by: "session".to_owned(),
            org_id: Some(root),
            read_only: false,
            expires_at: None,
        };
        store.add_org_token(anchored, 500).await.unwrap();
        store.remove_subtree(child).await.unwrap();
        store.remove_subtree(root).await.unwrap();
        let forward = "UPDATE workspaces SET forwarded_to = $1, parent_id = $1 WHERE name = 'sender'";
        execute(&store, forward, [child.uuid().into()]).await.unwrap();
        let events = recorded(&store).await;

        assert_eq!(store.purge(vec![root, child]).await.unwrap().rows, 2);
        for id in [root, child] {
            assert_eq!(store.workspace(id).await.unwrap(), None);
            let theirs = [id.uuid().into()];
            for table in [
                "activity_logs",
                "canvas_layouts",
                "workspace_auth_tokens",
                "workspace_config",
                "workspace_pulse",
                "workspace_secrets",
            ] {
                assert_eq!(
                    count(&store, table, "workspace_id = $1", theirs.clone()).await,
                    0,
                    "{table}"
                );
            }
        }
        assert_eq!(recorded(&store).await, events, "ACT-14: events stay");
        let sender = store.workspace(sender).await.unwrap().unwrap();
        assert_eq!(sender.parent_id, None);
        assert_eq!(count(&store, "workspaces", "forwarded_to IS NOT NULL", []).await, 0);
        assert_eq!(
            store
                .activity_feed(
                    sender.id,
                    &ActivityFilter {
                        limit: 9,
                        ..Default::default()
                    }
                )
                .await
                .unwrap()
                .len(),
            1
        );
        // SEC-2: the row stays and names no org; the token of an org that went is not one of every org.
        assert_eq!(count(&store, "org_api_tokens", "org_id IS NULL", []).await, 1);
        assert_eq!(store.org_token(&TokenHash::of("org")).await.unwrap(), None);
        // LIFE-109
        assert_eq!(store.purge(vec![root, child]).await.unwrap().rows, 0);
        assert_eq!(store.purge(Vec::new()).await.unwrap().rows, 0);
    }

    // LIFE-111, D21: everybody else waits while rows are deleted, so a long log goes in batches.
    async fn a_purge_deletes_a_long_log_in_batches(url: String) {
        let store = open(&url).await;
        let gone = create(&store, "gone", None).await;
        let id = if url.starts_with("sqlite") {
            "randomblob(16)"
        } else {
            "gen_random_uuid()"
        };
        let rows = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1201)
             INSERT INTO activity_logs (seq, id, workspace_id, activity_type, created_at)
             SELECT i, {id}, $1, 'agent_log', i FROM n"
        );
        execute(&store, &rows, [gone.uuid().into()]).await.unwrap();
        store.remove_subtree(gone).await.unwrap();
        if url.starts_with("postgres") {
            // SQLite has no trigger that sees a whole statement; the statement is the same.
            let function = "CREATE FUNCTION few() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN IF (SELECT count(*) FROM old) > 500 THEN RAISE EXCEPTION ''too many''; END IF; RETURN NULL; END'";
            execute(&store, function, []).await.unwrap();
            let trigger = "CREATE TRIGGER few AFTER DELETE ON activity_logs REFERENCING OLD TABLE AS old
                FOR EACH STATEMENT EXECUTE FUNCTION few()";
            execute(&store, trigger, []).await.unwrap();
        }
        assert_eq!(store.purge(vec![gone]).await.unwrap().rows, 1);
        assert_eq!(count(&store, "activity_logs", "1 = 1", []).await, 0);
    }

    // LIFE-111: a purge is the second half of a removal, never the first.
    async fn a_purge_takes_removed_rows_only(url: String) {
        let store = open(&url).await;
        let live = create(&store, "live", None).await;
        let gone = create(&store, "gone", None).await;
        store.add_token(live, token("live")).await.unwrap();
        store.remove_subtree(gone).await.unwrap();
        assert_eq!(
            store.purge(vec![live, gone, WorkspaceId::random()]).await.unwrap().rows,
            1
        );
        assert_eq!(status(&store, live).await, Online);
        assert!(store.token_owner(&TokenHash::of("live")).await.unwrap().is_some());
        assert_eq!(store.workspace(gone).await.unwrap(), None);
    }
}
