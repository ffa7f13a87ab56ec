//! Workspaces, secrets, settings, activity, registry, events: the answers of each route.

use molecule_core::limits;
use molecule_testkit::both_engines;

use crate::common::*;

const UNKNOWN: &str = "6fa459ea-ee8a-4ca4-894e-db77e160355e";

both_engines! {
    // D28
    async fn addresses_begin_with_the_public_one(url: String) {
        let options = Options::default();
        let server = Server::with(
            &url,
            Options {
                config: molecule_platform::Config {
                    public_url: Some("https://m.example/team/molecule".to_owned()),
                    ..options.config
                },
                ..options
            },
        )
        .await;
        // Whatever a peer says that nobody trusts.
        let told = |call: Call| {
            call.header("host", "inside.example")
                .header("x-forwarded-host", "evil.example")
                .header("x-forwarded-prefix", "/evil")
                .header("forwarded", "host=evil.example")
        };
        let base = "https://m.example/team/molecule";
        let create = server
            .post("/workspaces", &json!({ "name": "a", "external": true }))
            .bearer(ADMIN);
        let created = told(create).send().await.expect(201);
        let connection = &created["connection"];
        assert_eq!(connection["platform_url"], base);
        assert_eq!(connection["registry_endpoint"], format!("{base}/registry/register"));
        assert!(connection["python_snippet"].as_str().unwrap().contains(base));
        let code = told(server.post("/auth/login-codes", &json!({})).bearer(ADMIN))
            .send()
            .await
            .expect(201);
        let login = code["login_url"].as_str().unwrap();
        assert!(login.starts_with("https://m.example/team/molecule/#code="), "{login}");
        let asker = server.workspace("asker", None).await;
        let other = server.workspace("other", None).await;
        let discover = server
            .get(format!("/registry/discover/{}", other.id))
            .bearer(&asker.token)
            .header("x-workspace-id", asker.id.to_string());
        let found = told(discover).send().await.expect(200);
        assert_eq!(found["url"], format!("{base}/workspaces/{}/a2a", other.id));
        let peers = told(server.get(format!("/registry/{}/peers", asker.id)).bearer(&asker.token));
        for peer in peers.send().await.expect(200).as_array().unwrap() {
            assert!(peer["url"].as_str().unwrap().starts_with(base), "{peer}");
        }
    }

    // LIFE-74, LIFE-77, LIFE-79, LIFE-86
    async fn create_read_list(url: String) {
        let server = Server::new(&url).await;
        let call = server
            .post("/workspaces", &json!({ "name": "a", "external": true }))
            .bearer(ADMIN);
        // Nobody's proxy (D28): the snippets would carry the token elsewhere.
        let forwarded = call
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "m.example");
        let created = forwarded.send().await.expect(201);
        assert_eq!(
            (&created["status"], &created["external"]),
            (&json!("awaiting_agent"), &json!(true))
        );
        assert_eq!(
            created["connection"]["platform_url"],
            format!("http://{}", server.address)
        );
        let path = format!("/workspaces/{}", created["id"].as_str().unwrap());
        let view = server.get(path).bearer(ADMIN).send().await.expect(200);
        // LIFE-88, SEC-88
        for hidden in [
            "budget_limit",
            "monthly_spend",
            "current_task",
            "last_sample_error",
            "workspace_dir",
        ] {
            assert!(view.get(hidden).is_none(), "{hidden}");
        }
        assert!(view.as_object().unwrap().contains_key("last_outbound_at"));
        let list = server.get("/workspaces").bearer(ADMIN).send().await.expect(200);
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert!(list[0].as_object().unwrap().contains_key("monthly_spend"));
        let unknown = server.get(format!("/workspaces/{UNKNOWN}")).bearer(ADMIN);
        unknown.send().await.refused(404, "workspace not found");
    }

    // LIFE-95, LIFE-96, D4
    async fn update(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("a", None).await;
        let patch = |body: Value, bearer: &str| {
            server
                .call(Method::PATCH, format!("/workspaces/{}", own.id))
                .json(&body)
                .bearer(bearer)
                .send()
        };
        assert_eq!(
            patch(json!({ "name": "b", "budget_limit": 3 }), &own.token)
                .await
                .expect(200),
            json!({ "status": "updated" })
        );
        assert_eq!(
            patch(json!({ "tier": 2 }), &own.token).await.status,
            StatusCode::FORBIDDEN
        );
        patch(json!({ "tier": 2 }), ADMIN).await.expect(200);
        patch(json!({ "name": "x".repeat(256) }), ADMIN)
            .await
            .refused(400, "name must be at most 255 characters");
        let unknown = server
            .call(Method::PATCH, format!("/workspaces/{UNKNOWN}"))
            .json(&json!({}))
            .bearer(ADMIN);
        unknown.send().await.refused(404, "workspace not found");
    }

    // LIFE-99, LIFE-109, LIFE-110
    async fn delete(url: String) {
        let server = Server::new(&url).await;
        let parent = server.workspace("parent", None).await;
        let child = server.workspace("child", Some(&parent)).await;
        let delete = |query: &str| {
            server
                .call(Method::DELETE, format!("/workspaces/{}{query}", parent.id))
                .bearer(ADMIN)
                .send()
        };
        delete("?confirm=yes")
            .await
            .refused(400, "confirm must be true or false");
        let asked = delete("?confirm=false").await.expect(409);
        assert_eq!(
            (&asked["status"], &asked["children_count"]),
            (&json!("confirmation_required"), &json!(1))
        );
        assert_eq!(asked["children"], json!([{ "id": child.id, "name": "child" }]));
        assert_eq!(
            delete("?confirm=true").await.expect(200),
            json!({ "status": "removed", "cascade_deleted": 1 })
        );
        delete("?confirm=true").await.expect(200);
        // SEC-12
        let feed = server
            .get(format!("/workspaces/{}/activity", child.id))
            .bearer(&child.token);
        feed.send().await.refused(401, "invalid workspace auth token");
    }

    // LIFE-92, LIFE-117, LIFE-118
    async fn state_restart_logs(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("a", None).await;
        let path = format!("/workspaces/{}", own.id);
        let state = server
            .get(format!("{path}/state"))
            .bearer(&own.token)
            .send()
            .await
            .expect(200);
        assert_eq!(
            state,
            json!({ "workspace_id": own.id, "status": "online", "paused": false, "deleted": false })
        );
        let gone = server
            .get(format!("/workspaces/{UNKNOWN}/state"))
            .bearer(ADMIN)
            .send()
            .await
            .expect(404);
        assert_eq!(gone, json!({ "workspace_id": UNKNOWN, "deleted": true }));
        let restarted = server
            .call(Method::POST, format!("{path}/restart"))
            .bearer(&own.token)
            .send()
            .await
            .expect(200);
        assert_eq!(restarted["status"], "noop");
        let unknown = server
            .call(Method::POST, format!("/workspaces/{UNKNOWN}/restart"))
            .bearer(ADMIN);
        unknown.send().await.refused(404, "workspace not found");
        let logs = server.get(format!("{path}/logs")).bearer(&own.token).send().await;
        assert_eq!(logs.json()["code"], "external_workspace");
        assert_eq!(logs.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    // ACT-218, SEC-53, D2
    async fn viewport(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("a", None).await;
        let read = || server.get("/canvas/viewport").bearer(ADMIN).send();
        let write = |body: Value, bearer: &str| {
            let call = server.call(Method::PUT, "/canvas/viewport").json(&body);
            call.bearer(bearer).send()
        };
        assert_eq!(read().await.expect(200), json!({ "x": 0.0, "y": 0.0, "zoom": 1.0 }));
        let saved = write(json!({ "x": -12.5, "y": 3, "zoom": 0.25 }), ADMIN).await;
        assert_eq!(saved.expect(200), json!({ "status": "saved" }));
        assert_eq!(read().await.expect(200), json!({ "x": -12.5, "y": 3.0, "zoom": 0.25 }));
        write(json!({ "zoom": 2 }), &own.token).await.expect(200);
        let there = json!({ "x": 0.0, "y": 0.0, "zoom": 2.0 });
        assert_eq!(read().await.expect(200), there, "absent is 0, and there is one row");
        for bad in [json!({ "x": "left" }), json!({ "zoom": null }), json!([1, 2, 3])] {
            write(bad, ADMIN).await.refused(400, "invalid viewport data");
        }
        assert_eq!(read().await.expect(200), there, "what is refused changes nothing");
        let strangers = server.get("/canvas/viewport").send().await;
        assert_eq!(strangers.status, StatusCode::UNAUTHORIZED);
        let stranger = server.call(Method::PUT, "/canvas/viewport").json(&json!({})).send();
        assert_eq!(stranger.await.status, StatusCode::UNAUTHORIZED);
    }

    // PROV-118…120
    async fn secrets(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("a", None).await;
        let path = format!("/workspaces/{}/secrets", own.id);
        let body = |key: &str| json!({ "key": key, "value": "v" });
        let saved = server
            .post(path.as_str(), &body("B"))
            .bearer(&own.token)
            .send()
            .await
            .expect(200);
        assert_eq!(saved, json!({ "status": "saved", "key": "B" }));
        server
            .call(Method::PUT, path.as_str())
            .json(&body("A"))
            .bearer(&own.token)
            .send()
            .await
            .expect(200);
        for alias in ["/settings/secrets", "/admin/secrets"] {
            let saved = server.post(alias, &body("G")).bearer(ADMIN).send().await.expect(200);
            assert_eq!(saved, json!({ "status": "saved", "key": "G", "scope": "global" }));
            assert_eq!(server.get(alias).bearer(ADMIN).send().await.expect(200)[0]["key"], "G");
        }
        let list = server.get(path.as_str()).bearer(&own.token).send().await.expect(200);
        let seen: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (s["key"].as_str().unwrap(), s["scope"].as_str().unwrap()))
            .collect();
        assert_eq!(seen, [("A", "workspace"), ("B", "workspace"), ("G", "global")]);
        assert!(list[0].get("value").is_none() && list[0]["has_value"] == true);
        for bad in [
            json!({ "key": "A" }),
            json!({ "value": "v" }),
            json!({ "key": "", "value": "v" }),
            json!({ "key": "A", "value": "" }),
        ] {
            server
                .post(path.as_str(), &bad)
                .bearer(ADMIN)
                .send()
                .await
                .refused(400, "invalid request body");
        }
        // What no process could be started with.
        let long = "v".repeat(limits::VARIABLE_BYTES);
        for value in ["a\0b", long.as_str()] {
            let secret = json!({ "key": "A", "value": value });
            for path in [path.as_str(), "/settings/secrets"] {
                let text = "invalid secret value: no NUL, and at most 128 KiB with its key";
                server.post(path, &secret).bearer(ADMIN).send().await.refused(400, text);
            }
            let create = json!({ "name": "b", "external": true, "secrets": { "A": value } });
            server
                .post("/workspaces", &create)
                .bearer(ADMIN)
                .send()
                .await
                .refused(400, "invalid secret value: A");
        }
        let delete = |path: String| server.call(Method::DELETE, path).bearer(ADMIN).send();
        assert_eq!(
            delete(format!("{path}/A")).await.expect(200),
            json!({ "status": "deleted", "key": "A" })
        );
        delete(format!("{path}/A")).await.refused(404, "secret not found");
        delete("/settings/secrets/G".to_owned()).await.expect(200);
        delete("/admin/secrets/G".to_owned())
            .await
            .refused(404, "secret not found");
        let unknown = server
            .post(format!("/workspaces/{UNKNOWN}/secrets"), &body("A"))
            .bearer(ADMIN);
        unknown.send().await.refused(404, "workspace not found");
    }

    // PROV-110…112, PROV-113a, SEC-191
    async fn model_and_provider(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("a", None).await;
        for name in ["model", "provider"] {
            let path = format!("/workspaces/{}/{name}", own.id);
            let get = || server.get(path.as_str()).bearer(&own.token).send();
            let put = |value: &str| {
                server
                    .call(Method::PUT, path.as_str())
                    .json(&json!({ name: value }))
                    .bearer(&own.token)
                    .send()
            };
            assert_eq!(get().await.expect(200), json!({ name: "", "source": "default" }));
            put(&"x".repeat(101))
                .await
                .refused(400, &format!("{name} must be at most 100 characters"));
            put("x\ny")
                .await
                .refused(400, &format!("{name} must not contain newline characters"));
            assert_eq!(get().await.expect(200), json!({ name: "", "source": "default" }));
            assert_eq!(put("x/y").await.expect(200), json!({ "status": "saved", name: "x/y" }));
            assert_eq!(
                get().await.expect(200),
                json!({ name: "x/y", "source": "workspace_secrets" })
            );
            assert_eq!(put("").await.expect(200), json!({ "status": "cleared" }));
            assert_eq!(get().await.expect(200), json!({ name: "", "source": "default" }));
        }
        let create = json!({ "name": "b", "external": true, "model": "x\ny" });
        let refused = server.post("/workspaces", &create).bearer(ADMIN).send().await;
        assert_eq!(refused.json()["detail"], "model must not contain newline characters");
        refused.refused(400, "invalid workspace fields");
    }

    // ACT-23, ACT-26, ACT-47, ACT-54
    async fn activity(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("a", None).await;
        let path = format!("/workspaces/{}", own.id);
        let report = |body: Value| server.post(format!("{path}/activity"), &body).bearer(&own.token).send();
        let first = json!({ "activity_type": "agent_log", "summary": "1", "request_body": { "big": 12_345_678_901_234_567_890_u64 } });
        assert_eq!(report(first).await.expect(200), json!({ "status": "logged" }));
        report(json!({ "activity_type": "agent_log", "summary": "2" }))
            .await
            .expect(200);
        report(json!({ "activity_type": "cron_run" })).await.expect(400);
        report(json!({})).await.refused(400, "invalid request body");
        let foreign = json!({ "activity_type": "agent_log", "source_id": UNKNOWN });
        report(foreign)
            .await
            .refused(403, "source_id must match authenticated workspace");
        let notify = |body: Value| server.post(format!("{path}/notify"), &body).bearer(&own.token).send();
        assert_eq!(
            notify(json!({ "message": "hi" })).await.expect(200),
            json!({ "status": "sent" })
        );
        notify(json!({ "message": "" }))
            .await
            .refused(400, "message is required");
        notify(json!({ "message": "x", "attachments": [{ "uri": "u" }] }))
            .await
            .refused(400, "attachment[0]: uri and name are required");

        let feed = |query: &str| server.get(format!("{path}/activity{query}")).bearer(&own.token).send();
        let rows = feed("").await.expect(200);
        assert_eq!(rows[0]["method"], "notify");
        assert_eq!(rows[0]["response_body"], json!({ "result": "hi" }));
        assert_eq!(rows[2]["request_body"]["big"], json!(12_345_678_901_234_567_890_u64));
        assert!(rows[1].get("request_body").is_none() && rows[1]["duration_ms"].is_null());
        let after = feed(&format!("?since_id={}", rows[2]["id"].as_str().unwrap()))
            .await
            .expect(200);
        assert_eq!(
            (after[0]["summary"].as_str(), after[1]["method"].as_str()),
            (Some("2"), Some("notify"))
        );
        for gone in ["00000000-0000-0000-0000-000000000000", "garbage"] {
            feed(&format!("?since_id={gone}"))
                .await
                .refused(410, "since_id cursor not found");
        }
        feed("?since_secs=0")
            .await
            .refused(400, "since_secs must be a positive integer");
        assert_eq!(
            server
                .get(format!("/workspaces/{UNKNOWN}/activity"))
                .bearer(ADMIN)
                .send()
                .await
                .expect(200),
            json!([])
        );
    }

    // REG-33, REG-55, REG-70, REG-81, REG-83…88
    async fn registry(url: String) {
        let server = Server::new(&url).await;
        let parent = server.workspace("parent", None).await;
        let child = server.workspace("child", Some(&parent)).await;
        let niece = server
            .workspace("niece", Some(&server.workspace("aunt", None).await))
            .await;
        let beat = server
            .post("/registry/heartbeat", &json!({ "workspace_id": child.id }))
            .bearer(&child.token);
        let beat = beat.send().await.expect(200);
        assert_eq!(beat["status"], "ok");
        assert!(beat["platform_inbound_secret"].is_string());
        let foreign = server
            .post("/registry/heartbeat", &json!({ "workspace_id": child.id }))
            .bearer(&parent.token);
        foreign.send().await.refused(401, "invalid workspace auth token");
        let card = json!({ "workspace_id": child.id, "agent_card": { "name": "new" } });
        let updated = server
            .post("/registry/update-card", &card)
            .bearer(&child.token)
            .send()
            .await
            .expect(200);
        assert_eq!(updated, json!({ "status": "updated" }));

        let allowed = |a: Value, b: Value| {
            server
                .post("/registry/check-access", &json!({ "caller_id": a, "target_id": b }))
                .bearer(ADMIN)
                .send()
        };
        assert_eq!(
            allowed(json!(parent.id), json!(child.id)).await.expect(200),
            json!({ "allowed": true })
        );
        assert_eq!(
            allowed(json!(niece.id), json!(child.id)).await.expect(200),
            json!({ "allowed": false })
        );
        assert_eq!(
            allowed(json!("x"), json!(child.id)).await.expect(200),
            json!({ "allowed": false })
        );
        allowed(json!(""), json!(child.id))
            .await
            .refused(400, "invalid request body");

        let peers = server
            .get(format!("/registry/{}/peers", child.id))
            .bearer(&child.token)
            .send()
            .await
            .expect(200);
        assert_eq!(
            (peers.as_array().unwrap().len(), &peers[0]["name"]),
            (1, &json!("parent"))
        );
        let none = server
            .get(format!("/registry/{}/peers?q=nobody", child.id))
            .bearer(&child.token);
        assert_eq!(none.send().await.expect(200), json!([]));

        let discover = |target: &str| server.get(format!("/registry/discover/{target}")).bearer(&child.token);
        discover(&parent.id.to_string())
            .send()
            .await
            .refused(400, "X-Workspace-ID header is required");
        let as_child = |target: &str| discover(target).header("x-workspace-id", child.id.to_string()).send();
        let found = as_child(&parent.id.to_string()).await.expect(200);
        assert!(
            found["url"]
                .as_str()
                .unwrap()
                .ends_with(&format!("/workspaces/{}/a2a", parent.id))
        );
        for target in [niece.id.to_string(), UNKNOWN.to_owned(), "x".to_owned()] {
            as_child(&target)
                .await
                .refused(403, "not authorized to discover this workspace");
        }
        let as_other = discover(&parent.id.to_string()).header("x-workspace-id", parent.id.to_string());
        as_other.send().await.refused(401, "invalid workspace auth token");
    }

    // ACT-69
    async fn events(url: String) {
        let server = Server::new(&url).await;
        let (a, b) = (server.workspace("a", None).await, server.workspace("b", None).await);
        let all = server.get("/events").bearer(ADMIN).send().await.expect(200);
        assert!(
            all.as_array()
                .unwrap()
                .iter()
                .any(|event| event["workspace_id"] == json!(b.id))
        );
        let of_a = server
            .get(format!("/events/{}", a.id))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let of_a = of_a.as_array().unwrap();
        assert!(!of_a.is_empty() && of_a.iter().all(|event| event["workspace_id"] == json!(a.id)));
        assert!(of_a.iter().any(|event| event["event_type"] == "WORKSPACE_ONLINE"));
    }

    // PROV-133
    async fn org_import(url: String) {
        let server = Server::new(&url).await;
        let import = |body: Value| server.post("/org/import", &body).bearer(ADMIN).send();
        import(json!({})).await.refused(400, "provide 'dir' or 'template'");
        import(json!({ "dir": "../x" }))
            .await
            .refused(400, "invalid org directory");
        import(json!({ "dir": "nothing" }))
            .await
            .refused(404, "org template not found: nothing");
        import(json!({ "template": { "workspaces": [] } }))
            .await
            .refused(400, "provide 'dir' or 'template'");
        let refused = import(json!({ "template": "x" })).await;
        assert_eq!(
            refused.json()["detail"],
            "template: invalid type: string \"x\", expected a mapping"
        );
        refused.refused(400, "invalid request body");
        let template = json!({ "name": "o", "workspaces": [{ "name": "w", "required_env": ["NEVER_SET_ANYWHERE"] }] });
        let missing = import(json!({ "template": template })).await.expect(412);
        assert_eq!(missing["missing_env"], json!(["NEVER_SET_ANYWHERE"]));
        assert_eq!(
            server.get("/workspaces").bearer(ADMIN).send().await.expect(200),
            json!([])
        );
        server.get("/org/templates").bearer(ADMIN).send().await.expect(200);
        server.get("/templates").bearer(ADMIN).send().await.expect(200);
    }

    // PROV-105, PROV-106
    async fn template_import(url: String) {
        let root = tempfile::tempdir().unwrap();
        let templates = vec![root.path().to_owned()];
        let server = Server::with(
            &url,
            Options {
                templates,
                ..Options::default()
            },
        )
        .await;
        let import = |body: Value| server.post("/templates/import", &body).bearer(ADMIN).send();
        for bad in [
            json!({ "name": "a" }),
            json!({ "name": "a", "files": {} }),
            json!({ "name": "a", "files": { "../x": "" } }),
            json!({ "name": "a", "files": { "x": 1 } }),
        ] {
            import(bad).await.refused(400, "invalid request body");
        }
        let clash = import(json!({ "name": "a", "files": { "a": "", "a/b": "" } })).await;
        assert_eq!(
            clash.json()["detail"],
            "files: \"a/b\" needs a directory where \"a\" is a file"
        );
        clash.refused(400, "invalid request body");
        let many: serde_json::Map<_, _> = (0..201).map(|n| (n.to_string(), json!(""))).collect();
        import(json!({ "name": "a", "files": many }))
            .await
            .refused(400, "too many files (201), max 200");
        let body = json!({ "name": "Night Watch", "files": { "system-prompt.md": "Watch.", "skills/look/SKILL.md": "Look." } });
        let imported = import(body.clone()).await.expect(201);
        assert_eq!(
            imported,
            json!({ "status": "imported", "id": "night-watch", "name": "Night Watch" })
        );
        let listed = server.get("/templates").bearer(ADMIN).send().await.expect(200);
        assert_eq!(
            (&listed[0]["id"], &listed[0]["name"]),
            (&json!("night-watch"), &json!("Night Watch"))
        );
        let refused = import(body).await;
        assert_eq!(refused.json()["id"], "night-watch");
        refused.refused(409, "template already exists");
    }

    // SEC-213, LIFE-177
    async fn liveness(url: String) {
        let server = Server::new(&url).await;
        server.workspace("Lead", None).await;
        server.platform.run_job("health-sweep").await.unwrap();
        let body = server.get("/admin/liveness").bearer(ADMIN).send().await.expect(200);
        let sweep = &body["subsystems"]["health-sweep"];
        assert!(
            sweep["last_tick_at"].is_string() && sweep["seconds_ago"].is_u64(),
            "{sweep}"
        );
        assert!(
            sweep["last_success_at"].is_string() && sweep["last_duration_ms"].is_u64(),
            "{sweep}"
        );
        assert!(
            sweep["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{sweep}"
        );
        assert_eq!(
            (&sweep["period_ms"], &sweep["last_reason"]),
            (&json!(15_000), &json!("woken")),
            "{sweep}"
        );
        // An external workspace that beats needs no judgement.
        assert_eq!(sweep["last_report"], json!({ "judged": 0, "lost": 0, "failed": 0 }));
    }
}

/// Lets the database of a server grow to `pages` at most, as if its disk ended there.
async fn limit_pages(server: &Server, pages: &'static str) {
    let work = server.store.db().tx(|tx| {
        Box::pin(async move {
            sea_orm::ConnectionTrait::execute_unprepared(tx, &format!("PRAGMA max_page_count = {pages}")).await
        })
    });
    work.await.unwrap();
}

// One answer whatever was asked for, and nothing is changed; once there is space again, all goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk() {
    let database = molecule_testkit::sqlite::database();
    let server = Server::new(database.url()).await;
    let full = |answer: &Reply| {
        assert_eq!(answer.status, StatusCode::INSUFFICIENT_STORAGE);
        assert_eq!(answer.error(), "the server has no disk space left; nothing was changed");
        assert_eq!(answer.json()["code"], "disk_full");
    };
    let create = |n: usize| {
        let body = json!({ "name": format!("w{n}"), "role": "r".repeat(1_000), "external": true });
        server.post("/workspaces", &body).bearer(ADMIN).send()
    };
    // As small as it is.
    limit_pages(&server, "1").await;
    let mut created = 0;
    let refused = loop {
        let answer = create(created).await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        created += 1;
    };
    full(&refused);
    let list = server.get("/workspaces").bearer(ADMIN).send().await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), created);
    // The refused connection was given up, and the limit with it.
    limit_pages(&server, "1").await;
    let secret = json!({ "key": "LARGE", "value": "v".repeat(60_000) });
    full(&server.post("/settings/secrets", &secret).bearer(ADMIN).send().await);
    limit_pages(&server, "1000000").await;
    create(created).await.expect(201);
}
