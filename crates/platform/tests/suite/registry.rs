//! Register, heartbeat, cards, discovery (A2A spec §2–6).

use molecule_platform::{
    credentials::GateRefusal,
    messaging::Delivered,
    registry::{DiscoverError, HeartbeatError, RegisterError},
};
use molecule_testkit::both_engines;
use molecule_wire::registry::{RuntimeMetadata, UpdateCard, raw};
use secrecy::ExposeSecret;

use crate::common::*;

/// The base that requests were made with.
const ASKED: &str = "https://asked.example/sub/";

fn register(id: impl std::fmt::Display) -> Register {
    Register {
        id: id.to_string(),
        agent_card: raw(&json!({ "name": "agent" })),
        url: String::new(),
        delivery_mode: "".into(),
    }
}

fn beat(id: impl std::fmt::Display) -> Heartbeat {
    Heartbeat {
        workspace_id: id.to_string(),
        ..Heartbeat::default()
    }
}

/// What a workspace proves with a token of its own.
async fn itself(harness: &Harness, id: WorkspaceId) -> molecule_platform::credentials::Identity {
    let token = harness.platform.credentials.mint(id).await.unwrap().unwrap();
    harness.bearer(token.expose()).await
}

/// An external workspace that has never registered, and what proves it.
async fn awaiting(harness: &Harness, name: &str) -> (WorkspaceId, molecule_platform::credentials::Identity) {
    let request = CreateWorkspace {
        name: name.to_owned(),
        external: true,
        ..CreateWorkspace::default()
    };
    let created = harness
        .platform
        .workspaces
        .create(request, "http://m.example")
        .await
        .unwrap();
    let identity = harness.bearer(&created.connection.unwrap().auth_token).await;
    (created.id, identity)
}

both_engines! {
    async fn the_gate_stands_before_everything(url: String) {
        // REG-10, REG-20, REG-22, REG-23
        let harness = Harness::new(&url).await;
        let (id, _) = awaiting(&harness, "Laptop").await;
        let (_, other) = awaiting(&harness, "Other").await;
        let registry = &harness.platform.registry;
        let bad = [
            registry.register(&other, register("not-a-uuid")).await,
            registry
                .register(
                    &other,
                    Register {
                        agent_card: raw(&Value::Null),
                        ..register(id)
                    },
                )
                .await,
        ];
        assert!(
            bad.iter()
                .all(|outcome| matches!(outcome, Err(RegisterError::BadRequest))),
            "{bad:?}"
        );
        // The mode is judged before the gate, the URL after it: a stranger causes no lookup.
        let mode = Register {
            delivery_mode: "pigeon".into(),
            ..register(id)
        };
        assert!(matches!(
            registry.register(&nobody(), mode).await,
            Err(RegisterError::BadMode)
        ));
        let push = Register {
            delivery_mode: "push".into(),
            url: "http://127.0.0.1/".to_owned(),
            ..register(id)
        };
        let missing = registry.register(&nobody(), push.clone()).await.unwrap_err();
        assert_eq!(missing.to_string(), "missing workspace auth token");
        let invalid = registry.register(&other, push).await.unwrap_err();
        assert_eq!(invalid.to_string(), "invalid workspace auth token");
        let operator = registry.register(&admin(), register(id)).await.unwrap_err();
        assert_eq!(
            operator.to_string(),
            "invalid workspace auth token",
            "not even the operator hijacks an address"
        );
        assert_eq!(harness.status(id).await, WorkspaceStatus::AwaitingAgent);
    }

    async fn modes_are_resolved_and_kept(url: String) {
        // REG-24, REG-35, REG-36, LIFE-76, A2A open point 1
        let harness = Harness::new(&url).await;
        let (id, identity) = awaiting(&harness, "Laptop").await;
        let registry = &harness.platform.registry;
        let reply = registry.register(&identity, register(id)).await.unwrap();
        assert_eq!(
            reply.delivery_mode,
            DeliveryMode::Poll,
            "an external row that says nothing polls"
        );
        assert_eq!(harness.row(id).await.delivery_mode, Some(DeliveryMode::Poll));
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        let push = Register {
            delivery_mode: "push".into(),
            url: "http://localhost:9/".to_owned(),
            ..register(id)
        };
        assert_eq!(
            registry.register(&identity, push.clone()).await.unwrap().delivery_mode,
            DeliveryMode::Push
        );
        let said_nothing = Register {
            delivery_mode: "".into(),
            ..push
        };
        let reply = registry.register(&identity, said_nothing).await.unwrap();
        assert_eq!(reply.delivery_mode, DeliveryMode::Push, "what is stored holds");
        assert_eq!(harness.row(id).await.url, "http://localhost:9/");
        let names = harness.recorded_names(id).await;
        assert_eq!(
            names[2..],
            ["WORKSPACE_ONLINE", "WORKSPACE_ONLINE", "WORKSPACE_ONLINE"],
            "REG-31"
        );
    }

    async fn an_external_agent_that_only_beats_polls(url: String) {
        // REG-24: it never registers, and names neither an address nor a mode.
        let harness = Harness::new(&url).await;
        let (id, identity) = awaiting(&harness, "Laptop").await;
        assert_eq!(harness.row(id).await.delivery_mode, None);
        harness.beat_as(&identity, id, Heartbeat::default()).await;
        let row = harness.row(id).await;
        assert_eq!(
            (row.status, row.delivery_mode),
            (WorkspaceStatus::Online, Some(DeliveryMode::Poll))
        );
        let sent = harness.send(&admin(), id, &text_message("x")).await.unwrap();
        assert!(matches!(sent, Delivered::Polled { .. }), "{sent:?}");
        // One that has an address keeps being called there.
        let pushing = harness.reporting("Server", "http://localhost:9/").await;
        harness
            .set(
                "workspaces",
                "id",
                pushing,
                "status = 'awaiting_agent', delivery_mode = NULL",
            )
            .await;
        let (beating, _) = awaiting(&harness, "Other").await;
        harness
            .beat_as(&itself(&harness, pushing).await, pushing, Heartbeat::default())
            .await;
        assert_eq!(harness.row(pushing).await.delivery_mode, None);
        assert_eq!(
            harness.row(beating).await.delivery_mode,
            None,
            "not before its first beat"
        );
    }

    async fn push_needs_an_address_that_may_be_dialled(url: String) {
        // REG-25, REG-41, SEC-172
        let mut options = Options::default();
        options.config.netguard.dev = false;
        let harness = Harness::with(&url, options).await;
        let (id, identity) = awaiting(&harness, "Laptop").await;
        for (bad, text) in [
            ("", "url is required"),
            ("not a url", "url is not a valid absolute URL"),
            ("ftp://localhost/", "url scheme must be http or https"),
            (
                "http://127.0.0.1:8000/",
                "url points to a blocked address range (loopback)",
            ),
            (
                "http://localhost:8000/",
                "url points to a blocked address range (loopback)",
            ),
            (
                "http://169.254.169.254/",
                "url points to a blocked address range (link-local)",
            ),
            ("http://10.0.0.1/", "url points to a blocked address range (private)"),
            (
                "http://[64:ff9b::a00:1]/",
                "url points to a blocked address range (private)",
            ),
            ("http://0x7f000001/", "url points to a blocked address range (loopback)"), // SEC-171
        ] {
            let push = Register {
                delivery_mode: "push".into(),
                url: bad.to_owned(),
                ..register(id)
            };
            let refused = harness.platform.registry.register(&identity, push).await.unwrap_err();
            assert!(refused.to_string().starts_with(text), "{bad}: {refused}");
        }
        assert_eq!(harness.status(id).await, WorkspaceStatus::AwaitingAgent);
        assert_eq!(
            harness.recorded_names(id).await,
            ["WORKSPACE_PROVISIONING", "WORKSPACE_AWAITING_AGENT"]
        );
    }

    async fn poll_keeps_no_address_that_may_not_be_dialled(url: String) {
        // REG-26, SEC-173
        let harness = Harness::new(&url).await;
        let (id, identity) = awaiting(&harness, "Laptop").await;
        let registry = &harness.platform.registry;
        let push = Register {
            delivery_mode: "push".into(),
            url: "http://localhost:9/".to_owned(),
            ..register(id)
        };
        registry.register(&identity, push).await.unwrap();
        for address in ["remote://no-inbound", "http://169.254.0.1:1/", ""] {
            let poll = Register {
                delivery_mode: "poll".into(),
                url: address.to_owned(),
                ..register(id)
            };
            registry.register(&identity, poll).await.unwrap();
            assert_eq!(harness.row(id).await.url, "", "{address}");
        }
    }

    async fn a_managed_agent_does_not_say_where_it_is(url: String) {
        // D13, REG-27
        let harness = Harness::new(&url).await;
        harness.backend.endpoint("http://127.0.0.1:7001/");
        let id = harness.online("Lead").await;
        let report = Register {
            url: "http://evil.example/".to_owned(),
            ..register(id)
        };
        harness
            .platform
            .registry
            .register(&harness.agent(id).await, report)
            .await
            .unwrap();
        let row = harness.row(id).await;
        assert_eq!((row.url.as_str(), row.url_assigned), ("http://127.0.0.1:7001/", true));
    }

    async fn a_repeated_registration_rotates_nothing(url: String) {
        // REG-32, REG-33, REG-35, SEC-117
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let identity = harness.agent(id).await;
        let spec = harness.backend.spec(id);
        for _ in 0..2 {
            let reply = harness
                .platform
                .registry
                .register(&identity, register(id))
                .await
                .unwrap();
            assert!(reply.auth_token.is_none());
            assert_eq!(
                reply.inbound_secret.as_ref().unwrap().expose_secret(),
                spec.inbound_secret.expose_secret()
            );
            let shown = format!("{reply:?}");
            assert!(!shown.contains(spec.inbound_secret.expose_secret()), "{shown}");
        }
        assert_eq!(harness.agent(id).await.workspace(), Some(id));
    }

    async fn an_unknown_id_is_inserted_for_the_operator_only(url: String) {
        // D3, LIFE-11, REG-27, REG-32
        let harness = Harness::new(&url).await;
        let id = WorkspaceId::random();
        let (_, stranger) = awaiting(&harness, "Other").await;
        let registry = &harness.platform.registry;
        let missing = registry.register(&nobody(), register(id)).await;
        assert!(
            matches!(missing, Err(RegisterError::Refused(GateRefusal::Missing))),
            "{missing:?}"
        );
        let invalid = registry.register(&stranger, register(id)).await;
        assert!(
            matches!(invalid, Err(RegisterError::Refused(GateRefusal::Invalid))),
            "{invalid:?}"
        );
        assert_eq!(harness.store.workspace(id).await.unwrap(), None);

        let poll = Register {
            delivery_mode: "poll".into(),
            ..register(id)
        };
        let reply = registry.register(&admin(), poll).await.unwrap();
        let row = harness.row(id).await;
        assert_eq!((row.name, row.status), (id.to_string(), WorkspaceStatus::Online));
        assert_eq!(
            harness.recorded(id).await,
            [
                (
                    "WORKSPACE_PROVISIONING".to_owned(),
                    json!({ "name": id, "tier": 2, "runtime": "external" })
                ),
                (
                    "WORKSPACE_ONLINE".to_owned(),
                    json!({ "url": "", "agent_card": { "name": "agent" } })
                ),
            ]
        );
        let token = reply.auth_token.unwrap();
        assert!(reply.inbound_secret.is_some(), "REG-34");
        let identity = harness.bearer(token.expose()).await;
        assert!(
            registry
                .register(&identity, register(id))
                .await
                .unwrap()
                .auth_token
                .is_none(),
            "shown once"
        );
    }

    async fn open_mode_lets_the_first_agent_in_and_nobody_after_it(url: String) {
        // D2, D3, REG-11, SEC-74
        let harness = Harness::new(&url).await;
        let id = harness.reporting("Laptop", "http://localhost:9/").await;
        let registry = &harness.platform.registry;
        let refused = registry.register(&nobody(), register(id)).await;
        assert!(
            matches!(refused, Err(RegisterError::Refused(GateRefusal::Missing))),
            "required mode: {refused:?}"
        );
        let poll = Register {
            delivery_mode: "poll".into(),
            ..register(id)
        };
        let first = registry.register(&anonymous(), poll.clone()).await.unwrap();
        assert!(first.auth_token.is_some());
        let second = registry.register(&anonymous(), poll).await;
        assert!(
            matches!(second, Err(RegisterError::Refused(GateRefusal::Missing))),
            "{second:?}"
        );
        let refused = registry.heartbeat(&anonymous(), beat(id)).await;
        assert!(
            matches!(refused, Err(HeartbeatError::Refused(GateRefusal::Missing))),
            "{refused:?}"
        );
    }

    async fn nothing_comes_back_from_removal(url: String) {
        // LIFE-9, LIFE-116, REG-12, REG-28, REG-67, SEC-6
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let token = harness.backend.spec(id).auth_token;
        // Proven before the removal, used after it: the race a token check alone does not catch.
        let before = harness.agent(id).await;
        harness.platform.workspaces.delete(id, true, false).await.unwrap();
        let row = harness.row(id).await;
        let names = harness.recorded_names(id).await;
        let registry = &harness.platform.registry;
        let after = harness.bearer(token.expose_secret()).await;
        for identity in [before, after, admin()] {
            let register = registry.register(&identity, register(id)).await.unwrap_err();
            assert_eq!(register.to_string(), "invalid workspace auth token");
            let beat = registry.heartbeat(&identity, beat(id)).await.unwrap_err();
            assert_eq!(beat.to_string(), "invalid workspace auth token");
            let card = UpdateCard {
                workspace_id: id.to_string(),
                agent_card: raw(&json!({})),
            };
            assert_eq!(
                registry.update_card(&identity, card).await.unwrap_err().to_string(),
                "invalid workspace auth token"
            );
        }
        for identity in [nobody(), anonymous()] {
            assert_eq!(
                registry
                    .register(&identity, register(id))
                    .await
                    .unwrap_err()
                    .to_string(),
                "missing workspace auth token"
            );
            assert_eq!(
                registry.heartbeat(&identity, beat(id)).await.unwrap_err().to_string(),
                "missing workspace auth token"
            );
        }
        registry.flush().await.unwrap();
        assert_eq!(harness.row(id).await, row, "nor are its times refreshed");
        assert_eq!(harness.recorded_names(id).await, names);
        assert!(!harness.platform.credentials.has_live_token(id).await.unwrap());
        assert_eq!(
            harness
                .platform
                .credentials
                .removed_owner(token.expose_secret())
                .await
                .unwrap(),
            Some(id),
            "LIFE-89a"
        );
    }

    async fn a_paused_workspace_stays_paused(url: String) {
        // OP-3, LIFE-37, REG-66
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let identity = harness.agent(id).await;
        for status in ["paused", "hibernated", "hibernating"] {
            harness
                .set(
                    "workspaces",
                    "id",
                    id,
                    &format!("status = '{status}', agent_card = NULL"),
                )
                .await;
            let names = harness.recorded_names(id).await;
            harness
                .platform
                .registry
                .register(&identity, register(id))
                .await
                .unwrap();
            harness.beat_as(&identity, id, Heartbeat::default()).await;
            let row = harness.row(id).await;
            assert_eq!(row.status.as_str(), status);
            assert!(row.agent_card.is_some(), "the card is refreshed all the same");
            assert_eq!(harness.recorded_names(id).await, names);
        }
    }

    async fn a_registration_that_cannot_be_stored_is_no_success(url: String) {
        // LIFE-8a, REG-29
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        harness.sql("DROP TABLE structure_events").await;
        let failed = harness
            .platform
            .registry
            .register(&harness.agent(id).await, register(id))
            .await
            .unwrap_err();
        assert_eq!(failed.to_string(), "registration failed");
        assert_eq!(
            harness.status(id).await,
            WorkspaceStatus::Provisioning,
            "status and event are one"
        );
    }

    async fn cards_are_replaced_and_announced(url: String) {
        // REG-6, REG-70, ACT-95
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let identity = harness.agent(id).await;
        let text = r#"{ "name": "new",  "big": 12345678901234567 }"#;
        let card: Value = serde_json::from_str(text).unwrap();
        let agent_card = serde_json::from_str(text).unwrap();
        let update = UpdateCard {
            workspace_id: id.to_string(),
            agent_card,
        };
        harness.platform.registry.update_card(&identity, update).await.unwrap();
        assert_eq!(harness.row(id).await.agent_card.as_deref(), Some(text), "verbatim");
        assert_eq!(
            harness.payloads(id, "AGENT_CARD_UPDATED").await,
            [json!({ "agent_card": card })]
        );
    }

    async fn beats_move_the_status_as_the_table_says(url: String) {
        // REG-60…68, LIFE-15…19, LIFE-36
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        let rate = |error_rate| Heartbeat {
            error_rate,
            sample_error: "boom".to_owned(),
            ..Heartbeat::default()
        };
        let wedged = || Heartbeat {
            runtime_state: "wedged".to_owned(),
            sample_error: "stuck".to_owned(),
            ..Heartbeat::default()
        };
        let ok = || Heartbeat {
            runtime_state: "ok".to_owned(),
            ..Heartbeat::default()
        };
        let online = ("WORKSPACE_ONLINE", json!({}));
        let steps = [
            (
                rate(0.9),
                WorkspaceStatus::Online,
                Some(("WORKSPACE_ONLINE", json!({ "recovered_from": "provisioning" }))),
            ),
            (rate(0.49), WorkspaceStatus::Online, None),
            (
                rate(0.5),
                WorkspaceStatus::Degraded,
                Some((
                    "WORKSPACE_DEGRADED",
                    json!({ "error_rate": 0.5, "sample_error": "boom" }),
                )),
            ),
            (rate(0.1), WorkspaceStatus::Degraded, None),
            (rate(0.09), WorkspaceStatus::Online, Some(online.clone())),
            (
                wedged(),
                WorkspaceStatus::Degraded,
                Some((
                    "WORKSPACE_DEGRADED",
                    json!({ "runtime_state": "wedged", "sample_error": "stuck" }),
                )),
            ),
            (wedged(), WorkspaceStatus::Degraded, None),
            (ok(), WorkspaceStatus::Online, Some(online)), // A2A open point 9
        ];
        for (number, (beat, status, event)) in steps.into_iter().enumerate() {
            let before = harness.recorded(id).await.len();
            harness.beat(id, beat).await;
            assert_eq!(harness.status(id).await, status, "step {number}");
            let new = harness.recorded(id).await.split_off(before);
            let expected: Vec<_> = event
                .into_iter()
                .map(|(name, payload)| (name.to_owned(), payload))
                .collect();
            assert_eq!(new, expected, "step {number}");
        }
    }

    async fn a_beat_revives_the_lost_but_not_the_failed(url: String) {
        // REG-63, REG-65, LIFE-16, LIFE-17, LIFE-37
        let harness = Harness::new(&url).await;
        let (id, identity) = awaiting(&harness, "Laptop").await;
        harness.beat_as(&identity, id, Heartbeat::default()).await;
        assert_eq!(
            harness.payloads(id, "WORKSPACE_ONLINE").await,
            [json!({ "recovered_from": "awaiting_agent" })]
        );
        harness.backend.next_start(Start::Fail("no"));
        let failed = harness
            .create(CreateWorkspace {
                name: "Lead".to_owned(),
                ..CreateWorkspace::default()
            })
            .await;
        harness.until_status(failed, WorkspaceStatus::Failed).await;
        harness.beat(failed, Heartbeat::default()).await;
        assert_eq!(harness.status(failed).await, WorkspaceStatus::Failed);
    }

    async fn an_adapter_that_judges_itself_is_not_second_guessed(url: String) {
        // REG-57, REG-61, REG-68
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let metadata = RuntimeMetadata {
            capabilities: [("status_mgmt".to_owned(), true)].into(),
            idle_timeout_seconds: None,
        };
        let declare = Heartbeat {
            error_rate: 0.9,
            runtime_metadata: Some(metadata),
            ..Heartbeat::default()
        };
        harness.beat(id, declare).await;
        assert_eq!(
            harness.status(id).await,
            WorkspaceStatus::Degraded,
            "the declaration holds from the next beat on"
        );
        harness.beat(id, Heartbeat::default()).await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Degraded);
        harness.register(id).await;
        harness
            .beat(
                id,
                Heartbeat {
                    error_rate: 0.9,
                    ..Heartbeat::default()
                },
            )
            .await;
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        harness
            .beat(
                id,
                Heartbeat {
                    runtime_state: "wedged".to_owned(),
                    ..Heartbeat::default()
                },
            )
            .await;
        assert_eq!(
            harness.status(id).await,
            WorkspaceStatus::Degraded,
            "a self-report is no inference"
        );
    }

    async fn beats_are_heard_by_canvases(url: String) {
        // REG-53, REG-54, REG-55, ACT-102, ACT-103, ACT-74
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let working = |task: &str| Heartbeat {
            current_task: task.to_owned(),
            active_tasks: 1,
            uptime_seconds: 7,
            ..Heartbeat::default()
        };
        let heard = harness.platform.events.last_heard(id);
        for beat in [
            working("write"),
            working("write"),
            working("read"),
            Heartbeat::default(),
            Heartbeat::default(),
        ] {
            harness.beat(id, beat).await;
        }
        harness.platform.run_job("heartbeat-relay").await.unwrap();
        let last = json!({ "active_tasks": 0, "uptime_seconds": 0 });
        eventually("the last beat", async || {
            harness.published(id, "WORKSPACE_HEARTBEAT").last() == Some(&last)
        })
        .await;
        let beats = harness.published(id, "WORKSPACE_HEARTBEAT");
        assert_eq!(
            beats[0],
            json!({ "active_tasks": 1, "uptime_seconds": 7 }),
            "before the task that came after it"
        );
        // D34: of those between two other events of the workspace, the latest.
        let frames = harness.frames();
        let names: Vec<_> = frames
            .iter()
            .filter(|frame| frame["workspace_id"] == json!(id))
            .map(|frame| &frame["event"])
            .collect();
        assert!((3..=5).contains(&beats.len()), "{names:?}");
        let tasks = harness.published(id, "TASK_UPDATED");
        let expected =
            [("write", 1), ("read", 1), ("", 0)].map(|(task, n)| json!({ "current_task": task, "active_tasks": n }));
        assert_eq!(tasks, expected);
        assert!(harness.platform.events.last_heard(id) > heard);
        let spec = harness.backend.spec(id);
        let reply = harness
            .platform
            .registry
            .heartbeat(&harness.agent(id).await, beat(id))
            .await
            .unwrap();
        assert_eq!(
            reply.inbound_secret.unwrap().expose_secret(),
            spec.inbound_secret.expose_secret()
        );
        assert!(
            harness
                .recorded_names(id)
                .await
                .iter()
                .all(|name| name != "WORKSPACE_HEARTBEAT"),
            "live only"
        );
    }

    async fn beats_are_stored_in_batches_and_seen_at_once(url: String) {
        // REG-51, LIFE §6
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness
            .beat(
                id,
                Heartbeat {
                    active_tasks: 3,
                    uptime_seconds: 60,
                    monthly_spend: 42,
                    ..Heartbeat::default()
                },
            )
            .await;
        let listed = harness.platform.workspaces.list().await.unwrap();
        assert_eq!((listed[0].workspace.active_tasks, listed[0].monthly_spend), (3, 42));
        harness.platform.registry.flush().await.unwrap();
        let row = harness.row(id).await;
        assert_eq!((row.active_tasks, row.uptime_seconds, row.monthly_spend), (3, 60, 42));
        // 0 is no update, negative is 0, and there is a ceiling.
        for (said, stored) in [(0, 42), (i64::MAX, 1_000_000_000_000), (-5, 0)] {
            harness
                .beat(
                    id,
                    Heartbeat {
                        monthly_spend: said,
                        ..Heartbeat::default()
                    },
                )
                .await;
            harness.platform.registry.flush().await.unwrap();
            assert_eq!(harness.row(id).await.monthly_spend, stored, "{said}");
        }
    }

    async fn a_late_flush_does_not_undo_a_failure(url: String) {
        // LIFE-55: the beat was taken before the restart, and would be stored after it.
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness
            .beat(
                id,
                Heartbeat {
                    active_tasks: 2,
                    current_task: "write".to_owned(),
                    ..Heartbeat::default()
                },
            )
            .await;
        harness.backend.next_start(Start::Fail("no"));
        harness.platform.provisioner.auto_restart(id);
        harness.until_status(id, WorkspaceStatus::Failed).await;
        harness.platform.registry.flush().await.unwrap();
        let row = harness.row(id).await;
        assert_eq!(row.sample_error, "workspace start failed");
        assert_eq!((row.active_tasks, row.current_task.as_str()), (0, ""));
    }

    async fn beats_of_nobody(url: String) {
        // REG-50, A2A open point 15
        let harness = Harness::new(&url).await;
        let registry = &harness.platform.registry;
        let bad = registry.heartbeat(&admin(), beat("nonsense")).await;
        assert!(matches!(bad, Err(HeartbeatError::BadRequest)), "{bad:?}");
        let unknown = registry.heartbeat(&admin(), beat(WorkspaceId::random())).await;
        assert!(matches!(unknown, Err(HeartbeatError::NotFound)), "{unknown:?}");
        let stranger = registry.heartbeat(&nobody(), beat(WorkspaceId::random())).await;
        assert!(
            matches!(stranger, Err(HeartbeatError::Refused(GateRefusal::Missing))),
            "{stranger:?}"
        );
        assert!(harness.frames().is_empty());
    }

    async fn peers_in_order(url: String) {
        // REG-80, REG-81, REG-86, REG-88
        let harness = Harness::new(&url).await;
        let root = harness.online("Root").await;
        let other_root = harness.online("Other root").await;
        let lead = harness.online_below("Lead", Some(root)).await;
        let sibling = harness.online_below("Sibling", Some(root)).await;
        let child = harness.online_below("Child", Some(lead)).await;
        let nephew = harness.online_below("Nephew", Some(sibling)).await;
        let gone = harness.online_below("Gone", Some(lead)).await;
        harness.platform.workspaces.delete(gone, true, false).await.unwrap();
        let registry = &harness.platform.registry;
        let names = async |id, query: Option<&str>| -> Vec<String> {
            registry
                .peers(id, query, ASKED)
                .await
                .unwrap()
                .into_iter()
                .map(|peer| peer.name)
                .collect()
        };
        assert_eq!(names(lead, None).await, ["Sibling", "Child", "Root"]);
        assert_eq!(names(root, None).await, ["Other root", "Lead", "Sibling"]);
        assert_eq!(names(lead, Some(" CHI ")).await, ["Child"]);
        assert_eq!(names(lead, Some("  ")).await.len(), 3);
        assert!(matches!(
            registry.peers(WorkspaceId::random(), None, ASKED).await,
            Err(DiscoverError::NotFound)
        ));
        for (a, b, allowed) in [
            (lead, sibling, true),
            (root, other_root, true),
            (root, child, true),
            (child, root, true),
            (child, nephew, false),
            (lead, nephew, false),
            (other_root, lead, false),
            (lead, lead, true),
            (lead, WorkspaceId::random(), false),
        ] {
            assert_eq!(registry.check_access(a, b).await, allowed, "{a} {b}");
        }
    }

    async fn what_is_disclosed(url: String) {
        // REG-83, REG-84, REG-85, SEC-174, A2A open point 6, D13
        let harness = Harness::new(&url).await;
        let asker = harness.online("Asker").await;
        let managed = harness.online("Managed").await;
        let booting = harness.started("Booting").await;
        let (polling, _) = harness.polling("Polling").await;
        let pushing = harness.reporting("Pushing", "http://localhost:9/agent").await;
        let child = harness.online_below("Child", Some(managed)).await;
        let registry = &harness.platform.registry;
        for id in [managed, polling] {
            harness
                .set(
                    "workspaces",
                    "id",
                    id,
                    r#"agent_card = '{"url":"http://127.0.0.1:4711/","name":"a"}'"#,
                )
                .await;
        }
        let platform = |id| format!("http://127.0.0.1:8080/workspaces/{id}/a2a");
        assert_eq!(
            registry.discover(asker, managed, ASKED).await.unwrap().url,
            platform(managed)
        );
        assert_eq!(
            registry.discover(asker, polling, ASKED).await.unwrap().url,
            platform(polling)
        );
        assert_eq!(
            registry.discover(polling, pushing, ASKED).await.unwrap().url,
            "http://localhost:9/agent"
        );
        // The asker is not in a container: to it, the host is where the URL says.
        assert_eq!(
            registry.discover(asker, pushing, ASKED).await.unwrap().url,
            "http://localhost:9/agent"
        );
        // Who runs elsewhere is told where it asked (D28).
        let elsewhere = |id| format!("https://asked.example/sub/workspaces/{id}/a2a");
        assert_eq!(
            registry.discover(polling, managed, ASKED).await.unwrap().url,
            elsewhere(managed)
        );
        let peers = registry.peers(polling, None, ASKED).await.unwrap();
        let peer = peers.iter().find(|peer| peer.id == managed).unwrap();
        assert_eq!(peer.url, elsewhere(managed));
        assert!(peer.agent_card.as_deref().unwrap().contains(&elsewhere(managed)));
        // Peers hear the same, in the card too.
        for peer in registry.peers(asker, None, ASKED).await.unwrap() {
            let card: Value = peer
                .agent_card
                .as_deref()
                .map_or(Value::Null, |card| serde_json::from_str(card).unwrap());
            match peer.id {
                id if id == pushing => assert_eq!(peer.url, "http://localhost:9/agent"),
                id if id == booting => assert_eq!(peer.url, ""),
                id => {
                    assert_eq!(peer.url, platform(id));
                    assert_eq!(card["url"], platform(id));
                }
            }
        }
        let unavailable = registry.discover(asker, booting, ASKED).await;
        assert!(
            matches!(
                unavailable,
                Err(DiscoverError::Unavailable(WorkspaceStatus::Provisioning))
            ),
            "{unavailable:?}"
        );
        for hidden in [child, WorkspaceId::random()] {
            let refused = registry.discover(asker, hidden, ASKED).await;
            assert!(matches!(refused, Err(DiscoverError::Forbidden)), "{refused:?}");
        }
        let unknown = WorkspaceId::random();
        assert!(matches!(
            registry.discover(unknown, unknown, ASKED).await,
            Err(DiscoverError::NotFound)
        ));
    }
}

/// One guard: what may be registered may be dialled and handed out, and nothing else.
mod guard {
    use molecule_core::netguard::Policy;
    use molecule_platform::messaging::MessagingError;

    use super::*;

    const REPLY: &str = r#"{"jsonrpc":"2.0","id":"r1","result":{"parts":[]}}"#;

    async fn under(url: &str, policy: Policy) -> Harness {
        let mut options = Options::default();
        options.config.netguard = policy;
        Harness::with(url, options).await
    }

    both_engines! {
        async fn register_and_dial_give_one_verdict(url: String) {
            // REG-43, SEC-174, SEC-178, D13
            let agent = Agent::json(REPLY).await;
            let port: u16 = agent.url().trim_end_matches("/agent").rsplit(':').next().unwrap().parse().unwrap();
            let open = Policy { open: true, ..Policy::default() };
            let harness = under(&url, open).await;
            let (id, identity) = awaiting(&harness, "Laptop").await;
            let names = [agent.reported_url(), agent.url(), format!("http://[::ffff:127.0.0.1]:{port}/agent")];
            let push = |url: &str| Register { delivery_mode: "push".into(), url: url.to_owned(), ..register(id) };
            for name in &names {
                harness.platform.registry.register(&identity, push(name)).await.unwrap();
                harness.ask(id, "x").await.unwrap();
            }
            assert_eq!(agent.heard().len(), names.len());
            harness.stop().await;
            // The same rows under a policy that forbids them, and under one whose server listens there itself.
            let own = Policy { own_port: Some(port), ..open };
            for (policy, text) in [(Policy::default(), "MOLECULE_AUTH=open"), (own, "the platform's own address")] {
                for name in &names {
                    let harness = under(&url, policy).await;
                    harness.set("workspaces", "id", id, &format!("url = '{name}'")).await;
                    let refused = harness.platform.registry.register(&identity, push(name)).await.unwrap_err().to_string();
                    assert!(refused.contains(text), "{name}: {refused}");
                    let refused = harness.ask(id, "x").await;
                    assert!(matches!(refused, Err(MessagingError::NotRoutable)), "{name}: {refused:?}");
                    let asker = harness.polling("Asker").await.0;
                    let refused = harness.platform.registry.discover(asker, id, ASKED).await;
                    assert!(matches!(refused, Err(DiscoverError::Unsafe)), "{name}: {refused:?}");
                    harness.stop().await;
                }
            }
            assert_eq!(agent.heard().len(), names.len(), "nothing was sent");
        }
    }
}
