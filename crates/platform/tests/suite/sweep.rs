//! Who has fallen silent (LIFE-180…183, REG-91…95, D17).

use std::time::Duration;

use molecule_core::Timestamp;
use molecule_platform::registry::Watch;
use molecule_testkit::both_engines;

use crate::common::*;

/// A sweep that has listened for ever.
fn patient() -> Watch {
    Watch::since(Timestamp::from_micros(0))
}

/// Lets the stored beat be so old.
async fn silence(harness: &Harness, id: WorkspaceId, secs: u64) {
    let at = molecule_store::now().minus(Duration::from_secs(secs)).micros();
    harness
        .set("workspace_pulse", "workspace_id", id, &format!("last_beat_at = {at}"))
        .await;
}

both_engines! {
    async fn an_external_workspace_is_lost_and_found_without_a_backend(url: String) {
        // LIFE-24, LIFE-180, LIFE-180a, LIFE-182, OP-4, REG-65, REG-92
        let harness = Harness::without_backend(&url).await;
        let (id, token) = harness.polling("Laptop").await;
        silence(&harness, id, 60).await;
        harness.platform.registry.sweep(&mut patient()).await.unwrap();
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online, "within the window");
        silence(&harness, id, 91).await;
        harness.platform.registry.sweep(&mut patient()).await.unwrap();
        harness.platform.registry.sweep(&mut patient()).await.unwrap();
        assert_eq!(harness.status(id).await, WorkspaceStatus::AwaitingAgent);
        let lost = harness.recorded(id).await.split_off(3);
        assert_eq!(
            lost,
            [
                ("WORKSPACE_OFFLINE".to_owned(), json!({})),
                (
                    "WORKSPACE_AWAITING_AGENT".to_owned(),
                    json!({ "name": "Laptop", "external": true })
                ),
            ]
        );
        let identity = harness.bearer(&token).await;
        assert_eq!(identity.workspace(), Some(id), "its only credential is untouched");
        harness.beat_as(&identity, id, Heartbeat::default()).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        assert_eq!(
            harness.recorded(id).await.last().unwrap().1,
            json!({ "recovered_from": "awaiting_agent" })
        );
    }

    async fn a_silent_managed_agent_is_replaced(url: String) {
        // LIFE-22, REG-90, REG-94
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        silence(&harness, id, 120).await;
        harness.platform.registry.sweep(&mut patient()).await.unwrap();
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        silence(&harness, id, 181).await;
        harness.platform.registry.sweep(&mut patient()).await.unwrap();
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        let names = harness.recorded_names(id).await;
        assert_eq!(names[2..4], ["WORKSPACE_OFFLINE", "WORKSPACE_PROVISIONING"]);
    }

    async fn an_instance_that_vanished_is_noticed(url: String) {
        // LIFE-20, LIFE-181, REG-93
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let doubtful = harness.online("Doubtful").await;
        harness.backend.vanish(id);
        harness.backend.answers(doubtful, Answer::Unknown);
        harness.platform.registry.sweep(&mut patient()).await.unwrap();
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        assert_eq!(harness.status(doubtful).await, WorkspaceStatus::Online);
    }

    async fn an_offline_workspace_that_nobody_restarts_is_restarted(url: String) {
        // LIFE-22, LIFE-25
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let (external, _) = harness.polling("Laptop").await;
        for id in [id, external] {
            harness.set("workspaces", "id", id, "status = 'offline'").await;
        }
        harness.platform.registry.sweep(&mut patient()).await.unwrap();
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        assert_eq!(harness.status(external).await, WorkspaceStatus::Offline);
    }

    async fn a_backend_that_panics_keeps_nobody_from_being_judged(url: String) {
        // LIFE-176
        let harness = Harness::new(&url).await;
        let odd = harness.online("Odd").await;
        let gone = harness.online("Gone").await;
        harness.backend.answers(odd, Answer::Panic);
        harness.backend.vanish(gone);
        let swept = harness.platform.registry.sweep(&mut patient()).await.unwrap();
        assert_eq!((swept.judged, swept.failed), (2, 0));
        harness
            .backend
            .until("a second start", |backend| backend.starts(gone).len() == 2)
            .await;
        assert_eq!(
            harness.status(odd).await,
            WorkspaceStatus::Online,
            "uncertainty ends nothing"
        );
    }

    async fn nobody_is_blamed_for_a_server_that_was_down(url: String) {
        // D17: silence counts from the server's boot.
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        silence(&harness, id, 86_400).await;
        harness
            .platform
            .registry
            .sweep(&mut Watch::begin(harness.platform.clock()))
            .await
            .unwrap();
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
    }

    async fn nobody_is_blamed_for_beats_that_are_not_stored_yet(url: String) {
        // D17, REG-95
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        silence(&harness, id, 86_400).await;
        harness.beat(id, Heartbeat::default()).await;
        harness.platform.registry.sweep(&mut patient()).await.unwrap();
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        assert!(harness.payloads(id, "WORKSPACE_OFFLINE").await.is_empty());
    }
}
