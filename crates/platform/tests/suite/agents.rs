//! Agents on record (LIFE §13).

use molecule_platform::agents::AgentError;
use molecule_testkit::both_engines;

use crate::common::*;

both_engines! {
    async fn assigned_replaced_moved_removed(url: String) {
        // LIFE-170, LIFE-171, ACT-92, ACT-93, ACT-94
        let harness = Harness::without_backend(&url).await;
        let (from, _) = harness.polling("From").await;
        let (to, _) = harness.polling("To").await;
        let agents = &harness.platform.agents;
        let assigned = agents.assign(from, " gpt ").await.unwrap();
        assert_eq!(assigned.model, "gpt");
        let refused = agents.assign(from, "other").await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "workspace already has an active agent, use PATCH to replace"
        );
        let replaced = agents.replace(from, "claude").await.unwrap();
        assert_eq!(
            (replaced.model.as_str(), replaced.old_model.as_str()),
            ("claude", "gpt")
        );
        assert_ne!(replaced.agent_id, assigned.agent_id);
        let moved = agents.relocate(from, &to.to_string(), true).await.unwrap();
        assert_eq!((moved.from_workspace, moved.to_workspace), (from, to));
        assert_eq!(moved.agent_id, replaced.agent_id);
        let removed = agents.remove(to).await.unwrap();
        assert_eq!((removed.status.as_str(), removed.agent_id), ("removed", moved.agent_id));
        let payload = |extra: Value| {
            let mut payload = json!({ "agent_id": replaced.agent_id, "model": "claude" });
            payload
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            payload
        };
        assert_eq!(
            harness.payloads(from, "AGENT_ASSIGNED").await,
            [json!({ "agent_id": assigned.agent_id, "model": "gpt" })]
        );
        assert_eq!(
            harness.payloads(from, "AGENT_REPLACED").await,
            [payload(json!({ "old_model": "gpt" }))]
        );
        assert_eq!(
            harness.payloads(from, "AGENT_MOVED").await,
            [payload(json!({ "target_workspace_id": to }))]
        );
        assert_eq!(
            harness.payloads(to, "AGENT_MOVED").await,
            [payload(json!({ "source_workspace_id": from }))]
        );
        assert_eq!(harness.payloads(to, "AGENT_REMOVED").await, [payload(json!({}))]);
    }

    async fn each_refusal_says_what_is_the_matter(url: String) {
        // LIFE-170
        let harness = Harness::without_backend(&url).await;
        let (id, _) = harness.polling("One").await;
        let (other, _) = harness.polling("Other").await;
        let agents = &harness.platform.agents;
        let unknown = WorkspaceId::random();
        let text = |refused: Result<(), AgentError>| refused.unwrap_err().to_string();
        let target = |id: WorkspaceId| id.to_string();
        assert_eq!(text(agents.assign(unknown, "m").await.map(drop)), "workspace not found");
        assert_eq!(text(agents.assign(id, " ").await.map(drop)), "invalid request body");
        assert_eq!(
            text(agents.replace(id, "m").await.map(drop)),
            "no active agent to replace"
        );
        assert_eq!(text(agents.remove(id).await.map(drop)), "no active agent to remove");
        let relocate = async |from, to: String| text(agents.relocate(from, &to, true).await.map(drop));
        assert_eq!(relocate(id, target(other)).await, "no active agent in source workspace");
        assert_eq!(relocate(id, target(unknown)).await, "target workspace not found");
        assert_eq!(relocate(id, "x".to_owned()).await, "invalid request body");
        agents.assign(id, "m").await.unwrap();
        agents.assign(other, "n").await.unwrap();
        assert_eq!(
            relocate(id, target(other)).await,
            "target workspace already has an active agent"
        );
        let foreign = agents.relocate(id, &target(other), false).await;
        assert!(matches!(foreign, Err(AgentError::Foreign)));
        // A removed workspace has none, and its record goes with it.
        harness.platform.workspaces.delete(id, true, false).await.unwrap();
        assert_eq!(text(agents.remove(id).await.map(drop)), "no active agent to remove");
        harness.platform.workspaces.delete(id, true, true).await.unwrap();
        assert_eq!(harness.store.workspace(id).await.unwrap(), None);
    }

    async fn at_most_one_is_active_whoever_comes_first(url: String) {
        // LIFE-171, OP-17
        let harness = Harness::without_backend(&url).await;
        let (id, _) = harness.polling("One").await;
        let agents = &harness.platform.agents;
        let assigning = ["a", "b", "c", "d"].map(|model| agents.assign(id, model));
        let outcomes = futures_util::future::join_all(assigning).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Ok(_) | Err(AgentError::Occupied)))
        );
        let replacing = ["e", "f", "g", "h"].map(|model| agents.replace(id, model));
        let outcomes = futures_util::future::join_all(replacing).await;
        assert!(outcomes.iter().all(Result::is_ok), "one after the other");
        assert!(harness.store.agent(id).await.unwrap().is_some());
    }
}
