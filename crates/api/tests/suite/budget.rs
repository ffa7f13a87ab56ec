//! What workspaces may spend (`activity.md` §8, SEC-87).

use molecule_testkit::both_engines;

use crate::common::*;

fn path(workspace: &Workspace) -> String {
    format!("/workspaces/{}/budget", workspace.id)
}

fn set(server: &Server, workspace: &Workspace, limit: &Value) -> Call {
    let body = json!({ "budget_limit": limit });
    server.call(Method::PATCH, path(workspace)).json(&body)
}

/// A message of the operator's; the workspace polls.
async fn ask(server: &Server, workspace: &Workspace) -> Reply {
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "message/send",
        "params": { "message": { "role": "user", "messageId": "m", "parts": [{ "kind": "text", "text": "hi" }] } },
    });
    let path = format!("/workspaces/{}/a2a", workspace.id);
    server.post(path, &message).bearer(ADMIN).send().await
}

async fn spend(server: &Server, workspace: &Workspace, cents: i64) {
    let beat = json!({ "workspace_id": workspace.id, "monthly_spend": cents });
    let beat = server.post("/registry/heartbeat", &beat).bearer(&workspace.token);
    beat.send().await.expect(200);
}

both_engines! {
    // ACT-199…202
    async fn a_spent_workspace_is_freed_by_a_higher_limit(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        let show = async || {
            server
                .get(path(&workspace))
                .bearer(&workspace.token)
                .send()
                .await
                .expect(200)
        };
        let unlimited = json!({ "budget_limit": null, "monthly_spend": 0, "budget_remaining": null });
        assert_eq!(show().await, unlimited);
        ask(&server, &workspace).await.expect(200);
        spend(&server, &workspace, 150).await;
        let changed = set(&server, &workspace, &json!(150))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let spent = json!({ "budget_limit": 150, "monthly_spend": 150, "budget_remaining": 0 });
        assert_eq!((&changed, &show().await), (&spent, &spent));
        ask(&server, &workspace)
            .await
            .refused(402, "workspace budget limit exceeded");
        // As well once the beat is stored.
        server.platform.registry.flush().await.unwrap();
        assert_eq!(show().await, spent);
        ask(&server, &workspace)
            .await
            .refused(402, "workspace budget limit exceeded");
        let raised = set(&server, &workspace, &json!(151.9))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!(
            raised,
            json!({ "budget_limit": 151, "monthly_spend": 150, "budget_remaining": 1 })
        );
        ask(&server, &workspace).await.expect(200);
        let lowered = set(&server, &workspace, &json!(100))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!(lowered["budget_remaining"], -50);
        ask(&server, &workspace)
            .await
            .refused(402, "workspace budget limit exceeded");
        let lifted = set(&server, &workspace, &Value::Null)
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        assert_eq!(
            lifted,
            json!({ "budget_limit": null, "monthly_spend": 150, "budget_remaining": null })
        );
        ask(&server, &workspace).await.expect(200);
        set(&server, &workspace, &json!(0))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        ask(&server, &workspace)
            .await
            .refused(402, "workspace budget limit exceeded");
    }

    // ACT-200
    async fn what_is_no_limit_changes_nothing(url: String) {
        let server = Server::new(&url).await;
        let workspace = server.workspace("w", None).await;
        set(&server, &workspace, &json!(7))
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        for (body, refusal) in [
            ("", "invalid request body"),
            ("[]", "invalid request body"),
            ("{", "invalid request body"),
            ("{}", "budget_limit field is required"),
            (r#"{"budget_limit":-1}"#, "budget_limit must be >= 0 (USD cents)"),
            (
                r#"{"budget_limit":"9"}"#,
                "budget_limit must be an integer (USD cents) or null",
            ),
            (
                r#"{"budget_limit":1e300}"#,
                "budget_limit must be an integer (USD cents) or null",
            ),
        ] {
            let refused = server.call(Method::PATCH, path(&workspace)).body(body).bearer(ADMIN);
            refused.send().await.refused(400, refusal);
        }
        let shown = server.get(path(&workspace)).bearer(ADMIN).send().await.expect(200);
        assert_eq!(shown["budget_limit"], 7);
        server.remove(&workspace).await;
        let unknown = Workspace {
            id: molecule_core::WorkspaceId::random(),
            token: String::new(),
        };
        for gone in [&workspace, &unknown] {
            server
                .get(path(gone))
                .bearer(ADMIN)
                .send()
                .await
                .refused(404, "workspace not found");
            set(&server, gone, &json!(1))
                .bearer(ADMIN)
                .send()
                .await
                .refused(404, "workspace not found");
        }
    }

    // SEC-83, SEC-84, SEC-87
    async fn no_agent_lifts_its_own_ceiling(url: String) {
        let server = Server::new(&url).await;
        let (one, two) = (server.workspace("one", None).await, server.workspace("two", None).await);
        set(&server, &one, &json!(5)).bearer(ADMIN).send().await.expect(200);
        let own = set(&server, &one, &Value::Null).bearer(&one.token).send().await;
        own.refused(401, "invalid admin auth token");
        let edit = server.call(Method::PATCH, format!("/workspaces/{}", one.id));
        edit.json(&json!({ "budget_limit": 9 }))
            .bearer(&one.token)
            .send()
            .await
            .expect(200);
        let peek = server.get(path(&one)).bearer(&two.token).send().await;
        peek.refused(401, "invalid workspace auth token");
        let part = server.org_token_for(&json!({ "org_id": two.id })).await;
        set(&server, &two, &json!(3)).bearer(&part).send().await.expect(200);
        set(&server, &one, &json!(3))
            .bearer(&part)
            .send()
            .await
            .refused(403, "org access denied");
        let shown = server.get(path(&one)).bearer(&one.token).send().await.expect(200);
        assert_eq!(shown["budget_limit"], 5);
        let record = server
            .get("/admin/audit?action=budget.set&limit=2")
            .bearer(ADMIN)
            .send()
            .await
            .expect(200);
        let record = &record["records"][0];
        assert_eq!(
            (&record["workspace_id"], &record["before"], &record["after"]),
            (
                &json!(two.id),
                &json!({ "budget_limit": null }),
                &json!({ "budget_limit": 3 })
            )
        );
    }
}
