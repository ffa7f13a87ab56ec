//! Headers, origins, bodies and paths (`security.md` §16, §17).

use molecule_api::ApiConfig;
use molecule_core::limits;
use molecule_testkit::both_engines;

use crate::common::*;

/// SEC-200
const ALWAYS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
];

async fn with_origins(url: &str, origins: &[&str]) -> Server {
    let options = Options::default();
    let cors_origins = Some(origins.iter().map(|&origin| origin.to_owned()).collect());
    Server::with(
        url,
        Options {
            api: ApiConfig {
                cors_origins,
                ..options.api
            },
            ..options
        },
    )
    .await
}

both_engines! {
    // SEC-200, SEC-201
    async fn every_answer_has_its_headers(url: String) {
        let server = Server::new(&url).await;
        let api = "default-src 'self'";
        let answers = [
            (server.get("/health").send().await, 200, api),
            (server.get("/workspaces").send().await, 401, api),
            (
                server
                    .get("/workspaces")
                    .header("origin", "http://evil.example")
                    .send()
                    .await,
                403,
                api,
            ),
            (server.call(Method::OPTIONS, "/workspaces").send().await, 204, api),
            (server.call(Method::PUT, "/health").send().await, 404, api),
            (server.get("/nowhere").send().await, 404, "script-src 'self'"),
            (server.get("/").send().await, 200, "script-src 'self'"),
            (server.get("/docs").send().await, 200, "frame-ancestors 'none'"),
        ];
        for (reply, status, policy) in answers {
            assert_eq!(reply.status.as_u16(), status, "{reply:?}");
            for (name, value) in ALWAYS {
                assert_eq!(reply.header(name), Some(value), "{reply:?}");
            }
            let found = reply.header("content-security-policy").unwrap();
            assert!(found.contains(policy) && !found.contains("unsafe"), "{found}");
        }
    }

    // SEC-202
    async fn foreign_pages_are_refused_before_any_handler(url: String) {
        let server = Server::new(&url).await;
        for origin in ["http://evil.example", "null", "http://localhost:3000"] {
            let reply = server
                .get("/workspaces")
                .bearer(ADMIN)
                .header("origin", origin)
                .send()
                .await;
            assert_eq!(
                (reply.status, reply.bytes.len()),
                (StatusCode::FORBIDDEN, 0),
                "{origin}"
            );
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
        let own = format!("http://{}", server.address);
        let reply = server
            .get("/workspaces")
            .bearer(ADMIN)
            .header("origin", &own)
            .send()
            .await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(
            reply.header("access-control-allow-origin"),
            None,
            "not a cross-origin request"
        );
    }

    // SEC-202
    async fn listed_pages_may_read(url: String) {
        let server = with_origins(&url, &["https://canvas.example"]).await;
        let origin = "https://canvas.example";
        let reply = server
            .get("/workspaces")
            .bearer(ADMIN)
            .header("origin", origin)
            .send()
            .await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(reply.header("vary"), Some("Origin"));
        // A refusal is readable too.
        let reply = server.get("/workspaces").header("origin", origin).send().await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("access-control-allow-origin")),
            (401, Some(origin))
        );
        let asked = server
            .call(Method::OPTIONS, "/workspaces")
            .header("origin", origin)
            .send()
            .await;
        assert_eq!((asked.status, asked.bytes.len()), (StatusCode::NO_CONTENT, 0));
        assert_eq!(
            asked.header("access-control-allow-methods"),
            Some("GET, POST, PUT, PATCH, DELETE, OPTIONS")
        );
        let headers = "Origin, Content-Type, X-Workspace-ID, Authorization";
        assert_eq!(asked.header("access-control-allow-headers"), Some(headers));
        let other = server
            .call(Method::OPTIONS, "/workspaces")
            .header("origin", "https://x.example")
            .send()
            .await;
        assert_eq!(other.status, StatusCode::FORBIDDEN);
    }

    // ACT-1
    async fn unknown_paths_and_methods_have_the_envelope(url: String) {
        let server = Server::new(&url).await;
        server.get("/nowhere").send().await.refused(404, "not found");
        // A method that a path does not have is a route that is not there (SEC §5).
        let reply = server.call(Method::DELETE, "/workspaces").bearer(ADMIN).send().await;
        reply.refused(404, "not found");
        // SEC-86
        let id = server.workspace("w", None).await.id;
        server
            .get(format!("/workspaces/{id}/shared-context"))
            .bearer(ADMIN)
            .send()
            .await
            .refused(404, "not found");
        // D8: what is not built says so, to those who may ask.
        for (method, path) in [
            (Method::GET, ""),
            (Method::POST, ""),
            (Method::POST, "/fork"),
            (Method::POST, "/token"),
        ] {
            let path = format!("/workspaces/{id}/artifacts{path}");
            assert_eq!(
                server.call(method.clone(), path.as_str()).send().await.status,
                StatusCode::UNAUTHORIZED
            );
            let answer = server
                .call(method, path.as_str())
                .bearer(ADMIN)
                .send()
                .await
                .expect(501);
            assert_eq!(answer["code"], "not_implemented");
            assert!(answer["error"].as_str().unwrap().contains("third party"));
        }
    }

    // SEC-106
    async fn malformed_ids(url: String) {
        let server = Server::new(&url).await;
        for path in [
            "/workspaces/x",
            "/workspaces/x/state",
            "/workspaces/%ff/model",
            "/workspaces/x/activity",
        ] {
            server
                .get(path)
                .bearer(ADMIN)
                .send()
                .await
                .refused(400, "invalid workspace ID");
        }
        // PROV-119: secrets want the spelling that is shown.
        let upper = "6FA459EA-EE8A-4CA4-894E-DB77E160355E";
        for (method, path) in [
            (Method::GET, "secrets"),
            (Method::POST, "secrets"),
            (Method::PUT, "secrets"),
            (Method::DELETE, "secrets/KEY"),
        ] {
            let call = server
                .call(method, format!("/workspaces/{upper}/{path}"))
                .json(&json!({ "key": "A", "value": "1" }));
            call.bearer(ADMIN).send().await.refused(400, "invalid workspace ID");
        }
        server
            .get("/workspaces/x")
            .send()
            .await
            .refused(401, "missing workspace auth token");
        // ACT-3
        assert_eq!(
            server.get("/events/x").bearer(ADMIN).send().await.expect(200),
            json!([])
        );
        let org = server.call(Method::DELETE, "/org/tokens/x").bearer(ADMIN);
        org.send().await.refused(404, "token not found or already revoked");
    }

    // LIFE-96, PROV-119, ACT-50: each route's own text
    async fn malformed_bodies(url: String) {
        let server = Server::new(&url).await;
        let id = server.workspace("w", None).await.id;
        let bodies: [&[u8]; 6] = [
            b"",
            b"{",
            b"[]",
            b"null",
            b"\xff\xfe",
            b"{\"name\":3,\"key\":3,\"message\":3,\"code\":3}",
        ];
        let routes = [
            (Method::POST, "/workspaces".to_owned(), "invalid workspace payload"),
            (Method::PATCH, format!("/workspaces/{id}"), "invalid request body"),
            (
                Method::POST,
                format!("/workspaces/{id}/secrets"),
                "invalid request body",
            ),
            (Method::PUT, format!("/workspaces/{id}/model"), "invalid request body"),
            (Method::POST, format!("/workspaces/{id}/notify"), "message is required"),
            (Method::POST, "/registry/register".to_owned(), "invalid request body"),
            (Method::POST, "/registry/heartbeat".to_owned(), "invalid request body"),
            (
                Method::POST,
                "/registry/check-access".to_owned(),
                "invalid request body",
            ),
            (Method::POST, "/auth/login".to_owned(), "invalid request body"),
        ];
        for (method, path, text) in routes {
            for body in bodies {
                let reply = server.call(method.clone(), &path).bearer(ADMIN).body(body).send().await;
                assert_eq!(
                    (reply.status.as_u16(), reply.error().as_str()),
                    (400, text),
                    "{path} {body:?}"
                );
            }
        }
        // LIFE §9: what cannot be read is as none.
        server
            .call(Method::POST, format!("/workspaces/{id}/restart"))
            .bearer(ADMIN)
            .body("{")
            .send()
            .await
            .expect(200);
    }

    // SEC-190, A2A-2
    async fn bodies_that_are_too_long(url: String) {
        let server = Server::new(&url).await;
        let id = server.workspace("w", None).await.id;
        let mut message = json!({
            "jsonrpc": "2.0", "id": "r1", "method": "message/send",
            "params": { "message": { "role": "user", "messageId": "m1", "parts": [{ "kind": "text", "text": "hi" }] } },
        })
        .to_string()
        .into_bytes();
        let send = |body: &[u8]| {
            server
                .call(Method::POST, format!("/workspaces/{id}/a2a"))
                .bearer(ADMIN)
                .body(body.to_vec())
                .send()
        };
        message.resize(1 << 20, b' ');
        assert_eq!(
            send(&message).await.expect(200)["status"],
            "queued",
            "exactly the limit passes"
        );
        message.push(b' ');
        send(&message).await.refused(400, "invalid JSON");
        // What is read before anything is proven.
        for (path, limit) in [
            ("/auth/login", limits::LOGIN_BODY_BYTES),
            ("/registry/heartbeat", limits::HEARTBEAT_BODY_BYTES),
            ("/registry/register", limits::CARD_BODY_BYTES),
            ("/registry/update-card", limits::CARD_BODY_BYTES),
        ] {
            let call = |length| server.call(Method::POST, path).body(vec![b' '; length]);
            call(limit).send().await.refused(400, "invalid request body");
            call(limit + 1).send().await.refused(413, "request body too large");
        }
    }

    // SEC-72, SEC-73: a stranger's card is carried as far as the gate and no further
    async fn nothing_is_made_of_a_strangers_card(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        // Too deep for a parser that builds something.
        let card = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for (path, id) in [("register", "id"), ("update-card", "workspace_id")] {
            let body = format!(r#"{{ "{id}": "{}", "agent_card": {card} }}"#, workspace.id);
            let call = server.call(Method::POST, format!("/registry/{path}")).body(body);
            call.clone().send().await.refused(401, "missing workspace auth token");
            call.bearer(&workspace.token)
                .send()
                .await
                .refused(400, "invalid request body");
        }
    }

    // SEC-54…58
    async fn a_hosted_server_serves_its_own_org_only(url: String) {
        let options = Options::default();
        let api = ApiConfig {
            org_id: Some("acme".to_owned()),
            ..options.api
        };
        let server = Server::with(&url, Options { api, ..options }).await;
        let reply = server.get("/workspaces").bearer(ADMIN).send().await;
        assert_eq!((reply.status, reply.bytes.len()), (StatusCode::NOT_FOUND, 0));
        server
            .get("/workspaces")
            .bearer(ADMIN)
            .header("x-molecule-org-id", "acme")
            .send()
            .await
            .expect(200);
        // An own origin passes the guard and nothing else (SEC-58).
        let own = format!("http://{}", server.address);
        server
            .get("/workspaces")
            .header("origin", &own)
            .send()
            .await
            .refused(401, "admin auth required");
        server
            .get("/workspaces")
            .bearer(ADMIN)
            .header("origin", &own)
            .send()
            .await
            .expect(200);
        server.get("/health").send().await.expect(200);
        assert_eq!(server.get("/").send().await.status, StatusCode::OK);
        let beat = server.post("/registry/heartbeat", &json!({ "workspace_id": "x" }));
        beat.send().await.refused(400, "invalid request body");
    }

    // Two of a header that decides who asks are one too many
    async fn headers_that_may_come_once(url: String) {
        let server = Server::new(&url).await;
        let own = format!("http://{}", server.address);
        for (name, first, second) in [
            ("authorization", format!("Bearer {ADMIN}"), "Bearer x".to_owned()),
            ("authorization", "Bearer x".to_owned(), format!("Bearer {ADMIN}")),
            ("origin", own.clone(), "http://evil.example".to_owned()),
            ("host", server.address.to_string(), "evil.example".to_owned()),
        ] {
            let call = server.get("/workspaces").header(name, first).header(name, second);
            call.send()
                .await
                .refused(400, &format!("the header {name} was sent more than once"));
        }
    }

    // D28: what a proxy may say is for those who are trusted
    async fn proxies_are_believed_if_they_are_trusted(url: String) {
        let server = Server::with(&url, open_mode()).await;
        let login = |server: &Server| {
            let call = server.post("/auth/login-codes", &json!({})).bearer(ADMIN);
            call.header("x-forwarded-host", "m.example")
                .header("x-forwarded-proto", "https")
        };
        let url_of = |body: Value| body["login_url"].as_str().unwrap().to_owned();
        let own = format!("http://{}/#code=", server.address);
        assert!(url_of(login(&server).send().await.expect(201)).starts_with(&own));
        server.get("/workspaces").send().await.expect(200);
        for name in ["x-forwarded-for", "x-real-ip", "forwarded", "via"] {
            let proxied = server.get("/workspaces").header(name, "127.0.0.1");
            proxied.send().await.refused(401, "admin auth required");
        }
        drop(server);
        let options = open_mode();
        let api = ApiConfig {
            trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
            ..options.api
        };
        let server = Server::with(&url, Options { api, ..options }).await;
        assert!(url_of(login(&server).send().await.expect(201)).starts_with("https://m.example/#code="));
        let from = |client: &str| server.get("/workspaces").header("x-forwarded-for", client);
        from("127.0.0.1").send().await.expect(200);
        from("203.0.113.9").send().await.refused(401, "admin auth required");
        from("127.0.0.1, hidden")
            .send()
            .await
            .refused(401, "admin auth required");
    }

    // A server whose database is away answers, and is not ready
    async fn a_server_without_its_database_is_not_ready(url: String) {
        let server = Server::new(&url).await;
        server.store.clone().close().await.unwrap();
        let answer = server.get("/ready").send().await.expect(503);
        assert_eq!(
            (&answer["status"], &answer["database"]),
            (&json!("not_ready"), &json!(false))
        );
        server.get("/health").send().await.expect(200);
    }

    // The log's filter is changed while the server runs
    async fn the_log_is_changed_by_admins(url: String) {
        #[derive(Default)]
        struct Log(parking_lot::Mutex<String>);
        impl molecule_api::LogControl for Log {
            fn filter(&self) -> String {
                self.0.lock().clone()
            }
            fn set_filter(&self, filter: &str) -> Result<(), String> {
                if filter == "?" {
                    return Err("no such level".to_owned());
                }
                filter.clone_into(&mut self.0.lock());
                Ok(())
            }
        }
        let options = Options::default();
        let log: std::sync::Arc<dyn molecule_api::LogControl> = std::sync::Arc::new(Log::default());
        let api = ApiConfig {
            log: Some(log),
            ..options.api
        };
        let server = Server::with(&url, Options { api, ..options }).await;
        let set = |filter: &str| {
            server
                .call(Method::PUT, "/admin/log")
                .json(&json!({ "filter": filter }))
                .bearer(ADMIN)
        };
        set("debug").send().await.expect(200);
        let refused = set("?").send().await.expect(400);
        assert_eq!(
            refused,
            json!({ "error": "not a log filter", "detail": "no such level" })
        );
        let shown = server.get("/admin/log").bearer(ADMIN).send().await.expect(200);
        assert_eq!(shown, json!({ "filter": "debug" }));
    }

    // SEC-211
    async fn build_info_and_health(url: String) {
        let server = Server::new(&url).await;
        assert_eq!(
            server.get("/health").send().await.expect(200),
            json!({ "status": "ok" })
        );
        let ready = json!({ "status": "ready", "database": true, "settled": true, "stopping": false });
        assert_eq!(server.get("/ready").send().await.expect(200), ready);
        assert!(server.get("/buildinfo").send().await.expect(200)["git_sha"].is_string());
        let document = server.get("/openapi.json").bearer(ADMIN).send().await.expect(200);
        assert_eq!(document["paths"]["/workspaces"]["post"]["x-auth-class"], "admin");
    }
}
