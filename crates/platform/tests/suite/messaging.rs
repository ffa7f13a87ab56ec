//! Who may send, in which form, and what is recorded (A2A §8–10, §13).

use bytes::Bytes;
use molecule_platform::messaging::{CallerRefusal, Delivered, Message, MessagingError};
use molecule_testkit::both_engines;
use secrecy::ExposeSecret;

use crate::common::*;

const REPLY: &str = r#"{"jsonrpc":"2.0", "id":"r1", "result":{"kind":"message","messageId":"a1","role":"agent","parts":[{"kind":"text","text":"hi <&> ü"}],"metadata":{"tool_trace":[{"tool":"x","n":12345678901234567890123}]}},"z":1}"#;

/// A managed workspace whose agent is `agent`.
async fn served(harness: &Harness, name: &str, parent: Option<WorkspaceId>, agent: &Agent) -> WorkspaceId {
    harness.backend.endpoint(&agent.url());
    harness.online_below(name, parent).await
}

both_engines! {
    async fn a_persons_message_reaches_the_agent_and_the_record(url: String) {
        // A2A-13, A2A-14, A2A-69, A2A-100, A2A-104, A2A-105, ACT-104, D13
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", None, &agent).await;
        let message = Message {
            version_header: Some("0.3".to_owned()),
            ..message(id, &text_message("hello"))
        };
        let Delivered::Reply { status, body } = harness.deliver(&admin(), message).await.unwrap() else {
            panic!("a reply")
        };
        assert_eq!((status, body.as_ref()), (200, REPLY.as_bytes()), "verbatim");

        let heard = agent.heard().remove(0);
        assert_eq!(
            (heard.path.as_str(), heard.body.as_str()),
            ("/agent", text_message("hello").as_str())
        );
        let secret = harness.backend.spec(id).inbound_secret;
        assert_eq!(
            heard.headers["authorization"],
            format!("Bearer {}", secret.expose_secret())
        );
        let mut names: Vec<_> = heard.headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["authorization", "content-length", "content-type", "host", "traceparent"],
            "no inbound header is forwarded"
        );

        let row = harness.only_row(id).await;
        assert_eq!((row.activity_type.as_str(), row.status.as_str()), ("a2a_receive", "ok"));
        assert_eq!((row.workspace_id, row.source_id, row.target_id), (id, None, Some(id)));
        assert_eq!(
            (row.method.as_deref(), row.summary.as_deref()),
            (Some("message/send"), Some("message/send → Lead"))
        );
        assert_eq!(row.request_body.as_deref(), Some(text_message("hello").as_str()));
        assert_eq!(
            row.response_body.as_deref(),
            Some(REPLY),
            "big integers and member order survive"
        );
        assert_eq!(
            row.tool_trace.as_deref(),
            Some(r#"[{"tool":"x","n":12345678901234567890123}]"#)
        );
        assert!(row.duration_ms.is_some() && row.error_detail.is_none());

        let logged = harness.until_published(id, "ACTIVITY_LOGGED", 1).await;
        assert_eq!(logged.len(), 1);
        for key in [
            "activity_type",
            "method",
            "summary",
            "status",
            "source_id",
            "target_id",
            "duration_ms",
            "tool_trace",
        ] {
            assert!(logged[0].get(key).is_some(), "{key}");
        }
        assert!(logged[0].get("request_body").is_none() && logged[0].get("response_body").is_none());
        let answer = harness.until_published(id, "A2A_RESPONSE", 1).await;
        assert_eq!(answer[0]["method"], "message/send");
        assert_eq!(answer[0]["response_body"]["result"]["parts"][0]["text"], "hi <&> ü");
    }

    async fn long_replies_are_not_in_events(url: String) {
        // ACT-73, ACT-104, ACT-105
        let harness = Harness::new(&url).await;
        let trace = "x".repeat(molecule_core::limits::EVENT_BODY_BYTES);
        let reply =
            json!({ "jsonrpc": "2.0", "id": "r1", "result": { "parts": [], "metadata": { "tool_trace": [trace] } } });
        let agent = Agent::json(&reply.to_string()).await;
        let id = served(&harness, "Lead", None, &agent).await;
        harness.ask(id, "x").await.unwrap();
        let answer = harness.until_published(id, "A2A_RESPONSE", 1).await;
        assert_eq!(
            (&answer[0]["response_body"], &answer[0]["method"]),
            (&Value::Null, &json!("message/send"))
        );
        let logged = harness.until_published(id, "ACTIVITY_LOGGED", 1).await;
        assert!(logged[0].get("tool_trace").is_none());
        assert!(harness.only_row(id).await.tool_trace.is_some(), "the row has it");
    }

    async fn a_siblings_message_is_its_own(url: String) {
        // A2A-4, A2A-9, A2A-100, A2A-105, A2A-106
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let caller = harness.online("Caller").await;
        let id = served(&harness, "Lead", None, &agent).await;
        // The bearer alone says who it is.
        let identity = harness.agent(caller).await;
        harness.send(&identity, id, &text_message("hello")).await.unwrap();
        assert_eq!(harness.only_row(id).await.source_id, Some(caller));
        assert!(harness.feed(caller).await.is_empty(), "no row on the caller's side");
        harness.until_published(id, "ACTIVITY_LOGGED", 1).await;
        assert!(harness.published(id, "A2A_RESPONSE").is_empty());
        harness.platform.messenger.flush_outbound().await;
        assert!(harness.row(caller).await.last_outbound_at.is_some());
        assert!(harness.row(id).await.last_outbound_at.is_none());
    }

    async fn callers_are_who_they_prove_to_be(url: String) {
        // A2A-3, A2A-7, A2A-8, A2A-10, A2A-60, D2, A2A open point 14
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let root = harness.online("Root").await;
        let cousin = harness.online("Other root").await;
        let target = served(&harness, "Target", Some(root), &agent).await;
        let child = harness.online_below("Nephew", Some(cousin)).await;
        let as_root = harness.agent(root).await;
        let as_child = harness.agent(child).await;
        let send = async |identity: &_, header: Option<&str>, to| {
            let message = Message {
                caller_header: header.map(str::to_owned),
                ..message(to, &text_message("x"))
            };
            harness.platform.messenger.deliver(identity, message).await
        };
        for forged in ["system:restart-context", "webhook:github", "test:x", "channel:slack"] {
            let refused = send(&admin(), Some(forged), target).await;
            assert!(
                matches!(refused, Err(MessagingError::Caller(CallerRefusal::Forged))),
                "{forged}: {refused:?}"
            );
        }
        let missing = send(&nobody(), Some(&root.to_string()), target).await;
        assert!(
            matches!(missing, Err(MessagingError::Caller(CallerRefusal::Missing))),
            "{missing:?}"
        );
        let stolen = send(&as_child, Some(&root.to_string()), target).await;
        assert!(
            matches!(stolen, Err(MessagingError::Caller(CallerRefusal::Invalid))),
            "{stolen:?}"
        );
        let self_call = send(&as_child, Some(&target.to_string()), target).await;
        assert!(
            matches!(self_call, Err(MessagingError::Caller(CallerRefusal::Invalid))),
            "{self_call:?}"
        );
        let nephew = send(&as_child, None, target).await;
        assert!(matches!(nephew, Err(MessagingError::AccessDenied)), "{nephew:?}");
        let unknown = send(&admin(), None, WorkspaceId::random()).await;
        assert!(matches!(unknown, Err(MessagingError::NotFound)), "{unknown:?}");
        assert!(agent.heard().is_empty() && harness.feed(target).await.is_empty());
        assert!(
            send(&as_root, Some(&root.to_string()), target).await.is_ok(),
            "an ancestor may"
        );
        // The first failure wins: access before form.
        let order = harness.send(&as_child, target, "no JSON").await;
        assert!(matches!(order, Err(MessagingError::AccessDenied)), "{order:?}");
    }

    async fn a_claimed_caller_must_have_no_token(url: String) {
        // A2A-7, A2A-8, D2
        let harness = Harness::new(&url).await;
        let (target, _) = harness.polling("Target").await;
        let (sibling, _) = harness.polling("Sibling").await;
        let tokenless = harness.reporting("Old", "http://localhost:1/").await;
        harness
            .set("workspace_auth_tokens", "workspace_id", tokenless, "revoked_at = 1")
            .await;
        let send = async |caller: WorkspaceId| {
            let message = Message {
                caller_header: Some(caller.to_string()),
                ..message(target, &text_message("x"))
            };
            harness.platform.messenger.deliver(&anonymous(), message).await
        };
        let claimed = send(sibling).await;
        assert!(
            matches!(claimed, Err(MessagingError::Caller(CallerRefusal::Missing))),
            "{claimed:?}"
        );
        assert!(harness.feed(target).await.is_empty());
        send(target).await.unwrap();
        send(tokenless).await.unwrap();
        let sources: Vec<_> = harness.feed(target).await.iter().map(|row| row.source_id).collect();
        assert_eq!(sources, [Some(tokenless), Some(target)]);
    }

    async fn budgets_are_enforced_before_anything_is_sent(url: String) {
        // A2A-11, A2A-44
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        harness.backend.endpoint(&agent.url());
        let request = |limit| CreateWorkspace {
            name: "Lead".to_owned(),
            budget_limit: Some(limit),
            ..CreateWorkspace::default()
        };
        let zero = harness.create(request(0)).await;
        let some = harness.create(request(100)).await;
        for id in [zero, some] {
            harness.until_instance(id).await;
            harness.register(id).await;
        }
        let blocked = harness.send(&admin(), zero, "no JSON either").await;
        assert!(
            matches!(blocked, Err(MessagingError::OverBudget)),
            "0 always blocks: {blocked:?}"
        );
        let spend = |monthly_spend| Heartbeat {
            monthly_spend,
            ..Heartbeat::default()
        };
        harness.beat(some, spend(99)).await;
        assert!(harness.ask(some, "x").await.is_ok());
        harness.beat(some, spend(100)).await;
        assert!(
            matches!(harness.ask(some, "x").await, Err(MessagingError::OverBudget)),
            "before it is stored"
        );
        harness.platform.registry.flush().await.unwrap();
        harness.beat(some, spend(0)).await;
        assert!(
            matches!(harness.ask(some, "x").await, Err(MessagingError::OverBudget)),
            "and after"
        );
        assert_eq!(agent.heard().len(), 1);
    }

    async fn bodies_are_brought_to_one_form(url: String) {
        // A2A-20…32
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", None, &agent).await;
        let heard = async |body: &str| -> Value {
            harness.send(&admin(), id, body).await.unwrap();
            serde_json::from_str(&agent.heard().pop().unwrap().body).unwrap()
        };
        let v02 = heard(r#"{"method":"message/send","params":{"message":{"role":"user","content":"héllo"}}}"#).await;
        assert_eq!(v02["jsonrpc"], "2.0");
        assert!(v02["id"].is_string());
        let message = &v02["params"]["message"];
        assert_eq!(message["parts"], json!([{ "kind": "text", "text": "héllo" }]));
        assert!(message["messageId"].is_string() && message.get("content").is_none());
        let list = heard(r#"{"jsonrpc":"2.0","id":7,"method":"message/send","params":{"message":{"messageId":"m","content":[{"kind":"data","data":{"n":1e400}}]}}}"#.replace("1e400", "12345678901234567890123").as_str()).await;
        assert_eq!(
            (&list["id"], &list["params"]["message"]["messageId"]),
            (&json!(7), &json!("m"))
        );
        assert!(agent.heard().pop().unwrap().body.contains("12345678901234567890123"));
        for bad in ["", " ", "[]", "4", "{\"jsonrpc\":"] {
            let refused = harness.send(&admin(), id, bad).await.unwrap_err();
            assert_eq!(refused.to_string(), "invalid JSON", "{bad}");
        }
        for (content, field) in [
            ("\"content\":42", "params.message.content"),
            ("\"role\":\"user\"", "params.message.parts"),
        ] {
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":"q","method":"message/send","params":{{"message":{{{content}}}}}}}"#);
            let refused = harness.send(&admin(), id, &body).await.unwrap_err();
            let MessagingError::Invalid(refused) = refused else {
                panic!("{refused:?}")
            };
            let answer: Value = serde_json::from_str(&refused.body()).unwrap();
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("q"), &json!(-32602)));
            assert_eq!(answer["error"]["data"]["field"], field);
        }
        assert_eq!(harness.feed(id).await.len(), 2, "what is refused is not recorded");
    }

    async fn a_poll_message_is_durable_before_it_is_acknowledged(url: String) {
        // A2A-40, A2A-41, A2A-42, A2A-46, A2A-36, ACT-107
        let harness = Harness::new(&url).await;
        let (id, _) = harness.polling("Laptop").await;
        let v1 = r#"{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"hi"}]}}}"#;
        let Delivered::Polled { method } = harness.send(&admin(), id, v1).await.unwrap() else {
            panic!("queued")
        };
        assert_eq!(method, "message/send");
        let row = harness.only_row(id).await;
        assert_eq!(
            (row.activity_type.as_str(), row.status.as_str(), row.source_id),
            ("a2a_receive", "ok", None)
        );
        assert_eq!((row.response_body.as_deref(), row.duration_ms), (None, None));
        let stored: Value = serde_json::from_str(row.request_body.as_deref().unwrap()).unwrap();
        assert_eq!(stored["method"], "message/send", "rows hold the v0.3 form");
        assert_eq!(
            stored["params"]["message"]["parts"],
            json!([{ "kind": "text", "text": "hi" }])
        );
        let logged = harness.until_published(id, "ACTIVITY_LOGGED", 1).await;
        assert_eq!(logged[0]["duration_ms"], Value::Null);
        assert!(harness.published(id, "A2A_RESPONSE").is_empty());
        // Access and form come first for poll targets too.
        assert!(harness.send(&nobody(), id, v1).await.is_err());
        assert!(harness.send(&admin(), id, "[]").await.is_err());
        assert_eq!(harness.feed(id).await.len(), 1);
    }

    async fn a_poll_message_that_cannot_be_stored_is_not_accepted(url: String) {
        // A2A-42, ACT-39, A2A open point 5
        let harness = Harness::new(&url).await;
        let (id, _) = harness.polling("Laptop").await;
        harness.sql("ALTER TABLE activity_logs RENAME TO gone").await;
        let refused = harness.send(&admin(), id, &text_message("x")).await;
        assert!(matches!(refused, Err(MessagingError::NotStored(_))), "{refused:?}");
        assert!(
            harness.published(id, "ACTIVITY_LOGGED").is_empty(),
            "nothing is announced that is not there"
        );
        harness.sql("ALTER TABLE gone RENAME TO activity_logs").await;
        assert!(harness.send(&admin(), id, &text_message("x")).await.is_ok());
    }

    async fn a_push_reply_is_sent_even_if_its_record_is_lost(url: String) {
        // D15, A2A-103
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", None, &agent).await;
        harness.sql("DROP TABLE activity_logs").await;
        let (_, body) = harness.ask(id, "x").await.unwrap();
        assert_eq!(body, Bytes::from(REPLY));
    }

    async fn versions_are_translated_both_ways(url: String) {
        // D7
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", None, &agent).await;
        let body = r#"{"jsonrpc":"2.0","id":5,"method":"SendMessage","params":{"message":{"messageId":"m","contextId":"c","role":"ROLE_USER","parts":[{"text":"hi"}]}}}"#;
        let message = Message {
            version_header: Some("1.0".to_owned()),
            ..message(id, body)
        };
        let Delivered::Reply { body, .. } = harness.deliver(&admin(), message).await.unwrap() else {
            panic!("a reply")
        };
        let heard: Value = serde_json::from_str(&agent.heard()[0].body).unwrap();
        assert_eq!(heard["method"], "message/send");
        assert_eq!(heard["params"]["message"]["role"], "user");
        assert_eq!(
            heard["params"]["message"]["parts"],
            json!([{ "kind": "text", "text": "hi" }])
        );
        assert_eq!(heard["params"]["message"]["contextId"], "c");
        assert!(!agent.heard()[0].headers.contains_key("a2a-version"));
        let reply: Value = serde_json::from_slice(&body).unwrap();
        let message = &reply["result"]["message"];
        assert_eq!(
            (&message["role"], &message["parts"][0]["text"]),
            (&json!("ROLE_AGENT"), &json!("hi <&> ü"))
        );
        assert_eq!(
            harness.only_row(id).await.response_body.as_deref(),
            Some(REPLY),
            "the record keeps what the agent said"
        );
    }

    async fn reported_addresses_get_no_secret(url: String) {
        // D13, SEC-117, A2A-13
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = harness.reporting("Laptop", &agent.reported_url()).await;
        let (_, body) = harness.ask(id, "x").await.unwrap();
        assert_eq!(body, Bytes::from(REPLY));
        assert!(!agent.heard()[0].headers.contains_key("authorization"));
    }

    async fn a_workspace_without_an_address_says_so(url: String) {
        // A2A-60, A2A-43
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
        let refused = harness.ask(id, "x").await;
        assert!(
            matches!(
                refused,
                Err(MessagingError::NoUrl {
                    status: WorkspaceStatus::Provisioning
                })
            ),
            "{refused:?}"
        );
        assert!(harness.feed(id).await.is_empty());
        let removed = harness.online("Gone").await;
        harness.platform.workspaces.delete(removed, true, false).await.unwrap();
        assert!(matches!(harness.ask(removed, "x").await, Err(MessagingError::NotFound)));
    }

    async fn a_restart_is_seen_by_the_next_message(url: String) {
        // Architecture §3: a mutation answers once the caches have seen it.
        let harness = Harness::new(&url).await;
        let (first, second) = (Agent::json(REPLY).await, Agent::json(REPLY).await);
        let id = served(&harness, "Lead", None, &first).await;
        harness.ask(id, "x").await.unwrap();
        harness.backend.endpoint(&second.url());
        let gate = Gate::default();
        harness.backend.next_start(Start::Held(gate.clone()));
        let request = molecule_wire::workspaces::RestartWorkspace::default();
        harness.platform.workspaces.restart(id, request).await.unwrap();
        assert!(matches!(harness.ask(id, "x").await, Err(MessagingError::NoUrl { .. })));
        gate.open();
        harness.until_instance(id).await;
        harness.register(id).await;
        harness.ask(id, "x").await.unwrap();
        assert_eq!((first.heard().len(), second.heard().len()), (1, 1));
        // With the secret of its own incarnation.
        let secret = harness.backend.spec(id).inbound_secret;
        assert_eq!(
            second.heard()[0].headers["authorization"],
            format!("Bearer {}", secret.expose_secret())
        );
    }
}

/// Guard of what is dialled, with the production policy.
mod strict {
    use super::*;

    both_engines! {
        async fn reported_addresses_are_judged_at_every_dial(url: String) {
            // A2A-62, SEC-174, SEC-177
            let agent = Agent::json(REPLY).await;
            let lenient = Harness::new(&url).await;
            let id = lenient.reporting("Laptop", &agent.reported_url()).await;
            lenient.stop().await;
            let mut options = Options::default();
            options.config.netguard.dev = false;
            let harness = Harness::with(&url, options).await;
            let refused = harness.ask(id, "x").await;
            assert!(matches!(refused, Err(MessagingError::NotRoutable)), "{refused:?}");
            assert!(agent.heard().is_empty());
            let row = harness.only_row(id).await;
            assert_eq!((row.status.as_str(), row.response_body.as_deref()), ("error", None));
            // What the backend assigned is trusted.
            let managed = served(&harness, "Lead", None, &agent).await;
            assert!(harness.ask(managed, "x").await.is_ok());
        }
    }
}
