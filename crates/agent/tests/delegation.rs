//! Two agents that talk through a platform (RUN-40, RUN-41, RUN-41a, D6).

mod common;

use common::{Caller, FakePlatform, Home};
use molecule_core::WorkspaceId;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_lead_delegates_to_the_researcher() {
    let platform = FakePlatform::start().await;
    let lead = Home::new(&platform, "echo", "name: Lead").start().await;
    let researcher = Home::new(&platform, "echo", "name: Researcher").start().await;
    platform.introduce(lead.home.id, "Lead", None);
    platform.introduce(researcher.home.id, "Researcher", Some(lead.home.id));
    platform
        .until("both registered", |seen| {
            seen.registers.len() >= 2 && seen.beats.len() >= 2
        })
        .await;
    let result = lead.send("m", "c", "delegate researcher: what is water?").await;
    assert_eq!(
        common::text_of(&result),
        "Researcher: Echo from Researcher: what is water?"
    );
    let trace = &result["metadata"]["tool_trace"][0];
    assert_eq!(
        (trace["tool"].as_str(), trace["output_preview"].as_str()),
        (Some("delegate_task"), Some("Echo from Researcher: what is water?"))
    );
    platform.see(|seen| {
        let kinds: Vec<_> = seen
            .activity
            .iter()
            .map(|row| row["activity_type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["a2a_send", "a2a_receive"]);
        for row in &seen.activity {
            assert_eq!(row["target_id"], researcher.home.id.to_string());
            assert_eq!(row["source_id"], lead.home.id.to_string());
        }
        assert_eq!(
            seen.activity[1]["response_body"]["text"],
            "Echo from Researcher: what is water?"
        );
        assert_eq!(seen.activity[1]["request_body"]["task"], "what is water?");
        assert_eq!(seen.a2a[0].1["params"]["message"]["contextId"], "c");
        // RUN-40
        let caller = Caller {
            route: "a2a",
            bearer: Some("issued-token".to_owned()),
            workspace: Some(lead.home.id.to_string()),
        };
        assert!(seen.callers.contains(&caller), "{:?}", seen.callers);
    });
    assert!(lead.say("peers").await.contains("Researcher"));
    assert!(lead.say("delegate Nobody: x").await.contains("My peers: Researcher"));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tagged_and_queued_tasks_are_not_failures() {
    // RUN-40, RUN-43
    let platform = FakePlatform::start().await;
    let lead = Home::new(
        &platform,
        "echo",
        "name: Lead\ndelegation: {retry_attempts: 1, retry_delay: 0.01}",
    )
    .start()
    .await;
    platform.introduce(WorkspaceId::random(), "Peer", None);
    platform.until("a beat", |seen| !seen.beats.is_empty()).await;
    platform.answer_a2a(
        403,
        json!({"error": "access denied: workspaces cannot communicate per hierarchy rules"}),
    );
    let denied = lead.say("delegate Peer: x").await;
    assert!(
        denied.starts_with("[A2A_ERROR] access denied") && denied.ends_with("[target=Peer]"),
        "{denied}"
    );
    platform.answer_a2a(
        202,
        json!({"queued": true, "queue_id": "q", "queue_depth": 1, "message": "busy"}),
    );
    assert!(
        lead.say("delegate Peer: x")
            .await
            .starts_with("Peer: the task was queued")
    );
    // Restarting is worth another try with the same message id.
    platform.see(|seen| seen.a2a.clear());
    platform.answer_a2a(
        503,
        json!({"error": "agent is restarting", "restarting": true, "retry_after": 0}),
    );
    assert!(lead.say("delegate Peer: x").await.contains("agent is restarting"));
    platform.see(|seen| {
        let ids: Vec<_> = seen
            .a2a
            .iter()
            .map(|(_, body)| body["params"]["message"]["messageId"].clone())
            .collect();
        assert_eq!(ids.len(), 2);
        assert_eq!(ids[0], ids[1]);
        assert_eq!(seen.activity.last().unwrap()["status"], "error");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_its_time_has_not_failed() {
    // RUN-43, RUN-88
    let platform = FakePlatform::start().await;
    let lead = Home::new(&platform, "echo", "name: Lead").with("DELEGATION_TIMEOUT", "1");
    let lead = lead.start().await;
    let slow = Home::new(&platform, "echo", "name: Slow").start().await;
    platform.introduce(slow.home.id, "Slow", Some(lead.home.id));
    platform
        .until("both registered", |seen| seen.registers.len() >= 2)
        .await;
    let answer = lead.say("delegate Slow: sleep 600000").await;
    assert!(
        answer.starts_with("Slow: no answer in time") && answer.contains("still at work"),
        "{answer}"
    );
    assert_eq!(platform.see(|seen| seen.a2a.len()), 1, "the work is not sent twice");
}
