//! What restarted agents are told (LIFE-147…150).

use molecule_core::limits;
use molecule_testkit::both_engines;
use molecule_wire::workspaces::RestartWorkspace;

use crate::common::*;

async fn restarted(harness: &Harness, id: WorkspaceId) {
    let request = RestartWorkspace::default();
    harness.platform.workspaces.restart(id, request).await.unwrap();
    harness.until_instance(id).await;
}

both_engines! {
    async fn a_restarted_agent_is_told_what_it_has(url: String) {
        // LIFE-147, LIFE-149, LIFE-150
        let harness = Harness::new(&url).await;
        let agent = Agent::json("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}").await;
        harness.backend.endpoint(&agent.url());
        let id = harness.online("Lead").await;
        assert!(agent.heard().is_empty(), "a first start is no restart");
        harness.platform.secrets.set(id, "OWN_KEY", "own value").await.unwrap();
        harness
            .platform
            .secrets
            .set_global("GLOBAL_KEY", "global value")
            .await
            .unwrap();
        restarted(&harness, id).await;
        harness.register(id).await;
        agent.until_heard(1).await;
        let heard = agent.heard().remove(0);
        let body: Value = serde_json::from_str(&heard.body).unwrap();
        assert_eq!(body["method"], "message/send");
        let message = &body["params"]["message"];
        let expected = json!({
            "source": "platform", "kind": "restart_context", "layer": 1, "restart_context": true,
        });
        assert_eq!((&message["role"], &message["metadata"]), (&json!("user"), &expected));
        assert_eq!(message["parts"].as_array().unwrap().len(), 1);
        let text = message["parts"][0]["text"].as_str().unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            (lines[0], lines[4], lines.len()),
            ("=== WORKSPACE RESTART CONTEXT ===", "=== END RESTART CONTEXT ===", 5,)
        );
        assert!(
            lines[1].starts_with("Restart at: 2") && lines[2].ends_with("ago)"),
            "{text}"
        );
        assert_eq!(lines[3], "Env vars now available: GLOBAL_KEY, OWN_KEY");
        assert!(!heard.body.contains("value"), "never what is in them");
        assert!(harness.feed(id).await.is_empty(), "nobody wrote it");
        // An unattended one, too.
        harness.backend.exit(id, "killed by signal 9");
        harness
            .backend
            .until("a third start", |backend| backend.starts(id).len() == 3)
            .await;
        harness.until_instance(id).await;
        harness.register(id).await;
        agent.until_heard(2).await;
    }

    async fn nobody_is_told_who_does_not_come_online(url: String) {
        // LIFE-148
        let harness = Harness::new(&url).await;
        let agent = Agent::json("{}").await;
        harness.backend.endpoint(&agent.url());
        let id = harness.online("Lead").await;
        restarted(&harness, id).await;
        let clock = harness.platform.clock();
        // However often it is looked at, the time runs out.
        let mut waited = std::time::Duration::ZERO;
        while waited <= limits::RESTART_CONTEXT_WAIT {
            clock.advance(limits::RESTART_CONTEXT_POLL);
            waited += limits::RESTART_CONTEXT_POLL;
            tokio::task::yield_now().await;
        }
        until_logged(id, "it did not come online").await;
        harness.register(id).await;
        assert!(agent.heard().is_empty());
    }
}
