//! Restarts (LIFE §9, D17).

use molecule_core::Timestamp;
use molecule_platform::{
    credentials::GateRefusal,
    provisioning::StartPlan,
    registry::{HeartbeatError, RegisterError},
    workspaces::RestartError,
};
use molecule_testkit::both_engines;
use molecule_wire::{registry::raw, workspaces::RestartWorkspace};
use secrecy::ExposeSecret;

use crate::common::*;

async fn restart(harness: &Harness, id: WorkspaceId) {
    let answer = harness
        .platform
        .workspaces
        .restart(id, RestartWorkspace::default())
        .await
        .unwrap();
    assert_eq!(answer.status, "provisioning");
    assert_eq!(answer.config_dir.as_deref(), Some("existing-volume")); // LIFE-132, LIFE-133
}

/// Starts and stops of one workspace, without their ends.
fn operations(harness: &Harness, id: WorkspaceId) -> Vec<Call> {
    let of = |call: &Call| match call {
        Call::Start(of, _) | Call::Stop(of) => *of == id,
        _ => false,
    };
    harness.backend.calls().into_iter().filter(of).collect()
}

both_engines! {
    async fn a_manual_restart_begins_a_new_incarnation_at_once(url: String) {
        // LIFE-26, LIFE-122, LIFE-125, LIFE-135, D17
        let harness = Harness::new(&url).await;
        harness.backend.endpoint("http://127.0.0.1:7001/");
        let id = harness.online("Lead").await;
        let old = harness.backend.spec(id).auth_token;
        // A beat and a registration that were let in just before the restart.
        let proven = harness.agent(id).await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        restart(&harness, id).await;
        // Answered before anything was stopped; the old instance is nobody any more.
        let row = harness.row(id).await;
        assert_eq!(
            (row.status, row.generation, row.url.as_str()),
            (WorkspaceStatus::Provisioning, 1, "")
        );
        let late = harness.bearer(old.expose_secret()).await;
        assert_eq!(late.principal, None);
        let beat = Heartbeat {
            workspace_id: id.to_string(),
            ..Heartbeat::default()
        };
        let refused = harness.platform.registry.heartbeat(&late, beat).await;
        assert!(
            matches!(refused, Err(HeartbeatError::Refused(GateRefusal::Invalid))),
            "{refused:?}"
        );
        assert_eq!(harness.status(id).await, WorkspaceStatus::Provisioning);
        gate.open();
        harness.until_instance(id).await;
        assert_eq!(
            operations(&harness, id),
            [Call::Start(id, 0), Call::Stop(id), Call::Start(id, 1)]
        );
        let beat = Heartbeat {
            workspace_id: id.to_string(),
            ..Heartbeat::default()
        };
        let refused = harness.platform.registry.heartbeat(&proven, beat).await;
        assert!(
            matches!(refused, Err(HeartbeatError::Refused(GateRefusal::Invalid))),
            "{refused:?}"
        );
        let again = Register {
            id: id.to_string(),
            agent_card: raw(&json!({ "name": "old" })),
            url: String::new(),
            delivery_mode: "".into(),
        };
        let refused = harness.platform.registry.register(&proven, again).await;
        assert!(
            matches!(refused, Err(RegisterError::Refused(GateRefusal::Invalid))),
            "{refused:?}"
        );
        assert_eq!(harness.status(id).await, WorkspaceStatus::Provisioning);
        harness.register(id).await;
        let names = harness.recorded_names(id).await;
        let expected = [
            "WORKSPACE_PROVISIONING",
            "WORKSPACE_ONLINE",
            "WORKSPACE_PROVISIONING",
            "WORKSPACE_ONLINE",
        ];
        assert_eq!(names, expected);
        assert!(harness.backend.violations().is_empty());
    }

    async fn requests_during_a_cycle_become_one_more(url: String) {
        // LIFE-145
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let other = harness.online("Other").await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        harness.platform.provisioner.auto_restart(id);
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(id)))
            .await;
        for _ in 0..5 {
            harness.platform.provisioner.auto_restart(id);
        }
        // Different workspaces never block each other.
        harness.platform.provisioner.auto_restart(other);
        harness
            .backend
            .until("the other's start", |backend| backend.starts(other).len() == 2)
            .await;
        gate.open();
        harness
            .backend
            .until("two more starts", |backend| backend.starts(id).len() == 3)
            .await;
        harness.until_instance(id).await;
        harness.register(id).await;
        assert_eq!(
            harness.row(id).await.generation,
            2,
            "one cycle, and one for all that came meanwhile"
        );
        assert!(harness.backend.violations().is_empty());
    }

    async fn a_panicking_cycle_fails_the_row_and_frees_the_slot(url: String) {
        // LIFE-146, LIFE-198
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness.backend.next_stop(Stop::Panic);
        restart(&harness, id).await;
        harness.until_status(id, WorkspaceStatus::Failed).await;
        assert_eq!(
            harness.row(id).await.sample_error,
            "workspace start failed unexpectedly"
        );
        assert_eq!(harness.payloads(id, "WORKSPACE_PROVISION_FAILED").await.len(), 1);
        restart(&harness, id).await;
        harness.until_instance(id).await;
    }

    async fn a_stop_that_fails_does_not_strand_the_workspace(url: String) {
        // LIFE-137
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness.backend.next_stop(Stop::Fail);
        restart(&harness, id).await;
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
    }

    async fn a_restart_cancels_the_start_in_progress(url: String) {
        // D17
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
        restart(&harness, id).await;
        harness.until_instance(id).await;
        assert_eq!(harness.backend.instance(id).unwrap().generation, 1);
        assert!(harness.payloads(id, "WORKSPACE_PROVISION_FAILED").await.is_empty());
        assert!(harness.backend.violations().is_empty());
        harness.register(id).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
    }

    async fn two_manual_restarts_in_a_row_end_well(url: String) {
        // LIFE-145, D17
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let gate = Gate::default();
        harness.backend.next_start(Start::Held(gate.clone()));
        restart(&harness, id).await;
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        restart(&harness, id).await;
        restart(&harness, id).await;
        gate.open();
        harness.until_instance(id).await;
        harness.register(id).await;
        let row = harness.row(id).await;
        assert_eq!((row.status, row.generation), (WorkspaceStatus::Online, 3));
        assert!(harness.backend.instance(id).is_some());
    }

    async fn a_restart_during_the_stop_of_another_brings_what_both_asked_for(url: String) {
        // LIFE-126, LIFE-145, D17
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        let template = RestartWorkspace {
            template: Some("echo".to_owned()),
            ..RestartWorkspace::default()
        };
        harness.platform.workspaces.restart(id, template).await.unwrap();
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(id)))
            .await;
        let reset = RestartWorkspace {
            reset: true,
            ..RestartWorkspace::default()
        };
        harness.platform.workspaces.restart(id, reset).await.unwrap();
        gate.open();
        harness.until_instance(id).await;
        let spec = harness.backend.spec(id);
        assert!(spec.reset_session);
        assert!(spec.files["config.yaml"].content.starts_with(b"name: Echo"));
        harness.register(id).await;
        let row = harness.row(id).await;
        assert_eq!((row.status, row.generation), (WorkspaceStatus::Online, 2));
        // The first incarnation was left to the second.
        assert_eq!(
            operations(&harness, id),
            [Call::Start(id, 0), Call::Stop(id), Call::Stop(id), Call::Start(id, 2),]
        );
    }

    async fn a_restart_that_waits_outlives_a_timeout(url: String) {
        // LIFE-122, LIFE-192: nobody is to wait for a workspace that nobody will start.
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        restart(&harness, id).await;
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(id)))
            .await;
        restart(&harness, id).await;
        harness.set("workspaces", "id", id, "status_changed_at = 1").await;
        let provisioner = harness.platform.provisioner.clone();
        let sweep = tokio::spawn(async move { provisioner.sweep_timeouts(Timestamp::from_micros(0)).await });
        harness.until_status(id, WorkspaceStatus::Failed).await;
        gate.open();
        sweep.await.unwrap().unwrap();
        harness.until_instance(id).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Provisioning);
    }

    async fn a_store_that_fails_for_a_while_loses_no_restart(url: String) {
        // LIFE-25, LIFE-145
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness.sql("ALTER TABLE structure_events RENAME TO gone").await;
        harness.platform.provisioner.auto_restart(id);
        until_logged(id, "it is tried again").await;
        harness.sql("ALTER TABLE gone RENAME TO structure_events").await;
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
    }

    async fn a_start_that_fails_meanwhile_does_not_swallow_a_restart(url: String) {
        // LIFE-122: the restart brings what the failed start had not.
        let harness = Harness::new(&url).await;
        harness.backend.next_start(Start::Hang);
        let id = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        harness
            .backend
            .until("a start", |backend| backend.starts(id).len() == 1)
            .await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        restart(&harness, id).await;
        // The cancelled start is being cleaned up; the restart waits for its turn.
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(id)))
            .await;
        harness.set("workspaces", "id", id, "status = 'failed'").await;
        gate.open();
        harness.until_instance(id).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Provisioning);
    }

    async fn a_stop_during_a_start_leaves_nothing_running(url: String) {
        // D17
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
        harness.platform.provisioner.stop(id).await.unwrap();
        assert_eq!(harness.backend.instance(id), None);
        assert!(harness.backend.violations().is_empty());
    }

    async fn a_start_that_nobody_wants_any_more_is_stopped(url: String) {
        // D17: the row is read again after the start.
        let harness = Harness::new(&url).await;
        let gate = Gate::default();
        harness.backend.next_start(Start::Held(gate.clone()));
        harness.backend.endpoint("http://127.0.0.1:7001/");
        let id = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        harness
            .backend
            .until("a start", |backend| backend.starts(id).len() == 1)
            .await;
        harness.set("workspaces", "id", id, "status = 'failed'").await;
        gate.open();
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stopped(id)))
            .await;
        assert_eq!(harness.backend.instance(id), None);
        // Nor is its address kept: messages would go to whoever has it next.
        eventually("no address", async || harness.row(id).await.url.is_empty()).await;
    }

    async fn settings_saved_together_are_one_cycle_that_sees_both(url: String) {
        // PROV-112, PROV-112a, PROV-122
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        // Held in a cycle that had begun before, so that it does not matter how long the saving takes.
        let (stop, gate) = (Gate::default(), Gate::default());
        harness.backend.next_stop(Stop::Held(stop.clone()));
        harness.platform.provisioner.auto_restart(id);
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(id)))
            .await;
        harness.platform.settings.set_secret(id, "A_KEY", "a").await.unwrap();
        harness.platform.settings.set_model(id, "openai/gpt").await.unwrap();
        harness.platform.settings.set_provider(id, "mine").await.unwrap();
        harness.backend.next_start(Start::Succeed);
        harness.backend.next_start(Start::Held(gate.clone()));
        stop.open();
        harness
            .backend
            .until("a third start", |backend| backend.starts(id).len() == 3)
            .await;
        let env = harness.backend.spec(id).env;
        for (key, value) in [("A_KEY", "a"), ("MODEL", "openai/gpt"), ("LLM_PROVIDER", "mine")] {
            assert_eq!(env[key].expose_secret(), value);
        }
        // What is written after the cycle has read its secrets still takes effect.
        harness.platform.settings.set_secret(id, "LATE", "b").await.unwrap();
        gate.open();
        harness
            .backend
            .until("a fourth start", |backend| backend.starts(id).len() == 4)
            .await;
        assert_eq!(harness.backend.spec(id).env["LATE"].expose_secret(), "b");
        assert_eq!(harness.row(id).await.generation, 3, "one cycle for all three");
    }

    async fn a_global_secret_restarts_those_that_use_it(url: String) {
        // PROV-123, LIFE-141
        let harness = Harness::new(&url).await;
        let user = harness.online("User").await;
        let own = harness.online("Own").await;
        let (external, _) = harness.polling("Laptop").await;
        harness.platform.secrets.set(own, "KEY", "own").await.unwrap();
        harness
            .platform
            .settings
            .set_global_secret("KEY", "global")
            .await
            .unwrap();
        harness
            .backend
            .until("the user's start", |backend| backend.starts(user).len() == 2)
            .await;
        harness.until_instance(user).await;
        // By the time a second change has reached its user, the first would have reached everybody else.
        harness
            .platform
            .settings
            .set_global_secret("KEY", "global again")
            .await
            .unwrap();
        harness
            .backend
            .until("the user's next start", |backend| backend.starts(user).len() == 3)
            .await;
        assert_eq!(harness.backend.starts(own).len(), 1);
        assert_eq!(harness.status(external).await, WorkspaceStatus::Online);
        assert!(!harness.platform.settings.delete_global_secret("ABSENT").await.unwrap());
    }

    async fn a_person_is_not_kept_waiting_by_a_crash_loop(url: String) {
        // LIFE-122
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        for crash in 1..=7 {
            harness.backend.exit(id, "exit code 1");
            eventually("the loss", async || {
                harness.payloads(id, "WORKSPACE_OFFLINE").await.len() == crash
            })
            .await;
            if crash == 1 {
                // The first pause is none.
                harness
                    .backend
                    .until("a start", |backend| backend.starts(id).len() == 2)
                    .await;
            } else {
                // The last one is longer than this test's patience.
                restart(&harness, id).await;
            }
            harness.until_instance(id).await;
            harness.register(id).await;
        }
    }

    async fn what_cannot_be_restarted_is_left_alone(url: String) {
        // LIFE-117, LIFE-118, LIFE-118a, LIFE-119, OP-3
        let harness = Harness::new(&url).await;
        let workspaces = &harness.platform.workspaces;
        let unknown = workspaces
            .restart(WorkspaceId::random(), RestartWorkspace::default())
            .await;
        assert!(matches!(unknown, Err(RestartError::NotFound)));

        let (external, token) = harness.polling("Laptop").await;
        let events = harness.recorded_names(external).await;
        let answer = workspaces.restart(external, RestartWorkspace::default()).await.unwrap();
        assert_eq!(answer.status, "noop");
        let message = answer.message.unwrap();
        assert!(
            message.contains("own host") && message.contains("token is unchanged"),
            "{message}"
        );
        assert_eq!(harness.bearer(&token).await.workspace(), Some(external));
        assert_eq!(harness.recorded_names(external).await, events);

        let removed = harness.online("Gone").await;
        workspaces.delete(removed, true, false).await.unwrap();
        let refused = workspaces.restart(removed, RestartWorkspace::default()).await;
        assert!(matches!(refused, Err(RestartError::NotFound)));
        assert_eq!(harness.status(removed).await, WorkspaceStatus::Removed);
    }

    async fn nothing_is_restarted_below_a_paused_parent(url: String) {
        // LIFE-119, LIFE-141
        let harness = Harness::new(&url).await;
        let parent = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(parent)).await;
        harness.set("workspaces", "id", parent, "status = 'paused'").await;
        // Another server, which has nothing cached.
        let second = Harness::with(
            &url,
            Options {
                begin: false,
                ..Options::default()
            },
        )
        .await;
        let refused = second
            .platform
            .workspaces
            .restart(child, RestartWorkspace::default())
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "parent workspace \"Lead\" is paused — resume it first"
        );
        assert_eq!(second.row(child).await.generation, 0);
    }

    async fn without_a_backend_there_is_no_restart(url: String) {
        // LIFE-120, LIFE-140
        let harness = Harness::without_backend(&url).await;
        let id = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        harness.until_status(id, WorkspaceStatus::Failed).await;
        let refused = harness
            .platform
            .workspaces
            .restart(id, RestartWorkspace::default())
            .await
            .unwrap_err();
        assert_eq!(refused.to_string(), "provisioner not available");
        harness.platform.provisioner.auto_restart(id);
        harness.platform.settings.set_secret(id, "A", "b").await.unwrap();
        assert_eq!(harness.row(id).await.generation, 0);
    }

    async fn a_registration_that_was_overtaken_by_a_restart_gets_no_token(url: String) {
        // LIFE-135, REG-32, D17: the old instance proved itself just before its token was revoked.
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let old = harness.agent(id).await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        harness
            .platform
            .provisioner
            .manual_restart(id, StartPlan::restart())
            .await
            .unwrap();
        let register = Register {
            id: id.to_string(),
            agent_card: raw(&json!({})),
            url: String::new(),
            delivery_mode: "".into(),
        };
        match harness.platform.registry.register(&old, register).await {
            Ok(reply) => assert!(
                reply.auth_token.is_none(),
                "a token for an instance that is being stopped"
            ),
            Err(error) => assert!(matches!(error, RegisterError::Refused(_)), "{error}"),
        }
        assert!(!harness.platform.credentials.has_live_token(id).await.unwrap());
        gate.open();
        harness.until_instance(id).await;
    }
}
