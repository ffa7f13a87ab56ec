//! Importing organisations (PROV §12).

use molecule_platform::orgs::ImportError;
use molecule_testkit::both_engines;
use molecule_wire::{
    orgs::{IfExists, ImportOrg},
    registry::raw,
};
use secrecy::ExposeSecret;

use crate::common::*;

#[allow(clippy::needless_pass_by_value, reason = "callers write it in place")]
fn inline(template: Value) -> ImportOrg {
    ImportOrg {
        template: Some(raw(&template)),
        ..ImportOrg::default()
    }
}

both_engines! {
    async fn the_starter_team_comes_up_with_both_overrides(url: String) {
        // PROV-133, PROV-138…143, LIFE-10, LIFE-43
        let harness = Harness::new(&url).await;
        let request = ImportOrg {
            dir: Some("starter".to_owned()),
            runtime: Some("echo".into()),
            model: Some("anthropic/claude".to_owned()),
            ..ImportOrg::default()
        };
        let imported = harness.platform.orgs.import(request).await.unwrap();
        assert_eq!(
            (imported.org.as_str(), imported.count, imported.error),
            ("Starter Team", 3, None)
        );
        let names: Vec<_> = imported
            .workspaces
            .iter()
            .map(|workspace| workspace.name.as_str())
            .collect();
        assert_eq!(names, ["Lead", "Researcher", "Writer"], "parents first");
        let [lead, researcher, writer] = [0, 1, 2].map(|n| imported.workspaces[n].id);
        for id in [lead, researcher, writer] {
            harness.until_instance(id).await;
            let row = harness.row(id).await;
            assert_eq!((row.runtime.as_str(), row.tier), ("echo", 2));
            let spec = harness.backend.spec(id);
            assert_eq!(spec.env["MODEL"].expose_secret(), "anthropic/claude");
            assert!(spec.files.contains_key("config.yaml"));
            assert_eq!(
                spec.env.get("PARENT_ID").map(|id| id.expose_secret().to_owned()),
                row.parent_id.map(|id| id.to_string())
            );
        }
        assert_eq!(
            (
                harness.row(researcher).await.parent_id,
                harness.row(writer).await.parent_id
            ),
            (Some(lead), Some(lead))
        );
        let events = [harness.recorded(lead).await, harness.recorded(writer).await];
        assert_eq!((events[0].len(), events[1].len()), (1, 1));
        let root = &events[0][0].1;
        assert_eq!(
            (&root["x"], &root["y"], root.get("parent_id")),
            (&json!(120.0), &json!(80.0), None)
        );
        let child = &events[1][0].1;
        assert_eq!(child["parent_id"], json!(lead));
        // The event is relative to the parent, the row is not (PROV-141).
        let (parent, row) = (harness.row(lead).await, harness.row(writer).await);
        assert_eq!(
            (row.x, row.y),
            (
                parent.x + child["x"].as_f64().unwrap(),
                parent.y + child["y"].as_f64().unwrap()
            )
        );
        assert!(harness.backend.violations().is_empty());
    }

    async fn missing_environment_stops_before_anything_is_created(url: String) {
        // PROV-133, PROV-134, PROV-135
        let harness = Harness::new(&url).await;
        let template = json!({
            "name": "Team", "required_env": ["A_KEY", { "any_of": ["B_KEY", "C_KEY"] }],
            "workspaces": [{ "name": "Lead", "runtime": "echo" }],
        });
        harness.platform.secrets.set_global("A_KEY", "").await.unwrap();
        let Err(ImportError::MissingEnv(missing)) = harness.platform.orgs.import(inline(template.clone())).await else {
            panic!("it is refused");
        };
        assert_eq!(
            missing.missing_env,
            [json!("A_KEY"), json!({ "any_of": ["B_KEY", "C_KEY"] })]
        );
        assert_eq!(
            (missing.error.as_str(), missing.template.as_str()),
            ("missing required environment variables", "Team")
        );
        assert!(missing.suggestion.contains("POST /settings/secrets"));
        assert!(harness.store.workspaces().await.unwrap().is_empty());
        harness.platform.secrets.set_global("A_KEY", "a").await.unwrap();
        harness.platform.secrets.set_global("C_KEY", "c").await.unwrap();
        assert_eq!(harness.platform.orgs.import(inline(template)).await.unwrap().count, 1);
    }

    async fn the_walk_stops_at_the_first_node_that_fails(url: String) {
        // PROV-133 (207), PROV-140
        let harness = Harness::new(&url).await;
        let template = json!({
            "name": "Team",
            "workspaces": [
                { "name": "One", "runtime": "echo" },
                { "name": "Two", "runtime": "echo", "workspace_dir": "/etc/x" },
                { "name": "Three", "runtime": "echo" },
            ],
        });
        let imported = harness.platform.orgs.import(inline(template)).await.unwrap();
        assert_eq!(imported.count, 1);
        assert!(imported.error.unwrap().starts_with("workspace Two: "));
        let rows = harness.store.workspaces().await.unwrap();
        assert_eq!(rows.len(), 1, "earlier ones stay");
        assert_eq!(rows[0].name, "One");
    }

    async fn external_nodes_are_not_started(url: String) {
        // PROV-149, PROV-O13
        let harness = Harness::new(&url).await;
        let template = json!({
            "name": "Team",
            "workspaces": [
                { "name": "Waiting", "external": true },
                { "name": "There", "external": true, "url": "http://agent.example/" },
            ],
        });
        let imported = harness.platform.orgs.import(inline(template)).await.unwrap();
        let [waiting, there] = [0, 1].map(|n| imported.workspaces[n].id);
        assert_eq!(harness.status(waiting).await, WorkspaceStatus::AwaitingAgent);
        assert_eq!(harness.row(waiting).await.delivery_mode, None, "LIFE-76");
        assert_eq!(
            harness.recorded_names(waiting).await,
            ["WORKSPACE_PROVISIONING", "WORKSPACE_AWAITING_AGENT"]
        );
        assert_eq!(harness.status(there).await, WorkspaceStatus::Online);
        assert_eq!(harness.row(there).await.runtime, "external");
        let recorded = harness.recorded(there).await;
        assert_eq!(recorded[0].0, "WORKSPACE_PROVISIONING");
        // The canvas places it by what it is announced with.
        assert!(
            recorded[0].1["x"].is_number() && recorded[0].1["runtime"] == "external",
            "{}",
            recorded[0].1
        );
        assert_eq!(
            recorded[1..],
            [(
                "WORKSPACE_ONLINE".to_owned(),
                json!({ "name": "There", "external": true })
            )]
        );
        assert!(harness.backend.calls().is_empty());
    }

    async fn without_a_backend_every_node_fails(url: String) {
        // PROV-137, PROV-O13, ACT-90
        let harness = Harness::without_backend(&url).await;
        let request = ImportOrg {
            dir: Some("starter".to_owned()),
            runtime: Some("echo".into()),
            ..ImportOrg::default()
        };
        let imported = harness.platform.orgs.import(request).await.unwrap();
        for workspace in imported.workspaces {
            harness.until_status(workspace.id, WorkspaceStatus::Failed).await;
            assert_eq!(
                harness.payloads(workspace.id, "WORKSPACE_PROVISION_FAILED").await.len(),
                1
            );
        }
    }

    async fn one_bad_field_refuses_the_whole_template(url: String) {
        // PROV-140, LIFE-63: nothing is created before everything is checked, and what is wrong is named by its place.
        let harness = Harness::new(&url).await;
        let bad = [
            (
                json!({ "name": "a\u{200b}b" }),
                "name contains invalid characters: U+200B does not show",
            ),
            (
                json!({ "name": "x".repeat(256) }),
                "name must be at most 255 characters",
            ),
            (json!({ "name": " " }), "name must not be blank"),
            (
                json!({ "name": "Two", "role": "a\u{1b}[0m" }),
                "role contains invalid characters: U+001B does not show",
            ),
            (
                json!({ "name": "Two", "model": "m".repeat(101) }),
                "model must be at most 100 characters",
            ),
        ];
        for (node, said) in bad {
            let mut template = json!({
                "name": "Team", "defaults": { "runtime": "echo" },
                "workspaces": [{ "name": "One", "children": [node] }],
            });
            let Err(ImportError::BadTemplate(refused)) = harness.platform.orgs.import(inline(template.clone())).await
            else {
                panic!("{template} is refused");
            };
            let detail = refused.detail().unwrap();
            assert!(
                detail.ends_with(&format!("workspaces[0].children[0].{said}")),
                "{detail}"
            );
            // What the operator has to bring comes first.
            template["required_env"] = json!(["A_KEY"]);
            let refused = harness.platform.orgs.import(inline(template)).await.unwrap_err();
            assert!(matches!(refused, ImportError::MissingEnv(_)), "{refused}");
        }
        assert!(harness.store.workspaces().await.unwrap().is_empty());
    }

    async fn texts_are_kept_as_they_are_written(url: String) {
        // PROV-43, D31
        let harness = Harness::new(&url).await;
        let role = format!("Plans & reviews (daily).\n{}", "More. ".repeat(300));
        let template = json!({ "name": "Team", "workspaces": [{ "name": "R&D [a|b] > 名前!\n", "role": role, "runtime": "echo" }] });
        let imported = harness.platform.orgs.import(inline(template)).await.unwrap();
        assert_eq!(imported.error, None);
        let id = imported.workspaces[0].id;
        harness.until_instance(id).await;
        let row = harness.row(id).await;
        assert_eq!(row.name, "R&D [a|b] > 名前!");
        let kept = row.role.unwrap();
        assert!(
            kept.starts_with("Plans & reviews (daily). More. ") && kept.len() > 1_000,
            "{kept}"
        );
        let config = String::from_utf8(harness.backend.spec(id).files["config.yaml"].content.clone()).unwrap();
        assert!(
            config.starts_with("name: \"R&D [a|b] > 名前!\"\ndescription: \"Plans & reviews (daily). More. "),
            "{config}"
        );
    }

    async fn what_cannot_work_is_refused_before_anything_is_created(url: String) {
        // PROV-134, PROV-165: a credential of each runtime that does not work without one
        let harness = Harness::new(&url).await;
        let starter = |runtime: Option<&str>| ImportOrg {
            dir: Some("starter".to_owned()),
            runtime: runtime.map(Into::into),
            ..ImportOrg::default()
        };
        let missing = async |request| match harness.platform.orgs.import(request).await {
            Err(ImportError::MissingEnv(missing)) => missing.missing_env[0]["any_of"].clone(),
            other => panic!("{other:?}"),
        };
        let native = missing(starter(None)).await;
        for name in ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "MOLECULE_LLM_BASE_URL"] {
            assert!(native.as_array().unwrap().contains(&json!(name)), "{native}");
        }
        let codex = missing(starter(Some("codex"))).await;
        assert!(
            codex.as_array().unwrap().contains(&json!("OPENAI_API_KEY")) && codex != native,
            "{codex}"
        );
        assert!(harness.store.workspaces().await.unwrap().is_empty());
        // No override, no rule of ours: PROV-135.
        let plain = inline(json!({ "name": "Team", "workspaces": [{ "name": "A", "runtime": "claude-code" }] }));
        assert_eq!(harness.platform.orgs.import(plain).await.unwrap().count, 1);
        assert_eq!(
            harness.platform.orgs.import(starter(Some("echo"))).await.unwrap().count,
            3
        );
        harness
            .platform
            .secrets
            .set_global("OPENAI_API_KEY", "k")
            .await
            .unwrap();
        assert_eq!(harness.platform.orgs.import(starter(None)).await.unwrap().count, 3);
    }

    async fn a_second_import_can_be_refused_or_told_apart(url: String) {
        let harness = Harness::new(&url).await;
        let import = async |if_exists| {
            let template = json!({ "name": "Team", "workspaces": [
                { "name": "Lead", "runtime": "echo", "children": [{ "name": "Aide", "runtime": "echo" }] },
            ] });
            let request = ImportOrg {
                if_exists,
                ..inline(template)
            };
            let imported = harness.platform.orgs.import(request).await?;
            Ok::<_, ImportError>(
                imported
                    .workspaces
                    .into_iter()
                    .map(|workspace| workspace.name)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            import(IfExists::Refuse).await.unwrap(),
            ["Lead", "Aide"],
            "there is none yet"
        );
        let Err(ImportError::Exists(there)) = import(IfExists::Refuse).await else {
            panic!("it is refused")
        };
        assert_eq!(there, ["Lead"]);
        assert_eq!(harness.store.workspaces().await.unwrap().len(), 2);
        assert_eq!(import(IfExists::Number).await.unwrap(), ["Lead 2", "Aide"]);
        assert_eq!(import(IfExists::Number).await.unwrap(), ["Lead 3", "Aide"]);
        assert_eq!(import(IfExists::Create).await.unwrap(), ["Lead", "Aide"], "as ever");
    }

    async fn what_cannot_be_read_is_refused(url: String) {
        // PROV-133
        let harness = Harness::new(&url).await;
        let import = async |request| harness.platform.orgs.import(request).await.unwrap_err().to_string();
        assert_eq!(import(ImportOrg::default()).await, "provide 'dir' or 'template'");
        let dir = |dir: &str| ImportOrg {
            dir: Some(dir.to_owned()),
            ..ImportOrg::default()
        };
        assert_eq!(import(dir("../starter")).await, "invalid org directory");
        assert_eq!(import(dir("absent")).await, "org template not found: absent");
        assert_eq!(import(inline(json!({ "workspaces": 5 }))).await, "invalid request body");
        assert_eq!(import(inline(json!("x"))).await, "invalid request body");
        assert_eq!(
            import(inline(json!({ "workspaces": [] }))).await,
            "provide 'dir' or 'template'"
        );
        let runtime = ImportOrg {
            runtime: Some("langgraph".into()),
            ..dir("starter")
        };
        assert_eq!(import(runtime).await, "unknown runtime: langgraph");
        assert!(harness.store.workspaces().await.unwrap().is_empty());
    }
}
