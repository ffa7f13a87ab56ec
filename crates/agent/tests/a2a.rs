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
        // D24
        assert_eq!(card["security"], json!([{"bearer": []}]));
        assert_eq!(card["securitySchemes"]["bearer"]["scheme"], "bearer");
        let versions: Vec<_> = card["supportedInterfaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|interface| interface["protocolVersion"].as_str().unwrap())
            .collect();
        assert_eq!(versions, ["1.0", "0.3"]);
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
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
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
    // RUN-57, D24: what failed is a failed task.
    let failed = agent.send("m4", "c1", "fail with sk-secret").await;
    assert_eq!(
        (failed["kind"].as_str(), failed["status"]["state"].as_str()),
        (Some("task"), Some("failed"))
    );
    assert_eq!(
        text_of(&failed["status"]["message"]),
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
        (r#"{"jsonrpc":"2.0","id":1,"method":"tasks/lost"}"#, -32601),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list","params":{"pageSize":0}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/pushNotificationConfig/set","params":{}}"#,
            -32003,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"agent/getAuthenticatedExtendedCard"}"#,
            -32004,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":{"taskId":"none","parts":[{"text":"x"}]}}}"#,
            -32001,
        ),
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
    assert_eq!(results[0]["kind"], "task");
    // The task as it is now: a turn this short may be over before anybody listens.
    let states = ["submitted", "working", "completed"];
    assert!(states.contains(&results[0]["status"]["state"].as_str().unwrap()));
    assert_eq!(results[0]["history"][0]["parts"][0]["text"], "one two three");
    // What was said before the first event is in it.
    let before = results[0]["artifacts"][0]["parts"][0]["text"]
        .as_str()
        .unwrap_or_default();
    let pieces: Vec<_> = results
        .iter()
        .filter_map(|result| result["artifact"]["parts"][0]["text"].as_str())
        .collect();
    assert!(pieces.len() <= 6, "{pieces:?}");
    assert_eq!(before.to_owned() + &pieces.concat(), "Echo from Echo: one two three");
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

fn v1_message(message_id: &str, text: &str) -> Value {
    json!({"message": {"messageId": message_id, "role": "ROLE_USER", "parts": [{"text": text}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn version_one_is_spoken_to_the_letter() {
    // D24
    let agent = echo().await;
    let sent = agent.rpc_v1("SendMessage", v1_message("m1", "hello")).await;
    let task = sent["result"]["task"].clone();
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{sent}");
    assert_eq!(
        task["artifacts"][0]["parts"],
        json!([{"text": "Echo from Echo: hello"}])
    );
    assert_eq!(
        (&task["history"][0]["role"], task.get("kind")),
        (&json!("ROLE_USER"), None)
    );
    let id = &task["id"];
    let got = agent.rpc_v1("GetTask", json!({"id": id, "historyLength": 0})).await;
    assert_eq!((&got["result"]["id"], got["result"].get("history")), (id, None));
    let got = agent.rpc_v1("GetTask", json!({"id": id, "history_length": 1})).await;
    assert_eq!(got["result"]["history"].as_array().unwrap().len(), 1);
    // A task that is over takes no more, and is not followed.
    let mut more = v1_message("m2", "more");
    more["message"]["taskId"] = id.clone();
    let refused = agent.rpc_v1("SendMessage", more).await;
    assert_eq!(refused["error"]["code"], -32004, "{refused}");
    let detail = &refused["error"]["data"][0];
    assert_eq!(
        (&detail["reason"], &detail["domain"]),
        (&json!("UNSUPPORTED_OPERATION"), &json!("a2a-protocol.org"))
    );
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": id}});
    assert_eq!(frames(agent.post(&body).await).await[0]["error"]["code"], -32004);
    for (params, member) in [
        (
            json!({"message": {"role": "ROLE_USER", "parts": [{"text": "x"}]}}),
            "message.messageId",
        ),
        (
            json!({"message": {"messageId": "m", "parts": [{"text": "x"}]}}),
            "message.role",
        ),
        (
            json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": []}}),
            "message.parts",
        ),
    ] {
        let refused = agent.rpc_v1("SendMessage", params).await;
        let violation = &refused["error"]["data"][0]["fieldViolations"][0];
        assert_eq!(
            (&refused["error"]["code"], &violation["field"]),
            (&json!(-32602), &json!(member))
        );
    }
    let listed = agent.rpc_v1("ListTasks", json!({"page_size": 1})).await;
    let page = &listed["result"];
    assert_eq!(
        (&page["tasks"][0]["id"], &page["totalSize"], &page["nextPageToken"]),
        (id, &json!(1), &json!(""))
    );
    assert_eq!(page["tasks"][0].get("artifacts"), None);
    let listed = agent.rpc_v1("ListTasks", json!({"status": "TASK_STATE_WORKING"})).await;
    assert_eq!(listed["result"]["tasks"], json!([]));
    let push = agent
        .rpc_v1(
            "CreateTaskPushNotificationConfig",
            json!({"taskId": id, "url": "https://x"}),
        )
        .await;
    assert_eq!(push["error"]["data"][0]["reason"], "PUSH_NOTIFICATION_NOT_SUPPORTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_are_not_spoken_are_refused() {
    // D24
    let agent = echo().await;
    let body = json!({"jsonrpc": "2.0", "id": 5, "method": "message/send", "params": message("m", "c", "hi")});
    for (header, query, code) in [
        (Some("99.0"), "", Some(-32009)),
        (None, "?A2A-Version=2.0", Some(-32009)),
        (Some(""), "", None),
        (Some("0.3"), "", None),
        (Some("0.2.6"), "", None),
    ] {
        let mut request = http()
            .post(format!("{}/{query}", agent.url))
            .bearer_auth("inbound-secret");
        if let Some(version) = header {
            request = request.header("A2A-Version", version);
        }
        let answer: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
        assert_eq!(
            (answer["error"]["code"].as_i64(), &answer["id"]),
            (code, &json!(5)),
            "{header:?} {query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_events_gets_events() {
    // D24: before the first frame too
    let agent = echo().await;
    let stream = async |method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": "s", "method": method, "params": params});
        frames(agent.post(&body).await).await
    };
    for (method, params, code) in [
        ("tasks/resubscribe", json!({"id": "none"}), -32001),
        ("message/stream", json!({}), -32602),
        (
            "message/stream",
            json!({"message": {"taskId": "none", "parts": [{"text": "x"}]}}),
            -32001,
        ),
        (
            "message/stream",
            json!({"message": {"parts": [{"kind": "hologram"}]}}),
            -32005,
        ),
    ] {
        let frames = stream(method, params).await;
        assert_eq!(
            (frames.len(), &frames[0]["error"]["code"], &frames[0]["id"]),
            (1, &json!(code), &json!("s"))
        );
    }
    let told = stream("message/stream", json!({"message": {"messageId": "e", "parts": []}})).await;
    assert_eq!(text_of(&told[0]["result"]), "Error: message contained no text content.");
    // Of a task that is over there is the end.
    let ended = agent.send("m", "c", "hello").await;
    let frames = stream("tasks/resubscribe", json!({"id": ended["taskId"]})).await;
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0]["result"]["status"]["state"], "completed");
    assert_eq!(
        frames[0]["result"]["artifacts"][0]["parts"][0]["text"],
        "Echo from Echo: hello"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_go_on_and_end_once() {
    // D24: a task's id continues it, its conversation comes with it, and its stream ends with it
    let agent = echo().await;
    let mut first = message("m1", "c", "sleep 600000");
    first["configuration"] = json!({"blocking": false});
    let task = agent.rpc("message/send", first).await["result"].clone();
    assert_eq!(task["history"][0]["messageId"], "m1");
    let follow = agent
        .post(&json!({"jsonrpc": "2.0", "id": 2, "method": "tasks/resubscribe", "params": {"id": task["id"]}}))
        .await;
    let mut more = json!({"message": {"messageId": "m2", "taskId": task["id"], "parts": [{"text": "and this"}]},
                          "configuration": {"blocking": false}});
    let joined = agent.rpc("message/send", more.clone()).await["result"].clone();
    assert_eq!((&joined["id"], &joined["contextId"]), (&task["id"], &json!("c")));
    assert_eq!(joined["history"].as_array().unwrap().len(), 2);
    more["message"]["contextId"] = json!("another");
    let refused = agent.rpc("message/send", more).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("message.contextId")
    );
    let cancelled = agent.rpc("tasks/cancel", json!({"id": task["id"]})).await;
    assert_eq!(cancelled["result"]["status"]["state"], "canceled");
    let frames = frames(follow).await;
    let ends: Vec<_> = frames.iter().filter(|frame| frame["result"]["final"] == true).collect();
    assert_eq!(ends.len(), 1, "{frames:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn assistant_is_an_agent() {
    let agent = echo().await;
    let params = json!({"message": {"role": "assistant", "messageId": "m", "parts": [{"text": "hi"}]}});
    assert_eq!(
        text_of(&agent.rpc("message/send", params).await["result"]),
        "Echo from Echo: hi"
    );
}
