//! The outbox and the bus (ACT §2), activity reports, supervision.

use std::time::{Duration, Instant};

use molecule_core::limits;
use molecule_platform::{activity::ActivityError, events::Subscription};
use molecule_testkit::{PATIENCE, both_engines};
use molecule_wire::activity::{Attachment, Notify, ReportActivity};

use crate::common::*;

/// After which a mutation answers although its event is not out yet.
const PASS_TIMEOUT: Duration = Duration::from_secs(5);

/// The event of a mutation that has been answered: it is there, unless the mutation took so long that it gave up
/// waiting for it.
async fn published(bus: &mut Subscription, begun: Instant) -> Value {
    let frame = match bus.try_recv().unwrap() {
        None if begun.elapsed() >= PASS_TIMEOUT => tokio::time::timeout(PATIENCE, bus.recv()).await.unwrap().unwrap(),
        now => now.unwrap(),
    };
    serde_json::from_slice(&frame.text).unwrap()
}

both_engines! {
    async fn recorded_events_come_in_order_and_once(url: String) {
        // ACT-70, ACT-71, ACT-80, LIFE-36
        let harness = Harness::new(&url).await;
        let creates = (0..8).map(|n| harness.online_named(n));
        futures_util::future::join_all(creates).await;
        let mut recorded = harness.platform.history.newest(None).await.unwrap();
        recorded.reverse();
        assert_eq!(recorded.len(), 16);
        eventually("every event", async || harness.frames().len() >= 16).await;
        let frames = harness.frames();
        let published: Vec<_> = frames
            .iter()
            .map(|f| (f["event"].clone(), f["workspace_id"].clone(), f["timestamp"].clone()))
            .collect();
        let expected: Vec<_> = recorded
            .iter()
            .map(|e| (json!(e.event_type), json!(e.workspace_id), json!(e.created_at)))
            .collect();
        assert_eq!(published, expected, "the order of the outbox is the order of the bus");
    }

    async fn a_mutation_answers_once_its_event_is_out(url: String) {
        // Architecture §4
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        let mut bus = harness.platform.events.subscribe();
        let begun = Instant::now();
        harness.register(id).await;
        let frame = published(&mut bus, begun).await;
        assert_eq!(
            (&frame["event"], &frame["workspace_id"]),
            (&json!("WORKSPACE_ONLINE"), &json!(id))
        );
        let begun = Instant::now();
        harness.platform.workspaces.delete(id, true, false).await.unwrap();
        let frame = published(&mut bus, begun).await;
        assert_eq!(frame["event"], "WORKSPACE_REMOVED");
    }

    async fn events_of_another_server_are_published_too(url: String) {
        let first = Harness::new(&url).await;
        let second = Harness::with(
            &url,
            Options {
                backend: None,
                ..Options::default()
            },
        )
        .await;
        let id = first.online("Lead").await;
        second.until_published(id, "WORKSPACE_ONLINE", 1).await;
        assert_eq!(first.published(id, "WORKSPACE_ONLINE").len(), 1);
    }

    async fn agents_report_what_they_did(url: String) {
        // ACT-44, ACT-45, ACT-47, ACT-104
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let activity = &harness.platform.activity;
        let report = |kind: &str, source: Option<String>| ReportActivity {
            activity_type: kind.into(),
            source_id: source,
            summary: Some("did it".to_owned()),
            ..ReportActivity::default()
        };
        assert!(matches!(
            activity.report(id, report("", None)).await,
            Err(ActivityError::BadRequest)
        ));
        for kind in ["delegation", "cron_run", "nonsense"] {
            assert!(
                matches!(
                    activity.report(id, report(kind, None)).await,
                    Err(ActivityError::BadType)
                ),
                "{kind}"
            );
        }
        let foreign = report("agent_log", Some(WorkspaceId::random().to_string()));
        assert!(matches!(
            activity.report(id, foreign).await,
            Err(ActivityError::ForeignSource)
        ));
        activity
            .report(id, report("agent_log", Some(id.to_string())))
            .await
            .unwrap();
        let row = harness.only_row(id).await;
        assert_eq!(
            (row.activity_type.as_str(), row.source_id, row.status.as_str()),
            ("agent_log", Some(id), "ok")
        );
        harness.until_published(id, "ACTIVITY_LOGGED", 1).await;
    }

    async fn an_agent_speaks_to_its_user(url: String) {
        // ACT-50…55, ACT-106
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let activity = &harness.platform.activity;
        let attachment = |uri: &str| Attachment {
            uri: uri.to_owned(),
            name: "a.txt".to_owned(),
            mime_type: Some(String::new()),
            size: Some(0),
        };
        let notify = |message: &str, attachments| Notify {
            message: message.to_owned(),
            attachments,
        };
        assert!(matches!(
            activity.notify(id, notify("", vec![])).await,
            Err(ActivityError::NoMessage)
        ));
        let bad = activity
            .notify(id, notify("x", vec![attachment("u"), attachment("")]))
            .await
            .unwrap_err();
        assert_eq!(bad.to_string(), "attachment[1]: uri and name are required");
        assert!(matches!(
            activity.notify(WorkspaceId::random(), notify("x", vec![])).await,
            Err(ActivityError::NotFound)
        ));
        assert!(harness.feed(id).await.is_empty());
        activity
            .notify(id, notify("done", vec![attachment("u")]))
            .await
            .unwrap();
        let row = harness.only_row(id).await;
        assert_eq!((row.method.as_deref(), row.source_id), (Some("notify"), None));
        let response: Value = serde_json::from_str(row.response_body.as_deref().unwrap()).unwrap();
        assert_eq!(
            response,
            json!({ "result": "done", "parts": [{ "kind": "file", "file": { "uri": "u", "name": "a.txt" } }] })
        );
        let said = harness.until_published(id, "AGENT_MESSAGE", 1).await;
        assert_eq!(
            (&said[0]["message"], &said[0]["name"]),
            (&json!("done"), &json!("Lead"))
        );
        assert!(harness.published(id, "ACTIVITY_LOGGED").is_empty());
    }

    async fn events_carry_previews(url: String) {
        // ACT-73, ACT-104: however long what was reported, a socket gets a line.
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let report = ReportActivity {
            activity_type: "agent_log".into(),
            summary: Some("é".repeat(limits::REPORT_TEXT_BYTES / 2)),
            ..ReportActivity::default()
        };
        harness.platform.activity.report(id, report).await.unwrap();
        let logged = harness.until_published(id, "ACTIVITY_LOGGED", 1).await;
        assert_eq!(
            logged[0]["summary"],
            format!("{}…", "é".repeat(limits::EVENT_TEXT_CHARS))
        );
        assert_eq!(
            harness.only_row(id).await.summary.unwrap().len(),
            limits::REPORT_TEXT_BYTES,
            "the row has it all"
        );
    }

    async fn texts_have_limits(url: String) {
        // ACT-44, ACT-50, ACT-51
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        let activity = &harness.platform.activity;
        let report = ReportActivity {
            activity_type: "agent_log".into(),
            ..ReportActivity::default()
        };
        let (word, text) = (Some("x".repeat(256)), Some("x".repeat(65_537)));
        for (report, refusal) in [
            (
                ReportActivity {
                    method: word.clone(),
                    ..report.clone()
                },
                "method exceeds 255 bytes",
            ),
            (
                ReportActivity {
                    status: word.map(Into::into),
                    ..report.clone()
                },
                "status exceeds 255 bytes",
            ),
            (
                ReportActivity {
                    summary: text.clone(),
                    ..report.clone()
                },
                "summary exceeds 65536 bytes",
            ),
            (
                ReportActivity {
                    error_detail: text,
                    ..report
                },
                "error_detail exceeds 65536 bytes",
            ),
        ] {
            assert_eq!(activity.report(id, report).await.unwrap_err().to_string(), refusal);
        }
        let file = Attachment {
            uri: "u".to_owned(),
            name: "n".to_owned(),
            mime_type: None,
            size: None,
        };
        let long = Attachment {
            name: "n".repeat(4_097),
            ..file.clone()
        };
        for (message, attachments, refusal) in [
            ("x".repeat(262_145), vec![], "message exceeds 262144 bytes"),
            (
                "x".to_owned(),
                vec![file.clone(), long],
                "attachment[1]: uri, name and mimeType must not exceed 4096 bytes",
            ),
            ("x".to_owned(), vec![file; 101], "attachments exceed 100"),
        ] {
            let refused = activity.notify(id, Notify { message, attachments }).await.unwrap_err();
            assert_eq!(refused.to_string(), refusal);
        }
        assert!(harness.feed(id).await.is_empty());
        activity
            .notify(
                id,
                Notify {
                    message: "x".repeat(262_144),
                    attachments: vec![],
                },
            )
            .await
            .unwrap();
        assert_eq!(
            harness.until_published(id, "AGENT_MESSAGE", 1).await[0]["message"]
                .as_str()
                .unwrap()
                .len(),
            262_144
        );
    }

    async fn loops_tell_how_they_fare(url: String) {
        // LIFE-175, LIFE-177, OP-18
        let harness = Harness::new(&url).await;
        let names = [
            "broadcaster",
            "exit-watch",
            "health-sweep",
            "provision-timeout-sweep",
            "pulse-flush",
        ];
        eventually("every loop", async || {
            let status = harness.platform.supervisor.status();
            names
                .iter()
                .all(|name| status.get(name).is_some_and(|status| !status.description.is_empty()))
        })
        .await;
        harness.online("Lead").await;
        let swept = harness.platform.run_job("health-sweep").await.unwrap();
        assert_eq!(swept.last_report, Some(json!({ "judged": 1, "lost": 0, "failed": 0 })));
        harness.stop().await;
    }

    async fn a_shutdown_stores_what_is_only_in_memory(url: String) {
        // LIFE-178
        let harness = Harness::new(&url).await;
        let id = harness.online("Lead").await;
        harness
            .beat(
                id,
                Heartbeat {
                    uptime_seconds: 77,
                    ..Heartbeat::default()
                },
            )
            .await;
        // Some other handle of the platform must not keep it from ending.
        let _other = harness.platform.clone();
        harness.stop().await;
        let second = Harness::with(
            &url,
            Options {
                begin: false,
                ..Options::default()
            },
        )
        .await;
        assert_eq!(second.row(id).await.uptime_seconds, 77);
    }
}
