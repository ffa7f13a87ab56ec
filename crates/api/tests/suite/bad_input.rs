//! What cannot be a credential, an id, a path or an agent's address, however it is spelled.

use molecule_core::{limits, netguard::Policy};
use molecule_platform::Config;
use molecule_testkit::both_engines;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::common::*;

/// Values of `Authorization` that carry no bearer at all (SEC-10).
const NO_BEARER: [&[u8]; 12] = [
    b"",
    b"Bearer",
    b"Bearer ",
    b"Bearer    ",
    b"bearer the-operators-token",
    b"BEARER the-operators-token",
    b"Bearer\tthe-operators-token",
    b"the-operators-token",
    b"Basic dGhlLW9wZXJhdG9ycy10b2tlbg==",
    b"Token the-operators-token",
    b" Basic x",
    b"\xff\xfe",
];

/// Bearers that prove nothing (SEC-1, SEC-6).
const BAD_BEARERS: [&[u8]; 14] = [
    b"Bearer x",
    b"Bearer the-operators-toke",
    b"Bearer the-operators-tokenx",
    b"Bearer The-operators-token",
    b"Bearer the-operators-token the-operators-token",
    b"Bearer \"the-operators-token\"",
    b"Bearer Bearer the-operators-token",
    b"Bearer ' OR 1=1 --",
    b"Bearer %00",
    b"Bearer null",
    b"Bearer undefined",
    b"Bearer \xff\xfe\xfd",
    b"Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
];

/// What is no id of a workspace, though some of it may name one elsewhere (SEC-106).
fn no_ids(id: &str) -> Vec<String> {
    let bare = id.replace('-', "");
    vec![
        "x".to_owned(),
        "0".to_owned(),
        "null".to_owned(),
        bare.clone(),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        format!("{id}0"),
        format!("{id}%00"),
        format!("{id}%20"),
        format!("%20{id}"),
        format!("{id}%0a"),
        format!("{id};x"),
        format!("{id}%2F"),
        format!("{id}%2F.."),
        id.replace('-', "_"),
        format!("{}g", &id[..35]),
        "%ff%fe".to_owned(),
        "..%2f..%2fetc%2fpasswd".to_owned(),
        "' OR '1'='1".replace(' ', "%20"),
        "9".repeat(2_000),
    ]
}

/// Addresses that no agent may report, in the spellings by which one might hope to hide them (SEC-171, SEC-178).
const BLOCKED: [&str; 38] = [
    "http://127.0.0.1:8000/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://agent.localhost/",
    "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
    "http://127\u{3002}0\u{3002}0\u{3002}1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fe80::1]/",
    "http://0.0.0.0/",
    "http://0/",
    "http://[::]/",
    "http://10.0.0.1/",
    "http://10.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[fc00::1]/",
    "http://user:pw@127.0.0.1/",
    "http://example.com@127.0.0.1/",
];

/// What is no address of an agent at all.
const NO_URLS: [&str; 12] = [
    "",
    " ",
    "agent",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "http://",
    "http:///x",
    "http://[::1/",
    "http://exa mple.com/",
];

/// Heads that are no HTTP, or more of it than anybody needs: what precedes the empty line, and the answer.
fn no_heads() -> Vec<(Vec<u8>, u16)> {
    let ask = "GET /health HTTP/1.1\r\nhost: x\r\n";
    let with = |header: &[u8]| [ask.as_bytes(), header, b"\r\n"].concat();
    vec![
        (with(b"no colon"), 400),
        (with(b"a b: c"), 400),
        (with(b": nameless"), 400),
        (with(b"na\xefme: x"), 400),
        (with(b"a: b\0c"), 400),
        (with(b"a: b\rc: d"), 400),
        (with(b"a: b\r\n folded"), 400),
        (with(b"content-length: -1"), 400),
        (with(b"content-length: +1"), 400),
        (with(b"content-length: 0x1"), 400),
        (with(b"content-length: 1, 2"), 400),
        (with(b"content-length: 1\r\ncontent-length: 2"), 400),
        (with(b"content-length: 99999999999999999999999"), 400),
        (with(b"transfer-encoding: gzip"), 400),
        (with(b"transfer-encoding: chunked, gzip"), 400),
        (b"GET  /health HTTP/1.1\r\n".to_vec(), 400),
        (b"GET /hea lth HTTP/1.1\r\n".to_vec(), 400),
        (b"GET /health HTTP/9.9\r\n".to_vec(), 400),
        (b"GET /health\r\n".to_vec(), 400),
        (b"G\0T /health HTTP/1.1\r\n".to_vec(), 400),
        (b"GET http://[::1/ HTTP/1.1\r\n".to_vec(), 400),
        (with(&[b"a: ".as_slice(), &[b'x'; 200_000]].concat()), 431),
        (with("a: b\r\n".repeat(200).trim_end().as_bytes()), 431),
        ([b"GET /", [b'x'; 70_000].as_slice(), b" HTTP/1.1\r\n"].concat(), 414),
    ]
}

/// The status with which a head is answered.
async fn answer_to(server: &Server, head: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // Who has read enough closes, though more comes.
    stream.write_all(&[head, b"\r\n"].concat()).await.ok();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    String::from_utf8_lossy(&status[9..]).parse().unwrap()
}

fn strict() -> Options {
    let options = Options::default();
    Options {
        config: Config {
            netguard: Policy::default(),
            ..options.config
        },
        ..options
    }
}

both_engines! {
    // SEC-6, SEC-10, SEC-11
    async fn what_is_no_bearer_and_what_proves_nothing(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let own = format!("/workspaces/{}/activity", workspace.id);
        for value in NO_BEARER {
            let shown = String::from_utf8_lossy(value);
            for (path, text) in [
                ("/workspaces", "admin auth required"),
                (own.as_str(), "missing workspace auth token"),
            ] {
                let reply = server.get(path).header("authorization", value).send().await;
                assert_eq!(
                    (reply.status.as_u16(), reply.error().as_str()),
                    (401, text),
                    "{shown:?} {path}"
                );
            }
        }
        for value in BAD_BEARERS {
            let shown = String::from_utf8_lossy(value);
            for (path, text) in [
                ("/workspaces", "invalid admin auth token"),
                (own.as_str(), "invalid workspace auth token"),
            ] {
                let reply = server.get(path).header("authorization", value).send().await;
                assert_eq!(
                    (reply.status.as_u16(), reply.error().as_str()),
                    (401, text),
                    "{shown:?} {path}"
                );
            }
        }
        // A cookie is nothing here, whatever is in it.
        for cookie in [
            "session=1",
            "token=the-operators-token",
            "Authorization=Bearer the-operators-token",
            "=;=;",
            "\u{ff}",
        ] {
            let reply = server.get("/workspaces").header("cookie", cookie).send().await;
            assert_eq!(
                (reply.status.as_u16(), reply.error().as_str()),
                (401, "admin auth required"),
                "{cookie}"
            );
        }
        // Other headers prove nothing either.
        for (name, value) in [
            ("x-workspace-id", workspace.id.to_string()),
            ("x-molecule-admin-token", ADMIN.to_owned()),
            ("proxy-authorization", format!("Bearer {ADMIN}")),
            ("x-forwarded-for", "127.0.0.1".to_owned()),
            ("x-original-url", "/health".to_owned()),
            ("x-http-method-override", "GET".to_owned()),
        ] {
            let reply = server.get("/workspaces").header(name, value).send().await;
            assert_eq!(reply.status.as_u16(), 401, "{name}");
        }
    }

    // SEC-106
    async fn what_is_no_id_is_refused_before_anything_is_asked(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let id = workspace.id.to_string();
        for bad in no_ids(&id) {
            for below in ["", "/activity", "/tokens", "/secrets"] {
                let reply = server
                    .get(format!("/workspaces/{bad}{below}"))
                    .bearer(ADMIN)
                    .send()
                    .await;
                let refused = reply.status == StatusCode::BAD_REQUEST && reply.error() == "invalid workspace ID";
                // What holds a slash once it is decoded is one segment nevertheless; nothing else is reached by it.
                assert!(
                    refused || reply.status == StatusCode::NOT_FOUND,
                    "{bad}{below}: {reply:?}"
                );
            }
            // It proves nothing for whoever has the workspace's own token.
            let reply = server
                .get(format!("/workspaces/{bad}/activity"))
                .bearer(&workspace.token)
                .send()
                .await;
            assert!(matches!(reply.status.as_u16(), 401 | 404), "{bad}: {reply:?}");
        }
        // In any case it is the same workspace.
        server
            .get(format!("/workspaces/{}", id.to_uppercase()))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
    }

    // SEC-192
    async fn no_path_leads_out(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        for path in [
            "/assets/../../etc/passwd",
            "/assets/..%2f..%2fetc%2fpasswd",
            "/assets/%2e%2e/%2e%2e/etc/passwd",
            "/assets//etc/passwd",
            "/assets/%00",
            "/assets/..\\..\\etc",
            "/workspaces/../admin/server",
            "/health/../admin/server",
            "//admin/server",
            "/admin//server",
            "/ADMIN/server",
            "/admin/server/",
            "/admin/server;x",
            "/admin/server%2f",
        ] {
            let reply = server.get(path).bearer(ADMIN).send().await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
        }
        // Another spelling of a route's own words is another path.
        server.get("/%61dmin/server").bearer(ADMIN).send().await.expect(404);
        for query in [
            "?limit=%ff",
            "?limit=-1",
            "?limit=99999999999999999999999",
            "?limit=1;DROP",
            "?offset=x",
            "?&&&=",
            "?limit",
        ] {
            let listed = server
                .get(format!("/workspaces/{}/tokens{query}", workspace.id))
                .bearer(ADMIN)
                .send()
                .await;
            assert_eq!(listed.status, StatusCode::OK, "{query}");
        }
    }

    // SEC-170…178
    async fn no_spelling_hides_an_address(url: String) {
        let server = Server::with(&url, strict()).await;
        let created = server
            .post("/workspaces", &json!({ "name": "w", "external": true }))
            .bearer(ADMIN)
            .send()
            .await
            .expect(201);
        let (id, token) = (
            created["id"].clone(),
            created["connection"]["auth_token"].as_str().unwrap(),
        );
        let register = |agent: &str, mode: &str| {
            let body = json!({ "id": id, "url": agent, "delivery_mode": mode, "agent_card": { "name": "w" } });
            server.post("/registry/register", &body).bearer(token)
        };
        for agent in BLOCKED.iter().chain(&NO_URLS) {
            let reply = register(agent, "push").send().await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{agent}: {reply:?}");
            assert!(!reply.error().is_empty(), "{agent}");
            // SEC-173: who is not called may say what it likes; it is not kept.
            if !NO_URLS.contains(agent) {
                register(agent, "poll").send().await.expect(200);
                let path = format!("/workspaces/{}", id.as_str().unwrap());
                let seen = server.get(path).bearer(ADMIN).send().await.expect(200);
                assert_eq!(seen["url"], "", "{agent}");
            }
            let body = json!({ "name": "x", "external": true, "url": agent });
            if !agent.trim().is_empty() {
                let made = server.post("/workspaces", &body).bearer(ADMIN).send().await;
                assert_eq!(made.status, StatusCode::BAD_REQUEST, "{agent}: {made:?}");
            }
        }
        // A name that is nowhere is no address either.
        let reply = register("http://nowhere.invalid/", "push").send().await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{reply:?}");
    }

    async fn what_is_no_head_of_a_request(url: String) {
        let server = Server::new(&url).await;
        for (head, status) in no_heads() {
            let shown: String = String::from_utf8_lossy(&head).chars().take(80).collect();
            assert_eq!(answer_to(&server, &head).await, status, "{shown:?}");
        }
        // Nobody else is served worse for it.
        server.get("/health").send().await.expect(200);
    }

    async fn what_is_no_trace_and_no_deadline_is_left_alone(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "message/send",
            "params": { "message": { "role": "user", "messageId": "m", "parts": [{ "kind": "text", "text": "hi" }] } },
        });
        for (name, value) in [
            ("traceparent", "x"),
            ("traceparent", "00-00000000000000000000000000000000-0000000000000000-00"),
            ("tracestate", "=,=,\u{ff}"),
            ("x-timeout", "-1"),
            ("x-timeout", "9".repeat(40).as_str()),
            ("accept-encoding", "gzip;q=x, ;;"),
            ("forwarded", "for=\"[::1\";host="),
            ("x-forwarded-for", "127.0.0.1, , x"),
            ("content-type", "text/html"),
            ("if-none-match", "\","),
        ] {
            let path = format!("/workspaces/{}/a2a", workspace.id);
            let call = server.post(path, &message).bearer(ADMIN).header(name, value);
            call.send().await.expect(200);
        }
    }

    // SEC-106: ids of other things
    async fn what_is_no_id_of_anything_names_nothing(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let id = workspace.id.to_string();
        for bad in no_ids(&id).into_iter().chain([id.clone()]) {
            for above in [
                "/org/tokens".to_owned(),
                "/auth/sessions".to_owned(),
                format!("/workspaces/{id}/tokens"),
            ] {
                let path = format!("{above}/{bad}");
                let reply = server.call(Method::DELETE, path.as_str()).bearer(ADMIN).send().await;
                assert!(matches!(reply.status.as_u16(), 400 | 404), "{path}: {reply:?}");
            }
            let asked = json!({ "caller_id": bad, "target_id": id });
            let access = server.post("/registry/check-access", &asked).bearer(ADMIN).send().await;
            assert_eq!(access.json()["allowed"] == true, bad == id, "{bad}: {access:?}");
        }
        server
            .get(format!("/workspaces/{id}/activity"))
            .bearer(&workspace.token)
            .send()
            .await
            .expect(200);
    }

    // SEC-190
    async fn bodies_are_as_long_as_their_class_allows(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let own = format!("/workspaces/{}", workspace.id);
        for (method, path, limit) in [
            (Method::PATCH, own.clone(), limits::WORKSPACE_BODY_BYTES),
            (Method::POST, format!("{own}/secrets"), limits::WORKSPACE_BODY_BYTES),
            (Method::PATCH, format!("{own}/budget"), limits::JSON_BODY_BYTES),
            (Method::POST, "/org/import".to_owned(), limits::JSON_BODY_BYTES),
            (Method::PUT, "/admin/log".to_owned(), limits::LOGIN_BODY_BYTES),
        ] {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN}\r\ncontent-length: {}\r\n",
                limit + 1
            );
            // It is refused by what it says of itself.
            assert_eq!(answer_to(&server, head.as_bytes()).await, 413, "{path}");
            if limit <= limits::WORKSPACE_BODY_BYTES {
                let longest = server.call(method, path).bearer(ADMIN).body(vec![b' '; limit]);
                longest.send().await.refused(400, "invalid request body");
            }
        }
    }

    // SEC-92, SEC-146
    async fn callers_that_exist_only_inside_are_nobody_outside(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let path = format!("/workspaces/{}/a2a", workspace.id);
        for forged in ["system:x", "webhook:x", "test:x", "channel:x"] {
            let call = server
                .post(path.as_str(), &json!({}))
                .bearer(ADMIN)
                .header("x-workspace-id", forged);
            call.send().await.refused(403, "invalid caller ID");
        }
        for unknown in ["x", "SYSTEM:x", "null", "\u{ff}"] {
            let call = server
                .post(path.as_str(), &json!({}))
                .bearer(ADMIN)
                .header("x-workspace-id", unknown);
            let reply = call.send().await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{unknown}");
        }
    }
}
