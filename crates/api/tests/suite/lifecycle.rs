//! Pauses, idle stops, teams, agents on record, restorations: the answers of each route (LIFE §9–14).

use molecule_testkit::{
    backend::{ScriptedBackend, Stop},
    both_engines,
};
use secrecy::ExposeSecret;

use crate::common::*;

const UNKNOWN: &str = "6fa459ea-ee8a-4ca4-894e-db77e160355e";

/// A server that can start workspaces, and one that is online.
async fn with_backend(url: &str) -> (Server, ScriptedBackend, String) {
    let backend = ScriptedBackend::default();
    let options = Options {
        backend: Some(backend.clone()),
        ..Options::default()
    };
    let server = Server::with(url, options).await;
    let body = json!({ "name": "Lead", "runtime": "echo" });
    let created = server.post("/workspaces", &body).bearer(ADMIN).send().await.expect(201);
    let id = created["id"].as_str().unwrap().to_owned();
    online(&server, &backend, &id, 0).await;
    (server, backend, id)
}

/// Registers the incarnation once its instance runs.
async fn online(server: &Server, backend: &ScriptedBackend, id: &str, generation: i64) {
    let workspace = id.parse().unwrap();
    eventually("an instance", async || {
        backend
            .instance(workspace)
            .is_some_and(|found| found.generation == generation)
    })
    .await;
    let token = backend.spec(workspace).auth_token.expose_secret().to_owned();
    let register = json!({ "id": id, "agent_card": { "name": "Lead" } });
    let call = server.post("/registry/register", &register).bearer(&token);
    call.send().await.expect(200);
}

both_engines! {
    // LIFE-151, LIFE-152, LIFE-154, LIFE-155
    async fn pause_and_resume(url: String) {
        let (server, backend, id) = with_backend(&url).await;
        let post = |path: String| server.post(path, &Value::Null).bearer(ADMIN).send();
        post(format!("/workspaces/{UNKNOWN}/pause"))
            .await
            .refused(404, "workspace not found or already paused");
        post(format!("/workspaces/{id}/resume"))
            .await
            .refused(404, "workspace not found or not paused");
        let paused = post(format!("/workspaces/{id}/pause")).await.expect(200);
        assert_eq!(paused, json!({ "status": "paused", "paused_count": 1 }));
        let state = server
            .get(format!("/workspaces/{id}"))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!((&state["status"], &state["url"]), (&json!("paused"), &json!("")));
        post(format!("/workspaces/{id}/pause"))
            .await
            .refused(404, "workspace not found or already paused");
        let resumed = post(format!("/workspaces/{id}/resume")).await.expect(200);
        assert_eq!(resumed, json!({ "status": "provisioning", "resumed_count": 1 }));
        online(&server, &backend, &id, 1).await;
    }

    // LIFE-157, LIFE-158, LIFE-159, LIFE-162, OP-7, A2A-61
    async fn hibernate_and_wake(url: String) {
        let (server, backend, id) = with_backend(&url).await;
        let post = |path: String| server.post(path, &Value::Null).bearer(ADMIN).send();
        let token = backend.spec(id.parse().unwrap()).auth_token.expose_secret().to_owned();
        let beat = json!({ "workspace_id": id, "active_tasks": 2 });
        let call = server.post("/registry/heartbeat", &beat).bearer(&token);
        call.send().await.expect(200);
        let busy = post(format!("/workspaces/{id}/hibernate")).await.expect(409);
        assert_eq!(
            busy,
            json!({
                "error": "workspace has active tasks; use ?force=true to terminate them", "active_tasks": 2,
            })
        );
        post(format!("/workspaces/{id}/hibernate?force=perhaps"))
            .await
            .refused(400, "force must be true or false");
        let done = post(format!("/workspaces/{id}/hibernate?force=true")).await.expect(200);
        assert_eq!(done, json!({ "status": "hibernated" }));
        let text = "workspace not found or not in a hibernatable state (must be online or degraded)";
        post(format!("/workspaces/{id}/hibernate")).await.refused(404, text);
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "message/send", "params": { "message": {
            "role": "user", "parts": [{ "kind": "text", "text": "hello" }] } } });
        let waking = server
            .post(format!("/workspaces/{id}/a2a"), &message)
            .bearer(ADMIN)
            .send()
            .await;
        assert_eq!(waking.header("retry-after"), Some("15"));
        let waking = waking.expect(503);
        assert_eq!((&waking["waking"], &waking["retry_after"]), (&json!(true), &json!(15)));
        online(&server, &backend, &id, 1).await;
        post(format!("/workspaces/{id}/wake"))
            .await
            .refused(404, "workspace not found or not hibernated");
        backend.next_stop(Stop::Panic);
        post(format!("/workspaces/{id}/hibernate"))
            .await
            .refused(500, "workspace could not be stopped; it is tried again");
        server.get("/health").send().await.expect(200);
    }

    // LIFE-146, LIFE-198, SEC-214: a panic of the backend costs one workspace.
    async fn a_panic_leaves_the_server_serving(url: String) {
        let (server, backend, id) = with_backend(&url).await;
        backend.next_stop(Stop::Panic);
        let restart = server
            .post(format!("/workspaces/{id}/restart"), &json!({}))
            .bearer(ADMIN);
        restart.send().await.expect(200);
        let list = || server.get("/workspaces").bearer(ADMIN).send();
        eventually("the failure", async || {
            list().await.expect(200)[0]["status"] == "failed"
        })
        .await;
        let reason = list().await.expect(200)[0]["last_sample_error"].clone();
        assert_eq!(reason, "workspace start failed unexpectedly");
        server.get("/health").send().await.expect(200);
    }

    // LIFE-164, LIFE-168, LIFE-156
    async fn teams_and_what_a_server_without_a_backend_does(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("Lead", None).await;
        let child = server.workspace("Writer", Some(&own)).await;
        let post = |path: String| server.post(path, &Value::Null).bearer(&own.token).send();
        post(format!("/workspaces/{}/expand", own.id))
            .await
            .refused(400, "no config found for workspace");
        let hibernate = post(format!("/workspaces/{}/hibernate", own.id)).await;
        assert_eq!(hibernate.expect(409)["code"], "external_workspace");
        let collapsed = post(format!("/workspaces/{}/collapse", own.id)).await.expect(200);
        assert_eq!(collapsed, json!({ "status": "collapsed", "removed": ["Writer"] }));
        let collapsed = post(format!("/workspaces/{}/collapse", own.id)).await.expect(200);
        assert_eq!(collapsed, json!({ "status": "collapsed", "removed": [] }));
        // OP-9: also without a backend.
        post(format!("/workspaces/{}/pause", own.id)).await.expect(200);
        post(format!("/workspaces/{}/resume", own.id)).await.expect(200);
        let managed = server
            .post("/workspaces", &json!({ "name": "M" }))
            .bearer(ADMIN)
            .send()
            .await
            .expect(201);
        let path = format!("/workspaces/{}", managed["id"].as_str().unwrap());
        let admin = |path: String| server.post(path, &Value::Null).bearer(ADMIN).send();
        admin(format!("{path}/pause")).await.expect(200);
        admin(format!("{path}/resume"))
            .await
            .refused(503, "provisioner not available");
        // LIFE-199, LIFE-89a
        let restore = |id: String| admin(format!("/admin/workspaces/{id}/restore"));
        restore(own.id.to_string())
            .await
            .refused(409, "workspace is not removed");
        restore(UNKNOWN.to_owned()).await.refused(404, "workspace not found");
        let restored = restore(child.id.to_string()).await.expect(200);
        assert_eq!(restored["status"], "awaiting_agent");
        let token = restored["connection"]["auth_token"].as_str().unwrap();
        let state = format!("/workspaces/{}/state", child.id);
        server.get(&state).bearer(token).send().await.expect(200);
        server
            .get(&state)
            .bearer(&child.token)
            .send()
            .await
            .refused(401, "invalid workspace auth token");
    }

    // LIFE-170
    async fn agents_on_record(url: String) {
        let server = Server::new(&url).await;
        let own = server.workspace("a", None).await;
        let other = server.workspace("b", None).await;
        let path = format!("/workspaces/{}/agent", own.id);
        let call = |method: Method, path: &str, body: Value, bearer: &str| {
            server.call(method, path).json(&body).bearer(bearer).send()
        };
        let model = json!({ "model": "gpt" });
        call(Method::POST, &path, json!({}), &own.token)
            .await
            .refused(400, "invalid request body");
        call(Method::DELETE, &path, Value::Null, &own.token)
            .await
            .refused(404, "no active agent to remove");
        let assigned = call(Method::POST, &path, model.clone(), &own.token).await.expect(201);
        assert_eq!(assigned["model"], "gpt");
        call(Method::POST, &path, model.clone(), &own.token)
            .await
            .refused(409, "workspace already has an active agent, use PATCH to replace");
        let replaced = call(Method::PATCH, &path, json!({ "model": "claude" }), &own.token)
            .await
            .expect(200);
        assert_eq!(
            (&replaced["model"], &replaced["old_model"]),
            (&json!("claude"), &json!("gpt"))
        );
        let target = json!({ "target_workspace_id": other.id });
        let relocate = format!("{path}/move");
        // D4: what another workspace has is not this one's to decide.
        let refused = call(Method::POST, &relocate, target.clone(), &own.token).await;
        assert_eq!(refused.expect(403)["code"], "admin_only");
        let moved = call(Method::POST, &relocate, target, ADMIN).await.expect(200);
        assert_eq!(moved["to_workspace"], other.id.to_string());
        let removed = server
            .call(Method::DELETE, format!("/workspaces/{}/agent", other.id))
            .bearer(&other.token);
        assert_eq!(removed.send().await.expect(200)["status"], "removed");
        call(Method::POST, &path, model, &other.token)
            .await
            .refused(401, "invalid workspace auth token");
    }

    // LIFE-172
    async fn reports_of_failed_boots(url: String) {
        let (server, _backend, id) = with_backend(&url).await;
        let path = format!("/admin/workspaces/{id}/bootstrap-failed");
        let report = |body: Value, bearer: &str| server.post(&path, &body).bearer(bearer).send();
        let online = report(json!({ "error": "x", "log_tail": "" }), ADMIN).await.expect(200);
        assert_eq!(online, json!({ "ok": true, "no_change": true }));
        report(json!({ "error": 7 }), ADMIN)
            .await
            .refused(400, "invalid request body");
        let created = server
            .post("/workspaces", &json!({ "name": "M", "runtime": "echo" }))
            .bearer(ADMIN);
        let other = created.send().await.expect(201)["id"].as_str().unwrap().to_owned();
        let path = format!("/admin/workspaces/{other}/bootstrap-failed");
        let noted = server
            .post(&path, &json!({ "error": "no disk" }))
            .bearer(ADMIN)
            .send()
            .await;
        assert_eq!(noted.expect(200), json!({ "ok": true }));
    }
}
