//! Removals undone, and reports of boots that failed (LIFE-172, LIFE-173, LIFE-199).

use molecule_platform::workspaces::RestoreError;
use molecule_testkit::both_engines;
use secrecy::ExposeSecret;

use crate::common::*;

both_engines! {
    async fn a_removal_is_undone(url: String) {
        // LIFE-199
        let harness = Harness::new(&url).await;
        let root = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(root)).await;
        harness.platform.secrets.set(child, "KEY", "value").await.unwrap();
        let old = harness.backend.spec(child).auth_token;
        let workspaces = &harness.platform.workspaces;
        let refused = workspaces.restore(child, "").await;
        assert!(matches!(refused, Err(RestoreError::NotRemoved)), "{refused:?}");
        workspaces.delete(root, true, false).await.unwrap();
        let refused = workspaces.restore(child, "").await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "parent workspace \"Lead\" is removed — restore it first"
        );
        for id in [root, child] {
            let restored = workspaces.restore(id, "").await.unwrap();
            assert_eq!(
                (restored.status, restored.connection.is_some()),
                (WorkspaceStatus::Offline, false)
            );
            harness
                .backend
                .until("a second start", |backend| backend.starts(id).len() == 2)
                .await;
            harness.until_instance(id).await;
            harness.register(id).await;
            assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        }
        assert_eq!(
            harness.bearer(old.expose_secret()).await.principal,
            None,
            "it stays dead"
        );
        assert_eq!(harness.backend.spec(child).env["KEY"].expose_secret(), "value");
        let events = harness.recorded_names(child).await;
        let after = events.iter().position(|name| name == "WORKSPACE_REMOVED").unwrap();
        assert_eq!(
            events[after + 1..after + 3],
            ["WORKSPACE_PROVISIONING", "WORKSPACE_OFFLINE"]
        );
        workspaces.delete(root, true, true).await.unwrap();
        let refused = workspaces.restore(root, "").await;
        assert!(matches!(refused, Err(RestoreError::NotFound)), "{refused:?}");
    }

    async fn an_external_workspace_gets_a_new_token(url: String) {
        // LIFE-199
        let harness = Harness::without_backend(&url).await;
        let (id, old) = harness.polling("Laptop").await;
        let workspaces = &harness.platform.workspaces;
        workspaces.delete(id, true, false).await.unwrap();
        let restored = workspaces.restore(id, "http://m.example").await.unwrap();
        assert_eq!(restored.status, WorkspaceStatus::AwaitingAgent);
        let connection = restored.connection.unwrap();
        assert_eq!(connection.platform_url, "http://m.example");
        assert_eq!(harness.bearer(&connection.auth_token).await.workspace(), Some(id));
        assert_eq!(harness.bearer(&old).await.principal, None);
    }

    async fn a_boot_that_failed_is_reported_once(url: String) {
        // LIFE-33, LIFE-172, LIFE-173, LIFE-197
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        let report = async |error: &str, tail: &str| {
            let provisioner = &harness.platform.provisioner;
            provisioner.bootstrap_failed(id, error, tail).await.unwrap()
        };
        let tail = format!("OPENAI_API_KEY=sk-0123456789abcdefghij\n{}", "oops ".repeat(2_000));
        assert!(report("no disk", &tail).await);
        let row = harness.row(id).await;
        assert_eq!(row.status, WorkspaceStatus::Failed);
        assert!(
            row.sample_error.starts_with("no disk\n\n...(truncated)..."),
            "{}",
            row.sample_error
        );
        assert!((8_100..=8_192).contains(&row.sample_error.len()));
        let [payload] = harness
            .payloads(id, "WORKSPACE_PROVISION_FAILED")
            .await
            .try_into()
            .unwrap();
        assert_eq!(
            (&payload["error"], &payload["source"]),
            (&json!("no disk"), &json!("bootstrap_watcher"))
        );
        assert_eq!(
            payload["log_tail"].as_str().unwrap().len(),
            8_192 + "...(truncated)...".len()
        );
        // What is left of it is stopped.
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stopped(id)))
            .await;
        assert!(!report("again", "").await);
        assert_eq!(harness.payloads(id, "WORKSPACE_PROVISION_FAILED").await.len(), 1);
        assert!(
            !harness
                .platform
                .provisioner
                .bootstrap_failed(WorkspaceId::random(), "", "")
                .await
                .unwrap()
        );

        let second = harness.started("Writer").await;
        let short = "OPENAI_API_KEY=sk-0123456789abcdefghij";
        assert!(
            harness
                .platform
                .provisioner
                .bootstrap_failed(second, " ", short)
                .await
                .unwrap()
        );
        let error = harness.row(second).await.sample_error;
        assert!(
            error.starts_with("the instance failed to boot") && !error.contains("sk-0"),
            "{error}"
        );
    }
}
