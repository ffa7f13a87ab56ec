//! Servers behind this one: the control plane, and a web UI of somebody else's.

use molecule_api::{ApiConfig, ControlPlane as Config};
use molecule_testkit::both_engines;

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
}
