//! How starts fail (LIFE §4, PROV §2, ACT-90).

use std::collections::BTreeMap;

use molecule_platform::{
    Paths,
    provisioning::{StartFiles, StartPlan},
};
use molecule_testkit::both_engines;

use crate::common::*;

/// The workspace failed exactly once, and people read `text`. Returns the event's payload.
async fn failed_once(harness: &Harness, id: WorkspaceId, text: &str) -> Value {
    harness.until_status(id, WorkspaceStatus::Failed).await;
    let row = harness.row(id).await;
    assert_eq!(row.sample_error, text, "LIFE-55");
    assert_eq!(row.url, "");
    let mut failures = harness.payloads(id, "WORKSPACE_PROVISION_FAILED").await;
    assert_eq!(failures.len(), 1, "ACT-90: {failures:?}");
    assert_eq!(failures[0]["error"], text);
    failures.remove(0)
}

/// Restarts with a configuration that demands environment.
fn demanding(names: &str) -> StartPlan {
    let yaml = format!("runtime_config:\n  required_env: [{names}]\n");
    let files = BTreeMap::from([("config.yaml".to_owned(), yaml.into_bytes())]);
    StartPlan {
        files: StartFiles::Given {
            template_dir: None,
            files,
        },
        reset_session: false,
    }
}

both_engines! {
    async fn a_backend_error_is_told_in_general_words(url: String) {
        // LIFE-31, LIFE-57, PROV-34, PROV-35
        let harness = Harness::new(&url).await;
        harness
            .backend
            .next_start(Start::Fail("/srv/data: permission denied for token s3cr3t"));
        let id = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        let event = failed_once(&harness, id, "workspace start failed").await;
        assert_eq!(event, json!({ "error": "workspace start failed" }));
        // LIFE-14: an agent that comes up late is welcome all the same.
        harness.register(id).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
    }

    async fn what_cannot_be_had_is_named(url: String) {
        // PROV-35: said of what the operator asked for, not of what happened inside
        let harness = Harness::new(&url).await;
        harness
            .backend
            .next_start(Start::Impossible("workspace_dir is not a directory"));
        let id = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        failed_once(&harness, id, "workspace start failed: workspace_dir is not a directory").await;
    }

    async fn an_agent_that_ends_says_why(url: String) {
        let harness = Harness::new(&url).await;
        harness
            .backend
            .next_start(Start::Ended("exit code 1: no API key; its last output:\nkey=s3cr3t"));
        let id = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        failed_once(&harness, id, "workspace start failed: exit code 1: no API key").await;
    }

    async fn a_panic_is_an_ordinary_failure(url: String) {
        // LIFE-54, PROV-31, ACT-75
        let harness = Harness::new(&url).await;
        harness.backend.next_start(Start::Panic);
        let id = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        failed_once(&harness, id, "workspace start failed unexpectedly").await;
        // The slot is usable.
        assert!(
            harness
                .platform
                .provisioner
                .manual_restart(id, StartPlan::restart())
                .await
                .unwrap()
                .is_some()
        );
        harness.until_instance(id).await;
    }

    async fn missing_environment_is_named(url: String) {
        // PROV-24, PROV-25, LIFE-55, ACT-90
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        harness.platform.secrets.set(id, "PRESENT", "x").await.unwrap();
        harness
            .platform
            .provisioner
            .manual_restart(id, demanding("B_KEY, PRESENT, A_KEY"))
            .await
            .unwrap();
        harness.until_status(id, WorkspaceStatus::Failed).await;
        let text = harness.row(id).await.sample_error;
        assert!(text.starts_with("missing required env vars B_KEY, A_KEY"), "{text}");
        assert!(text.contains("env vars or as a global secret"), "{text}");
        let event = failed_once(&harness, id, &text).await;
        assert_eq!(event["missing"], json!(["B_KEY", "A_KEY"]));
        assert_eq!(harness.backend.starts(id).len(), 1, "the backend was not asked");
    }

    async fn an_undecryptable_secret_is_not_left_out(url: String) {
        // PROV-15, PROV-16, PROV-17, SEC-134
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        harness.platform.secrets.set(id, "OWN", "x").await.unwrap();
        harness
            .set("workspace_secrets", "workspace_id", id, "key_id = 'gone'")
            .await;
        harness
            .platform
            .provisioner
            .manual_restart(id, StartPlan::restart())
            .await
            .unwrap();
        failed_once(&harness, id, "failed to decrypt workspace secret").await;

        let other = harness.started("Other").await;
        harness.platform.secrets.set_global("SHARED", "x").await.unwrap();
        harness.sql("UPDATE global_secrets SET key_id = 'gone'").await;
        harness
            .platform
            .provisioner
            .manual_restart(other, StartPlan::restart())
            .await
            .unwrap();
        failed_once(&harness, other, "failed to decrypt global secret").await;
    }

    async fn an_empty_volume_without_a_template_fails_with_advice(url: String) {
        // PROV-29, PROV-30, LIFE-134
        let options = Options {
            paths: Paths::default(),
            ..Options::default()
        };
        let harness = Harness::with(&url, options).await;
        let id = harness.started("Lead").await;
        harness.backend.volumes_are_empty();
        harness
            .platform
            .provisioner
            .manual_restart(id, StartPlan::restart())
            .await
            .unwrap();
        harness.until_status(id, WorkspaceStatus::Failed).await;
        let text = harness.row(id).await.sample_error;
        assert!(text.contains(&id.to_string()) && text.contains("template"), "{text}");
        failed_once(&harness, id, &text).await;
    }

    // Not even where a template of the runtime is at hand (LIFE-134): a generic agent under a role's name would pass for it.
    async fn an_emptied_volume_is_not_filled_with_something_else(url: String) {
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        harness.backend.volumes_are_empty();
        harness
            .platform
            .provisioner
            .manual_restart(id, StartPlan::restart())
            .await
            .unwrap();
        harness.until_status(id, WorkspaceStatus::Failed).await;
        assert_eq!(harness.backend.starts(id).len(), 1);
        let text = harness.row(id).await.sample_error;
        assert!(text.contains("restore"), "{text}");
        failed_once(&harness, id, &text).await;
    }

    async fn concurrent_starts_do_not_mix(url: String) {
        // LIFE-56, PROV-32, ACT-75
        let harness = Harness::new(&url).await;
        harness.backend.every_start(Start::Fail("no"));
        let creates = (0..12).map(|n| {
            let request = CreateWorkspace {
                name: format!("W{n}"),
                ..CreateWorkspace::default()
            };
            harness.create(request)
        });
        let ids = futures_util::future::join_all(creates).await;
        for id in &ids {
            failed_once(&harness, *id, "workspace start failed").await;
            assert_eq!(harness.backend.starts(*id).len(), 1);
        }
        assert!(harness.backend.violations().is_empty());
    }

    async fn starts_mint_fresh_credentials_that_no_other_start_had(url: String) {
        // PROV-51, PROV-52, SEC-111, D3
        use secrecy::ExposeSecret;
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let first = harness.backend.spec(id);
        harness.platform.provisioner.auto_restart(id);
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        let second = harness.backend.spec(id);
        assert_ne!(first.auth_token.expose_secret(), second.auth_token.expose_secret());
        assert_ne!(
            first.inbound_secret.expose_secret(),
            second.inbound_secret.expose_secret()
        );
        assert_eq!(harness.bearer(first.auth_token.expose_secret()).await.principal, None);
        assert_eq!(
            harness.bearer(second.auth_token.expose_secret()).await.workspace(),
            Some(id)
        );
        assert_eq!(harness.platform.credentials.list(id, 10, 0).await.unwrap().len(), 1);
    }
}

/// Only SQLite: time stands still on one thread, which a server's connections do not take well.
#[tokio::test]
async fn a_start_that_hangs_is_ended_at_the_deadline() {
    // LIFE-58, PROV-12, PROV-O7
    let database = molecule_testkit::sqlite::database();
    let harness = Harness::new(database.url()).await;
    harness.backend.next_start(Start::HangRunning);
    let id = harness
        .create(CreateWorkspace {
            name: "Lead".to_owned(),
            ..CreateWorkspace::default()
        })
        .await;
    harness
        .backend
        .until("an instance", |backend| backend.instance(id).is_some())
        .await;
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(181)).await;
    tokio::time::resume();
    failed_once(&harness, id, "workspace start did not complete within 180 s").await;
    // What had come up half way is not left behind.
    harness
        .backend
        .until("a stop", |backend| backend.instance(id).is_none())
        .await;
}
