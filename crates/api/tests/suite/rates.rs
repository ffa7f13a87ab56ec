//! Limits of requests (SEC-205, SEC-206, D2).

use molecule_api::{ApiConfig, Rates};
use molecule_testkit::both_engines;

use crate::common::*;

async fn limited(url: &str, rates: Rates) -> Server {
    let options = Options::default();
    Server::with(
        url,
        Options {
            api: ApiConfig { rates, ..options.api },
            ..options
        },
    )
    .await
}

const NONE: Rates = Rates {
    address: 0,
    credential: 0,
    sockets: 0,
    org_token_mints: 0,
};

both_engines! {
    // SEC-205, D2: an address pays for what it could not prove
    async fn anonymous_requests_and_wrong_bearers(url: String) {
        let server = limited(&url, Rates { address: 3, ..NONE }).await;
        let reply = server.get("/nowhere").send().await;
        assert_eq!(reply.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(reply.header("x-ratelimit-remaining"), Some("2"));
        assert!((1..=60).contains(&reply.header("x-ratelimit-reset").unwrap().parse::<u32>().unwrap()));
        // A valid credential does not count here.
        server.get("/workspaces").bearer(ADMIN).send().await.expect(200);
        server
            .get("/workspaces")
            .bearer("wrong")
            .send()
            .await
            .refused(401, "invalid admin auth token");
        server.get("/nowhere").send().await.refused(404, "not found");
        for call in [server.get("/workspaces").bearer("wrong"), server.get("/nowhere")] {
            let reply = call.send().await;
            let retry: u32 = reply.header("retry-after").unwrap().parse().unwrap();
            assert_eq!(reply.header("x-ratelimit-remaining"), Some("0"));
            assert_eq!(
                reply.json(),
                json!({ "error": "rate limit exceeded", "retry_after": retry })
            );
            assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
        }
        server.get("/workspaces").bearer(ADMIN).send().await.expect(200);
        // The forwarded address is not believed (SEC-204).
        let forwarded = server
            .get("/nowhere")
            .header("x-forwarded-for", "203.0.113.9")
            .send()
            .await;
        assert_eq!(forwarded.status, StatusCode::TOO_MANY_REQUESTS);
    }

    // D2: who shares an address with agents gone wild can still open the page and its socket
    async fn pages_and_tickets_do_not_count_as_anonymous(url: String) {
        let server = limited(
            &url,
            Rates {
                address: 1,
                credential: 2,
                ..NONE
            },
        )
        .await;
        server.get("/nowhere").send().await.expect(404);
        server.get("/nowhere").send().await.refused(429, "rate limit exceeded");
        for path in ["/", "/docs", "/health", "/buildinfo", "/health"] {
            let reply = server.get(path).send().await;
            assert_eq!(
                (reply.status, reply.header("x-ratelimit-limit")),
                (StatusCode::OK, Some("unlimited")),
                "{path}"
            );
        }
        // Buying the ticket was the credential's first request; opening the socket is its second.
        let ticket = server.ticket(ADMIN).await;
        let opened = server.get(format!("/ws?ticket={ticket}")).upgrade().send().await;
        assert_eq!(opened.status, StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(opened.header("x-ratelimit-remaining"), Some("0"));
        server
            .get("/workspaces")
            .bearer(ADMIN)
            .send()
            .await
            .refused(429, "rate limit exceeded");
        server
            .get("/ws?ticket=made-up")
            .upgrade()
            .send()
            .await
            .refused(429, "rate limit exceeded");
    }

    // D2: an agent that guesses codes keeps nobody out
    async fn wrong_codes_of_others_do_not_keep_the_right_one_out(url: String) {
        let server = limited(&url, Rates { address: 2, ..NONE }).await;
        let login = async |code: &str| server.post("/auth/login", &json!({ "code": code })).send().await;
        // Neither do other requests without a credential.
        for _ in 0..3 {
            server.get("/nowhere").send().await;
        }
        for _ in 0..2 {
            login("guessed").await.refused(401, "login code is invalid or expired");
        }
        login("guessed").await.refused(429, "rate limit exceeded");
        server
            .post("/auth/login", &json!([]))
            .send()
            .await
            .refused(429, "rate limit exceeded");
        let url = server.api.issue_login_url("http://m.example").unwrap();
        login(url.split_once("#code=").unwrap().1).await.expect(200);
    }

    // D2: a credential by itself; beats do not count
    async fn a_credential_has_its_own_budget(url: String) {
        let server = limited(&url, NONE).await;
        let (a, b) = (server.workspace("a", None).await, server.workspace("b", None).await);
        drop(server);
        let server = limited(&url, Rates { credential: 2, ..NONE }).await;
        let feed = |workspace: &Workspace| {
            server
                .get(format!("/workspaces/{}/activity", workspace.id))
                .bearer(&workspace.token)
        };
        let beat = || {
            server
                .post("/registry/heartbeat", &json!({ "workspace_id": a.id }))
                .bearer(&a.token)
        };
        for _ in 0..2 {
            feed(&a).send().await.expect(200);
        }
        feed(&a).send().await.refused(429, "rate limit exceeded");
        feed(&b).send().await.expect(200);
        for _ in 0..5 {
            let reply = beat().send().await;
            assert_eq!(reply.header("x-ratelimit-limit"), Some("unlimited"));
            reply.expect(200);
        }
    }

    // SEC-206
    async fn org_tokens_are_minted_slowly(url: String) {
        let server = limited(
            &url,
            Rates {
                org_token_mints: 2,
                ..NONE
            },
        )
        .await;
        for _ in 0..2 {
            server.org_token().await;
        }
        let reply = server.post("/org/tokens", &json!({})).bearer(ADMIN).send().await;
        assert!(reply.json()["retry_after"].as_u64().unwrap() > 3_000);
        reply.refused(429, "rate limit exceeded");
    }

    // SEC-205: in open mode this machine is not limited
    async fn local_requests_in_open_mode(url: String) {
        let options = open_mode();
        let api = ApiConfig {
            rates: Rates { address: 1, ..NONE },
            ..options.api
        };
        let server = Server::with(&url, Options { api, ..options }).await;
        for _ in 0..3 {
            let reply = server.get("/workspaces").send().await;
            assert_eq!(reply.header("x-ratelimit-limit"), Some("unlimited"));
            reply.expect(200);
        }
        server
            .get("/nowhere")
            .header("host", "elsewhere")
            .send()
            .await
            .expect(404);
        let second = server.get("/nowhere").header("host", "elsewhere").send().await;
        assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    }
}
