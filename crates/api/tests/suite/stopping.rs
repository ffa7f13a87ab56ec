//! How the server stops (SEC-218), and what a client that leaves does not stop.

use molecule_testkit::both_engines;

use crate::common::*;

const ANSWER: &str =
    r#"{"jsonrpc":"2.0","id":"r1","result":{"kind":"message","messageId":"x","role":"agent","parts":[]}}"#;

fn message() -> Value {
    json!({
        "jsonrpc": "2.0", "id": "r1", "method": "message/send",
        "params": { "message": { "role": "user", "messageId": "m1", "parts": [{ "kind": "text", "text": "hi" }] } },
    })
}

both_engines! {
    // SEC-218
    async fn a_request_in_flight_is_answered(url: String) {
        let mut server = Server::new(&url).await;
        let agent = Agent::held(ANSWER).await;
        let id = server.listening("agent", &agent.url()).await;
        let flight = tokio::spawn(
            server
                .post(format!("/workspaces/{id}/a2a"), &message())
                .bearer(ADMIN)
                .send(),
        );
        agent.until_heard().await;
        server.begin_stop();
        let address = server.address;
        // Nobody new is let in.
        eventually("a closed door", async || {
            tokio::net::TcpStream::connect(address).await.is_err()
        })
        .await;
        agent.release();
        assert_eq!(&*flight.await.unwrap().bytes, ANSWER.as_bytes());
        server.stopped().await;
    }

    // SEC-218: idle connections do not hold the server up
    async fn an_idle_connection_is_closed(url: String) {
        let mut server = Server::new(&url).await;
        let idle = tokio::net::TcpStream::connect(server.address).await.unwrap();
        server.get("/health").send().await.expect(200);
        server.begin_stop();
        server.stopped().await;
        drop(idle);
    }

    // A2A-68
    async fn a_caller_that_leaves_does_not_cancel_its_message(url: String) {
        let server = Server::new(&url).await;
        let agent = Agent::held(ANSWER).await;
        let id = server.listening("agent", &agent.url()).await;
        let flight = tokio::spawn(
            server
                .post(format!("/workspaces/{id}/a2a"), &message())
                .bearer(ADMIN)
                .send(),
        );
        agent.until_heard().await;
        flight.abort();
        assert!(flight.await.unwrap_err().is_cancelled());
        agent.release();
        eventually("a record", async || {
            let rows = server
                .get(format!("/workspaces/{id}/activity"))
                .bearer(ADMIN)
                .send()
                .await
                .expect(200);
            rows[0]["response_body"]["id"] == "r1"
        })
        .await;
    }
}
