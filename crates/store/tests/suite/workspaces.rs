//! Creation and the plain reads.

use molecule_core::{
    DeliveryMode, EventType, WorkspaceId, WorkspaceStatus, credential::TokenHash, model::Origin,
    validate::WorkspaceAccess,
};
use molecule_store::{
    StoreError,
    secrets::NewSecret,
    workspaces::{NewLayout, NewWorkspace},
};

use crate::support::{
    bulk, count, create, describe, event, execute, open, recorded, sealed, secret, status, token, transition,
};

molecule_testkit::both_engines! {
    // LIFE-66
    async fn creation_stores_everything_at_once(url: String) {
        let store = open(&url).await;
        let parent = create(&store, "parent", None).await;
        let id = WorkspaceId::random();
        let new = NewWorkspace {
            id,
            role: Some("analyst".to_owned()),
            status: WorkspaceStatus::Provisioning,
            parent_id: Some(parent),
            template: Some("t".to_owned()),
            agent_card: Some(r#"{"name":"n"}"#.to_owned()),
            url: "http://a".to_owned(),
            delivery_mode: Some(DeliveryMode::Poll),
            workspace_dir: Some("/srv".to_owned()),
            workspace_access: WorkspaceAccess::ReadOnly,
            budget_limit: Some(i64::MAX),
            max_concurrent_tasks: 3,
            inbound_secret: Some(sealed("inbound")),
            layout: NewLayout { x: -1.5, y: 2.25 },
            secrets: vec![
                secret("A", "1"),
                NewSecret {
                    origin: Origin::Derived,
                    ..secret("B", "2")
                },
            ],
            token: Some(token("token-of-the-child")),
            events: vec![
                event(EventType::WorkspaceProvisioning, id),
                event(EventType::WorkspaceOnline, id),
            ],
            ..describe("child")
        };
        let seq = store.create_workspace(new).await.unwrap();
        assert_eq!(seq, store.events_head().await.unwrap());

        let row = store.workspace(id).await.unwrap().unwrap();
        assert_eq!(
            (row.name.as_str(), row.role.as_deref(), row.parent_id),
            ("child", Some("analyst"), Some(parent))
        );
        assert_eq!((row.x, row.y, row.collapsed), (-1.5, 2.25, false));
        assert_eq!((row.budget_limit, row.max_concurrent_tasks), (Some(i64::MAX), 3));
        assert_eq!(
            (row.delivery_mode, row.workspace_access),
            (Some(DeliveryMode::Poll), WorkspaceAccess::ReadOnly)
        );
        assert_eq!(
            (row.generation, row.version, row.active_tasks, row.monthly_spend),
            (0, 0, 0, 0)
        );
        assert_eq!((row.last_beat_at, row.status_changed_at), (None, row.created_at));
        assert_eq!(row.awareness_namespace, format!("workspace:{id}"));

        let route = store.route(id).await.unwrap().unwrap();
        assert_eq!(route.inbound_secret, Some(sealed("inbound")));
        let secrets = store.workspace_secrets(id).await.unwrap();
        let secrets: Vec<_> = secrets
            .iter()
            .map(|row| (row.key.as_str(), row.value.bytes.as_slice(), row.origin))
            .collect();
        assert_eq!(
            secrets,
            [("A", &b"1"[..], Origin::Set), ("B", &b"2"[..], Origin::Derived)]
        );
        let owner = store
            .token_owner(&TokenHash::of("token-of-the-child"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(owner.workspace, id);
        assert_eq!(
            recorded(&store).await,
            [
                ("WORKSPACE_PROVISIONING".to_owned(), id),
                ("WORKSPACE_ONLINE".to_owned(), id)
            ]
        );
    }

    // LIFE-66, OP-16: nothing of a creation that fails is kept, wherever it fails.
    async fn a_failed_creation_leaves_nothing(url: String) {
        let store = open(&url).await;
        let taken = create(&store, "taken", None).await;
        store.add_token(taken, token("taken")).await.unwrap();
        let gone = create(&store, "gone", None).await;
        store.remove_subtree(gone).await.unwrap();
        let before = recorded(&store).await;

        let full = |parent: Option<WorkspaceId>, text: &str| {
            let id = WorkspaceId::random();
            NewWorkspace {
                id,
                parent_id: parent,
                secrets: vec![secret("K", "v")],
                token: Some(token(text)),
                events: vec![event(EventType::WorkspaceProvisioning, id)],
                ..describe("failed")
            }
        };
        for parent in [WorkspaceId::random(), gone] {
            let refused = store.create_workspace(full(Some(parent), "fresh")).await.unwrap_err();
            assert!(matches!(refused, StoreError::UnknownParent), "{refused}");
        }
        // The token is the last thing before the events: its hash exists already.
        store.create_workspace(full(None, "taken")).await.unwrap_err();

        assert_eq!(count(&store, "workspaces", "name = 'failed'", []).await, 0);
        for table in [
            "workspace_secrets",
            "canvas_layouts",
            "workspace_pulse",
            "workspace_auth_tokens",
        ] {
            let orphans = "workspace_id NOT IN (SELECT id FROM workspaces)";
            assert_eq!(count(&store, table, orphans, []).await, 0, "{table}");
        }
        assert!(store.token_owner(&TokenHash::of("fresh")).await.unwrap().is_none());
        assert_eq!(recorded(&store).await, before);
    }

    async fn an_id_is_created_once(url: String) {
        let store = open(&url).await;
        let new = describe("first");
        let again = NewWorkspace {
            name: "second".to_owned(),
            ..new.clone()
        };
        store.create_workspace(new.clone()).await.unwrap();
        let refused = store.create_workspace(again).await.unwrap_err();
        assert_eq!(refused.kind(), molecule_store::DbErrorKind::Unique);
        assert_eq!(store.workspace(new.id).await.unwrap().unwrap().name, "first");
    }

    // ACT-5: PostgreSQL refuses NUL in text.
    async fn nul_in_a_name_is_replaced(url: String) {
        let store = open(&url).await;
        let new = NewWorkspace {
            role: Some("r\0".to_owned()),
            ..describe("a\0b")
        };
        let id = new.id;
        store.create_workspace(new).await.unwrap();
        let row = store.workspace(id).await.unwrap().unwrap();
        assert_eq!(
            (row.name.as_str(), row.role.as_deref()),
            ("a\u{fffd}b", Some("r\u{fffd}"))
        );
    }

    async fn lists_go_by_creation_without_the_removed(url: String) {
        let store = open(&url).await;
        let mut ids = Vec::new();
        for name in ["a", "b", "c", "d"] {
            ids.push(create(&store, name, None).await);
        }
        // Later created, but older on paper; and two of the same instant, which their ids order.
        execute(
            &store,
            "UPDATE workspaces SET created_at = 5 WHERE name IN ('b', 'd')",
            [],
        )
        .await
        .unwrap();
        execute(&store, "UPDATE workspaces SET created_at = 1 WHERE name = 'c'", [])
            .await
            .unwrap();
        store.remove_subtree(ids[0]).await.unwrap();
        let mut tied = [ids[1], ids[3]];
        tied.sort_unstable();
        let listed: Vec<_> = store
            .workspaces()
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.id)
            .collect();
        assert_eq!(listed, [ids[2], tied[0], tied[1]]);
        assert!(
            store.workspace(ids[0]).await.unwrap().is_some(),
            "a removed row is found by id"
        );
        assert!(store.workspace(WorkspaceId::random()).await.unwrap().is_none());
        assert!(store.route(WorkspaceId::random()).await.unwrap().is_none());
    }

    async fn lists_by_status(url: String) {
        let store = open(&url).await;
        let (a, b) = (create(&store, "a", None).await, create(&store, "b", None).await);
        create(&store, "c", None).await;
        for (id, to) in [(a, WorkspaceStatus::Failed), (b, WorkspaceStatus::Paused)] {
            store
                .transition(transition(id, &[WorkspaceStatus::Online], to))
                .await
                .unwrap()
                .unwrap();
        }
        let found = store
            .workspaces_in(&[WorkspaceStatus::Paused, WorkspaceStatus::Failed])
            .await
            .unwrap();
        assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [a, b]);
        assert!(store.workspaces_in(&[]).await.unwrap().is_empty());
        assert!(
            store
                .workspaces_in(&[WorkspaceStatus::Removed])
                .await
                .unwrap()
                .is_empty()
        );
    }

    // LIFE-86
    async fn a_missing_layout_and_pulse_read_as_zero(url: String) {
        let store = open(&url).await;
        let ids = bulk(&store, 3).await;
        let rows = store.workspaces().await.unwrap();
        assert_eq!(rows.len(), 3);
        for row in rows {
            assert!(ids.contains(&row.id));
            assert_eq!((row.x, row.y, row.collapsed), (0.0, 0.0, false));
            assert_eq!(
                (row.uptime_seconds, row.error_rate, row.active_tasks, row.monthly_spend),
                (0, 0.0, 0, 0)
            );
            assert_eq!(
                (row.sample_error.as_str(), row.current_task.as_str(), row.last_beat_at),
                ("", "", None)
            );
        }
    }

    // REG-2, SEC-113: NULL and empty are both absent.
    async fn an_empty_inbound_secret_is_absent(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        assert_eq!(store.route(id).await.unwrap().unwrap().inbound_secret, None);
        assert!(store.set_inbound_secret(id, sealed("s")).await.unwrap());
        assert_eq!(
            store.route(id).await.unwrap().unwrap().inbound_secret,
            Some(sealed("s"))
        );
        assert!(store.set_inbound_secret(id, sealed("")).await.unwrap());
        assert_eq!(store.route(id).await.unwrap().unwrap().inbound_secret, None);
        assert!(
            !store
                .set_inbound_secret(WorkspaceId::random(), sealed("s"))
                .await
                .unwrap()
        );
        store.remove_subtree(id).await.unwrap();
        assert!(!store.set_inbound_secret(id, sealed("s")).await.unwrap(), "LIFE-9");
        assert_eq!(status(&store, id).await, WorkspaceStatus::Removed);
    }
}
