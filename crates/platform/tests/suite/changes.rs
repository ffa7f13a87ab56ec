//! What is kept in memory follows what is stored, whoever changes it.

use molecule_store::workspaces::WorkspacePatch;
use molecule_testkit::both_engines;

use crate::common::*;

both_engines! {
    async fn who_changes_something_need_not_know_who_keeps_it(url: String) {
        // SEC-4, SEC-6, REG-80: the services are told by the store, not by each other.
        let harness = Harness::new(&url).await;
        let root = harness.online("Root").await;
        let (lead, writer) = (
            harness.online_below("Lead", Some(root)).await,
            harness.online_below("Writer", Some(root)).await,
        );
        let Harness { platform, store, .. } = &harness;
        let token = platform.credentials.mint(lead).await.unwrap().unwrap();
        assert_eq!(harness.bearer(token.expose()).await.workspace(), Some(lead));
        assert!(
            platform.registry.check_access(writer, lead).await,
            "siblings, and both routes are kept now"
        );

        let row = platform.credentials.list(lead, 1, 0).await.unwrap().remove(0);
        assert!(store.revoke_token(lead, row.id).await.unwrap());
        assert_eq!(harness.bearer(token.expose()).await.principal, None);

        let away = WorkspacePatch {
            parent_id: Some(Some(lead)),
            ..WorkspacePatch::default()
        };
        let elsewhere = harness.online("Elsewhere").await;
        assert!(!platform.registry.check_access(elsewhere, writer).await);
        assert!(store.patch_workspace(writer, away).await.unwrap());
        let sibling = harness.online_below("Sibling", Some(root)).await;
        assert!(
            !platform.registry.check_access(writer, sibling).await,
            "it is a nephew now"
        );

        let token = platform.credentials.mint(writer).await.unwrap().unwrap();
        assert_eq!(harness.bearer(token.expose()).await.workspace(), Some(writer));
        store.remove_subtree(lead).await.unwrap().unwrap();
        assert_eq!(harness.bearer(token.expose()).await.principal, None);
        assert!(platform.events.last_heard(writer).is_none());
    }

    async fn what_another_server_changed_is_seen_with_its_event(url: String) {
        // SEC-6, LIFE-106
        let first = Harness::new(&url).await;
        let second = Harness::with(
            &url,
            Options {
                backend: None,
                ..Options::default()
            },
        )
        .await;
        let id = first.online("Lead").await;
        second.until_published(id, "WORKSPACE_ONLINE", 1).await;
        let token = first.platform.credentials.mint(id).await.unwrap().unwrap();
        assert_eq!(
            second.bearer(token.expose()).await.workspace(),
            Some(id),
            "and it is kept"
        );
        assert!(second.platform.events.last_heard(id).is_some());
        first.platform.workspaces.delete(id, true, false).await.unwrap();
        assert!(first.platform.events.last_heard(id).is_none());
        second.platform.run_job("broadcaster").await.unwrap();
        assert_eq!(second.bearer(token.expose()).await.principal, None);
        assert!(second.platform.events.last_heard(id).is_none());
    }
}
