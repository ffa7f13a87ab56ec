//! Removal (LIFE §8, LIFE-9, SEC-12).

use molecule_core::limits;
use molecule_platform::workspaces::{DeleteError, Seen};
use molecule_testkit::both_engines;

use crate::common::*;

both_engines! {
    async fn children_must_be_confirmed(url: String) {
        // LIFE-99
        let harness = Harness::new(&url).await;
        let root = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(root)).await;
        let refused = harness.platform.workspaces.delete(root, false, false).await;
        let Err(DeleteError::ConfirmationRequired(asked)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            (asked.status.as_str(), asked.children_count),
            ("confirmation_required", 1)
        );
        assert_eq!(
            (asked.children[0].id, asked.children[0].name.as_str()),
            (child, "Writer")
        );
        assert_eq!(harness.status(root).await, WorkspaceStatus::Online);
        assert!(harness.backend.instance(root).is_some());
        // A leaf needs no confirmation.
        harness.platform.workspaces.delete(child, false, false).await.unwrap();
    }

    async fn the_whole_subtree_goes(url: String) {
        // LIFE-34, LIFE-101, LIFE-102, LIFE-103, LIFE-107, LIFE-110, SEC-12, ACT-89
        let harness = Harness::new(&url).await;
        let root = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(root)).await;
        let grandchild = harness.online_below("Proof", Some(child)).await;
        let sibling = harness.online("Sibling").await;
        let tokens = [harness.backend.spec(root), harness.backend.spec(grandchild)].map(|spec| spec.auth_token);
        let answer = harness.platform.workspaces.delete(root, true, false).await.unwrap();
        assert_eq!((answer.status.as_str(), answer.cascade_deleted), ("removed", 2));
        for id in [root, child, grandchild] {
            assert_eq!(harness.status(id).await, WorkspaceStatus::Removed);
            assert_eq!(harness.backend.instance(id), None);
        }
        for token in tokens {
            use secrecy::ExposeSecret;
            assert_eq!(harness.bearer(token.expose_secret()).await.principal, None);
        }
        let removed: Vec<_> = harness
            .platform
            .history
            .newest(None)
            .await
            .unwrap()
            .into_iter()
            .take(3)
            .collect();
        assert_eq!(removed[0].workspace_id, Some(root), "the root's event is the last");
        assert_eq!(removed[0].payload, json!({ "cascade_deleted": 2 }));
        assert_eq!(removed[1].payload, json!({}));
        assert!(removed.iter().all(|event| event.event_type == "WORKSPACE_REMOVED"));
        assert_eq!(harness.status(sibling).await, WorkspaceStatus::Online);
        assert!(
            !harness.backend.calls().contains(&Call::RemoveData(root)),
            "only a purge deletes data"
        );
        // LIFE-89: 410, not 404 and not 200
        assert!(matches!(
            harness.platform.workspaces.get(root).await.unwrap(),
            Seen::Removed {
                removed_at: Some(_),
                ..
            }
        ));
    }

    async fn repeating_is_safe(url: String) {
        // LIFE-36, LIFE-109, OP-10
        let harness = Harness::new(&url).await;
        let root = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(root)).await;
        harness.platform.workspaces.delete(root, true, false).await.unwrap();
        let again = harness.platform.workspaces.delete(root, true, false).await.unwrap();
        assert_eq!(again.cascade_deleted, 0);
        for id in [root, child] {
            assert_eq!(harness.payloads(id, "WORKSPACE_REMOVED").await.len(), 1);
            let stops = harness
                .backend
                .calls()
                .iter()
                .filter(|call| **call == Call::Stop(id))
                .count();
            assert_eq!(stops, 2, "stops are tried again, of descendants too");
        }
        let unknown = harness
            .platform
            .workspaces
            .delete(WorkspaceId::random(), true, true)
            .await
            .unwrap();
        assert_eq!(unknown.status, "purged");
    }

    async fn a_stop_that_fails_is_told_and_the_rows_stay_removed(url: String) {
        // LIFE-105, LIFE-107, LIFE-108, LIFE-111
        let harness = Harness::new(&url).await;
        let root = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(root)).await;
        harness.backend.every_stop(Stop::Fail);
        let Err(DeleteError::Stops(failures)) = harness.platform.workspaces.delete(root, true, true).await else {
            panic!("it is an error");
        };
        assert_eq!((failures.removed_count, failures.stop_failures), (2, 2));
        assert!(failures.error.contains("repeat"), "{}", failures.error);
        for id in [root, child] {
            assert_eq!(harness.status(id).await, WorkspaceStatus::Removed, "not purged either");
            assert_eq!(harness.payloads(id, "WORKSPACE_REMOVED").await.len(), 1);
            assert!(!harness.backend.calls().contains(&Call::RemoveData(id)));
        }
        harness.backend.every_stop(Stop::Succeed);
        let purged = harness.platform.workspaces.delete(root, true, true).await.unwrap();
        assert_eq!(purged.status, "purged");
        assert_eq!(harness.store.workspace(child).await.unwrap(), None);
    }

    async fn a_stop_that_takes_long_is_told_and_goes_on(url: String) {
        // LIFE-104, LIFE-106, LIFE-108
        let harness = Harness::new(&url).await;
        let root = harness.online("Lead").await;
        let children = [
            harness.online_below("Writer", Some(root)).await,
            harness.online_below("Reader", Some(root)).await,
        ];
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        let (workspaces, clock) = (harness.platform.workspaces.clone(), harness.platform.clock().clone());
        let deleting = tokio::spawn(async move { workspaces.delete(root, true, false).await });
        harness
            .backend
            .until("the others to stop", |backend| {
                backend.calls().iter().filter(|call| matches!(call, Call::Stopped(_))).count() == 2
            })
            .await;
        while !deleting.is_finished() {
            clock.advance(limits::DELETE_STOP_DEADLINE);
            tokio::task::yield_now().await;
        }
        let Err(DeleteError::Stops(failures)) = deleting.await.unwrap() else {
            panic!("it is an error");
        };
        assert_eq!((failures.removed_count, failures.stop_failures), (3, 1));
        let stopped = harness.backend.calls();
        let [slow] = [root, children[0], children[1]]
            .into_iter()
            .filter(|id| !stopped.contains(&Call::Stopped(*id)))
            .collect::<Vec<_>>()[..]
        else {
            panic!("one is held");
        };
        assert!(failures.error.contains(&slow.to_string()), "{}", failures.error);
        gate.open();
        harness
            .backend
            .until("the slow one to stop", |backend| backend.calls().contains(&Call::Stopped(slow)))
            .await;
    }

    async fn a_purge_leaves_events_only(url: String) {
        // LIFE-35, LIFE-111, LIFE-112, ACT-14, ACT-68
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let answer = harness.platform.workspaces.delete(id, true, true).await.unwrap();
        assert_eq!((answer.status.as_str(), answer.cascade_deleted), ("purged", 0));
        assert!(harness.backend.calls().contains(&Call::RemoveData(id)));
        assert_eq!(harness.store.workspace(id).await.unwrap(), None);
        assert!(matches!(
            harness.platform.workspaces.get(id).await.unwrap(),
            Seen::Unknown
        ));
        assert_eq!(harness.recorded_names(id).await.last().unwrap(), "WORKSPACE_REMOVED");
    }

    async fn a_start_in_progress_does_not_survive(url: String) {
        // D17, LIFE-9
        let harness = Harness::new(&url).await;
        harness.backend.next_start(Start::HangRunning);
        let id = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        harness
            .backend
            .until("a start", |backend| backend.instance(id).is_some())
            .await;
        harness.platform.provisioner.auto_restart(id);
        harness.platform.workspaces.delete(id, true, false).await.unwrap();
        assert_eq!(harness.backend.instance(id), None);
        assert_eq!(harness.status(id).await, WorkspaceStatus::Removed);
        assert!(harness.payloads(id, "WORKSPACE_PROVISION_FAILED").await.is_empty());
        assert!(harness.backend.violations().is_empty());
    }
}
