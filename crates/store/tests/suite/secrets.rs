//! Secrets and the Config tab's documents.

use molecule_core::{Runtime, WorkspaceId, WorkspaceStatus, model::Origin};
use molecule_store::{
    DbErrorKind,
    secrets::{NewSecret, Sealed},
    workspaces::NewWorkspace,
};
use serde_json::json;

use crate::support::{count, create, describe, open, sealed, secret, transition};

molecule_testkit::both_engines! {
    // PROV-116: whatever is written replaces value, version, key and origin together.
    async fn a_write_replaces_all_of_a_secret(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        let old = NewSecret {
            key: "K".to_owned(),
            value: Sealed {
                bytes: b"plain".to_vec(),
                version: 0,
                key_id: String::new(),
            },
            origin: Origin::Derived,
        };
        store.change_workspace_secrets(id, vec![old], Vec::new()).await.unwrap();
        let before = store.workspace_secret(id, "K").await.unwrap().unwrap();
        assert_eq!((before.value.version, before.origin), (0, Origin::Derived));
        store
            .change_workspace_secrets(id, vec![secret("K", "new")], Vec::new())
            .await
            .unwrap();
        let after = store.workspace_secret(id, "K").await.unwrap().unwrap();
        assert_eq!((after.value.clone(), after.origin), (sealed("new"), Origin::Set));
        assert_eq!(after.created_at, before.created_at);
        assert!(after.updated_at > before.updated_at);
        assert_eq!(count(&store, "workspace_secrets", "1 = 1", []).await, 1);
    }

    async fn changes_are_one_transaction(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        let all = vec![secret("B", "2"), secret("A", "1"), secret("C", "3")];
        store.change_workspace_secrets(id, all, Vec::new()).await.unwrap();
        let swap = vec![secret("A", "1+"), secret("D", "4"), secret("D", "4+")];
        store
            .change_workspace_secrets(id, swap, vec!["A".to_owned(), "B".to_owned(), "X".to_owned()])
            .await
            .unwrap();
        let rows = store.workspace_secrets(id).await.unwrap();
        let rows: Vec<_> = rows.into_iter().map(|row| (row.key, row.value.bytes)).collect();
        let expected = [("A", "1+"), ("C", "3"), ("D", "4+")];
        assert_eq!(
            rows,
            expected.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
        );
        // Unknown workspace: the deletions before it are undone too.
        let refused = store
            .change_workspace_secrets(WorkspaceId::random(), vec![secret("A", "x")], vec!["C".to_owned()])
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), DbErrorKind::ForeignKey);
        assert_eq!(store.workspace_secrets(id).await.unwrap().len(), 3);
        assert!(store.delete_workspace_secret(id, "A").await.unwrap());
        assert!(!store.delete_workspace_secret(id, "A").await.unwrap());
        assert!(store.workspace_secret(id, "A").await.unwrap().is_none());
    }

    // PROV-122, PROV-123: a restart is due exactly for those whose environment changed, until one begins.
    async fn a_changed_secret_makes_restarts_due(url: String) {
        let store = open(&url).await;
        let (a, b) = (create(&store, "a", None).await, create(&store, "b", None).await);
        for (name, status, runtime) in [
            ("paused", WorkspaceStatus::Paused, Runtime::Echo),
            ("removed", WorkspaceStatus::Removed, Runtime::Echo),
            ("external", WorkspaceStatus::Online, Runtime::External),
        ] {
            let new = NewWorkspace {
                status,
                runtime,
                ..describe(name)
            };
            store.create_workspace(new).await.unwrap();
        }
        let begin = async |id: WorkspaceId| {
            let mut restart = transition(id, &WorkspaceStatus::ALL, WorkspaceStatus::Provisioning);
            restart.change.restart = true;
            store.transition(restart).await.unwrap().unwrap();
        };
        let due = async || store.restarts_due().await.unwrap();
        assert!(due().await.is_empty());
        store
            .change_workspace_secrets(a, vec![secret("SHARED", "x")], Vec::new())
            .await
            .unwrap();
        assert_eq!(due().await, [a]);
        begin(a).await;
        assert!(due().await.is_empty());
        assert_eq!(store.put_global_secret("SHARED", sealed("y")).await.unwrap(), [b]);
        assert_eq!(due().await, [b]);
        begin(b).await;
        assert!(!store.delete_workspace_secret(a, "OTHER").await.unwrap());
        assert!(due().await.is_empty());
        assert!(store.delete_workspace_secret(a, "SHARED").await.unwrap());
        assert_eq!(due().await, [a]);
        let mut users = store.delete_global_secret("SHARED").await.unwrap().unwrap();
        users.sort_unstable();
        let mut both = [a, b];
        both.sort_unstable();
        assert_eq!(users, both);
    }

    async fn global_secrets_are_replaced_and_deleted(url: String) {
        let store = open(&url).await;
        for (key, value) in [("B", "1"), ("A", "2"), ("B", "3")] {
            store.put_global_secret(key, sealed(value)).await.unwrap();
        }
        let rows = store.global_secrets(10).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!((rows[1].value.clone(), rows[1].origin), (sealed("3"), Origin::Set));
        assert!(rows[1].updated_at > rows[1].created_at);
        assert_eq!(store.global_secrets(1).await.unwrap().len(), 1);
        assert_eq!(store.delete_global_secret("A").await.unwrap(), Some(Vec::new()));
        assert_eq!(store.delete_global_secret("A").await.unwrap(), None);
    }

    // LIFE-70
    async fn configuration_documents_are_replaced(url: String) {
        let store = open(&url).await;
        let id = create(&store, "a", None).await;
        assert_eq!(store.workspace_config(id).await.unwrap(), None);
        for document in [json!({ "model": "m\0", "tier": 2 }), json!({ "model": null })] {
            store.put_workspace_config(id, &document).await.unwrap();
            assert_eq!(store.workspace_config(id).await.unwrap(), Some(document));
        }
        let refused = store
            .put_workspace_config(WorkspaceId::random(), &json!({}))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), DbErrorKind::ForeignKey);
    }
}

#[test]
fn debug_tells_no_value() {
    assert!(!format!("{:?}", secret("K", "hush")).contains("hush"));
    assert!(!format!("{:?}", secret("K", "hush")).contains("104, 117"));
}
