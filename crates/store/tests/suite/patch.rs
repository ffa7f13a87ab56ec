//! PATCH: absent is not null, and the tree stays a tree.

use std::sync::Arc;

use molecule_core::{DeliveryMode, EventType, Runtime, WorkspaceId, WorkspaceStatus, validate::WorkspaceAccess};
use molecule_store::{
    Store, StoreError,
    workspaces::{Change, NewLayout, NewUrl, NewWorkspace, StartPlan, WorkspacePatch},
};
use tokio::sync::Barrier;

use crate::support::{at_once, create, describe, event, execute, open, recorded, transition};

fn under(parent: impl Into<Option<WorkspaceId>>) -> WorkspacePatch {
    WorkspacePatch {
        parent_id: Some(parent.into()),
        ..WorkspacePatch::default()
    }
}

async fn parent_of(store: &Store, id: WorkspaceId) -> Option<WorkspaceId> {
    store.workspace(id).await.unwrap().unwrap().parent_id
}

molecule_testkit::both_engines! {
    // LIFE-94: absent leaves, null clears.
    async fn absent_is_not_null(url: String) {
        let store = open(&url).await;
        let parent = create(&store, "parent", None).await;
        let new = NewWorkspace {
            role: Some("role".to_owned()),
            parent_id: Some(parent),
            workspace_dir: Some("/srv".to_owned()),
            workspace_access: WorkspaceAccess::ReadOnly,
            layout: NewLayout { x: 1.0, y: 2.0 },
            ..describe("a")
        };
        let id = new.id;
        store.create_workspace(new).await.unwrap();
        let hibernating = WorkspacePatch {
            hibernation_idle_minutes: Some(Some(5)),
            ..WorkspacePatch::default()
        };
        assert!(store.patch_workspace(id, hibernating).await.unwrap());
        let before = store.workspace(id).await.unwrap().unwrap();

        assert!(store.patch_workspace(id, WorkspacePatch::default()).await.unwrap());
        let mut untouched = store.workspace(id).await.unwrap().unwrap();
        assert_eq!(untouched.version, before.version + 1);
        (untouched.version, untouched.updated_at) = (before.version, before.updated_at);
        assert_eq!(untouched, before);

        let all = WorkspacePatch {
            name: Some("b".to_owned()),
            role: Some(None),
            tier: Some(4),
            parent_id: Some(None),
            runtime: Some(Runtime::Native.into()),
            workspace_dir: Some(None),
            workspace_access: Some(WorkspaceAccess::None),
            hibernation_idle_minutes: Some(None),
            max_concurrent_tasks: Some(9),
            collapsed: Some(true),
            position: Some((-3.5, 7.0)),
        };
        assert!(store.patch_workspace(id, all).await.unwrap());
        let after = store.workspace(id).await.unwrap().unwrap();
        assert_eq!(
            (after.name.as_str(), after.role, after.tier, after.parent_id),
            ("b", None, 4, None)
        );
        assert_eq!((after.runtime.as_str(), after.workspace_dir), ("native", None));
        assert_eq!(
            (after.workspace_access, after.hibernation_idle_minutes),
            (WorkspaceAccess::None, None)
        );
        assert_eq!(
            (after.max_concurrent_tasks, after.collapsed, after.x, after.y),
            (9, true, -3.5, 7.0)
        );
        // OP-2: a PATCH does not make a status younger.
        assert_eq!(
            (after.status, after.status_changed_at),
            (before.status, before.status_changed_at)
        );
        assert!(
            recorded(&store).await.is_empty(),
            "LIFE-42: re-parenting emits no event"
        );

        // OP-1: access is given to a directory.
        let bare = WorkspacePatch {
            workspace_access: Some(WorkspaceAccess::ReadWrite),
            ..WorkspacePatch::default()
        };
        let refused = store.patch_workspace(id, bare).await;
        assert!(matches!(refused, Err(StoreError::AccessWithoutDirectory)), "{refused:?}");
        assert_eq!(store.workspace(id).await.unwrap().unwrap().version, after.version);
    }

    // LIFE-94: position and collapsed are set apart from each other, with or without a layout row.
    async fn layout_halves_do_not_touch_each_other(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        execute(&store, "DELETE FROM canvas_layouts", []).await.unwrap();
        let layout = async |patch: WorkspacePatch| {
            assert!(store.patch_workspace(id, patch).await.unwrap());
            let row = store.workspace(id).await.unwrap().unwrap();
            (row.x, row.y, row.collapsed)
        };
        let none = WorkspacePatch::default();
        assert_eq!(
            layout(WorkspacePatch {
                collapsed: Some(true),
                ..none.clone()
            })
            .await,
            (0.0, 0.0, true)
        );
        assert_eq!(
            layout(WorkspacePatch {
                position: Some((1.0, 2.0)),
                ..none.clone()
            })
            .await,
            (1.0, 2.0, true)
        );
        assert_eq!(
            layout(WorkspacePatch {
                collapsed: Some(false),
                ..none
            })
            .await,
            (1.0, 2.0, false)
        );
    }

    // OP-1: refused as a whole; nothing of the patch is kept.
    async fn impossible_parents_are_refused(url: String) {
        let store = open(&url).await;
        let a = create(&store, "a", None).await;
        let b = create(&store, "b", Some(a)).await;
        let c = create(&store, "c", Some(b)).await;
        let gone = create(&store, "gone", None).await;
        store.remove_subtree(gone).await.unwrap();
        for (parent, cyclic) in [
            (a, true),
            (b, true),
            (c, true),
            (gone, false),
            (WorkspaceId::random(), false),
        ] {
            let patch = WorkspacePatch {
                name: Some("renamed".to_owned()),
                ..under(parent)
            };
            let refused = store.patch_workspace(a, patch).await.unwrap_err();
            assert_eq!(matches!(refused, StoreError::CyclicParent), cyclic, "{refused}");
            assert_eq!(matches!(refused, StoreError::UnknownParent), !cyclic, "{refused}");
        }
        let row = store.workspace(a).await.unwrap().unwrap();
        assert_eq!((row.name.as_str(), row.parent_id, row.version), ("a", None, 0));
        // Up, sideways and to the root are fine.
        assert!(store.patch_workspace(c, under(a)).await.unwrap());
        assert!(store.patch_workspace(b, under(c)).await.unwrap());
        assert!(store.patch_workspace(c, under(None)).await.unwrap());
        assert_eq!(
            (parent_of(&store, b).await, parent_of(&store, c).await),
            (Some(c), None)
        );
    }

    // LIFE-9, OP-3
    async fn removed_and_unknown_rows_are_not_patched(url: String) {
        let store = open(&url).await;
        let parent = create(&store, "parent", None).await;
        let id = create(&store, "a", None).await;
        store.remove_subtree(id).await.unwrap();
        let before = store.workspace(id).await.unwrap().unwrap();
        let patch = WorkspacePatch {
            name: Some("b".to_owned()),
            position: Some((1.0, 1.0)),
            ..under(parent)
        };
        assert!(!store.patch_workspace(id, patch.clone()).await.unwrap());
        assert!(!store.patch_workspace(WorkspaceId::random(), patch).await.unwrap());
        let card = "{}".to_owned();
        let updated = event(EventType::AgentCardUpdated, id);
        assert_eq!(store.set_agent_card(id, card.clone(), updated).await.unwrap(), None);
        let url = Some(NewUrl {
            url: "http://late".to_owned(),
            assigned: false,
        });
        assert!(
            !store
                .refresh_registration(id, url.clone(), card, DeliveryMode::Push)
                .await
                .unwrap()
        );
        assert!(!store.set_instance(id, 0, url, Some("late".to_owned())).await.unwrap());
        assert_eq!(store.workspace(id).await.unwrap().unwrap(), before);
        assert_eq!(recorded(&store).await.len(), 1, "only the removal's own event");
    }

    // D17: an instance of an earlier generation is not stored.
    async fn instances_belong_to_a_generation(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        let at = |port: u16| {
            Some(NewUrl {
                url: format!("http://127.0.0.1:{port}"),
                assigned: true,
            })
        };
        assert!(!store.set_instance(id, 1, at(1), Some("i1".to_owned())).await.unwrap());
        assert!(store.set_instance(id, 0, at(2), Some("i2".to_owned())).await.unwrap());
        let route = store.route(id).await.unwrap().unwrap();
        assert_eq!((route.url.as_str(), route.url_assigned), ("http://127.0.0.1:2", true));
    }

    // D17, LIFE-122: what a start has to do outlives restarts, and is done once.
    async fn a_start_plan_stays_until_it_is_done(url: String) {
        let store = open(&url).await;
        let new = NewWorkspace {
            start_files: Some("first".to_owned()),
            ..describe("a")
        };
        let id = new.id;
        store.create_workspace(new).await.unwrap();
        let plan = |files: Option<&str>, reset_session| StartPlan {
            start_files: files.map(str::to_owned),
            reset_session,
        };
        let restart = async |files: Option<&str>, reset_session| {
            let mut restart = transition(id, &WorkspaceStatus::ALL, WorkspaceStatus::Provisioning);
            restart.change = Change {
                start_files: files.map(str::to_owned),
                reset_session,
                restart: true,
                ..Change::default()
            };
            store.transition(restart).await.unwrap().unwrap().generation
        };
        assert_eq!(store.start_plan(id).await.unwrap(), plan(Some("first"), false));
        restart(None, true).await;
        assert_eq!(store.start_plan(id).await.unwrap(), plan(Some("first"), true));
        let generation = restart(Some("second"), false).await;
        assert_eq!(store.start_plan(id).await.unwrap(), plan(Some("second"), true));
        // An earlier incarnation's start has done something else.
        store.start_plan_done(id, generation - 1).await.unwrap();
        assert_eq!(store.start_plan(id).await.unwrap(), plan(Some("second"), true));
        store.start_plan_done(id, generation).await.unwrap();
        assert_eq!(store.start_plan(id).await.unwrap(), StartPlan::default());
        assert_eq!(
            store.start_plan(WorkspaceId::random()).await.unwrap(),
            StartPlan::default()
        );
    }

    // OP-1: two moves that are each fine must not close a cycle together.
    async fn two_moves_do_not_close_a_cycle(url: String) {
        let store = open(&url).await;
        for _ in 0..15 {
            let (a, b) = (create(&store, "a", None).await, create(&store, "b", None).await);
            let start = Arc::new(Barrier::new(2));
            let outcomes = at_once(2, |n| {
                let (store, start) = (store.clone(), start.clone());
                let (id, parent) = if n == 0 { (a, b) } else { (b, a) };
                async move {
                    start.wait().await;
                    store.patch_workspace(id, under(parent)).await
                }
            })
            .await;
            assert_eq!(
                outcomes.iter().filter(|outcome| matches!(outcome, Ok(true))).count(),
                1,
                "{outcomes:?}"
            );
            assert_eq!(
                outcomes
                    .iter()
                    .filter(|outcome| matches!(outcome, Err(StoreError::CyclicParent)))
                    .count(),
                1,
                "{outcomes:?}"
            );
            let parents = (parent_of(&store, a).await, parent_of(&store, b).await);
            assert!(parents == (Some(b), None) || parents == (None, Some(a)), "{parents:?}");
        }
    }

    // Locks are taken in one order by all: nobody is told to start again.
    async fn moves_transitions_and_removals_do_not_deadlock(url: String) {
        let store = open(&url).await;
        let root = create(&store, "root", None).await;
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(create(&store, &format!("w{n}"), None).await);
        }
        let outcomes = at_once(12, |n| {
            let (store, ids) = (store.clone(), ids.clone());
            async move {
                for round in 0..8 {
                    let id = ids[(n + round) % ids.len()];
                    match n % 3 {
                        0 => {
                            let to = if round % 2 == 0 { Some(root) } else { None };
                            store.patch_workspace(id, under(to)).await?;
                        }
                        1 => {
                            let alive = [WorkspaceStatus::Online, WorkspaceStatus::Degraded];
                            let mut moved = transition(id, &alive, alive[round % 2]);
                            moved.events = vec![event(EventType::WorkspaceDegraded, id)];
                            store.transition(moved).await?;
                        }
                        _ => {
                            let extra = NewWorkspace {
                                parent_id: Some(root),
                                ..describe("extra")
                            };
                            let extra_id = extra.id;
                            store.create_workspace(extra).await?;
                            store.remove_subtree(extra_id).await?;
                        }
                    }
                }
                Ok::<(), StoreError>(())
            }
        })
        .await;
        for outcome in outcomes {
            outcome.unwrap();
        }
    }
}
