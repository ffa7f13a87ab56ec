//! `/ws` (`activity.md` §2.3, D2).

use futures_util::StreamExt;
use http::HeaderValue;
use molecule_api::{ApiConfig, Rates};
use molecule_testkit::{PATIENCE, both_engines};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

use crate::common::*;

type Socket = WebSocketStream<TcpStream>;

/// Opens a socket, or says with which status it was refused.
async fn open(server: &Server, query: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/ws{query}", server.address)
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let stream = TcpStream::connect(server.address).await.unwrap();
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn next(socket: &mut Socket) -> Value {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next());
        match message.await.expect("an event").unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn open_sockets(server: &Server) -> String {
    let reply = server.get("/metrics").bearer(ADMIN).send().await;
    let text = String::from_utf8(reply.bytes.to_vec()).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("molecule_websocket_connections_active "))
        .unwrap();
    line.rsplit_once(' ').unwrap().1.to_owned()
}

fn notice(server: &Server, workspace: &Workspace, text: &str) -> Call {
    server
        .post(
            format!("/workspaces/{}/notify", workspace.id),
            &json!({ "message": text }),
        )
        .bearer(&workspace.token)
}

both_engines! {
    // D2
    async fn a_ticket_opens_one_socket(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let ticket = format!("?ticket={}", server.ticket(ADMIN).await);
        // What is no socket uses nothing up.
        server
            .get(format!("/ws{ticket}"))
            .send()
            .await
            .refused(400, "not a WebSocket request");
        let mut socket = open(&server, &ticket, &[]).await.unwrap();
        assert_eq!(open(&server, &ticket, &[]).await.err(), Some(401));
        assert_eq!(open(&server, "?ticket=made-up", &[]).await.err(), Some(401));
        assert_eq!(open(&server, "", &[]).await.err(), Some(401));
        let bought = server.post("/auth/tickets", &json!({})).bearer(&workspace.token);
        bought.send().await.refused(401, "invalid admin auth token");
        notice(&server, &workspace, "hello").send().await.expect(200);
        // ACT-71
        let event = next(&mut socket).await;
        assert_eq!(
            (&event["event"], &event["workspace_id"]),
            (&json!("AGENT_MESSAGE"), &json!(workspace.id))
        );
        assert_eq!(event["payload"]["message"], "hello");
        assert!(event["timestamp"].is_string());
    }

    // D2: a ticket opens what it was bought for, and nothing else
    async fn a_ticket_has_a_purpose_and_a_target(url: String) {
        let server = Server::new(&url).await;
        let (one, two) = (server.workspace("one", None).await, server.workspace("two", None).await);
        let buy = async |body: Value| {
            let bought = server
                .post("/auth/tickets", &body)
                .bearer(ADMIN)
                .send()
                .await
                .expect(201);
            bought["ticket"].as_str().unwrap().to_owned()
        };
        let logs = |of: &Workspace, ticket: &str| server.get(format!("/workspaces/{}/logs?ticket={ticket}", of.id));
        let events = |ticket: &str| server.get(format!("/ws?ticket={ticket}")).upgrade();

        let ticket = buy(json!({ "purpose": "logs", "workspace_id": one.id })).await;
        logs(&two, &ticket)
            .send()
            .await
            .refused(401, "missing workspace auth token");
        events(&ticket)
            .send()
            .await
            .refused(401, "ticket is invalid or expired");
        let ticket = buy(json!({ "purpose": "logs", "workspace_id": one.id })).await;
        server
            .get(format!("/workspaces/{}/activity?ticket={ticket}", one.id))
            .send()
            .await
            .refused(401, "missing workspace auth token");
        // Past the gate: an external workspace has no logs here.
        assert_eq!(
            logs(&one, &ticket).send().await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        logs(&one, &ticket)
            .send()
            .await
            .refused(401, "missing workspace auth token");
        let ticket = buy(json!({ "purpose": "events" })).await;
        logs(&one, &ticket)
            .send()
            .await
            .refused(401, "missing workspace auth token");

        // An older client names no purpose; who names a workspace sees that one.
        let mut all = open(&server, &format!("?ticket={}", buy(json!({})).await), &[])
            .await
            .unwrap();
        let narrow = buy(json!({ "purpose": null, "workspace_id": two.id })).await;
        let mut narrow = open(&server, &format!("?ticket={narrow}"), &[]).await.unwrap();
        notice(&server, &one, "first").send().await.expect(200);
        notice(&server, &two, "second").send().await.expect(200);
        assert_eq!(next(&mut all).await["payload"]["message"], "first");
        assert_eq!(next(&mut narrow).await["payload"]["message"], "second");

        for wrong in [
            json!({ "purpose": "everything" }),
            json!({ "purpose": "logs" }),
            json!({ "workspace_id": "x" }),
            json!([]),
        ] {
            let reply = server.post("/auth/tickets", &wrong).bearer(ADMIN).send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    }

    // D2: a ticket is worth what the bearer that bought it is worth
    async fn a_ticket_ends_with_its_session(url: String) {
        let server = Server::new(&url).await;
        let session = server.session().await;
        let ticket = format!("?ticket={}", server.ticket(&session).await);
        server
            .post("/auth/logout", &json!({}))
            .bearer(&session)
            .send()
            .await
            .expect(200);
        assert_eq!(open(&server, &ticket, &[]).await.err(), Some(401));
    }

    // ACT-77, ACT-78
    async fn an_agent_sees_those_it_may_talk_to(url: String) {
        let server = Server::new(&url).await;
        let (parent, aunt) = (
            server.workspace("parent", None).await,
            server.workspace("aunt", None).await,
        );
        let child = server.workspace("child", Some(&parent)).await;
        let bearer = format!("Bearer {}", child.token);
        let id = child.id.to_string();
        let named = [("authorization", bearer.as_str()), ("x-workspace-id", id.as_str())];
        let mut by_header = open(&server, "", &named).await.unwrap();
        let mut by_bearer = open(&server, "", &named[..1]).await.unwrap();
        assert_eq!(open(&server, "", &named[1..]).await.err(), Some(401));
        let foreign = aunt.id.to_string();
        assert_eq!(
            open(&server, "", &[named[0], ("x-workspace-id", &foreign)]).await.err(),
            Some(401)
        );
        let operator = format!("Bearer {ADMIN}");
        assert_eq!(
            open(&server, "", &[("authorization", &operator), named[1]]).await.err(),
            Some(401)
        );
        // The aunt's comes first and is not seen.
        notice(&server, &aunt, "not yours").send().await.expect(200);
        notice(&server, &parent, "yours").send().await.expect(200);
        for socket in [&mut by_header, &mut by_bearer] {
            assert_eq!(next(socket).await["payload"]["message"], "yours");
        }
    }

    // SEC-202, SEC-203
    async fn foreign_pages_open_none(url: String) {
        let server = Server::with(&url, open_mode()).await;
        assert!(open(&server, "", &[]).await.is_ok());
        assert_eq!(
            open(&server, "", &[("origin", "http://evil.example")]).await.err(),
            Some(403)
        );
        let own = format!("http://{}", server.address);
        assert!(open(&server, "", &[("origin", &own)]).await.is_ok());
    }

    // A workspace that is removed hears nothing more
    async fn a_removed_workspace_loses_its_sockets_at_once(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let bearer = format!("Bearer {}", workspace.token);
        let mut socket = open(&server, "", &[("authorization", &bearer)]).await.unwrap();
        let other = server.workspace("other", None).await;
        server.remove(&workspace).await;
        notice(&server, &other, "not for the dead").send().await.expect(200);
        loop {
            // Sooner than the next ping, which looks at every credential anyway.
            let message = tokio::time::timeout(std::time::Duration::from_secs(20), socket.next());
            match message.await.expect("an end").unwrap().unwrap() {
                Message::Close(Some(frame)) => break assert_eq!(frame.code, CloseCode::Policy),
                Message::Text(text) => assert!(!text.contains("not for the dead"), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    }

    // ACT-81
    async fn the_gauge_is_exact(url: String) {
        let server = Server::new(&url).await;
        assert_eq!(open_sockets(&server).await, "0");
        let operator = format!("Bearer {ADMIN}");
        let first = open(&server, "", &[("authorization", &operator)]).await.unwrap();
        let mut second = open(&server, "", &[("authorization", &operator)]).await.unwrap();
        eventually("two", async || open_sockets(&server).await == "2").await;
        drop(first);
        eventually("one", async || open_sockets(&server).await == "1").await;
        second.close(None).await.unwrap();
        eventually("none", async || open_sockets(&server).await == "0").await;
    }

    // D10
    async fn a_credential_holds_so_many_and_no_more(url: String) {
        let options = Options::default();
        let rates = Rates {
            sockets: 2,
            ..options.api.rates
        };
        let server = Server::with(
            &url,
            Options {
                api: ApiConfig { rates, ..options.api },
                ..options
            },
        )
        .await;
        let workspace = server.workspace("w", None).await;
        let operator = format!("Bearer {ADMIN}");
        let by_operator = [("authorization", operator.as_str())];
        let first = open(&server, "", &by_operator).await.unwrap();
        // A ticket counts for who bought it, and outlasts the refusal.
        let ticket = server.ticket(ADMIN).await;
        let second = open(&server, "", &by_operator).await.unwrap();
        let refused = server.get(format!("/ws?ticket={ticket}")).upgrade().send().await;
        assert_eq!(refused.json()["code"], "too_many_sockets");
        refused.refused(429, "too many open sockets for one credential");
        let agent = format!("Bearer {}", workspace.token);
        let _other = open(&server, "", &[("authorization", &agent)]).await.unwrap();
        drop(first);
        eventually("a free seat", async || open_sockets(&server).await == "2").await;
        let third = open(&server, &format!("?ticket={ticket}"), &[]).await.unwrap();
        drop((second, third));
    }

    // ACT-81, SEC-218
    async fn a_stopping_server_closes_them(url: String) {
        let mut server = Server::new(&url).await;
        let operator = format!("Bearer {ADMIN}");
        let mut socket = open(&server, "", &[("authorization", &operator)]).await.unwrap();
        server.begin_stop();
        match socket.next().await.unwrap().unwrap() {
            Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Away),
            other => panic!("{other:?}"),
        }
        drop(socket);
        server.stopped().await;
    }
}
