//! The audit of changes.

use std::sync::Arc;

use molecule_api::ApiConfig;
use molecule_platform::vault::{Vault, VaultError};
use molecule_testkit::both_engines;
use sea_orm::ConnectionTrait;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::common::*;

/// Records, newest first.
async fn records(server: &Server, query: &str) -> Vec<Value> {
    let page = server
        .get(format!("/admin/audit{query}"))
        .bearer(ADMIN)
        .send()
        .await
        .expect(200);
    page["records"].as_array().unwrap().clone()
}

async fn verdict(server: &Server) -> Value {
    server.get("/admin/audit/verify").bearer(ADMIN).send().await.expect(200)
}

async fn execute(server: &Server, sql: &str) {
    let sql = sql.to_owned();
    let done = server
        .store
        .db()
        .tx(|tx| Box::pin(async move { tx.execute_unprepared(&sql).await.map(|_| ()) }));
    done.await.unwrap();
}

both_engines! {
    async fn a_change_is_recorded_with_what_was_before(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("before", None).await;
        let path = format!("/workspaces/{}", workspace.id);
        let renamed = server
            .call(Method::PATCH, path.as_str())
            .json(&json!({ "name": "after" }));
        renamed.bearer(&workspace.token).send().await.expect(200);
        let refused = server.call(Method::PATCH, path.as_str()).json(&json!({ "name": "" }));
        refused.bearer(ADMIN).send().await.expect(400);
        server.get(path.as_str()).bearer(ADMIN).send().await.expect(200);
        let found = records(&server, "").await;
        let actions: Vec<_> = found.iter().map(|record| record["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["workspace.update", "workspace.update", "workspace.create"]);
        let [failed, updated, created] = found.try_into().unwrap();
        assert_eq!(updated["actor"], json!(format!("workspace:{}", workspace.id)));
        assert_eq!(
            (&updated["before"], &updated["after"]),
            (&json!({ "name": "before" }), &json!({ "name": "after" }))
        );
        assert_eq!(
            (&updated["status"], &updated["route"]),
            (&json!(200), &json!("PATCH /workspaces/{id}"))
        );
        assert_eq!(
            (&updated["workspace_id"], &updated["address"]),
            (&json!(workspace.id), &json!("127.0.0.1"))
        );
        assert_eq!((&failed["actor"], &failed["status"]), (&json!("admin"), &json!(400)));
        assert_eq!(failed["after"], json!({}), "nothing changed");
        assert_eq!(created["target"], json!(workspace.id));
        // Who was refused changed nothing.
        server
            .call(Method::DELETE, path.as_str())
            .bearer("wrong")
            .send()
            .await
            .expect(401);
        assert_eq!(records(&server, "").await.len(), 3);
        server.remove(&workspace).await;
        let removed = records(&server, "?limit=1").await.remove(0);
        assert_eq!(removed["action"], "workspace.delete");
        assert_eq!(removed["after"]["status"], "removed");
        assert_eq!(verdict(&server).await["valid"], true);
    }

    async fn no_record_shows_a_secret(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let canary = "canary-5bd1e995-of-a-secret";
        let base = format!("/workspaces/{}", workspace.id);
        for path in [format!("{base}/secrets"), "/settings/secrets".to_owned()] {
            server
                .post(path.as_str(), &json!({ "key": "K", "value": canary }))
                .bearer(ADMIN)
                .send()
                .await
                .expect(200);
            server
                .call(Method::PUT, path.as_str())
                .json(&json!({ "key": "K", "value": canary }))
                .bearer(ADMIN)
                .send()
                .await
                .expect(200);
        }
        let minted = server
            .post(format!("{base}/tokens"), &json!({}))
            .bearer(ADMIN)
            .send()
            .await
            .expect(201);
        let org = server.org_token().await;
        let session = server.session().await;
        let role = json!({ "role": format!("uses sk-{}", "a1b2c3d4e5f6a7b8c9d0") });
        server
            .call(Method::PATCH, base.as_str())
            .json(&role)
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let found = records(&server, "?limit=500").await;
        let text = Value::from(found.clone()).to_string();
        let shown = [
            canary,
            minted["auth_token"].as_str().unwrap(),
            &org,
            &session,
            &workspace.token,
            ADMIN,
            "a1b2c3d4e5f6a7b8c9d0",
        ];
        for secret in shown {
            assert!(!text.contains(secret), "{secret}");
        }
        let actions: Vec<_> = found.iter().map(|record| record["action"].as_str().unwrap()).collect();
        for action in [
            "secret.set",
            "global-secret.set",
            "token.mint",
            "org-token.mint",
            "session.begin",
        ] {
            assert!(actions.contains(&action), "{action}: {actions:?}");
        }
        let began = found.iter().find(|record| record["action"] == "session.begin").unwrap();
        let sessions = server.get("/auth/sessions").bearer(ADMIN).send().await.expect(200);
        assert_eq!(began["target"], sessions["sessions"][0]["id"], "{began}");
        let set = found.iter().find(|record| record["action"] == "secret.set").unwrap();
        assert!(set["after"]["K"].is_string(), "the name, and when it was stored: {set}");
    }

    async fn what_was_changed_afterwards_is_found(url: String) {
        let server = Server::new(&url).await;
        for name in ["a", "b", "c", "d"] {
            server.workspace(name, None).await;
        }
        let whole = verdict(&server).await;
        assert_eq!((&whole["valid"], &whole["checked"]), (&json!(true), &json!(4)));
        for (change, undo, at, reason) in [
            (
                "actor = 'somebody'",
                "actor = 'admin'",
                2,
                "what it says is not what was recorded",
            ),
            (
                "status = 500",
                "status = 201",
                2,
                "how it ended is not what was recorded",
            ),
            ("made = 'another'", "", 2, "how it ended is not what was recorded"),
        ] {
            execute(&server, &format!("UPDATE audit_records SET {change} WHERE seq = 2")).await;
            let found = verdict(&server).await;
            assert_eq!(
                (&found["valid"], &found["broken_at"]),
                (&json!(false), &json!(at)),
                "{change}"
            );
            assert_eq!(found["reason"], reason, "{change}");
            if !undo.is_empty() {
                execute(&server, &format!("UPDATE audit_records SET {undo} WHERE seq = 2")).await;
            }
        }
        execute(&server, "DELETE FROM audit_records WHERE seq = 2").await;
        assert_eq!(verdict(&server).await["reason"], "record 2 is missing");
        execute(&server, "DELETE FROM audit_records").await;
        assert_eq!(verdict(&server).await["reason"], "the last 4 records are gone");
    }

    async fn pages_and_filters(url: String) {
        let server = Server::new(&url).await;
        let one = server.workspace("one", None).await;
        server.workspace("two", None).await;
        server.org_token().await;
        let first = server
            .get("/admin/audit?limit=2")
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let next = first["next"].as_i64().unwrap();
        let second = server
            .get(format!("/admin/audit?limit=2&before={next}"))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!(
            (
                first["records"].as_array().unwrap().len(),
                second["records"].as_array().unwrap().len()
            ),
            (2, 1)
        );
        assert_eq!(second.get("next"), None);
        assert_eq!(records(&server, &format!("?workspace_id={}", one.id)).await.len(), 1);
        assert_eq!(records(&server, "?action=org-token.mint").await.len(), 1);
        assert_eq!(records(&server, "?actor=nobody").await.len(), 0);
        let at = records(&server, "").await[1]["at"].as_str().unwrap().to_owned();
        assert_eq!(records(&server, &format!("?from={at}")).await.len(), 2);
        assert_eq!(records(&server, &format!("?to={at}")).await.len(), 1);
        for bad in ["?before=x", "?limit=0", "?workspace_id=x", "?from=yesterday"] {
            server
                .get(format!("/admin/audit{bad}"))
                .bearer(ADMIN)
                .send()
                .await
                .expect(400);
        }
    }

    async fn without_a_record_there_is_no_change(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        execute(&server, "ALTER TABLE audit_records RENAME TO elsewhere").await;
        let path = format!("/workspaces/{}", workspace.id);
        let renamed = server
            .call(Method::PATCH, path.as_str())
            .json(&json!({ "name": "after" }));
        let reply = renamed.bearer(ADMIN).send().await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(reply.error().contains("nothing was changed"), "{}", reply.error());
        execute(&server, "ALTER TABLE elsewhere RENAME TO audit_records").await;
        let seen = server.get(path.as_str()).bearer(ADMIN).send().await.expect(200);
        assert_eq!(seen["name"], "w");
    }

    // D2, D5
    async fn the_servers_keys_are_changed_by_the_operator_alone(url: String) {
        let options = Options::default();
        let api = ApiConfig {
            vault: Some(Arc::new(Drawer)),
            ..options.api
        };
        let server = Server::with(&url, Options { api, ..options }).await;
        let workspace = server.workspace("w", None).await;
        let secrets = format!("/workspaces/{}/secrets", workspace.id);
        server
            .post(secrets.as_str(), &json!({ "key": "K", "value": "v" }))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        server
            .post("/settings/secrets", &json!({ "key": "G", "value": "g" }))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let (org, session) = (server.org_token().await, server.session().await);
        for path in ["/admin/secrets/rotate", "/admin/token/rotate"] {
            for bearer in [&org, &session, &workspace.token] {
                server
                    .post(path, &json!({}))
                    .bearer(bearer)
                    .send()
                    .await
                    .refused(401, "invalid admin auth token");
            }
        }
        let rotated = server
            .post("/admin/secrets/rotate", &json!({}))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!(
            (&rotated["new_key"], &rotated["complete"], &rotated["resealed"]),
            (&json!(true), &json!(true), &json!(3)),
            "two secrets and an inbound one: {rotated}"
        );
        let key_id = rotated["key_id"].as_str().unwrap();
        assert!(
            server
                .store
                .sealed_by_others(key_id, None, 10)
                .await
                .unwrap()
                .is_empty()
        );
        let values = server
            .get(format!("{secrets}/values"))
            .bearer(&workspace.token)
            .send()
            .await
            .expect(200);
        assert_eq!(values, json!({ "G": "g", "K": "v" }));
        // The token
        let rotated = server
            .post("/admin/token/rotate", &json!({}))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let token = rotated["auth_token"].as_str().unwrap();
        server
            .get("/workspaces")
            .bearer(ADMIN)
            .send()
            .await
            .refused(401, "invalid admin auth token");
        server.get("/workspaces").bearer(token).send().await.expect(200);
        server.get("/workspaces").bearer(&session).send().await.expect(200);
        let audit = server
            .get("/admin/audit?limit=2")
            .bearer(token)
            .send()
            .await
            .expect(200);
        assert_eq!(audit["records"][0]["action"], "admin-token.rotate");
        assert_eq!(audit["records"][1]["action"], "secrets.rotate");
        assert_eq!(
            server.get("/admin/audit/verify").bearer(token).send().await.expect(200)["valid"],
            true
        );
    }

    async fn keys_that_the_environment_sets_are_changed_there(url: String) {
        let options = Options::default();
        let api = ApiConfig {
            vault: Some(Arc::new(Configured)),
            ..options.api
        };
        let server = Server::with(&url, Options { api, ..options }).await;
        for (path, variable) in [
            ("/admin/secrets/rotate", "SECRETS_ENCRYPTION_KEY"),
            ("/admin/token/rotate", "ADMIN_TOKEN"),
        ] {
            let reply = server.post(path, &json!({})).bearer(ADMIN).send().await;
            assert_eq!(
                (reply.status, &reply.json()["code"]),
                (StatusCode::CONFLICT, &json!("configured"))
            );
            assert!(reply.error().contains(variable), "{}", reply.error());
        }
        let without = Server::new(&url).await;
        without
            .post("/admin/token/rotate", &json!({}))
            .bearer(ADMIN)
            .send()
            .await
            .expect(501);
    }
}

/// Keeps nothing, and always has the same at hand.
struct Drawer;

impl Vault for Drawer {
    fn next_admin_token(&self) -> Result<SecretString, VaultError> {
        Ok("the-operators-next-token".to_owned().into())
    }

    fn next_secrets_key(&self) -> Result<SecretBox<[u8; 32]>, VaultError> {
        let key = SecretBox::new(Box::new([8; 32]));
        assert_eq!(key.expose_secret().len(), 32);
        Ok(key)
    }
}

/// Whatever it is, the environment says it.
struct Configured;

impl Vault for Configured {
    fn next_admin_token(&self) -> Result<SecretString, VaultError> {
        Err(VaultError::Configured("ADMIN_TOKEN"))
    }

    fn next_secrets_key(&self) -> Result<SecretBox<[u8; 32]>, VaultError> {
        Err(VaultError::Configured("SECRETS_ENCRYPTION_KEY"))
    }
}
