//! What org tokens are good for, and browser sessions (SEC-2, SEC-17…21, SEC-150…153).

use molecule_testkit::both_engines;

use crate::common::*;

/// A server with two trees: `lead` with `member` below it, and `stranger`.
struct Trees {
    server: Server,
    lead: Workspace,
    member: Workspace,
    stranger: Workspace,
}

impl Trees {
    async fn new(url: &str) -> Self {
        let server = Server::new(url).await;
        let lead = server.workspace("lead", None).await;
        let member = server.workspace("member", Some(&lead)).await;
        let stranger = server.workspace("stranger", None).await;
        Self {
            server,
            lead,
            member,
            stranger,
        }
    }

    async fn anchored(&self) -> String {
        self.server
            .org_token_for(&json!({ "name": "part", "org_id": self.lead.id }))
            .await
    }

    fn get(&self, path: impl Into<String>, bearer: &str) -> Call {
        self.server.get(path).bearer(bearer)
    }
}

both_engines! {
    async fn an_anchored_token_reaches_its_part_and_no_more(url: String) {
        let trees = Trees::new(&url).await;
        let Trees {
            server,
            lead,
            member,
            stranger,
        } = &trees;
        let token = trees.anchored().await;
        for reached in [lead, member] {
            trees
                .get(format!("/workspaces/{}", reached.id), &token)
                .send()
                .await
                .expect(200);
            trees
                .get(format!("/workspaces/{}/activity", reached.id), &token)
                .send()
                .await
                .expect(200);
        }
        for path in [
            format!("/workspaces/{}", stranger.id),
            format!("/workspaces/{}/activity", stranger.id),
            format!("/workspaces/{}/secrets", stranger.id),
            format!("/workspaces/{}/activity", molecule_core::WorkspaceId::random()),
            format!("/events/{}", stranger.id),
            "/settings/secrets".to_owned(),
            "/admin/audit".to_owned(),
            "/auth/sessions".to_owned(),
        ] {
            let reply = trees.get(path.as_str(), &token).send().await;
            assert_eq!(reply.json()["code"], "out_of_reach", "{path}");
            reply.refused(403, "org access denied");
        }
        let listed = trees.get("/workspaces", &token).send().await.expect(200);
        let names: Vec<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["lead", "member"]);
        let events = trees.get("/events", &token).send().await.expect(200);
        let strange = json!(stranger.id);
        assert!(!events.as_array().unwrap().is_empty());
        assert!(
            events
                .as_array()
                .unwrap()
                .iter()
                .all(|event| event["workspace_id"] != strange)
        );
        // Nothing is made or moved where it does not reach.
        let create = |parent: Value| {
            server
                .post(
                    "/workspaces",
                    &json!({ "name": "n", "external": true, "parent_id": parent }),
                )
                .bearer(&token)
        };
        create(json!(member.id)).send().await.expect(201);
        create(json!(stranger.id))
            .send()
            .await
            .refused(403, "org access denied");
        create(Value::Null).send().await.refused(403, "org access denied");
        let move_to = |parent: Value| {
            let path = format!("/workspaces/{}", member.id);
            server
                .call(Method::PATCH, path)
                .json(&json!({ "parent_id": parent }))
                .bearer(&token)
        };
        move_to(json!(stranger.id))
            .send()
            .await
            .refused(403, "org access denied");
        move_to(Value::Null).send().await.refused(403, "org access denied");
        move_to(json!(lead.id)).send().await.expect(200);
        let agent = format!("/workspaces/{}/agent", lead.id);
        server
            .post(agent.as_str(), &json!({ "model": "m" }))
            .bearer(&token)
            .send()
            .await
            .expect(201);
        let give = |target: Value| {
            server
                .post(format!("{agent}/move"), &json!({ "target_workspace_id": target }))
                .bearer(&token)
        };
        for target in [stranger.id, molecule_core::WorkspaceId::random()] {
            give(json!(target)).send().await.refused(403, "org access denied");
        }
        give(json!("none")).send().await.refused(400, "invalid request body");
        give(json!(member.id)).send().await.expect(200);
        let ticket = |workspace: &Workspace| {
            let wanted = json!({ "purpose": "logs", "workspace_id": workspace.id });
            server.post("/auth/tickets", &wanted).bearer(&token)
        };
        let foreign = ticket(stranger).send().await.expect(201);
        let foreign = foreign["ticket"].as_str().unwrap();
        server
            .get(format!("/workspaces/{}/logs?ticket={foreign}", stranger.id))
            .send()
            .await
            .refused(403, "org access denied");
        // A session would be admin of everything.
        server
            .post("/auth/login-codes", &json!({}))
            .bearer(&token)
            .send()
            .await
            .refused(403, "org access denied");
        server
            .post("/org/import", &json!({}))
            .bearer(&token)
            .send()
            .await
            .refused(403, "org access denied");
        // Where the workspace goes, the token's reach goes with it.
        server.remove(lead).await;
        let gone = trees.get(format!("/workspaces/{}", member.id), &token).send().await;
        assert!(matches!(gone.status.as_u16(), 401 | 403), "{gone:?}");
    }

    // SEC-21
    async fn a_token_mints_no_more_than_it_is(url: String) {
        let trees = Trees::new(&url).await;
        let Trees {
            server,
            lead,
            member,
            stranger,
        } = &trees;
        let wanted = json!({ "org_id": lead.id, "expires_in": 3600 });
        let minted = server
            .post("/org/tokens", &wanted)
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!(minted["org_id"], json!(lead.id));
        let token = minted["auth_token"].as_str().unwrap();
        let ends = minted["expires_at"].as_str().unwrap();
        let mint = |wanted: Value| server.post("/org/tokens", &wanted).bearer(token);
        let child = mint(json!({ "name": "child" })).send().await.expect(200);
        assert_eq!(
            (&child["org_id"], child["expires_at"].as_str().unwrap()),
            (&json!(lead.id), ends)
        );
        let below = mint(json!({ "org_id": member.id, "expires_in": 60 }))
            .send()
            .await
            .expect(200);
        assert_eq!(below["org_id"], json!(member.id));
        assert!(below["expires_at"].as_str().unwrap() < ends);
        let longer = mint(json!({ "expires_in": 999_999 })).send().await.expect(200);
        assert_eq!(longer["expires_at"].as_str().unwrap(), ends);
        mint(json!({ "org_id": stranger.id }))
            .send()
            .await
            .refused(403, "org access denied");
        server
            .post(
                "/org/tokens",
                &json!({ "org_id": molecule_core::WorkspaceId::random() }),
            )
            .bearer(ADMIN)
            .send()
            .await
            .refused(403, "org access denied");
        // It sees and revokes those of its part.
        let whole = server
            .post("/org/tokens", &json!({ "name": "whole" }))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let listed = trees.get("/org/tokens", token).send().await.expect(200);
        assert_eq!(listed["count"], 4);
        let revoke = |id: &Value| {
            server
                .call(Method::DELETE, format!("/org/tokens/{}", id.as_str().unwrap()))
                .bearer(token)
        };
        revoke(&whole["id"])
            .send()
            .await
            .refused(404, "token not found or already revoked");
        revoke(&below["id"]).send().await.expect(200);
        let all = trees.get("/org/tokens", ADMIN).send().await.expect(200);
        let created_by = |id: &Value| {
            let tokens = all["tokens"].as_array().unwrap();
            tokens.iter().find(|token| token["id"] == *id).unwrap()["created_by"].clone()
        };
        assert_eq!(created_by(&child["id"]), json!(format!("org-token:{}", &token[..8])));
        assert_eq!(created_by(&whole["id"]), "admin-token");
    }

    // SEC-18
    async fn a_limit_that_is_not_understood_is_no_token_without_limits(url: String) {
        let server = Server::new(&url).await;
        let mint = |body: &str| {
            server
                .call(Method::POST, "/org/tokens")
                .body(body.to_owned())
                .bearer(ADMIN)
        };
        for unnamed in ["", "{}"] {
            let minted = mint(unnamed).send().await.expect(200);
            assert!(
                minted.get("name").is_none() && minted.get("read_only").is_none(),
                "{unnamed}"
            );
        }
        for bad in [
            r#"{"read_only":"yes"}"#,
            r#"{"expires_in":"1h"}"#,
            r#"{"expires_in":-1}"#,
            r#"{"org_id":"root"}"#,
            r#"{"org_id":7}"#,
            "not json",
            "[]",
        ] {
            mint(bad).send().await.refused(400, "invalid request body");
        }
        let zero = mint(r#"{"expires_in":0}"#).send().await;
        assert!(zero.error().starts_with("expires_in must be 1 to "), "{zero:?}");
        assert_eq!(zero.status, StatusCode::BAD_REQUEST);
        let listed = server.get("/org/tokens").bearer(ADMIN).send().await.expect(200);
        assert_eq!(listed["count"], 2);
    }

    async fn a_read_only_token_changes_nothing(url: String) {
        let trees = Trees::new(&url).await;
        let Trees { server, lead, .. } = &trees;
        let token = server.org_token_for(&json!({ "read_only": true })).await;
        trees.get("/workspaces", &token).send().await.expect(200);
        for call in [
            server.post("/workspaces", &json!({ "name": "n" })),
            server.post(format!("/workspaces/{}/a2a", lead.id), &json!({})),
            server.call(Method::DELETE, format!("/workspaces/{}", lead.id)),
            server.post("/org/tokens", &json!({})),
            server.post("/auth/login-codes", &json!({})),
        ] {
            let reply = call.bearer(&token).send().await;
            assert_eq!(reply.json()["code"], "read_only");
            reply.refused(403, "this token is read-only");
        }
        // What asks by POST is no change.
        server.ticket(&token).await;
        let asked = json!({ "caller_id": lead.id, "target_id": lead.id });
        server
            .post("/registry/check-access", &asked)
            .bearer(&token)
            .send()
            .await
            .expect(200);
    }

    // D2
    async fn sessions_are_seen_and_ended(url: String) {
        let server = Server::new(&url).await;
        let (one, two) = (server.session().await, server.session().await);
        let list = async |bearer: &str| server.get("/auth/sessions").bearer(bearer).send().await.expect(200);
        let listed = list(&two).await;
        assert_eq!(listed["count"], 2);
        let current: Vec<_> = listed["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|session| session["current"].as_bool().unwrap())
            .collect();
        assert_eq!(current, [true, false]);
        let other = listed["sessions"][1]["id"].as_str().unwrap().to_owned();
        assert_eq!(listed["sessions"][1]["address"], "127.0.0.1");
        server.get("/workspaces").bearer(&one).send().await.expect(200);
        let end = |id: &str| server.call(Method::DELETE, format!("/auth/sessions/{id}")).bearer(&two);
        end(&other).send().await.expect(200);
        server
            .get("/workspaces")
            .bearer(&one)
            .send()
            .await
            .refused(401, "invalid admin auth token");
        end(&other)
            .send()
            .await
            .refused(404, "session not found or already over");
        end("none")
            .send()
            .await
            .refused(404, "session not found or already over");
        assert_eq!(list(ADMIN).await["count"], 1);
    }

    // SEC-150, SEC-151, SEC-153
    async fn an_org_says_which_plugins_it_allows(url: String) {
        let trees = Trees::new(&url).await;
        let Trees {
            server,
            lead,
            member,
            stranger,
        } = &trees;
        let path = format!("/orgs/{}/plugins/allowlist", lead.id);
        let put = |body: Value| server.call(Method::PUT, path.as_str()).json(&body);
        let empty = trees.get(path.as_str(), ADMIN).send().await.expect(200);
        assert_eq!(empty, json!({ "org_id": lead.id, "plugins": [], "allow_all": true }));
        let body = json!({ "plugins": ["b", "a", "b"], "enabled_by": "ops" });
        let replaced = put(body.clone()).bearer(ADMIN).send().await.expect(200);
        assert_eq!(
            replaced,
            json!({ "org_id": lead.id, "plugins": ["a", "b"], "allow_all": false })
        );
        for bad in ["", "a/b", "a\\b", "..", "a..b"] {
            let reply = put(json!({ "plugins": ["ok", bad], "enabled_by": "ops" }))
                .bearer(ADMIN)
                .send()
                .await;
            assert_eq!(reply.json()["plugin_name"], bad);
            reply.refused(400, "invalid plugin name");
        }
        put(json!({ "plugins": [] }))
            .bearer(ADMIN)
            .send()
            .await
            .refused(400, "enabled_by is required");
        put(json!({ "plugins": 3, "enabled_by": "x" }))
            .bearer(ADMIN)
            .send()
            .await
            .refused(400, "invalid request body");
        let listed = trees.get(path.as_str(), ADMIN).send().await.expect(200);
        assert_eq!(listed["plugins"][0]["enabled_by"], "ops");
        assert_eq!(listed["plugins"].as_array().unwrap().len(), 2, "the old set stands");
        // SEC-150: a token without an anchor, or with another one, is not the org's.
        let exact = trees.anchored().await;
        put(body.clone()).bearer(&exact).send().await.expect(200);
        let (whole, below) = (
            server.org_token().await,
            server.org_token_for(&json!({ "org_id": member.id })).await,
        );
        for token in [&whole, &below] {
            put(body.clone())
                .bearer(token)
                .send()
                .await
                .refused(403, "org access denied");
        }
        let other = format!("/orgs/{}/plugins/allowlist", stranger.id);
        trees.get(other, &exact).send().await.refused(403, "org access denied");
        let unknown = format!("/orgs/{}/plugins/allowlist", molecule_core::WorkspaceId::random());
        for token in [ADMIN, &whole, &exact] {
            trees
                .get(unknown.as_str(), token)
                .send()
                .await
                .refused(404, "org not found");
        }
        // SEC-152: the direct parent's list is the one that counts.
        let allowlists = &server.platform.allowlists;
        for (workspace, plugin, allowed) in [
            (member.id, "a", true),
            (member.id, "c", false),
            (lead.id, "c", false),
            (stranger.id, "c", true),
        ] {
            assert_eq!(allowlists.allows(workspace, plugin).await, allowed, "{plugin}");
        }
    }
}
