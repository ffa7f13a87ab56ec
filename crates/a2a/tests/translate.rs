//! Translation between v0.3 and v1.0: requests of every method, replies of every shape (D7, A2A-36).

// The lint exempts test functions, not the helpers they share.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use molecule_a2a::{Method, ProtocolVersion, ReplyTranslator, normalise, translate};
use proptest::prelude::*;
use serde_json::{Value, json};

use ProtocolVersion::{V0_2, V0_3, V1_0};

fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn request(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn reply(result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "result": result})
}

/// A result translated from one version to another.
fn result(from: ProtocolVersion, to: ProtocolVersion, method: Method, result: &Value) -> Value {
    let translator = ReplyTranslator::new(from, to, Some(method)).unwrap();
    json(&translator.body(&bytes(&reply(result))))["result"].clone()
}

#[test]
fn requests_about_tasks_translate_both_ways() {
    let push = json!({"id": "p", "url": "https://h", "token": "t", "authentication": {"schemes": ["Bearer"], "credentials": "c"}});
    let flat = json!({"id": "p", "url": "https://h", "token": "t", "authentication": {"scheme": "Bearer", "credentials": "c"}, "taskId": "t1"});
    for (old, old_params, new, new_params) in [
        (
            "tasks/get",
            json!({"id": "t", "historyLength": 3}),
            "GetTask",
            json!({"id": "t", "historyLength": 3}),
        ),
        (
            "tasks/cancel",
            json!({"id": "t", "metadata": {}}),
            "CancelTask",
            json!({"id": "t", "metadata": {}}),
        ),
        (
            "tasks/resubscribe",
            json!({"id": "t"}),
            "SubscribeToTask",
            json!({"id": "t"}),
        ),
        (
            "tasks/list",
            json!({"status": "input-required"}),
            "ListTasks",
            json!({"status": "TASK_STATE_INPUT_REQUIRED"}),
        ),
        (
            "tasks/pushNotificationConfig/set",
            json!({"taskId": "t1", "pushNotificationConfig": push}),
            "CreateTaskPushNotificationConfig",
            flat,
        ),
        (
            "tasks/pushNotificationConfig/get",
            json!({"id": "t", "pushNotificationConfigId": "p"}),
            "GetTaskPushNotificationConfig",
            json!({"taskId": "t", "id": "p"}),
        ),
        (
            "tasks/pushNotificationConfig/list",
            json!({"id": "t"}),
            "ListTaskPushNotificationConfigs",
            json!({"taskId": "t"}),
        ),
        (
            "tasks/pushNotificationConfig/delete",
            json!({"id": "t", "pushNotificationConfigId": "p"}),
            "DeleteTaskPushNotificationConfig",
            json!({"taskId": "t", "id": "p"}),
        ),
        (
            "agent/getAuthenticatedExtendedCard",
            json!({}),
            "GetExtendedAgentCard",
            json!({}),
        ),
    ] {
        let old = request(old, &old_params);
        let new = request(new, &new_params);
        assert_eq!(json(&translate::request_to_v1(&bytes(&old))), new);
        assert_eq!(json(&translate::request_to_v03(&bytes(&new))), old);
        let normal = normalise(&bytes(&new), None).unwrap();
        assert_eq!((json(&normal.body), normal.version), (old, V1_0));
        assert_eq!(json(&normal.body_for(V1_0)), new);
    }
}

#[test]
fn requests_of_no_version_pass() {
    for body in [
        r#"{"jsonrpc":"2.0","method":"custom","params":{"message":{"role":"ROLE_USER"}}}"#,
        r#"{"method":7}"#,
        "{}",
        "[]",
        "x",
    ] {
        let body = Bytes::from(body);
        assert_eq!(translate::request_to_v1(&body).as_ptr(), body.as_ptr());
        assert_eq!(translate::request_to_v03(&body).as_ptr(), body.as_ptr());
    }
}

#[test]
fn unlimited_history_is_left_out_for_v1() {
    // 0 is "all" in v0.3 and "none" in v1.0.
    let old = request("tasks/get", &json!({"id": "t", "historyLength": 0}));
    assert_eq!(
        json(&translate::request_to_v1(&bytes(&old)))["params"],
        json!({"id": "t"})
    );
}

#[test]
fn several_schemes_are_not_lost() {
    let old = request(
        "message/send",
        &json!({"configuration": {"pushNotificationConfig": {"url": "u",
        "authentication": {"schemes": ["Bearer", "Basic"]}}}}),
    );
    let new = translate::request_to_v1(&bytes(&old));
    let authentication = &json(&new)["params"]["configuration"]["taskPushNotificationConfig"]["authentication"];
    assert_eq!(
        authentication,
        &json!({"schemes": ["Bearer", "Basic"], "scheme": "Bearer"})
    );
    assert_eq!(json(&translate::request_to_v03(&new)), old);
}

#[test]
fn members_keep_their_text_through_translation() {
    // A2A-32, D15
    let request = |method: &str, role: &str, part: &str, tail: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":12345678901234567890123,"method":"{method}","params":{{"message":{{"zz":{{"b" : 1.50,"a":1e400}},"role":"{role}","parts":[{part}],"metadata":{{"n":12345678901234567890123,"s":"\u00e9\ud800<&>"}}{tail}}},"expires_in_seconds":9}}}}"#
        )
    };
    let new = request("SendMessage", "ROLE_USER", r#"{"text":"\u00e9\ud800 <&>"}"#, "");
    let old = request(
        "message/send",
        "user",
        r#"{"text":"\u00e9\ud800 <&>","kind":"text"}"#,
        r#","kind":"message""#,
    );
    assert_eq!(translate::request_to_v03(&Bytes::from(new.clone())), old);
    assert_eq!(translate::request_to_v1(&Bytes::from(old)), new);
}

/// v0.3 result and its v1.0 form, for the answer to a message or an event of a stream.
fn answers() -> Vec<(Value, Value)> {
    let old_message = json!({"messageId": "m", "role": "agent", "contextId": "c",
        "parts": [{"kind": "text", "text": "hi"}, {"kind": "file", "file": {"uri": "u", "name": "n"}}],
        "metadata": {"tool_trace": []}, "kind": "message"});
    let new_message = json!({"messageId": "m", "role": "ROLE_AGENT", "contextId": "c",
        "parts": [{"text": "hi"}, {"url": "u", "filename": "n"}], "metadata": {"tool_trace": []}});
    let old_artifact = json!({"artifactId": "a", "name": "x", "parts": [{"kind": "data", "data": {"k": 1}}]});
    let new_artifact = json!({"artifactId": "a", "name": "x", "parts": [{"data": {"k": 1}}]});
    let update = |state: &str, is_final: bool| json!({"taskId": "t", "contextId": "c", "status": {"state": state}, "final": is_final, "kind": "status-update"});
    let new_update =
        |state: &str| json!({"statusUpdate": {"taskId": "t", "contextId": "c", "status": {"state": state}}});
    vec![
        (old_message.clone(), json!({"message": new_message})),
        (
            json!({"id": "t", "contextId": "c", "status": {"state": "completed", "message": old_message, "timestamp": "2026-01-01T00:00:00Z"},
                   "artifacts": [old_artifact], "history": [old_message], "metadata": {}, "kind": "task"}),
            json!({"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_COMPLETED", "message": new_message,
                   "timestamp": "2026-01-01T00:00:00Z"}, "artifacts": [new_artifact], "history": [new_message], "metadata": {}}}),
        ),
        (update("working", false), new_update("TASK_STATE_WORKING")),
        (update("submitted", false), new_update("TASK_STATE_SUBMITTED")),
        (update("input-required", false), new_update("TASK_STATE_INPUT_REQUIRED")),
        (update("auth-required", false), new_update("TASK_STATE_AUTH_REQUIRED")),
        (update("unknown", false), new_update("TASK_STATE_UNSPECIFIED")),
        (update("completed", true), new_update("TASK_STATE_COMPLETED")),
        (update("canceled", true), new_update("TASK_STATE_CANCELED")),
        (update("failed", true), new_update("TASK_STATE_FAILED")),
        (update("rejected", true), new_update("TASK_STATE_REJECTED")),
        (
            json!({"taskId": "t", "contextId": "c", "artifact": old_artifact, "append": true, "lastChunk": false, "kind": "artifact-update"}),
            json!({"artifactUpdate": {"taskId": "t", "contextId": "c", "artifact": new_artifact, "append": true, "lastChunk": false}}),
        ),
    ]
}

#[test]
fn answers_translate_both_ways() {
    // D7: v1.0 → v0.3 derives `final` from the state
    for (old, new) in answers() {
        for method in [Method::Send, Method::Stream, Method::Resubscribe] {
            assert_eq!(result(V1_0, V0_3, method, &new), old);
            assert_eq!(result(V0_3, V1_0, method, &old), new);
            assert_eq!(result(V1_0, V0_2, method, &new), old, "v0.2 callers read v0.3 replies");
        }
    }
}

#[test]
fn frames_translate_like_bodies() {
    let translator = ReplyTranslator::new(V1_0, V0_3, Some(Method::Stream)).unwrap();
    for (old, new) in answers() {
        let frame = translator.frame(&reply(&new).to_string()).unwrap();
        assert_eq!(json(frame.as_bytes()), reply(&old));
    }
    assert_eq!(translator.frame("[DONE]"), None);
}

#[test]
fn bare_tasks_stay_bare() {
    let old = json!({"id": "t", "contextId": "c", "status": {"state": "working"}, "kind": "task"});
    let new = json!({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}});
    for method in [Method::GetTask, Method::CancelTask] {
        assert_eq!(result(V0_3, V1_0, method, &old), new);
        assert_eq!(result(V1_0, V0_3, method, &new), old);
    }
    let (old_list, new_list) = (
        json!({"tasks": [old], "nextPageToken": ""}),
        json!({"tasks": [new], "nextPageToken": ""}),
    );
    assert_eq!(result(V0_3, V1_0, Method::ListTasks, &old_list), new_list);
    assert_eq!(result(V1_0, V0_3, Method::ListTasks, &new_list), old_list);
}

#[test]
fn push_configs_translate_both_ways() {
    let old = json!({"taskId": "t", "pushNotificationConfig": {"id": "p", "url": "u"}});
    let new = json!({"taskId": "t", "id": "p", "url": "u"});
    for method in [Method::SetPushConfig, Method::GetPushConfig] {
        assert_eq!(result(V0_3, V1_0, method, &old), new);
        assert_eq!(result(V1_0, V0_3, method, &new), old);
    }
    assert_eq!(
        result(V0_3, V1_0, Method::ListPushConfigs, &json!([old])),
        json!({"configs": [new]})
    );
    assert_eq!(
        result(V1_0, V0_3, Method::ListPushConfigs, &json!({"configs": [new]})),
        json!([old])
    );
    assert_eq!(result(V1_0, V0_3, Method::ListPushConfigs, &json!({})), json!([]));
    assert_eq!(result(V1_0, V0_3, Method::DeletePushConfig, &json!(null)), json!(null));
}

#[test]
fn untagged_answers_are_told_by_what_they_hold() {
    // A2A-190: agents may answer with bare `parts` or `artifacts`
    let wrapped = |old: Value| {
        result(V0_3, V1_0, Method::Send, &old)
            .as_object()
            .unwrap()
            .keys()
            .next()
            .cloned()
    };
    assert_eq!(
        wrapped(json!({"parts": [{"kind": "text", "text": "x"}]})).as_deref(),
        Some("message")
    );
    assert_eq!(wrapped(json!({"id": "t", "artifacts": []})).as_deref(), Some("task"));
    assert_eq!(
        wrapped(json!({"taskId": "t", "status": {"state": "working"}})).as_deref(),
        Some("statusUpdate")
    );
    assert_eq!(
        wrapped(json!({"taskId": "t", "artifact": {}})).as_deref(),
        Some("artifactUpdate")
    );
}

#[test]
fn members_beside_a_wrapped_answer_are_kept() {
    // A2A-107: usage survives for the caller
    let new = json!({"message": {"messageId": "m", "parts": []}, "usage": {"input_tokens": 1}});
    let old = result(V1_0, V0_3, Method::Send, &new);
    assert_eq!(
        old,
        json!({"messageId": "m", "parts": [], "kind": "message", "usage": {"input_tokens": 1}})
    );
}

#[test]
fn replies_without_a_result_pass_verbatim() {
    for method in [Some(Method::Send), None] {
        for (from, to) in [(V0_3, V1_0), (V1_0, V0_3)] {
            let translator = ReplyTranslator::new(from, to, method).unwrap();
            for body in [
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Task not found"}}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":"text"}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":{"odd":1}}"#,
                "<html>",
                "",
            ] {
                let body = Bytes::from(body);
                assert_eq!(translator.body(&body).as_ptr(), body.as_ptr(), "{body:?}");
            }
            let broken = Bytes::from_static(b"{\"result\":\"\xff\"}");
            assert_eq!(translator.body(&broken), broken);
        }
    }
}

#[test]
fn nothing_is_translated_between_equals() {
    // D15
    for (from, to) in [(V0_3, V0_3), (V0_3, V0_2), (V1_0, V1_0)] {
        assert_eq!(ReplyTranslator::new(from, to, Some(Method::Send)), None);
    }
    let params = json!({"message": {"messageId": "m", "parts": []}});
    let caller = normalise(&bytes(&request("SendMessage", &params)), None).unwrap();
    assert_eq!(caller.reply_translator(V1_0), None);
    assert_eq!(
        caller.reply_translator(V0_3),
        ReplyTranslator::new(V0_3, V1_0, Some(Method::Send))
    );
}

#[test]
fn odd_parts() {
    let to_new = |part: Value| {
        let old = request("message/send", &json!({"message": {"messageId": "m", "parts": [part]}}));
        json(&translate::request_to_v1(&bytes(&old)))["params"]["message"]["parts"][0].clone()
    };
    let to_old = |part: Value| {
        let new = request("SendMessage", &json!({"message": {"messageId": "m", "parts": [part]}}));
        json(&translate::request_to_v03(&bytes(&new)))["params"]["message"]["parts"][0].clone()
    };
    // Left alone: what the other version has no word for.
    for part in [
        json!({"kind": "hologram", "x": 1}),
        json!({"kind": "file", "file": "x"}),
        json!({"kind": "text"}),
        json!(7),
    ] {
        assert_eq!(to_new(part.clone()), part);
    }
    for part in [
        json!({}),
        json!({"text": null}),
        json!({"kind": "text", "text": "old"}),
        json!("x"),
        json!({"x": 1}),
    ] {
        assert_eq!(to_old(part.clone()), part);
    }
    assert_eq!(to_new(json!({"type": "text", "text": "a"})), json!({"text": "a"}));
    assert_eq!(to_new(json!({"file": {"bytes": "aQ=="}})), json!({"raw": "aQ=="}));
    assert_eq!(
        to_new(json!({"kind": "file", "file": {"bytes": "aQ==", "uri": "u", "size": 1}})),
        json!({"raw": "aQ==", "uri": "u", "size": 1})
    );
    assert_eq!(
        to_old(json!({"data": null})),
        json!({"data": {"value": null}, "kind": "data", "metadata": {"data_part_compat": true}})
    );
    assert_eq!(
        to_old(json!({"text": null, "url": "u", "filename": null})),
        json!({"text": null, "kind": "file", "file": {"uri": "u"}})
    );
}

fn part() -> impl Strategy<Value = Value> {
    let text = "[^\u{0}]{0,20}";
    prop_oneof![
        text.prop_map(|text| json!({"kind": "text", "text": text})),
        (text, proptest::option::of(text)).prop_map(|(uri, name)| match name {
            Some(name) => json!({"kind": "file", "file": {"uri": uri, "name": name, "mimeType": "a/b"}}),
            None => json!({"kind": "file", "file": {"bytes": "aGk="}, "metadata": {"n": 1}}),
        }),
        prop::collection::btree_map("[a-z]{1,5}", any::<i64>(), 0..4)
            .prop_map(|data| json!({"kind": "data", "data": data})),
    ]
}

proptest! {
    /// A2A-36: to v1.0 and back, nothing is lost.
    #[test]
    fn requests_survive_the_round_trip(
        parts in prop::collection::vec(part(), 0..6),
        ids in (any::<u64>(), "[a-z0-9-]{1,12}", proptest::option::of("[a-z]{1,6}")),
        metadata in prop::collection::btree_map("[a-z_]{1,8}", any::<f32>().prop_filter("finite", |n| n.is_finite()), 0..3),
        blocking in proptest::option::of(any::<bool>()),
    ) {
        let (id, message_id, context) = ids;
        let mut message = json!({"kind": "message", "role": "user", "messageId": message_id, "parts": parts, "metadata": metadata});
        if let Some(context) = context {
            message["contextId"] = json!(context);
            message["taskId"] = json!("t");
        }
        let mut params = json!({"message": message, "expires_in_seconds": 5});
        if let Some(blocking) = blocking {
            params["configuration"] = json!({"blocking": blocking});
        }
        let old = json!({"jsonrpc": "2.0", "id": id, "method": "message/stream", "params": params});
        let new = translate::request_to_v1(&bytes(&old));
        prop_assert_eq!(&json(&new)["method"], "SendStreamingMessage");
        // Compared as parsed from text: a float may print shorter than it was.
        prop_assert_eq!(json(&translate::request_to_v03(&new)), json(&bytes(&old)));
    }

    /// Any JSON at all passes through a translator without harm, and stays JSON.
    #[test]
    fn translators_take_anything(text in "[\\[\\]{}\":,a-z0-9 ]{0,60}") {
        let wrapped = Bytes::from(format!(r#"{{"method":"SendMessage","params":{text},"result":{text}}}"#));
        for (from, to) in [(V0_3, V1_0), (V1_0, V0_3)] {
            let out = ReplyTranslator::new(from, to, Some(Method::Send)).unwrap().body(&wrapped);
            let is_json = |body: &[u8]| serde_json::from_slice::<Value>(body).is_ok();
            prop_assert_eq!(is_json(&out), is_json(&wrapped));
        }
        prop_assert!(!translate::request_to_v03(&wrapped).is_empty());
    }
}
