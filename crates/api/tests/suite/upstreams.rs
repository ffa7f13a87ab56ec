//! Servers behind this one: the control plane, and a web UI of somebody else's.

use hyper_util::rt::TokioIo;
use molecule_api::{ApiConfig, ControlPlane as Config};
use molecule_testkit::both_engines;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::*;

async fn behind(url: &str, control_plane: &ControlPlane, canvas: Option<&ControlPlane>) -> Server {
    let options = Options::default();
    let api = ApiConfig {
        control_plane: Some(control_plane.config("acme")),
        canvas_proxy: canvas.map(ControlPlane::url),
        org_id: Some("acme-id".to_owned()),
        ..options.api
    };
    Server::with(url, Options { api, ..options }).await
}

/// A server of one's own with another web UI.
async fn before(url: &str, canvas: &ControlPlane) -> Server {
    let options = Options::default();
    let api = ApiConfig {
        canvas_proxy: Some(canvas.url()),
        ..options.api
    };
    Server::with(url, Options { api, ..options }).await
}

fn hosted(call: Call) -> Call {
    call.header("x-molecule-org-id", "acme-id")
}

both_engines! {
    // SEC-31, SEC-32, SEC-47
    async fn a_member_is_admin_by_its_cookie(url: String) {
        let control_plane = ControlPlane::new().await;
        let server = behind(&url, &control_plane, None).await;
        let list = || hosted(server.get("/workspaces"));
        let cookie = control_plane.cookie_of("user-1");
        list().header("cookie", &cookie).send().await.expect(200);
        list().header("cookie", &cookie).send().await.expect(200);
        let checks = || {
            let asked = control_plane.asked();
            asked
                .into_iter()
                .filter(|(_, path, ..)| path.contains("tenant-member"))
                .collect::<Vec<_>>()
        };
        assert_eq!(checks().len(), 1, "the answer is kept for a while");
        let (method, path, headers, _) = checks().remove(0);
        assert_eq!(
            (method.as_str(), path.as_str()),
            ("GET", "/cp/auth/tenant-member?slug=acme")
        );
        assert_eq!(headers["cookie"], cookie.as_str());
        assert_eq!(headers["user-agent"], "molecule-tenant-platform/session-verifier");
        list().send().await.refused(401, "admin auth required");
        list()
            .header("cookie", "session=other")
            .send()
            .await
            .refused(401, "admin auth required");
        // A cookie that says nothing leaves the bearer to decide, and what a bearer proves needs no cookie.
        list()
            .header("cookie", "session=other")
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        list()
            .header("cookie", &cookie)
            .bearer("wrong")
            .send()
            .await
            .refused(401, "invalid admin auth token");
        // The cookie is sent for any page; only our own counts.
        let foreign = list().header("cookie", &cookie).header("sec-fetch-site", "cross-site");
        foreign.send().await.refused(401, "admin auth required");
    }

    // SEC-31: fail safe
    async fn nobody_is_a_member_of_what_cannot_be_asked(url: String) {
        let options = Options::default();
        let nowhere = Config {
            url: "http://127.0.0.1:1/".parse().unwrap(),
            org_slug: Some("acme".to_owned()),
        };
        let api = ApiConfig {
            control_plane: Some(nowhere),
            ..options.api
        };
        let server = Server::with(&url, Options { api, ..options }).await;
        let asked = server.get("/workspaces").header("cookie", "session=1").send().await;
        asked.refused(401, "admin auth required");
        let reply = server.get("/cp/auth/login").send().await;
        assert_eq!(
            (reply.status, &*reply.bytes),
            (StatusCode::BAD_GATEWAY, b"control plane unavailable".as_slice())
        );
    }

    // SEC-75
    async fn among_peers_the_cookie_decides_alone(url: String) {
        let control_plane = ControlPlane::new().await;
        let server = behind(&url, &control_plane, None).await;
        let created = hosted(server.post("/workspaces", &json!({ "name": "w", "external": true })));
        let created = created.bearer(ADMIN).send().await.expect(201);
        let (id, token) = (
            created["id"].as_str().unwrap(),
            created["connection"]["auth_token"].as_str().unwrap(),
        );
        let peers = || hosted(server.get(format!("/registry/{id}/peers")));
        let cookie = control_plane.cookie_of("user-1");
        peers().header("cookie", &cookie).send().await.expect(200);
        peers()
            .header("cookie", "session=x")
            .bearer(token)
            .send()
            .await
            .refused(401, "invalid session");
        peers().bearer(token).send().await.expect(200);
    }

    // SEC-180, SEC-181, SEC-182
    async fn what_browsers_ask_of_the_control_plane_is_handed_on(url: String) {
        let control_plane = ControlPlane::new().await;
        let server = behind(&url, &control_plane, None).await;
        let call = server
            .post("/cp/auth/login?next=%2F", &json!({ "user": "u" }))
            .bearer("theirs")
            .header("cookie", "session=1")
            .header("x-forwarded-for", "10.0.0.1");
        let reply = call.send().await;
        assert_eq!(
            (reply.status, reply.header("set-cookie")),
            (StatusCode::CREATED, Some("upstream=1"))
        );
        assert_eq!(reply.header("x-frame-options"), Some("DENY"));
        let (method, path, headers, body) = control_plane.asked().remove(0);
        assert_eq!((method.as_str(), path.as_str()), ("POST", "/cp/auth/login?next=%2F"));
        assert_eq!(body, br#"{"user":"u"}"#);
        assert_eq!(
            (&headers["authorization"], &headers["cookie"]),
            (&"Bearer theirs".parse().unwrap(), &"session=1".parse().unwrap())
        );
        let host = control_plane.url();
        assert_eq!(headers["host"], format!("127.0.0.1:{}", host.port().unwrap()).as_str());
        assert!(!headers.contains_key("x-forwarded-for"), "a client is no proxy");
        // Redirects are the browser's to follow.
        let moved = server.get("/cp/auth/redirect").send().await;
        assert_eq!(
            (moved.status, moved.header("location")),
            (StatusCode::FOUND, Some("http://127.0.0.1:1/"))
        );
        let before = control_plane.asked().len();
        for path in [
            "/cp/admin/users",
            "/cp/auth/../admin/users",
            "/cp/auth/%2e%2e/admin",
            "/cp/auth",
            "/cp/orgsabc",
            "/cp/auth//x",
        ] {
            let reply = server.get(path).header("cookie", "session=1").send().await;
            assert_eq!((reply.status, reply.bytes.len()), (StatusCode::NOT_FOUND, 0), "{path}");
        }
        assert_eq!(control_plane.asked().len(), before, "no cookie left the house");
        let alone = Server::new(&url).await;
        let reply = alone.get("/cp/auth/login").send().await;
        assert_eq!((reply.status, reply.bytes.len()), (StatusCode::NOT_FOUND, 0));
    }

    // SEC-183, SEC-54
    async fn pages_of_another_web_ui(url: String) {
        let (control_plane, canvas) = (ControlPlane::new().await, ControlPlane::new().await);
        let server = behind(&url, &control_plane, Some(&canvas)).await;
        let page = || {
            hosted(server.get("/some/page?q=1"))
                .header("cookie", "session=1")
                .bearer(ADMIN)
        };
        let reply = page().send().await;
        assert_eq!(
            (reply.status, &*reply.bytes),
            (StatusCode::CREATED, b"GET /some/page?q=1".as_slice())
        );
        let (_, _, headers, _) = canvas.asked().remove(0);
        assert!(!headers.contains_key("authorization") && !headers.contains_key("cookie"));
        // Whoever asks for another org learns nothing.
        let reply = server.get("/some/page").send().await;
        assert_eq!((reply.status, reply.bytes.len()), (StatusCode::NOT_FOUND, 0));
        assert_eq!(canvas.asked().len(), 1);
        // What a route matches is ours.
        server.get("/health").send().await.expect(200);
        assert_eq!(canvas.asked().len(), 1);
    }

    // SEC-85, SEC-58, SEC-183
    async fn the_page_is_the_other_web_uis(url: String) {
        let canvas = ControlPlane::new().await;
        let server = before(&url, &canvas).await;
        for (method, path) in [
            (Method::GET, "/"),
            (Method::GET, "/?workspace=x"),
            (Method::POST, "/"),
            (Method::GET, "/assets/app.js"),
            (Method::GET, "/favicon.ico"),
            // There is no control plane (SEC-182).
            (Method::GET, "/cp/auth/login"),
            (Method::GET, "/cp/admin/users"),
        ] {
            let call = server
                .call(method.clone(), path)
                .bearer(ADMIN)
                .header("cookie", "session=1");
            let reply = call.send().await;
            let said = format!("{method} {path}");
            assert_eq!((reply.status, &*reply.bytes), (StatusCode::CREATED, said.as_bytes()));
            let (asked_with, asked, headers, _) = canvas.asked().pop().unwrap();
            assert_eq!((asked_with.as_str(), asked.as_str()), (method.as_str(), path));
            assert!(
                !headers.contains_key("authorization") && !headers.contains_key("cookie"),
                "{path}"
            );
        }
        // The reference stays, with its files.
        let before = canvas.asked().len();
        let docs = server.get("/docs").send().await;
        assert_eq!(docs.status, StatusCode::OK);
        let html = String::from_utf8(docs.bytes.to_vec()).unwrap();
        for file in html.split('"').filter(|text| text.contains("assets/")) {
            let path = format!("/{}", file.trim_start_matches("./").trim_start_matches('/'));
            let reply = server.get(path.as_str()).send().await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
        }
        server
            .get("/workspaces")
            .send()
            .await
            .refused(401, "admin auth required");
        server
            .post("/health", &json!({}))
            .send()
            .await
            .refused(404, "not found");
        assert_eq!(canvas.asked().len(), before);
    }

    // SEC-201, SEC open point 14
    async fn pages_of_others_may_run_what_they_are_made_of(url: String) {
        let (control_plane, canvas) = (ControlPlane::new().await, ControlPlane::new().await);
        let server = behind(&url, &control_plane, Some(&canvas)).await;
        let policy = async |path: &str| {
            let reply = hosted(server.get(path)).send().await;
            reply.header("content-security-policy").unwrap().to_owned()
        };
        for path in ["/", "/some/page", "/assets/app.js", "/cp/auth/login"] {
            let policy = policy(path).await;
            assert!(policy.contains("script-src 'self' 'unsafe-inline'"), "{path}: {policy}");
            assert!(!policy.contains("unsafe-eval"), "{path}: {policy}");
        }
        assert_eq!(
            policy("/with-policy").await,
            "default-src 'none'",
            "its own, and no other"
        );
        for path in ["/workspaces/x/nowhere", "/workspaces", "/health"] {
            assert_eq!(policy(path).await, "default-src 'self'", "{path}");
        }
        for path in ["/docs", "/canvas/viewport"] {
            let policy = policy(path).await;
            assert!(
                policy.contains("script-src 'self';") && !policy.contains("unsafe"),
                "{path}: {policy}"
            );
        }
    }

    // SEC-183
    async fn sockets_are_handed_on(url: String) {
        let (control_plane, canvas) = (ControlPlane::new().await, ControlPlane::new().await);
        let server = behind(&url, &control_plane, Some(&canvas)).await;
        for path in ["/cp/orgs/acme/live", "/hot-reload", "/"] {
            let response = hosted(server.get(path)).upgrade().open().await;
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS, "{path}");
            assert_eq!(response.headers()["upgrade"], "websocket", "{path}");
            let mut socket = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
            socket.write_all(b"ping").await.unwrap();
            let mut heard = [0; 4];
            socket.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"ping", "{path}");
        }
        assert_eq!((control_plane.asked().len(), canvas.asked().len()), (1, 2));
    }

    // SEC-56, SEC-208
    async fn a_cookie_for_another_org_is_shown_to_nobody(url: String) {
        let control_plane = ControlPlane::new().await;
        let server = behind(&url, &control_plane, None).await;
        let cookie = control_plane.cookie_of("user-1");
        for path in ["/workspaces", "/workspaces/x/activity", "/ws", "/docs", "/nowhere"] {
            for org in [None, Some("other-id")] {
                let mut call = server.get(path).header("cookie", &cookie).bearer("unknown");
                if let Some(org) = org {
                    call = call.header("x-molecule-org-id", org);
                }
                let reply = call.send().await;
                assert_eq!((reply.status, reply.bytes.len()), (StatusCode::NOT_FOUND, 0), "{path}");
            }
            let by_cookie = server.get(path).header("cookie", &cookie).send().await;
            assert_eq!(by_cookie.status, StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(control_plane.asked().len(), 0);
        hosted(server.get("/workspaces"))
            .header("cookie", &cookie)
            .send()
            .await
            .expect(200);
    }
}
