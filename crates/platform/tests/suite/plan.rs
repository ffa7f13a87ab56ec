//! What a workspace is to start with outlives failed starts and the server (PROV-45, LIFE-133, D17).

use molecule_platform::provisioning::StartPlan;
use molecule_testkit::{backend::ScriptedBackend, both_engines};
use molecule_wire::{orgs::ImportOrg, registry::raw, workspaces::RestartWorkspace};

use crate::common::*;

const MINE: &[u8] = b"runtime: echo\n";

/// A template of an operator's own.
fn template() -> (tempfile::TempDir, Options) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("mine")).unwrap();
    std::fs::write(root.path().join("mine/config.yaml"), MINE).unwrap();
    let mut options = Options::default();
    options.paths.templates.insert(0, root.path().to_owned());
    (root, options)
}

fn of_template() -> CreateWorkspace {
    CreateWorkspace {
        name: "Lead".to_owned(),
        template: Some("mine".to_owned()),
        ..CreateWorkspace::default()
    }
}

async fn restart(harness: &Harness, id: WorkspaceId) {
    harness
        .platform
        .workspaces
        .restart(id, RestartWorkspace::default())
        .await
        .unwrap();
}

both_engines! {
    async fn a_template_waits_for_a_backend(url: String) {
        // LIFE-49, LIFE-66: the failure says "restart the workspace", and that is enough.
        let (_root, options) = template();
        let first = Harness::with(
            &url,
            Options {
                backend: None,
                ..options
            },
        )
        .await;
        let id = first.create(of_template()).await;
        first.until_status(id, WorkspaceStatus::Failed).await;
        first.stop().await;
        let second = Harness::new(&url).await;
        restart(&second, id).await;
        second.until_instance(id).await;
        assert!(second.backend.spec(id).files["config.yaml"].content == MINE);
    }

    async fn an_imported_team_waits_for_a_backend(url: String) {
        // PROV-137, PROV-142, PROV-144
        let first = Harness::without_backend(&url).await;
        let template = json!({
            "name": "Team",
            "workspaces": [{ "name": "Lead", "runtime": "echo", "system_prompt": "You lead." }],
        });
        let request = ImportOrg {
            template: Some(raw(&template)),
            ..ImportOrg::default()
        };
        let id = first.platform.orgs.import(request).await.unwrap().workspaces[0].id;
        first.until_status(id, WorkspaceStatus::Failed).await;
        first.stop().await;
        let second = Harness::new(&url).await;
        restart(&second, id).await;
        second.until_instance(id).await;
        let files = second.backend.spec(id).files;
        assert_eq!(files["system-prompt.md"].content, b"You lead.");
        assert!(files.contains_key("config.yaml"));
    }

    async fn a_start_that_the_server_did_not_survive_is_begun_again_as_it_was(url: String) {
        // D17: nothing was written when the first server ended.
        let (_root, options) = template();
        let first = Harness::with(&url, options).await;
        first.backend.next_start(Start::Hang);
        let id = first.create(of_template()).await;
        first
            .backend
            .until("a start", |backend| backend.starts(id).len() == 1)
            .await;
        let second = Harness::with(
            &url,
            Options {
                backend: Some(ScriptedBackend::default()),
                ..Options::default()
            },
        )
        .await;
        second
            .backend
            .until("a start", |backend| backend.starts(id).len() == 1)
            .await;
        assert!(second.backend.spec(id).files["config.yaml"].content == MINE);
    }

    async fn what_was_not_written_is_written_by_the_next_start_and_once(url: String) {
        // LIFE-126, LIFE-133, LIFE-143
        let (_root, options) = template();
        let harness = Harness::with(&url, options).await;
        harness.backend.next_start(Start::Fail("no space left"));
        let id = harness.create(of_template()).await;
        harness.until_status(id, WorkspaceStatus::Failed).await;
        harness.backend.next_start(Start::Fail("no space left"));
        let reset = StartPlan {
            reset_session: true,
            ..StartPlan::restart()
        };
        harness.platform.provisioner.manual_restart(id, reset).await.unwrap();
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        harness.until_status(id, WorkspaceStatus::Failed).await;
        harness.platform.provisioner.auto_restart(id);
        harness.until_instance(id).await;
        let spec = harness.backend.spec(id);
        assert_eq!(spec.files["config.yaml"].content, MINE);
        assert!(spec.reset_session);
        restart(&harness, id).await;
        harness.until_instance(id).await;
        let spec = harness.backend.spec(id);
        assert_eq!((spec.files.len(), spec.reset_session), (0, false));
    }

    async fn an_agent_that_ends_at_once_has_its_configuration(url: String) {
        // LIFE-133: what the operator repairs in it must not be undone.
        let (_root, options) = template();
        let harness = Harness::with(&url, options).await;
        harness.backend.next_start(Start::Ended("exit code 1: no API key"));
        let id = harness.create(of_template()).await;
        harness.until_status(id, WorkspaceStatus::Failed).await;
        restart(&harness, id).await;
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        assert!(harness.store.start_plan(id).await.unwrap().start_files.is_none());
    }

    async fn a_template_that_is_gone_is_not_replaced_by_another(url: String) {
        let (root, options) = template();
        let harness = Harness::with(&url, options).await;
        harness.backend.next_start(Start::Fail("no space left"));
        let id = harness.create(of_template()).await;
        harness.until_status(id, WorkspaceStatus::Failed).await;
        drop(root);
        restart(&harness, id).await;
        let text = "the template this workspace was to start with is gone: restart it with a template";
        eventually("the reason", async || harness.row(id).await.sample_error == text).await;
        assert_eq!(harness.backend.starts(id).len(), 1);
        let other = RestartWorkspace {
            template: Some("echo".to_owned()),
            ..RestartWorkspace::default()
        };
        harness.platform.workspaces.restart(id, other).await.unwrap();
        harness.until_instance(id).await;
        assert!(
            harness.backend.spec(id).files["config.yaml"]
                .content
                .starts_with(b"name: Echo")
        );
    }
}
