//! Pause, resume, hibernation and waking (LIFE §10, §11, OP-6, OP-7, OP-9).

use std::time::Duration;

use molecule_core::limits;
use molecule_platform::{
    messaging::MessagingError,
    workspaces::{HibernateError, PauseError, ResumeError, WakeError},
};
use molecule_testkit::both_engines;
use molecule_wire::{Patch, workspaces::UpdateWorkspace};

use crate::common::*;

const MINUTE: Duration = Duration::from_secs(60);

/// The workspace may be idle for ten minutes.
async fn allow_ten_minutes(harness: &Harness, id: WorkspaceId) {
    let update = UpdateWorkspace {
        hibernation_idle_minutes: Patch::Value(10),
        ..UpdateWorkspace::default()
    };
    harness.platform.workspaces.patch(id, update, true).await.unwrap();
}

async fn idle_beat(harness: &Harness, id: WorkspaceId) {
    harness.beat(id, Heartbeat::default()).await;
    harness.platform.registry.flush().await.unwrap();
}

/// One look of the monitor, and what it says it did.
async fn monitor(harness: &Harness) -> Value {
    let status = harness.platform.run_job("hibernation-monitor").await.unwrap();
    assert_eq!(status.last_error, None);
    status.last_report.unwrap()
}

fn stops(harness: &Harness, id: WorkspaceId) -> usize {
    let of = |call: &&Call| **call == Call::Stop(id);
    harness.backend.calls().iter().filter(of).count()
}

both_engines! {
    async fn a_pause_reaches_down_and_a_resume_follows_it(url: String) {
        // LIFE-28, LIFE-30, LIFE-151, LIFE-153, LIFE-154, OP-9, ACT-88
        let harness = Harness::new(&url).await;
        harness.backend.endpoint("http://127.0.0.1:7001/");
        let root = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(root)).await;
        let grandchild = harness.online_below("Proof", Some(child)).await;
        let other = harness.online("Other").await;
        let old = harness.agent(grandchild).await;
        let paused = harness.platform.workspaces.pause(root).await.unwrap();
        assert_eq!((paused.status.as_str(), paused.paused_count), ("paused", 3));
        for (id, name) in [(root, "Lead"), (child, "Writer"), (grandchild, "Proof")] {
            let row = harness.row(id).await;
            assert_eq!((row.status, row.url.as_str()), (WorkspaceStatus::Paused, ""));
            assert_eq!(
                harness.payloads(id, "WORKSPACE_PAUSED").await,
                [json!({ "name": name })]
            );
            assert_eq!(harness.backend.instance(id), None);
        }
        assert_eq!(harness.status(other).await, WorkspaceStatus::Online);
        // Neither settings nor beats nor sweeps start them again.
        harness
            .platform
            .settings
            .set_secret(child, "KEY", "value")
            .await
            .unwrap();
        harness.platform.provisioner.auto_restart(child);
        harness.beat_as(&old, grandchild, Heartbeat::default()).await;
        harness.register(grandchild).await;
        harness.platform.clock().advance(limits::RESTART_DEBOUNCE);
        assert_eq!(harness.status(grandchild).await, WorkspaceStatus::Paused);

        let refused = harness.platform.workspaces.pause(root).await;
        assert!(matches!(refused, Err(PauseError::NotFound)), "{refused:?}");
        let refused = harness.platform.workspaces.resume(child).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "parent workspace \"Lead\" is paused — resume it first"
        );

        let resumed = harness.platform.workspaces.resume(root).await.unwrap();
        assert_eq!((resumed.status.as_str(), resumed.resumed_count), ("provisioning", 3));
        for id in [root, child, grandchild] {
            harness.until_instance(id).await;
            let row = harness.row(id).await;
            assert_eq!((row.status, row.generation), (WorkspaceStatus::Provisioning, 1));
            assert!(
                !harness.backend.spec(id).files.contains_key("config.yaml"),
                "no template again"
            );
            harness.register(id).await;
        }
        let refused = harness.platform.workspaces.resume(root).await;
        assert!(matches!(refused, Err(ResumeError::NotFound)), "{refused:?}");
        assert!(harness.backend.violations().is_empty());
    }

    async fn a_resume_stops_where_something_runs(url: String) {
        // LIFE-154
        let harness = Harness::new(&url).await;
        let root = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(root)).await;
        let grandchild = harness.online_below("Proof", Some(child)).await;
        harness.platform.workspaces.pause(grandchild).await.unwrap();
        harness.platform.workspaces.pause(child).await.unwrap();
        harness.set("workspaces", "id", child, "status = 'failed'").await;
        harness.platform.workspaces.pause(root).await.unwrap();
        harness.set("workspaces", "id", child, "status = 'failed'").await;
        let resumed = harness.platform.workspaces.resume(root).await.unwrap();
        assert_eq!(resumed.resumed_count, 1, "not through one that is not paused");
        assert_eq!(harness.status(grandchild).await, WorkspaceStatus::Paused);
    }

    async fn a_pause_during_a_start_leaves_nothing_running(url: String) {
        // D17, OP-9
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
        harness.platform.workspaces.pause(id).await.unwrap();
        assert_eq!(harness.backend.instance(id), None);
        assert_eq!(harness.status(id).await, WorkspaceStatus::Paused);
        assert!(harness.backend.violations().is_empty());
    }

    async fn what_cannot_be_stopped_is_paused_all_the_same(url: String) {
        // LIFE-136, LIFE-137, LIFE-139, OP-9, PROV-O1
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness.backend.every_stop(Stop::Fail);
        let (workspaces, clock) = (harness.platform.workspaces.clone(), harness.platform.clock().clone());
        let pausing = tokio::spawn(async move { workspaces.pause(id).await });
        for attempt in 1..=3 {
            harness
                .backend
                .until("an attempt", |_| stops(&harness, id) == attempt)
                .await;
            until_logged(
                id,
                if attempt < 3 {
                    "it is tried again"
                } else {
                    "LEAK-SUSPECT"
                },
            )
            .await;
            clock.advance(2 * limits::STOP_RETRY_PAUSE);
        }
        assert_eq!(pausing.await.unwrap().unwrap().paused_count, 1);
        assert_eq!(
            (harness.status(id).await, stops(&harness, id)),
            (WorkspaceStatus::Paused, 3)
        );
    }

    async fn a_resume_during_the_stop_of_a_pause_ends_well(url: String) {
        // D17: the pause must not take away what the resume asked for.
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        let workspaces = harness.platform.workspaces.clone();
        let pausing = tokio::spawn(async move { workspaces.pause(id).await });
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(id)))
            .await;
        harness.platform.workspaces.resume(id).await.unwrap();
        gate.open();
        pausing.await.unwrap().unwrap();
        harness.until_instance(id).await;
        harness.register(id).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        assert!(harness.backend.violations().is_empty());
    }

    async fn an_external_workspace_keeps_its_token_through_a_pause(url: String) {
        // LIFE-156, OP-3, OP-9: also without a backend
        let harness = Harness::without_backend(&url).await;
        let (id, token) = harness.polling("Laptop").await;
        harness.platform.workspaces.pause(id).await.unwrap();
        harness.platform.workspaces.resume(id).await.unwrap();
        assert_eq!(harness.status(id).await, WorkspaceStatus::AwaitingAgent);
        assert_eq!(harness.bearer(&token).await.workspace(), Some(id));
        let events = harness.recorded_names(id).await;
        assert_eq!(
            events[events.len() - 2..],
            ["WORKSPACE_PAUSED", "WORKSPACE_AWAITING_AGENT"]
        );

        let managed = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        harness.until_status(managed, WorkspaceStatus::Failed).await;
        harness.platform.workspaces.pause(managed).await.unwrap();
        let refused = harness.platform.workspaces.resume(managed).await.unwrap_err();
        assert_eq!(refused.to_string(), "provisioner not available");
        assert_eq!(harness.row(managed).await.generation, 0);
    }

    async fn nobody_reaches_a_paused_external_agent(url: String) {
        // OP-3: it may go on and say where it is.
        let harness = Harness::new(&url).await;
        let agent = Agent::json("{}").await;
        let id = harness.reporting("Laptop", &agent.reported_url()).await;
        harness.platform.workspaces.pause(id).await.unwrap();
        let address = agent.reported_url();
        harness.set("workspaces", "id", id, &format!("url = '{address}'")).await;
        harness.platform.changes().changed(id);
        let refused = harness.ask(id, "hello").await;
        assert!(matches!(refused, Err(MessagingError::NoUrl { .. })), "{refused:?}");
    }

    async fn a_workspace_hibernates_on_request_and_a_message_wakes_it(url: String) {
        // LIFE-27, LIFE-29, LIFE-159…162, A2A-61
        let harness = Harness::new(&url).await;
        harness.backend.endpoint("http://127.0.0.1:7001/");
        let id = harness.online("Lead").await;
        let done = harness.platform.workspaces.hibernate(id, false).await.unwrap();
        assert_eq!(done.status, "hibernated");
        let row = harness.row(id).await;
        assert_eq!((row.status, row.url.as_str()), (WorkspaceStatus::Hibernated, ""));
        assert_eq!(harness.backend.instance(id), None);
        let payload = json!({ "name": "Lead", "tier": row.tier });
        assert_eq!(harness.payloads(id, "WORKSPACE_HIBERNATED").await, [payload]);
        let refused = harness.platform.workspaces.hibernate(id, false).await;
        assert!(matches!(refused, Err(HibernateError::NotHibernatable)), "{refused:?}");
        // What is saved meanwhile is there when it wakes.
        harness.platform.secrets.set(id, "LATER", "value").await.unwrap();

        let asked = futures_util::future::join_all((0..5).map(|_| harness.ask(id, "hello"))).await;
        assert!(
            asked.iter().all(|asked| matches!(
                asked,
                Err(MessagingError::Waking
                    | MessagingError::NoUrl {
                        status: WorkspaceStatus::Provisioning
                    })
            )),
            "{asked:?}"
        );
        assert!(asked.iter().any(|asked| matches!(asked, Err(MessagingError::Waking))));
        harness.until_instance(id).await;
        harness.register(id).await;
        let row = harness.row(id).await;
        assert_eq!(
            (row.status, row.generation),
            (WorkspaceStatus::Online, 1),
            "one start for all of them"
        );
        assert!(harness.backend.spec(id).env.contains_key("LATER"));
        assert!(harness.backend.violations().is_empty());
    }

    async fn whoever_works_is_not_hibernated_unless_somebody_insists(url: String) {
        // LIFE-157, LIFE-158, LIFE-160, OP-7
        let harness = Harness::new(&url).await;
        let workspaces = &harness.platform.workspaces;
        let id = harness.online("Lead").await;
        let busy = Heartbeat {
            active_tasks: 2,
            ..Heartbeat::default()
        };
        harness.beat(id, busy).await;
        let refused = workspaces.hibernate(id, false).await;
        assert!(matches!(refused, Err(HibernateError::Busy(2))), "{refused:?}");
        // Nor by what only the store knows.
        harness.platform.registry.flush().await.unwrap();
        harness.platform.changes().gone(id);
        let claimed = harness.platform.provisioner.hibernate(id, false).await.unwrap();
        assert!(matches!(
            claimed,
            molecule_platform::provisioning::Hibernated::NotClaimed
        ));
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        workspaces.hibernate(id, true).await.unwrap();
        assert_eq!(harness.status(id).await, WorkspaceStatus::Hibernated);

        let (external, _) = harness.polling("Laptop").await;
        let refused = workspaces.hibernate(external, true).await;
        assert!(matches!(refused, Err(HibernateError::External)), "{refused:?}");
        let unknown = workspaces.hibernate(WorkspaceId::random(), false).await.unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "workspace not found or not in a hibernatable state (must be online or degraded)"
        );
    }

    async fn of_concurrent_callers_one_stops(url: String) {
        // LIFE-161
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let provisioner = &harness.platform.provisioner;
        let outcomes = futures_util::future::join_all((0..6).map(|_| provisioner.hibernate(id, false))).await;
        let done = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Ok(molecule_platform::provisioning::Hibernated::Done)))
            .count();
        assert_eq!((done, stops(&harness, id)), (1, 1));
    }

    async fn a_message_under_way_is_answered_before_the_agent_sleeps(url: String) {
        // OP-7
        let harness = Harness::new(&url).await;
        let gate = Gate::default();
        let agent = Agent::new(Reply::Held(gate.clone(), "{}".to_owned())).await;
        harness.backend.endpoint(&agent.url());
        let id = harness.online("Lead").await;
        let messenger = harness.platform.messenger.clone();
        let body = text_message("hello");
        let asking = tokio::spawn(async move { messenger.deliver(&admin(), message(id, &body)).await });
        agent.until_heard(1).await;
        let refused = harness.platform.workspaces.hibernate(id, false).await;
        assert!(matches!(refused, Err(HibernateError::Busy(1))), "{refused:?}");
        gate.open();
        asking.await.unwrap().unwrap();
        harness.platform.workspaces.hibernate(id, false).await.unwrap();
    }

    async fn idle_workspaces_hibernate_by_themselves(url: String) {
        // LIFE-163, LIFE-193, OP-6
        let harness = Harness::new(&url).await;
        let [idle, busy, always] = [
            harness.online("Idle").await,
            harness.online("Busy").await,
            harness.online("Always").await,
        ];
        let agent = Agent::json("{}").await;
        harness.backend.endpoint(&agent.url());
        let talked_to = harness.online("Talked to").await;
        for id in [idle, busy, talked_to] {
            allow_ten_minutes(&harness, id).await;
        }
        let clock = harness.platform.clock();
        clock.advance(9 * MINUTE);
        for id in [idle, busy, talked_to, always] {
            idle_beat(&harness, id).await;
        }
        assert_eq!(monitor(&harness).await["idle"], 0, "not for long enough");
        let task = Heartbeat {
            active_tasks: 1,
            ..Heartbeat::default()
        };
        harness.beat(busy, task).await;
        harness.ask(talked_to, "hello").await.unwrap();
        clock.advance(2 * MINUTE);
        for id in [idle, busy, talked_to, always] {
            idle_beat(&harness, id).await;
        }
        let report = monitor(&harness).await;
        assert_eq!(
            report,
            json!({ "idle": 1, "hibernated": 1, "finished": 0, "failed": 0 })
        );
        assert_eq!(harness.status(idle).await, WorkspaceStatus::Hibernated);
        for id in [busy, talked_to, always] {
            assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        }
        clock.advance(10 * MINUTE);
        for id in [busy, talked_to, always] {
            idle_beat(&harness, id).await;
        }
        assert_eq!(monitor(&harness).await["hibernated"], 2);
        assert_eq!(
            harness.status(always).await,
            WorkspaceStatus::Online,
            "it was not told to"
        );
    }

    async fn nobody_sleeps_who_was_not_heard_of(url: String) {
        // D17, OP-6: what went on while no server listened is not known.
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        allow_ten_minutes(&harness, id).await;
        harness.platform.clock().advance(20 * MINUTE);
        assert_eq!(monitor(&harness).await["idle"], 0);
        idle_beat(&harness, id).await;
        assert_eq!(monitor(&harness).await["hibernated"], 1);
    }

    async fn a_hibernation_that_was_given_up_is_finished(url: String) {
        // OP-7
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness.backend.next_stop(Stop::Panic);
        let refused = harness.platform.workspaces.hibernate(id, false).await;
        assert!(matches!(refused, Err(HibernateError::NotStopped)), "{refused:?}");
        assert_eq!(harness.status(id).await, WorkspaceStatus::Hibernating);
        assert_eq!(monitor(&harness).await["finished"], 0, "somebody may be at it");
        harness.platform.clock().advance(limits::HIBERNATING_STUCK);
        assert_eq!(monitor(&harness).await["finished"], 1);
        assert_eq!(harness.status(id).await, WorkspaceStatus::Hibernated);
        assert_eq!(harness.backend.instance(id), None);
        assert_eq!(harness.payloads(id, "WORKSPACE_HIBERNATED").await.len(), 1);
    }

    async fn a_message_for_one_that_falls_asleep_wakes_it_afterwards(url: String) {
        // LIFE-162
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        let workspaces = harness.platform.workspaces.clone();
        let falling = tokio::spawn(async move { workspaces.hibernate(id, false).await });
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(id)))
            .await;
        let asked = harness.ask(id, "hello").await;
        assert!(matches!(asked, Err(MessagingError::Waking)), "{asked:?}");
        gate.open();
        falling.await.unwrap().unwrap();
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        harness.until_instance(id).await;
        assert!(harness.backend.violations().is_empty());
    }

    async fn a_restart_overtakes_a_hibernation(url: String) {
        // LIFE-26, D17
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let gate = Gate::default();
        harness.backend.next_stop(Stop::Held(gate.clone()));
        let workspaces = harness.platform.workspaces.clone();
        let falling = tokio::spawn(async move { workspaces.hibernate(id, false).await });
        harness
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(id)))
            .await;
        let restart = molecule_wire::workspaces::RestartWorkspace::default();
        harness.platform.workspaces.restart(id, restart).await.unwrap();
        gate.open();
        let overtaken = falling.await.unwrap();
        assert!(matches!(overtaken, Err(HibernateError::NotClaimed)), "{overtaken:?}");
        harness.until_instance(id).await;
        assert!(harness.payloads(id, "WORKSPACE_HIBERNATED").await.is_empty());
    }

    async fn the_next_server_finishes_what_was_claimed(url: String) {
        // LIFE-194, LIFE-196, OP-7
        let first = Harness::new(&url).await;
        let id = first.online("Lead").await;
        first.backend.next_stop(Stop::Panic);
        first.platform.workspaces.hibernate(id, false).await.unwrap_err();
        first.stop().await;
        let second = Harness::new(&url).await;
        assert_eq!(second.status(id).await, WorkspaceStatus::Hibernated);
    }

    async fn waking_on_request(url: String) {
        // LIFE-162
        let harness = Harness::new(&url).await;
        let parent = harness.online("Lead").await;
        let id = harness.online_below("Writer", Some(parent)).await;
        let workspaces = &harness.platform.workspaces;
        let refused = workspaces.wake(id).await;
        assert!(matches!(refused, Err(WakeError::NotHibernated)), "{refused:?}");
        workspaces.hibernate(id, false).await.unwrap();
        harness.set("workspaces", "id", parent, "status = 'paused'").await;
        harness.platform.changes().changed(parent);
        let refused = workspaces.wake(id).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "parent workspace \"Lead\" is paused — resume it first"
        );
        let asked = harness.ask(id, "hello").await;
        assert!(matches!(asked, Err(MessagingError::NoUrl { .. })), "{asked:?}");
        harness.set("workspaces", "id", parent, "status = 'online'").await;
        harness.platform.changes().changed(parent);
        assert_eq!(workspaces.wake(id).await.unwrap().status, "waking");
        harness.until_instance(id).await;
    }
}
