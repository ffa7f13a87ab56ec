//! The agent's A2A server over real HTTP (RUN-51…57, D13, D14).

mod common;

use common::{FakePlatform, Home, frames, http, message, text_of};
use serde_json::{Value, json};

async fn echo() -> common::Agent {
    let platform = FakePlatform::start().await;
    let home = Home::new(
        &platform,
        "echo",
        "name: Echo\ndescription: repeats\nversion: 2.0.1\nskills: [talk, absent]",
    );
    home.put(
        "configs/skills/talk/SKILL.md",
        "---\nname: Talk\ndescription: answers\ntags: [words, chat]\n---\nBe polite.",
    );
    home.put("configs/skills/sing/SKILL.md", "---\nruntime: codex\n---\nLa la la.");
    home.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_public_and_nothing_else_is() {
    // RUN-14, RUN-32, RUN-51, D13, RUN-58, A2A-191
    let agent = echo().await;
    for path in ["/.well-known/agent-card.json", "/.well-known/agent.json"] {
        let card: Value = http()
            .get(format!("{}{path}", agent.url))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(
            (card["name"].as_str(), card["version"].as_str()),
            (Some("Echo"), Some("2.0.1"))
        );
        assert_eq!(card["capabilities"]["streaming"], true);
        assert_eq!(
            card["skills"],
            json!([{"id": "talk", "name": "Talk", "description": "answers", "tags": ["words", "chat"]}])
        );
        assert_eq!(card["url"], agent.url);
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": message("m", "c", "hi")});
    for path in ["/", "/a2a"] {
        let post = || http().post(format!("{}{path}", agent.url)).json(&body);
        for request in [
            post(),
            post().bearer_auth("wrong"),
            post().header("authorization", "inbound-secret"),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401);
            assert_eq!(answer.json::<Value>().await.unwrap(), json!({"error": "unauthorized"}));
        }
        assert_eq!(post().bearer_auth("inbound-secret").send().await.unwrap().status(), 200);
    }
    // Fail closed.
    std::fs::remove_file(agent.home.file("configs/.platform_inbound_secret")).unwrap();
    // The next beat stores it again; until then nobody is admitted.
    let answer = http()
        .post(&agent.url)
        .bearer_auth("")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_get_messages() {
    // RUN-52, RUN-53, A2A-190
    let agent = echo().await;
    let result = agent.send("m1", "c1", "hello").await;
    assert_eq!(result["kind"], "message");
    assert_eq!(result["role"], "agent");
    assert_eq!(result["contextId"], "c1");
    assert_eq!(
        result["parts"],
        json!([{"kind": "text", "text": "Echo from Echo: hello"}])
    );
    let typed = json!({"message": {"messageId": "m2", "parts": [{"type": "text", "text": "old style"}]}});
    assert_eq!(
        text_of(&agent.rpc("message/send", typed).await["result"]),
        "Echo from Echo: old style"
    );
    let empty = json!({"message": {"messageId": "m3", "parts": []}});
    assert_eq!(
        text_of(&agent.rpc("message/send", empty).await["result"]),
        "Error: message contained no text content."
    );
    // RUN-57
    assert_eq!(
        agent.say("fail with sk-secret").await,
        "Agent error (requested_failure) — see workspace logs for details."
    );
    assert!(agent.say("help").await.contains("delegate <peer>: <task>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn protocol_errors_are_json_rpc() {
    let agent = echo().await;
    for (body, code) in [
        ("{", -32700),
        ("[]", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list"}"#, -32601),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"message/send","params":{}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"none"}}"#,
            -32001,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/cancel","params":{"id":"none"}}"#,
            -32001,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/resubscribe","params":{"id":"none"}}"#,
            -32001,
        ),
    ] {
        let answer = http()
            .post(&agent.url)
            .bearer_auth("inbound-secret")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
    }
    let huge = "x".repeat(3 << 20);
    let answer = http()
        .post(&agent.url)
        .bearer_auth("inbound-secret")
        .body(huge)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_show_the_work_and_end_with_the_state() {
    // RUN-51
    let agent = echo().await;
    let body =
        json!({"jsonrpc": "2.0", "id": "s", "method": "message/stream", "params": message("m", "c", "one two three")});
    let frames = frames(agent.post(&body).await).await;
    assert!(
        frames
            .iter()
            .all(|frame| frame["id"] == "s" && frame["jsonrpc"] == "2.0")
    );
    let results: Vec<_> = frames.iter().map(|frame| &frame["result"]).collect();
    assert_eq!(
        (results[0]["kind"].as_str(), results[0]["status"]["state"].as_str()),
        (Some("task"), Some("submitted"))
    );
    let pieces: Vec<_> = results
        .iter()
        .filter_map(|result| result["artifact"]["parts"][0]["text"].as_str())
        .collect();
    assert_eq!(pieces, ["Echo ", "from ", "Echo: ", "one ", "two ", "three"]);
    assert_eq!(pieces.concat(), "Echo from Echo: one two three");
    let last = results.last().unwrap();
    assert_eq!(
        (last["kind"].as_str(), last["status"]["state"].as_str(), &last["final"]),
        (Some("status-update"), Some("completed"), &json!(true))
    );
    // The task can be looked up afterwards, and the same message streams its stored end.
    let task = &agent.rpc("tasks/get", json!({"id": results[0]["id"]})).await["result"];
    assert_eq!(task["status"]["state"], "completed");
    assert_eq!(
        task["artifacts"][0]["parts"][0]["text"],
        "Echo from Echo: one two three"
    );
    let again = common::frames(agent.post(&body).await).await;
    assert_eq!(again[0]["result"]["id"], results[0]["id"]);
    assert_eq!(again.last().unwrap()["result"]["status"]["state"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_streams_say_so() {
    // RUN-57
    let agent = echo().await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message/stream", "params": message("m", "c", "fail x")});
    let frames = frames(agent.post(&body).await).await;
    let last = &frames.last().unwrap()["result"];
    assert_eq!(last["status"]["state"], "failed");
    assert!(
        last["status"]["message"]["parts"][0]["text"]
            .as_str()
            .unwrap()
            .contains("requested_failure")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_run_apart_and_can_be_cancelled() {
    // RUN-70
    let agent = echo().await;
    let mut params = message("m", "c", "sleep 600000");
    params["configuration"] = json!({"blocking": false});
    let task = agent.rpc("message/send", params).await["result"].clone();
    assert_eq!(task["kind"], "task");
    assert!(["submitted", "working"].contains(&task["status"]["state"].as_str().unwrap()));
    let follow = agent
        .post(&json!({"jsonrpc": "2.0", "id": 2, "method": "tasks/resubscribe", "params": {"id": task["id"]}}))
        .await;
    let cancelled = agent.rpc("tasks/cancel", json!({"id": task["id"]})).await;
    assert_eq!(cancelled["result"]["status"]["state"], "canceled");
    assert_eq!(
        frames(follow).await.last().unwrap()["result"]["status"]["state"],
        "canceled"
    );
    let again = agent.rpc("tasks/cancel", json!({"id": task["id"]})).await;
    assert_eq!(again["error"]["code"], -32002);
    // The next message is not held up.
    assert_eq!(agent.say("next").await, "Echo from Echo: next");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_have_one_effect_across_a_restart() {
    // D14
    let platform = FakePlatform::start().await;
    let agent = Home::new(&platform, "echo", "name: E").start().await;
    let (one, two) = tokio::join!(agent.send("m", "c", "notify once"), agent.send("m", "c", "notify once"));
    assert_eq!(one, two);
    assert_eq!(agent.send("m", "c", "notify once").await, one);
    let (exit, home) = agent.stop().await;
    assert_eq!(exit.code, 0);
    let agent = home.start().await;
    assert_eq!(agent.send("m", "c", "notify once").await, one);
    assert_eq!(platform.see(|seen| seen.notes.len()), 1);
    assert_eq!(
        agent.send("m", "c", "notify twice").await["parts"][0]["text"],
        "Message sent."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn transcripts_are_for_the_own_token() {
    // RUN-65, RUN-66
    let platform = FakePlatform::start().await;
    let home = Home::new(&platform, "echo", "").with("MOLECULE_WORKSPACE_TOKEN", "issued-token");
    let agent = home.start().await;
    let get = |query: &str| http().get(format!("{}/transcript{query}", agent.url));
    assert_eq!(get("").send().await.unwrap().status(), 401);
    assert_eq!(
        get("").bearer_auth("inbound-secret").send().await.unwrap().status(),
        401
    );
    assert_eq!(
        get("?since=x")
            .bearer_auth("issued-token")
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    let body: Value = get("?since=0&limit=5")
        .bearer_auth("issued-token")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (body["runtime"].as_str(), &body["supported"], &body["lines"]),
        (Some("echo"), &json!(false), &json!([]))
    );
}
