//! How calls fail, and how they end well all the same (A2A §11, §12).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use molecule_core::limits;
use molecule_platform::messaging::{Delivered, Message, MessagingError};
use molecule_testkit::{PATIENCE, both_engines};
use molecule_wire::registry::RuntimeMetadata;

use crate::common::*;

const REPLY: &str = r#"{"jsonrpc":"2.0","id":"r1","result":{"parts":[{"kind":"text","text":"hi"}]}}"#;

async fn served(harness: &Harness, name: &str, url: &str) -> WorkspaceId {
    harness.backend.endpoint(url);
    harness.online(name).await
}

/// A port nobody listens on, and nobody else can be given as long as this value lives.
struct ClosedPort(tokio::net::TcpSocket);

impl ClosedPort {
    fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().unwrap())
    }
}

both_engines! {
    async fn the_agents_own_failures_pass(url: String) {
        // A2A-69, A2A-80, A2A-82, A2A-86, A2A-100
        let harness = Harness::new(&url).await;
        let agent = Agent::json("{}").await;
        let elsewhere = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        for (reply, status, text) in [
            (Reply::Json(500, r#"{"error":"boom"}"#.to_owned()), 500, "boom"),
            (Reply::Json(404, "<html>path /srv/secret".to_owned()), 404, "Not Found"),
            (Reply::Json(429, String::new()), 429, "Too Many Requests"),
            (Reply::Json(520, String::new()), 520, "upstream returned status 520"),
            (Reply::Redirect(elsewhere.url()), 307, "Temporary Redirect"),
            // Dead statuses of an agent that runs: a healthy one is not recycled.
            (Reply::Json(503, r#"{"error":"later"}"#.to_owned()), 503, "later"),
            (Reply::Json(524, String::new()), 524, "upstream returned status 524"),
        ] {
            agent.reply(reply);
            match harness.ask(id, "x").await {
                Err(MessagingError::Upstream {
                    status: got,
                    text: said,
                }) => assert_eq!((got, said.as_str()), (status, text)),
                other => panic!("{status}: {other:?}"),
            }
            let row = harness.feed(id).await.remove(0);
            assert_eq!(
                (row.status.as_str(), row.error_detail.as_deref()),
                ("error", Some(text))
            );
            assert!(row.response_body.is_some() && row.duration_ms.is_some());
        }
        assert!(elsewhere.heard().is_empty(), "redirects are not followed");
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        assert!(harness.published(id, "A2A_RESPONSE").is_empty());
    }

    async fn a_dead_agent_is_restarted(url: String) {
        // A2A-81, A2A-83, A2A-85, A2A-91, A2A-101, LIFE-21
        let harness = Harness::new(&url).await;
        let agent = Agent::status(502, "bad gateway").await;
        let by_status = served(&harness, "Status", &agent.url()).await;
        let closed = ClosedPort::new();
        let by_transport = served(&harness, "Transport", &closed.url()).await;
        for id in [by_status, by_transport] {
            harness.backend.answers(id, Answer::No);
            let answer = harness.ask(id, "x").await;
            assert!(matches!(answer, Err(MessagingError::Restarting)), "{answer:?}");
            assert_eq!(harness.payloads(id, "WORKSPACE_OFFLINE").await.len(), 1);
            harness
                .backend
                .until("a second start", |backend| backend.starts(id).len() == 2)
                .await;
            assert_eq!(harness.only_row(id).await.status, "error");
        }
        let row = harness.only_row(by_transport).await;
        assert_eq!(
            row.summary.as_deref(),
            Some("A2A request to Transport failed: connection refused")
        );
        assert_eq!(
            (row.error_detail.as_deref(), row.response_body),
            (Some("connection refused"), None)
        );
    }

    async fn an_unreachable_agent_that_runs_is_left_alone(url: String) {
        // A2A-84, A2A-87
        let harness = Harness::new(&url).await;
        let closed = ClosedPort::new();
        let id = served(&harness, "Lead", &closed.url()).await;
        for answer in [Answer::Yes, Answer::Unknown] {
            harness.backend.answers(id, answer);
            let refused = harness.ask(id, "x").await;
            assert!(matches!(refused, Err(MessagingError::Unreachable)), "{refused:?}");
        }
        assert_eq!(harness.status(id).await, WorkspaceStatus::Online);
        let external = harness
            .reporting("Laptop", &closed.url().replace("127.0.0.1", "localhost"))
            .await;
        assert!(matches!(
            harness.ask(external, "x").await,
            Err(MessagingError::Unreachable)
        ));
        assert_eq!(harness.status(external).await, WorkspaceStatus::Online);
    }

    async fn a_connection_that_ends_means_busy(url: String) {
        // A2A-87, A2A-88, A2A-90
        let harness = Harness::new(&url).await;
        let agent = RawAgent::new(b"").await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let busy = harness.ask(id, "x").await;
        assert!(matches!(busy, Err(MessagingError::Busy)), "{busy:?}");
        assert_eq!(
            harness.only_row(id).await.error_detail.as_deref(),
            Some("connection closed before the answer")
        );
        let metadata = RuntimeMetadata {
            capabilities: [("session".to_owned(), true)].into(),
            idle_timeout_seconds: None,
        };
        harness
            .beat(
                id,
                Heartbeat {
                    runtime_metadata: Some(metadata),
                    ..Heartbeat::default()
                },
            )
            .await;
        let native = harness.ask(id, "x").await;
        assert!(matches!(native, Err(MessagingError::BusyNativeSession)), "{native:?}");
    }

    async fn a_reply_that_cannot_be_read_was_delivered(url: String) {
        // A2A-70, A2A-71, A2A open point 17, D15
        let harness = Harness::new(&url).await;
        let agent = Agent::new(Reply::Big(limits::A2A_REPLY_BYTES)).await;
        let id = served(&harness, "Long", &agent.url()).await;
        let (_, body) = harness.ask(id, "x").await.unwrap();
        assert_eq!(body.len(), limits::A2A_REPLY_BYTES, "exactly the limit passes");
        agent.reply(Reply::Big(limits::A2A_REPLY_BYTES + 1));
        let long = harness.ask(id, "x").await;
        assert!(
            matches!(
                long,
                Err(MessagingError::UnreadableReply {
                    delivery_confirmed: true,
                    ..
                })
            ),
            "{long:?}"
        );
        let row = &harness.feed(id).await[0];
        let summary = row.summary.as_deref().unwrap();
        // What was delivered has not failed, and its row does not say so (A2A-71).
        assert_eq!((row.status.as_str(), summary.contains("failed")), ("ok", false), "{summary}");
        assert_eq!(summary, "message/send → Long, its answer could not be read: agent response too long");

        let cut = RawAgent::new(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"res").await;
        let id = served(&harness, "Cut", &cut.url()).await;
        let broken = harness.ask(id, "x").await;
        assert!(
            matches!(
                broken,
                Err(MessagingError::UnreadableReply {
                    delivery_confirmed: true,
                    ..
                })
            ),
            "{broken:?}"
        );
        let failed = RawAgent::new(b"HTTP/1.1 500 No\r\ncontent-length: 100\r\n\r\n{\"res").await;
        let id = served(&harness, "Failed", &failed.url()).await;
        let broken = harness.ask(id, "x").await;
        assert!(
            matches!(
                broken,
                Err(MessagingError::UnreadableReply {
                    delivery_confirmed: false,
                    ..
                })
            ),
            "{broken:?}"
        );
        let row = harness.only_row(id).await;
        assert_eq!(row.status, "error");
        assert!(row.summary.unwrap().starts_with("A2A request to Failed failed: "));
        // A length beyond the limit is not even read.
        let boast = RawAgent::new(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{").await;
        let id = served(&harness, "Boast", &boast.url()).await;
        let long = harness.ask(id, "x").await;
        assert!(
            matches!(
                long,
                Err(MessagingError::UnreadableReply {
                    delivery_confirmed: true,
                    ..
                })
            ),
            "{long:?}"
        );
    }

    async fn a_reply_that_stops_was_delivered(url: String) {
        // A2A-71, A2A-87: the agent has begun to answer, so the message must not be sent again.
        let mut options = Options::default();
        options.config.a2a_idle_timeout = Duration::from_millis(100);
        let harness = Harness::with(&url, options).await;
        let agent = Agent::new(Reply::Unfinished).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        // On a machine that stalls the time may be up before the reply begins.
        eventually("a reply that stops", async || match harness.ask(id, "x").await {
            Err(MessagingError::UnreadableReply {
                delivery_confirmed: true,
                detail,
            }) => {
                assert_eq!(detail, "no sign of life within the idle timeout");
                true
            }
            Err(MessagingError::Busy) => false,
            other => panic!("{other:?}"),
        })
        .await;
        let row = harness.feed(id).await.remove(0);
        assert_eq!(
            (row.status.as_str(), row.error_detail.as_deref()),
            ("ok", Some("no sign of life within the idle timeout"))
        );
    }

    async fn replies_that_nobody_takes_keep_their_memory(url: String) {
        // D15, A2A-71
        let harness = Harness::new(&url).await;
        let agent = Agent::new(Reply::Big(limits::A2A_REPLY_BYTES)).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let mut untaken = Vec::new();
        // More is not held for one agent.
        for _ in 0..3 {
            untaken.push(harness.ask(id, "x").await.unwrap().1);
        }
        eventually("a refusal", async || {
            let message = Message {
                timeout: Some(Some(Duration::from_millis(500))),
                ..message(id, &text_message("x"))
            };
            match harness.deliver(&admin(), message).await {
                Err(MessagingError::UnreadableReply {
                    delivery_confirmed: true,
                    detail,
                }) => detail == "platform is out of reply memory",
                // The deadline passed before the reply began.
                Err(MessagingError::Busy) => false,
                other => panic!("{other:?}"),
            }
        })
        .await;
        // The replies of others, and short ones, have room.
        let other = served(&harness, "Other", &agent.url()).await;
        assert_eq!(harness.ask(other, "x").await.unwrap().1.len(), limits::A2A_REPLY_BYTES);
        untaken.pop();
        assert_eq!(harness.ask(id, "x").await.unwrap().1.len(), limits::A2A_REPLY_BYTES);
        agent.reply(Reply::Json(200, REPLY.to_owned()));
        assert_eq!(harness.ask(id, "x").await.unwrap().1, REPLY);
    }

    async fn many_long_replies_do_not_wait_for_each_other(url: String) {
        // D15: together they want far more memory than there is.
        let harness = Harness::new(&url).await;
        let agent = Agent::new(Reply::Big(6 << 20)).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        const { assert!(48 * (6 << 20) > limits::A2A_BUFFERED_BYTES) };
        let replies = futures_util::future::join_all(
            (0..48).map(|_| async { harness.ask(id, "x").await.map(|(status, _)| status) }),
        );
        let replies = tokio::time::timeout(PATIENCE, replies).await.unwrap();
        assert!(replies.into_iter().all(|status| status.unwrap() == 200));
    }

    async fn a_caller_that_hangs_up_cancels_nothing(url: String) {
        // A2A-68, LIFE-123
        let harness = Arc::new(Harness::new(&url).await);
        let gate = Gate::default();
        let agent = Agent::new(Reply::Held(gate.clone(), REPLY.to_owned())).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let calling = harness.clone();
        let call = tokio::spawn(async move { calling.ask(id, "x").await });
        agent.until_heard(1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        gate.open();
        let row = harness.only_row(id).await;
        assert_eq!((row.status.as_str(), row.response_body.as_deref()), ("ok", Some(REPLY)));
        harness.until_published(id, "A2A_RESPONSE", 1).await;
    }

    async fn silence_ends_a_call_and_the_callers_deadline_too(url: String) {
        // A2A-65, A2A-67, A2A-87, D13
        let mut options = Options::default();
        options.config.a2a_idle_timeout = Duration::from_millis(100);
        let harness = Harness::with(&url, options).await;
        let agent = Agent::new(Reply::Stall).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        assert!(matches!(harness.ask(id, "x").await, Err(MessagingError::Busy)));
        assert_eq!(
            harness.feed(id).await[0].error_detail.as_deref(),
            Some("no sign of life within the idle timeout")
        );
        // The agent declares that it is quiet for longer; the caller has no such patience.
        let metadata = RuntimeMetadata {
            capabilities: Default::default(),
            idle_timeout_seconds: Some(3_600),
        };
        harness
            .beat(
                id,
                Heartbeat {
                    runtime_metadata: Some(metadata),
                    ..Heartbeat::default()
                },
            )
            .await;
        let message = Message {
            timeout: Some(Some(Duration::from_millis(50))),
            ..message(id, &text_message("x"))
        };
        assert!(matches!(
            harness.deliver(&admin(), message).await,
            Err(MessagingError::Busy)
        ));
        assert_eq!(
            harness.feed(id).await[0].error_detail.as_deref(),
            Some("deadline exceeded")
        );
    }

    async fn timeouts_of_any_length_are_taken(url: String) {
        // A2A-65, A2A-67
        let harness = Harness::new(&url).await;
        let agent = Agent::json(REPLY).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let metadata = RuntimeMetadata {
            capabilities: Default::default(),
            idle_timeout_seconds: Some(i64::MAX),
        };
        harness
            .beat(
                id,
                Heartbeat {
                    runtime_metadata: Some(metadata),
                    ..Heartbeat::default()
                },
            )
            .await;
        let message = Message {
            timeout: Some(Some(Duration::from_secs(u64::MAX))),
            ..message(id, &text_message("x"))
        };
        let reply = harness.deliver(&admin(), message).await;
        assert!(matches!(reply, Ok(Delivered::Reply { status: 200, .. })), "{reply:?}");
        assert_eq!(harness.only_row(id).await.status, "ok");
    }

    async fn signs_of_life_keep_a_call_going(url: String) {
        // A2A-65, A2A-74, REG-54
        let mut options = Options::default();
        let idle = Duration::from_secs(1);
        options.config.a2a_idle_timeout = idle;
        let harness = Arc::new(Harness::with(&url, options).await);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let gate = Gate::default();
            let agent = Agent::new(Reply::Held(gate.clone(), REPLY.to_owned())).await;
            let id = served(&harness, "Lead", &agent.url()).await;
            let begun = Instant::now();
            let (mut last, mut longest) = (begun, Duration::ZERO);
            let calling = harness.clone();
            let call = tokio::spawn(async move { calling.ask(id, "x").await });
            agent.until_heard(1).await;
            while begun.elapsed() < idle + idle / 4 {
                let before = Instant::now();
                harness.beat(id, Heartbeat::default()).await;
                longest = longest.max(last.elapsed());
                last = before;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            gate.open();
            let answer = call.await.unwrap();
            // A machine that stood still for so long tells nothing.
            if longest.max(last.elapsed()) < idle {
                assert_eq!(answer.unwrap().0, 200);
                break;
            }
            assert!(Instant::now() < deadline, "the machine keeps standing still");
        }
    }

    async fn headers_of_reported_agents_must_come_in_time(url: String) {
        // A2A-64, D13
        let mut options = Options::default();
        options.config.a2a_header_timeout = Duration::from_millis(50);
        let harness = Harness::with(&url, options).await;
        let silent = Agent::new(Reply::Stall).await;
        let id = harness.reporting("Laptop", &silent.reported_url()).await;
        assert!(matches!(harness.ask(id, "x").await, Err(MessagingError::Busy)));
        assert_eq!(
            harness.only_row(id).await.error_detail.as_deref(),
            Some("response header timeout")
        );
        // Nothing of the kind holds for an agent of ours, which answers when it has finished.
        let gate = Gate::default();
        let agent = Agent::new(Reply::Held(gate.clone(), REPLY.to_owned())).await;
        let managed = served(&harness, "Lead", &agent.url()).await;
        let open = async {
            agent.until_heard(1).await;
            // The time that ends another's call does not end this one.
            assert!(matches!(harness.ask(id, "x").await, Err(MessagingError::Busy)));
            gate.open();
        };
        let (reply, ()) = tokio::join!(harness.ask(managed, "x"), open);
        assert_eq!(reply.unwrap().0, 200);
    }

    async fn a_stream_is_relayed_frame_by_frame_and_recorded(url: String) {
        // D15, ACT-104
        use futures_util::StreamExt;
        let harness = Harness::new(&url).await;
        let agent = Agent::new(Reply::Stream).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let body = text_message("x").replace("message/send", "message/stream");
        let Delivered::Stream(mut frames) = harness.send(&admin(), id, &body).await.unwrap() else {
            panic!("a stream")
        };
        let row = harness.only_row(id).await;
        assert_eq!(
            (row.status.as_str(), row.response_body),
            ("in_progress", None),
            "recorded when it begins"
        );
        let said = REPLY.replace("hi", "one");
        agent.chunk(&format!("data: {said}\n"));
        agent.chunk("\n");
        let first = frames.next().await.unwrap();
        assert_eq!(
            first.unwrap(),
            format!("data: {said}\n\n"),
            "handed on before the stream ends"
        );
        agent.chunk(r#"data: {"jsonrpc":"2.0","id":"r1","result":{"kind":"status-update","final":true,"status":{"state":"completed"}}}"#);
        agent.chunk("\n\n");
        agent.end_stream();
        assert!(frames.next().await.unwrap().unwrap().starts_with(b"data: "));
        assert_eq!(frames.next().await, None);
        eventually("the row's end", async || harness.feed(id).await[0].status == "ok").await;
        let row = harness.only_row(id).await;
        let kept: Value = serde_json::from_str(row.response_body.as_deref().unwrap()).unwrap();
        assert_eq!(
            kept["result"]["parts"][0]["text"], "one",
            "a bare status does not hide the text before it"
        );
        assert!(row.duration_ms.is_some());
        assert_eq!(
            harness.until_published(id, "ACTIVITY_LOGGED", 1).await.len(),
            1,
            "announced once, when it has ended"
        );
        harness.until_published(id, "A2A_RESPONSE", 1).await;
    }

    async fn long_streams_and_long_frames_are_relayed_and_recorded_whole(url: String) {
        // D15, A2A-70
        use futures_util::StreamExt;
        let harness = Harness::new(&url).await;
        let agent = Agent::new(Reply::Stream).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let body = text_message("x").replace("message/send", "message/stream");
        let Delivered::Stream(frames) = harness.send(&admin(), id, &body).await.unwrap() else {
            panic!("a stream")
        };
        let text = |letter: &str, length: usize| {
            let artifact = json!({ "artifactId": "a", "parts": [{ "kind": "text", "text": letter.repeat(length) }] });
            let event = json!({ "kind": "artifact-update", "append": true, "artifact": artifact });
            format!("data: {}\n\n", json!({ "jsonrpc": "2.0", "id": "r1", "result": event }))
        };
        let sent = [text("a", 3 << 20), text("b", 100 << 10), text("c", 100 << 10)];
        sent.iter().for_each(|frame| agent.chunk(frame));
        agent.end_stream();
        let frames: Vec<_> = frames.map(Result::unwrap).collect().await;
        assert!(frames.iter().zip(&sent).all(|(frame, sent)| frame == sent) && frames.len() == sent.len());
        eventually("the row's end", async || harness.feed(id).await[0].status == "ok").await;
        let kept: Value = serde_json::from_str(harness.only_row(id).await.response_body.as_deref().unwrap()).unwrap();
        let text = kept["result"]["artifacts"][0]["parts"][0]["text"].as_str().unwrap();
        assert_eq!(text.len(), (3 << 20) + (200 << 10));
        assert!(kept["result"].get("metadata").is_none());
    }

    async fn a_stream_whose_reader_left_is_drained(url: String) {
        // A2A-68, D15
        let harness = Harness::new(&url).await;
        let agent = Agent::new(Reply::Stream).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let Delivered::Stream(frames) = harness.send(&admin(), id, &text_message("x")).await.unwrap() else {
            panic!("a stream")
        };
        drop(frames);
        for n in 0..200 {
            agent.chunk(&format!("data: {}\n\n", REPLY.replace("hi", &n.to_string())));
        }
        agent.end_stream();
        eventually("the row's end", async || harness.feed(id).await[0].status == "ok").await;
        assert!(harness.only_row(id).await.response_body.unwrap().contains("199"));
    }

    async fn a_stream_that_breaks_off_says_so(url: String) {
        // D15
        use futures_util::StreamExt;
        let harness = Harness::new(&url).await;
        let agent = RawAgent::new(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n12\r\ndata: {\"id\":\"r1\"}\n\r\n").await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let Delivered::Stream(frames) = harness.send(&admin(), id, &text_message("x")).await.unwrap() else {
            panic!("a stream")
        };
        let frames: Vec<_> = frames.collect().await;
        let last = String::from_utf8(frames.last().unwrap().as_ref().unwrap().to_vec()).unwrap();
        let error: Value = serde_json::from_str(last.trim().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!("r1"), &json!(-32603)));
        eventually("the row's end", async || harness.feed(id).await[0].status == "error").await;
        assert_eq!(
            harness.only_row(id).await.error_detail.as_deref(),
            Some("agent response unreadable")
        );
    }

    async fn streams_a_server_left_open_are_closed_at_boot(url: String) {
        // D15
        let harness = Harness::new(&url).await;
        let agent = Agent::new(Reply::Stream).await;
        let id = served(&harness, "Lead", &agent.url()).await;
        let Delivered::Stream(_frames) = harness.send(&admin(), id, &text_message("x")).await.unwrap() else {
            panic!("a stream")
        };
        let backend = molecule_testkit::backend::ScriptedBackend::default();
        backend.leave_behind(id, 0, &agent.url());
        let second = Harness::with(
            &url,
            Options {
                backend: Some(backend),
                ..Options::default()
            },
        )
        .await;
        let row = second.only_row(id).await;
        assert_eq!(row.status, "error");
        assert!(row.error_detail.unwrap().contains("interrupted"));
    }
}
