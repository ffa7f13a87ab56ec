//! Login codes, sessions, tokens (D2, `security.md` §2).

use molecule_testkit::both_engines;

use crate::common::*;

both_engines! {
    // D2
    async fn a_login_code_works_once(url: String) {
        let server = Server::new(&url).await;
        let body = server
            .post("/auth/login-codes", &json!({}))
            .bearer(ADMIN)
            .send()
            .await
            .expect(201);
        let base = format!("http://{}/#code=", server.address);
        let code = body["login_url"]
            .as_str()
            .unwrap()
            .strip_prefix(&base)
            .unwrap()
            .to_owned();
        // Fetching the page uses nothing up.
        assert_eq!(server.get("/").send().await.status, StatusCode::OK);
        let login = || server.post("/auth/login", &json!({ "code": code }));
        let session = login().send().await.expect(200)["session_token"]
            .as_str()
            .unwrap()
            .to_owned();
        login().send().await.refused(401, "login code is invalid or expired");
        server.get("/workspaces").bearer(&session).send().await.expect(200);
        server
            .post("/auth/logout", &json!({}))
            .bearer(&session)
            .send()
            .await
            .expect(200);
        server
            .get("/workspaces")
            .bearer(&session)
            .send()
            .await
            .refused(401, "invalid admin auth token");
    }

    // D2: no cookie of ours
    async fn signing_in_sets_no_cookie(url: String) {
        let server = Server::new(&url).await;
        let url = server.api.issue_login_url("http://m.example").unwrap();
        let code = url.split_once("#code=").unwrap().1;
        let reply = server.post("/auth/login", &json!({ "code": code })).send().await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.header("set-cookie").is_none());
    }

    // SEC-14…16, SEC-100
    async fn tokens_of_a_workspace(url: String) {
        let server = Server::new(&url).await;
        let (own, other) = (
            server.workspace("own", None).await,
            server.workspace("other", None).await,
        );
        let path = format!("/workspaces/{}/tokens", own.id);
        let minted = server
            .call(Method::POST, path.as_str())
            .bearer(&own.token)
            .send()
            .await
            .expect(201);
        assert_eq!(minted["workspace_id"], json!(own.id));
        let token = minted["auth_token"].as_str().unwrap();
        assert_eq!(token.len(), 43);
        let list = server.get(path.as_str()).bearer(&own.token).send().await.expect(200);
        assert_eq!(list["count"], 2);
        let newest = &list["tokens"][0];
        assert_eq!(newest["prefix"].as_str().unwrap(), &token[..8]);
        assert!(newest.get("last_used_at").is_some(), "null, not absent");
        let one = server
            .get(format!("{path}?limit=1&offset=1"))
            .bearer(&own.token)
            .send()
            .await
            .expect(200);
        assert_eq!(one["tokens"][0]["id"], list["tokens"][1]["id"]);
        for query in ["?limit=0", "?limit=x", "?limit=201", "?offset=-1"] {
            let list = server
                .get(format!("{path}{query}"))
                .bearer(&own.token)
                .send()
                .await
                .expect(200);
            assert_eq!(list["count"], 2, "{query}");
        }
        // Another workspace's id, an unknown and a malformed one look alike.
        let newest = newest["id"].as_str().unwrap();
        let foreign = format!("/workspaces/{}/tokens/{newest}", other.id);
        for path in [
            foreign,
            format!("{path}/6fa459ea-ee8a-4ca4-894e-db77e160355e"),
            format!("{path}/x"),
        ] {
            let revoke = server.call(Method::DELETE, path).bearer(ADMIN);
            revoke.send().await.refused(404, "token not found or already revoked");
        }
        let revoke = server
            .call(Method::DELETE, format!("{path}/{newest}"))
            .bearer(&own.token);
        assert_eq!(revoke.send().await.expect(200), json!({ "status": "revoked" }));
        server
            .get(path.as_str())
            .bearer(token)
            .send()
            .await
            .refused(401, "invalid workspace auth token");
    }

    // SEC-15
    async fn at_most_fifty_tokens(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("own", None).await;
        let mint = || {
            server
                .call(Method::POST, format!("/workspaces/{}/tokens", own.id))
                .bearer(ADMIN)
                .send()
        };
        for _ in 1..50 {
            mint().await.expect(201);
        }
        mint().await.refused(429, "maximum 50 active tokens per workspace");
    }

    // SEC-17…19, SEC-21
    async fn org_tokens(url: String) {
        let server = Server::new(&url).await;
        let long = json!({ "name": "x".repeat(101) });
        server
            .post("/org/tokens", &long)
            .bearer(ADMIN)
            .send()
            .await
            .refused(400, "name too long (max 100 chars)");
        let minted = server
            .post("/org/tokens", &json!({ "name": "ci" }))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let token = minted["auth_token"].as_str().unwrap();
        let second = server
            .call(Method::POST, "/org/tokens")
            .bearer(token)
            .send()
            .await
            .expect(200);
        assert!(second.get("name").is_none());
        let session = server.session().await;
        server
            .call(Method::POST, "/org/tokens")
            .bearer(&session)
            .send()
            .await
            .expect(200);
        let list = server.get("/org/tokens").bearer(token).send().await.expect(200);
        assert_eq!(list["count"], 3);
        let by: Vec<_> = list["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["created_by"].as_str().unwrap())
            .collect();
        assert_eq!(by, ["session", &format!("org-token:{}", &token[..8]), "admin-token"]);
        let id = minted["id"].as_str().unwrap();
        let path = format!("/org/tokens/{id}");
        let revoked = server
            .call(Method::DELETE, path.as_str())
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!(revoked, json!({ "revoked": id }));
        server
            .get("/org/tokens")
            .bearer(token)
            .send()
            .await
            .refused(401, "invalid admin auth token");
        let again = server.call(Method::DELETE, path.as_str()).bearer(ADMIN);
        again.send().await.refused(404, "token not found or already revoked");
    }
}
