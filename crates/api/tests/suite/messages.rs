//! `POST /workspaces/:id/a2a` (`a2a.md` §8–12).

use http_body_util::BodyExt;
use molecule_testkit::both_engines;

use crate::common::*;

fn message(method: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": "r1", "method": method,
        "params": { "message": { "role": "user", "messageId": "m1", "parts": [{ "kind": "text", "text": "hi" }] } },
    })
}

both_engines! {
    // A2A-40, A2A-41
    async fn a_polling_agents_feed_is_its_queue(url: String) {
        let server = Server::new(&url).await;
        let (from, to) = (server.workspace("from", None).await, server.workspace("to", None).await);
        let send = server
            .post(format!("/workspaces/{}/a2a", to.id), &message("message/send"))
            .bearer(&from.token);
        let queued = send.send().await.expect(200);
        assert_eq!(
            queued,
            json!({ "status": "queued", "delivery_mode": "poll", "method": "message/send" })
        );
        let feed = server
            .get(format!("/workspaces/{}/activity?type=a2a_receive", to.id))
            .bearer(&to.token);
        let rows = feed.send().await.expect(200);
        assert_eq!(rows[0]["source_id"], json!(from.id));
        assert_eq!(rows[0]["request_body"]["params"]["message"]["parts"][0]["text"], "hi");
    }

    // A2A-3, A2A-7, A2A-10, A2A-20, A2A-30, A2A-60
    async fn refusals(url: String) {
        let server = Server::new(&url).await;
        let (root, other) = (
            server.workspace("root", None).await,
            server.workspace("other", None).await,
        );
        let niece = server.workspace("niece", Some(&other)).await;
        let path = format!("/workspaces/{}/a2a", root.id);
        let send = || server.post(path.as_str(), &message("message/send"));
        send().send().await.refused(401, "missing caller auth token");
        send()
            .bearer(ADMIN)
            .header("x-workspace-id", "system:x")
            .send()
            .await
            .refused(403, "invalid caller ID");
        let claimed = send()
            .bearer(&other.token)
            .header("x-workspace-id", niece.id.to_string());
        claimed.send().await.refused(401, "invalid caller auth token");
        let niece = send().bearer(&niece.token).send().await;
        niece.refused(403, "access denied: workspaces cannot communicate per hierarchy rules");
        for bad in ["", "[]", "{", "  "] {
            let reply = server
                .call(Method::POST, path.as_str())
                .bearer(ADMIN)
                .body(bad)
                .send()
                .await;
            reply.refused(400, "invalid JSON");
        }
        let mut without_parts = message("message/send");
        without_parts["params"]["message"]
            .as_object_mut()
            .unwrap()
            .remove("parts");
        let refused = server
            .post(path.as_str(), &without_parts)
            .bearer(ADMIN)
            .send()
            .await
            .expect(400);
        assert_eq!(
            (&refused["id"], &refused["error"]["code"]),
            (&json!("r1"), &json!(-32602))
        );
        let unknown = server.post(
            "/workspaces/6fa459ea-ee8a-4ca4-894e-db77e160355e/a2a",
            &message("message/send"),
        );
        unknown.bearer(ADMIN).send().await.refused(404, "workspace not found");
        let malformed = server.post("/workspaces/x/a2a", &message("message/send")).bearer(ADMIN);
        malformed.send().await.refused(400, "invalid workspace ID");
    }

    // A2A-13, A2A-14
    async fn a_reply_comes_back_verbatim(url: String) {
        let server = Server::new(&url).await;
        let body = r#"{"jsonrpc":"2.0","id":"r1","result":{"kind":"message","messageId":"x","role":"agent","parts":[{"kind":"text","text":"<ok> 12345678901234567890"}]}}"#;
        let agent = Agent::json(200, body).await;
        let id = server.listening("agent", &agent.url()).await;
        let send = server
            .post(format!("/workspaces/{id}/a2a"), &message("message/send"))
            .bearer(ADMIN);
        let reply = send.header("x-timeout", "20").header("x-secret", "s").send().await;
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!((reply.status.as_u16(), &*reply.bytes), (200, body.as_bytes()));
        let heard = &agent.heard()[0];
        assert!(heard.get("x-secret").is_none());
        assert!(
            heard
                .get("authorization")
                .is_none_or(|value| !value.to_str().unwrap().contains(ADMIN))
        );
    }

    // A2A-86: an agent's status is its own, and marked as such; what is no error's is a bad gateway.
    async fn an_agents_status_is_passed_on_and_marked(url: String) {
        let server = Server::new(&url).await;
        for (said, passed_on) in [
            (429, 429),
            (401, 401),
            (403, 403),
            (500, 500),
            (524, 524),
            (304, 502),
            (307, 502),
            (600, 502),
            (999, 502),
        ] {
            let agent = Agent::json(said, r#"{"error":"slow down"}"#).await;
            let id = server.listening("agent", &agent.url()).await;
            let send = server
                .post(format!("/workspaces/{id}/a2a"), &message("message/send"))
                .bearer(ADMIN);
            let reply = send.send().await;
            assert_eq!(reply.header("x-molecule-upstream-status"), Some(&*said.to_string()));
            if said == 304 {
                // It has no body.
                reply.refused(passed_on, "Not Modified");
            } else {
                reply.refused(passed_on, "slow down");
            }
        }
        let agent = Agent::json(202, "{}").await;
        let id = server.listening("agent", &agent.url()).await;
        let send = |bearer| {
            server
                .post(format!("/workspaces/{id}/a2a"), &message("message/send"))
                .bearer(bearer)
        };
        let reply = send(ADMIN).send().await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("x-molecule-upstream-status")),
            (202, Some("202"))
        );
        // The platform's own are not marked.
        let refused = send("wrong").send().await;
        assert_eq!(
            (refused.status.as_u16(), refused.header("x-molecule-upstream-status")),
            (401, None)
        );
    }

    // D15
    async fn a_stream_is_relayed_frame_by_frame(url: String) {
        let server = Server::new(&url).await;
        let agent = Agent::streaming().await;
        let id = server.listening("agent", &agent.url()).await;
        let send = server
            .post(format!("/workspaces/{id}/a2a"), &message("message/stream"))
            .bearer(ADMIN);
        let opening = tokio::spawn(send.open());
        agent.until_heard().await;
        let frame = |text: &str| {
            let result = json!({ "kind": "message", "messageId": "x", "role": "agent", "parts": [{ "kind": "text", "text": text }] });
            format!(
                "data: {}\n\n",
                json!({ "jsonrpc": "2.0", "id": "r1", "result": result })
            )
        };
        agent.chunk(&frame("one"));
        let mut response = opening.await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(response.headers()["x-molecule-upstream-status"], "200");
        let mut next = async || {
            let data = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
            String::from_utf8(data.to_vec()).unwrap()
        };
        // The first arrives while the agent has not sent the second.
        assert!(next().await.contains("one"));
        agent.chunk(&frame("two"));
        assert!(next().await.contains("two"));
    }
}
