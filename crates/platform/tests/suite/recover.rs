//! What an earlier server left behind (D17, D19).

use molecule_core::{
    ActivityId,
    activity::{ActivityStatus, ActivityType},
};
use molecule_platform::provisioning::{Recovered, StartPlan};
use molecule_store::activity::{Durability, NewActivity};
use molecule_testkit::{backend::ScriptedBackend, both_engines};

use crate::common::*;

/// The first server goes; a second one finds `backend` and the same database.
async fn succeeded_by(first: Harness, url: &str, backend: ScriptedBackend) -> (Harness, Recovered) {
    backend.keep_volumes_of(&first.backend);
    first.stop().await;
    let options = Options {
        backend: Some(backend),
        begin: false,
        ..Options::default()
    };
    let second = Harness::with(url, options).await;
    let recovered = second.platform.begin().await.unwrap();
    assert!(second.platform.is_ready());
    (second, recovered)
}

/// Records the row of a stream that has begun.
async fn open_stream(harness: &Harness, workspace: WorkspaceId) -> ActivityId {
    let row = NewActivity {
        status: ActivityStatus::InProgress.into(),
        ..NewActivity::new(workspace, ActivityType::A2aReceive)
    };
    let id = row.id;
    harness
        .platform
        .activity
        .record(row, Durability::Process)
        .await
        .unwrap();
    id
}

both_engines! {
    // D15: the server that is about to begin closes what the last one left open, and nothing of its own.
    async fn a_stream_opened_during_the_boot_stays_open(url: String) {
        let first = Harness::new(&url).await;
        let id = first.started("Lead").await;
        let left = open_stream(&first, id).await;
        first.stop().await;
        let second = Harness::with(
            &url,
            Options {
                begin: false,
                ..Options::default()
            },
        )
        .await;
        let own = open_stream(&second, id).await;
        second.platform.begin().await.unwrap();
        let rows = second.feed(id).await;
        let status = |id| rows.iter().find(|row| row.id == id).map(|row| row.status.as_str());
        assert_eq!((status(left), status(own)), (Some("error"), Some("in_progress")));
    }

    async fn a_running_instance_is_adopted(url: String) {
        // D19
        let first = Harness::new(&url).await;
        let id = first.online("Lead").await;
        let token = first.backend.spec(id).auth_token;
        let backend = ScriptedBackend::default();
        backend.leave_behind(id, 0, "http://127.0.0.1:7009/");
        let (second, recovered) = succeeded_by(first, &url, backend).await;
        assert_eq!(
            recovered,
            Recovered {
                adopted: 1,
                ended: 0,
                restarted: 0
            }
        );
        assert_eq!(second.backend.calls(), [Call::Adopt(id, 0)]);
        let row = second.row(id).await;
        assert_eq!(
            (row.status, row.url.as_str(), row.url_assigned),
            (WorkspaceStatus::Online, "http://127.0.0.1:7009/", true)
        );
        // Its token is still good, and its end is noticed.
        use secrecy::ExposeSecret;
        assert_eq!(second.bearer(token.expose_secret()).await.workspace(), Some(id));
        assert_eq!(
            second.recorded_names(id).await,
            ["WORKSPACE_PROVISIONING", "WORKSPACE_ONLINE"]
        );
        second.backend.exit(id, "exit code 1");
        second
            .backend
            .until("a start", |backend| backend.starts(id).len() == 1)
            .await;
    }

    async fn an_older_incarnation_is_ended_and_the_workspace_started(url: String) {
        // D17
        let first = Harness::new(&url).await;
        let id = first.online("Lead").await;
        first.platform.provisioner.auto_restart(id);
        first
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        first.until_instance(id).await;
        first.register(id).await;
        let backend = ScriptedBackend::default();
        backend.leave_behind(id, 0, "http://127.0.0.1:7009/");
        let (second, recovered) = succeeded_by(first, &url, backend).await;
        assert_eq!(
            recovered,
            Recovered {
                adopted: 0,
                ended: 1,
                restarted: 1
            }
        );
        second
            .backend
            .until("a start", |backend| backend.starts(id).len() == 1)
            .await;
        second.until_instance(id).await;
        assert_eq!(second.row(id).await.generation, 2);
        assert_eq!(second.backend.calls()[0], Call::Stop(id));
        assert!(
            second
                .recorded_names(id)
                .await
                .contains(&"WORKSPACE_OFFLINE".to_owned())
        );
        assert!(second.backend.violations().is_empty());
    }

    async fn what_ought_to_run_is_started_and_nothing_else(url: String) {
        // D17
        let first = Harness::new(&url).await;
        let missing = first.online("Missing").await;
        let booting = first.started("Booting").await;
        let offline = first.online("Offline").await;
        let failed = first.online("Failed").await;
        let paused = first.online("Paused").await;
        let (external, token) = first.polling("Laptop").await;
        first.set("workspaces", "id", offline, "status = 'offline'").await;
        first.set("workspaces", "id", failed, "status = 'failed'").await;
        first.set("workspaces", "id", paused, "status = 'paused'").await;
        let stranger = WorkspaceId::random();
        let backend = ScriptedBackend::default();
        for id in [stranger, paused, booting] {
            backend.leave_behind(id, 0, "http://127.0.0.1:7009/");
        }
        let (second, recovered) = succeeded_by(first, &url, backend).await;
        assert_eq!(
            recovered,
            Recovered {
                adopted: 0,
                ended: 3,
                restarted: 3
            }
        );
        for id in [missing, booting, offline] {
            second
                .backend
                .until("a start", |backend| backend.starts(id).len() == 1)
                .await;
            second.until_instance(id).await;
            assert_eq!(second.row(id).await.generation, 1);
        }
        for id in [failed, paused] {
            assert!(second.backend.starts(id).is_empty());
            assert_eq!(second.backend.instance(id), None);
        }
        assert_eq!(second.backend.instance(stranger), None);
        assert_eq!(second.status(external).await, WorkspaceStatus::Online);
        assert_eq!(second.bearer(&token).await.workspace(), Some(external));
    }

    async fn a_start_is_not_timed_out_for_the_time_the_server_was_down(url: String) {
        // LIFE-192, D17: what judges starts waits until they are begun again.
        let first = Harness::new(&url).await;
        let mut ids = Vec::new();
        for n in 0..8 {
            ids.push(first.started(&format!("W{n}")).await);
        }
        first.sql("UPDATE workspaces SET status_changed_at = 1").await;
        let (second, recovered) = succeeded_by(first, &url, ScriptedBackend::default()).await;
        assert_eq!(
            recovered,
            Recovered {
                adopted: 0,
                ended: 0,
                restarted: 8
            }
        );
        for id in ids {
            assert_eq!(second.row(id).await.generation, 1, "written when the boot is settled");
            second.until_instance(id).await;
            assert!(second.payloads(id, "WORKSPACE_PROVISION_FAILED").await.is_empty());
            assert_eq!(second.backend.starts(id).len(), 1);
        }
    }

    async fn what_a_person_restarts_meanwhile_is_left_alone(url: String) {
        // D17, LIFE-122: requests are served while the boot is being settled.
        let first = Harness::new(&url).await;
        let [held, done] = [first.online("Held").await, first.online("Done").await];
        first.stop().await;
        let backend = ScriptedBackend::default();
        for id in [held, done] {
            backend.leave_behind(id, 0, "http://127.0.0.1:7009/");
        }
        let options = Options {
            backend: Some(backend),
            begin: false,
            ..Options::default()
        };
        let second = Harness::with(&url, options).await;
        let provisioner = &second.platform.provisioner;
        provisioner.manual_restart(done, StartPlan::restart()).await.unwrap();
        second.until_instance(done).await;
        let gate = Gate::default();
        second.backend.next_stop(Stop::Held(gate.clone()));
        provisioner.manual_restart(held, StartPlan::restart()).await.unwrap();
        second
            .backend
            .until("a stop", |backend| backend.calls().contains(&Call::Stop(held)))
            .await;
        assert_eq!(second.platform.begin().await.unwrap(), Recovered::default());
        gate.open();
        for id in [held, done] {
            second.until_instance(id).await;
            assert_eq!(
                (second.row(id).await.generation, second.backend.starts(id).len()),
                (1, 1)
            );
        }
        assert!(second.backend.violations().is_empty());
    }

    async fn settings_that_an_agent_has_not_read_reach_it_from_the_next_server(url: String) {
        // PROV-122, PROV-123: the first server ended before it restarted anybody.
        let first = Harness::new(&url).await;
        let [changed, user, own] = [
            first.online("Changed").await,
            first.online("User").await,
            first.online("Own").await,
        ];
        first.platform.secrets.set(own, "SHARED", "own").await.unwrap();
        first
            .platform
            .provisioner
            .manual_restart(own, StartPlan::restart())
            .await
            .unwrap();
        first.until_instance(own).await;
        first.register(own).await;
        let secrets = &first.platform.secrets;
        secrets.set(changed, "SHARED", "own").await.unwrap();
        secrets.set_global("SHARED", "global").await.unwrap();
        let backend = ScriptedBackend::default();
        for (id, generation) in [(changed, 0), (user, 0), (own, 1)] {
            backend.leave_behind(id, generation, "http://127.0.0.1:7009/");
        }
        let (second, recovered) = succeeded_by(first, &url, backend).await;
        assert_eq!(
            recovered,
            Recovered {
                adopted: 3,
                ended: 0,
                restarted: 2
            }
        );
        for (id, value) in [(changed, "own"), (user, "global")] {
            second
                .backend
                .until("a start", |backend| backend.starts(id).len() == 1)
                .await;
            use secrecy::ExposeSecret;
            assert_eq!(second.backend.spec(id).env["SHARED"].expose_secret(), value);
        }
        assert!(second.backend.starts(own).is_empty(), "it has read what it uses");
        assert!(second.store.restarts_due().await.unwrap().is_empty());
    }

    async fn without_a_backend_starts_fail_and_the_rest_stays(url: String) {
        // LIFE-49
        let first = Harness::new(&url).await;
        let booting = first.started("Booting").await;
        let online = first.online("Online").await;
        first.stop().await;
        let second = Harness::without_backend(&url).await;
        assert_eq!(second.status(booting).await, WorkspaceStatus::Failed);
        assert_eq!(second.payloads(booting, "WORKSPACE_PROVISION_FAILED").await.len(), 1);
        assert_eq!(second.status(online).await, WorkspaceStatus::Online);
    }

    async fn uncertainty_ends_nothing(url: String) {
        // D19: the boot fails rather than start everything a second time.
        let first = Harness::new(&url).await;
        let id = first.online("Lead").await;
        first.stop().await;
        let backend = ScriptedBackend::default();
        backend.leave_behind(id, 0, "http://127.0.0.1:7009/");
        backend.listing_fails();
        let options = Options {
            backend: Some(backend),
            begin: false,
            ..Options::default()
        };
        let second = Harness::with(&url, options).await;
        assert!(second.platform.begin().await.is_err());
        assert!(!second.platform.is_ready());
        assert!(second.backend.calls().is_empty());
        assert_eq!(second.status(id).await, WorkspaceStatus::Online);
    }
}
