//! Ends of instances, and starts that never complete (LIFE-20…22, LIFE-32, LIFE-189…192).

use std::time::Duration;

use molecule_core::Timestamp;
use molecule_testkit::both_engines;

use crate::common::*;

/// Makes a status as old as that.
async fn aged(harness: &Harness, id: WorkspaceId, secs: u64) {
    let then = molecule_store::now().minus(Duration::from_secs(secs)).micros();
    harness
        .set("workspaces", "id", id, &format!("status_changed_at = {then}"))
        .await;
}

/// Ends the starts that took too long, as if somebody had listened from the beginning of time.
async fn sweep(harness: &Harness) {
    let swept = harness.platform.provisioner.sweep_timeouts(Timestamp::from_micros(0));
    swept.await.unwrap();
}

both_engines! {
    async fn an_end_is_noticed_and_the_agent_comes_back(url: String) {
        // LIFE-20, LIFE-25, ACT-86
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let old = harness.agent(id).await;
        harness.backend.exit(id, "killed by signal 9");
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        harness.until_instance(id).await;
        harness.register(id).await;
        let names = harness.recorded_names(id).await;
        let expected = [
            "WORKSPACE_PROVISIONING",
            "WORKSPACE_ONLINE",
            "WORKSPACE_OFFLINE",
            "WORKSPACE_PROVISIONING",
            "WORKSPACE_ONLINE",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            harness.payloads(id, "WORKSPACE_OFFLINE").await,
            [json!({"reason": "killed by signal 9"})]
        );
        assert_ne!(harness.agent(id).await, old);
        assert!(harness.backend.violations().is_empty());
    }

    async fn an_end_before_the_registration_is_a_failed_start(url: String) {
        // ACT-90: once, and no restart loop
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        harness.backend.exit(id, "exit code 2: bad configuration");
        harness.until_status(id, WorkspaceStatus::Failed).await;
        let row = harness.row(id).await;
        assert_eq!(
            row.sample_error,
            "workspace start failed: exit code 2: bad configuration"
        );
        assert_eq!(harness.payloads(id, "WORKSPACE_PROVISION_FAILED").await.len(), 1);
        assert_eq!(harness.backend.starts(id).len(), 1);
    }

    async fn a_crash_loop_ends_in_a_failure_that_says_why(url: String) {
        // D30
        let mut options = Options::default();
        options.config.crash_restarts = 2;
        let harness = Harness::with(&url, options).await;
        let id = harness.online("Lead").await;
        for restart in 1..=2 {
            harness.backend.exit(id, "exit code 1: no model");
            harness
                .backend
                .until("a restart", |backend| backend.starts(id).len() == restart + 1)
                .await;
            harness.until_instance(id).await;
            harness.register(id).await;
        }
        harness.backend.exit(id, "exit code 3: no key\nwith a trace");
        harness.until_status(id, WorkspaceStatus::Failed).await;
        let text = harness.row(id).await.sample_error;
        assert!(
            text.contains("3 times") && text.contains("exit code 3: no key.") && text.contains("restart the workspace"),
            "{text}"
        );
        assert_eq!(harness.row(id).await.url, "");
        let failed = harness.payloads(id, "WORKSPACE_PROVISION_FAILED").await;
        assert_eq!(
            (failed.len(), failed[0]["error"].as_str(), &failed[0]["source"]),
            (1, Some(text.as_str()), &json!("crash_loop"))
        );
        assert_eq!(harness.backend.starts(id).len(), 3, "not again");
        // A person's restart is immediate, and the count begins anew.
        let request = molecule_wire::workspaces::RestartWorkspace::default();
        harness.platform.workspaces.restart(id, request).await.unwrap();
        harness.until_instance(id).await;
        harness.register(id).await;
        harness.backend.exit(id, "exit code 1");
        harness
            .backend
            .until("a restart", |backend| backend.starts(id).len() == 5)
            .await;
        harness.until_instance(id).await;
        assert!(harness.backend.violations().is_empty());
    }

    async fn the_end_of_an_earlier_incarnation_says_nothing(url: String) {
        // D17
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness.platform.provisioner.auto_restart(id);
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        harness.until_instance(id).await;
        harness.register(id).await;
        harness.backend.report(id, 0, "killed by signal 15");
        // Ends are handled in order: once this one was seen, the other one was too.
        let witness = harness.online("Witness").await;
        harness.backend.exit(witness, "exit code 1");
        harness.until_published(witness, "WORKSPACE_OFFLINE", 1).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        assert!(harness.payloads(id, "WORKSPACE_OFFLINE").await.is_empty());
    }

    async fn only_certainty_recycles(url: String) {
        // A2A-83, A2A-84, A2A-85, LIFE-62
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let provisioner = &harness.platform.provisioner;
        harness.backend.answers(id, Answer::Yes);
        assert!(!provisioner.restart_if_gone(id, 0).await);
        harness.backend.answers(id, Answer::Unknown);
        assert!(!provisioner.restart_if_gone(id, 0).await);
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        assert!(harness.payloads(id, "WORKSPACE_OFFLINE").await.is_empty());
        let (external, _) = harness.polling("Laptop").await;
        harness.backend.answers(external, Answer::No);
        assert!(!provisioner.restart_if_gone(external, 0).await);
        assert_eq!(harness.status(external).await, WorkspaceStatus::Online);
        harness.backend.answers(id, Answer::No);
        assert!(provisioner.restart_if_gone(id, 0).await);
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        assert_eq!(harness.payloads(id, "WORKSPACE_OFFLINE").await.len(), 1);
        // Another incarnation is there by now.
        provisioner.restart_if_gone(id, 0).await;
        assert_eq!(harness.payloads(id, "WORKSPACE_OFFLINE").await.len(), 1);
    }

    async fn a_start_that_never_registers_times_out_once(url: String) {
        // LIFE-32, LIFE-189, LIFE-191, LIFE-192, OP-15, ACT-90
        let harness = Harness::new(&url).await;
        harness.backend.endpoint("http://127.0.0.1:7001/");
        let late = harness.started("Late").await;
        let early = harness.started("Early").await;
        aged(&harness, late, 601).await;
        aged(&harness, early, 500).await;
        sweep(&harness).await;
        sweep(&harness).await;
        assert_eq!(harness.status(late).await, WorkspaceStatus::Failed);
        assert_eq!(harness.status(early).await, WorkspaceStatus::Provisioning);
        let failures = harness.payloads(late, "WORKSPACE_PROVISION_FAILED").await;
        assert_eq!(failures.len(), 1);
        let text = failures[0]["error"].as_str().unwrap();
        assert!(text.contains("never called /registry/register"), "{text}");
        assert_eq!(failures[0]["timeout_secs"], 600);
        assert_eq!(failures[0]["runtime"], "echo");
        assert_eq!(failures[0]["source"], "provision_timeout_sweep");
        assert_eq!(harness.row(late).await.sample_error, text);
        assert_eq!(
            harness.backend.instance(late),
            None,
            "what was half started does not come back as a stranger"
        );
    }

    async fn time_in_which_nobody_listened_does_not_count(url: String) {
        // LIFE-192, D17: the machine slept while the agent was coming up.
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        harness.set("workspaces", "id", id, "status_changed_at = 1").await;
        harness
            .platform
            .provisioner
            .sweep_timeouts(molecule_store::now())
            .await
            .unwrap();
        assert_eq!(harness.status(id).await, WorkspaceStatus::Provisioning);
        sweep(&harness).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Failed);
    }

    async fn who_waits_for_a_turn_is_not_late(url: String) {
        // D33, LIFE-189: as many starts run as may; the others are visible, and none of them is judged.
        let mut options = Options::default();
        options.config.concurrent_starts = 1;
        let harness = Harness::with(&url, options).await;
        let gate = Gate::default();
        harness.backend.next_start(Start::Held(gate.clone()));
        let first = harness
            .create(CreateWorkspace {
                name: "First".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        harness
            .backend
            .until("a start", |backend| backend.starts(first).len() == 1)
            .await;
        let second = harness
            .create(CreateWorkspace {
                name: "Second".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        until_logged(second, "waits for its turn").await;
        harness.set("workspaces", "id", second, "status_changed_at = 1").await;
        sweep(&harness).await;
        assert_eq!(harness.status(second).await, WorkspaceStatus::Provisioning);
        assert!(harness.backend.starts(second).is_empty());
        gate.open();
        harness.until_instance(second).await;
    }

    async fn the_deadline_that_is_shown_is_the_one_that_ends_a_start(url: String) {
        // LIFE-87, LIFE-191, PROV-92
        let templates = tempfile::tempdir().unwrap();
        let slow = templates.path().join("slow");
        std::fs::create_dir(&slow).unwrap();
        let config = "runtime: echo\nruntime_config: { provision_timeout_seconds: 1200 }\n";
        std::fs::write(slow.join("config.yaml"), config).unwrap();
        let mut options = Options::default();
        options.paths.templates = vec![templates.path().to_owned()];
        let harness = Harness::with(&url, options).await;
        let (spared, late) = (harness.started("Spared").await, harness.started("Late").await);
        aged(&harness, spared, 11 * 60).await;
        aged(&harness, late, 21 * 60).await;
        let listed = harness.platform.workspaces.list().await.unwrap();
        assert_eq!(listed.len(), 2);
        for item in listed {
            assert_eq!(item.workspace.provision_timeout_ms, Some(1_200_000));
        }
        sweep(&harness).await;
        assert_eq!(harness.status(spared).await, WorkspaceStatus::Provisioning);
        assert_eq!(harness.status(late).await, WorkspaceStatus::Failed);
        let failed = harness.payloads(late, "WORKSPACE_PROVISION_FAILED").await;
        assert_eq!(failed[0]["timeout_secs"], 1200);
    }

    async fn the_operators_deadline_holds_for_every_runtime(url: String) {
        // LIFE-189
        let mut options = Options::default();
        options.config.provision_timeout = Some(Duration::from_secs(5));
        let harness = Harness::with(&url, options).await;
        let id = harness.started("Lead").await;
        aged(&harness, id, 6).await;
        sweep(&harness).await;
        assert_eq!(
            harness.payloads(id, "WORKSPACE_PROVISION_FAILED").await[0]["timeout_secs"],
            5
        );
    }
}
