//! Creating workspaces (LIFE §5, PROV §2).

use molecule_testkit::both_engines;
use secrecy::ExposeSecret;

use crate::common::*;

fn named(name: &str) -> CreateWorkspace {
    CreateWorkspace {
        name: name.to_owned(),
        runtime: Some("echo".into()),
        ..CreateWorkspace::default()
    }
}

async fn refusal(harness: &Harness, request: CreateWorkspace) -> String {
    let outcome = harness.platform.workspaces.create(request, "http://m.example").await;
    outcome.expect_err("it is refused").to_string()
}

/// A request that differs from a good one in one respect, and what is said of it.
type Bad = (&'static str, fn(&mut CreateWorkspace));

const BAD: &[Bad] = &[
    ("invalid workspace payload", |r| r.name.clear()),
    ("invalid workspace fields", |r| r.name = "n".repeat(256)), // LIFE-1
    ("invalid workspace fields", |r| r.name = "a\nb".to_owned()),
    ("invalid workspace fields", |r| r.name = "a\u{200b}b".to_owned()), // D31
    ("invalid workspace fields", |r| r.role = Some("a\u{1b}[0m".to_owned())),
    ("invalid workspace fields", |r| r.role = Some("r".repeat(1001))),
    ("invalid workspace fields", |r| r.model = Some("m".repeat(101))),
    ("invalid workspace fields", |r| r.runtime = Some("r\n".into())),
    ("delivery_mode must be 'push' or 'poll'", |r| {
        r.delivery_mode = Some("pigeon".into());
    }), // LIFE-5, LIFE-63
    ("invalid template", |r| r.template = Some("../escape".to_owned())), // LIFE-64
    ("invalid template", |r| {
        // OP-16: also when runtime and model leave nothing to be read from it
        r.template = Some("/etc".to_owned());
        r.model = Some("anthropic/x".to_owned());
    }),
    ("invalid workspace directory", |r| {
        r.workspace_dir = Some("relative".to_owned());
    }), // LIFE-2
    ("invalid workspace directory", |r| {
        r.workspace_dir = Some("/srv/../etc".to_owned());
    }),
    ("invalid workspace directory", |r| {
        r.workspace_dir = Some("/etc/x".to_owned());
    }),
    ("invalid workspace access", |r| {
        r.workspace_access = Some("sometimes".into());
    }),
    ("invalid workspace access", |r| {
        r.workspace_access = Some("read_only".into());
    }),
    ("budget_limit must not be negative", |r| r.budget_limit = Some(-1)),
    ("parent_id does not name a workspace", |r| {
        r.parent_id = Some("garbage".to_owned());
    }),
    ("parent_id does not name a workspace", |r| {
        r.parent_id = Some(WorkspaceId::random().to_string());
    }),
    ("invalid secret key: A=B", |r| {
        r.secrets = Some([("A=B".to_owned(), "x".to_owned())].into());
    }), // PROV-O9
    ("url points to a blocked address range (link-local)", |r| {
        r.external = true;
        r.url = Some("http://169.254.0.1:8000".to_owned());
    }),
    ("url scheme must be http or https", |r| {
        r.external = true;
        r.url = Some("ftp://agent.example".to_owned());
    }),
];

both_engines! {
    async fn a_managed_workspace_is_started_and_comes_online(url: String) {
        // LIFE-10, LIFE-14, LIFE-71, PROV-33, ACT-83, ACT-84, D13
        let harness = Harness::new(&url).await;
        harness.backend.endpoint("http://127.0.0.1:7001/");
        let created = harness
            .platform
            .workspaces
            .create(named("Lead"), "http://m.example")
            .await
            .unwrap();
        assert_eq!(created.status, WorkspaceStatus::Provisioning);
        assert_eq!(created.awareness_namespace, Some(format!("workspace:{}", created.id)));
        harness.until_instance(created.id).await;
        // The start itself changes no status: the agent's registration does.
        assert_eq!(harness.status(created.id).await, WorkspaceStatus::Provisioning);
        harness.register(created.id).await;

        let row = harness.row(created.id).await;
        assert_eq!(row.status, WorkspaceStatus::Online);
        assert_eq!((row.url.as_str(), row.url_assigned), ("http://127.0.0.1:7001/", true));
        assert_eq!(row.delivery_mode, Some(DeliveryMode::Push)); // LIFE-76
        assert_eq!(row.tier, 2); // D20
        let events = harness.recorded(created.id).await;
        let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["WORKSPACE_PROVISIONING", "WORKSPACE_ONLINE"]);
        assert_eq!(events[0].1, json!({ "name": "Lead", "runtime": "echo", "tier": 2 })); // PROV-9a: what is known
        let card = json!({ "name": "agent", "version": "1.0.0" });
        assert_eq!(
            events[1].1,
            json!({ "url": "http://127.0.0.1:7001/", "agent_card": card })
        );
        assert!(harness.backend.violations().is_empty());
    }

    async fn an_agent_that_registers_during_its_start_is_announced_with_its_address(url: String) {
        // LIFE-14, D13
        let harness = Harness::new(&url).await;
        harness.backend.endpoint("http://127.0.0.1:7001/");
        let gate = Gate::default();
        harness.backend.next_start(Start::Held(gate.clone()));
        let id = harness.create(named("Lead")).await;
        harness
            .backend
            .until("a start", |backend| backend.starts(id).len() == 1)
            .await;
        let open = async {
            // Gives the registration time to read the row as it is before the start has settled.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            gate.open();
        };
        tokio::join!(harness.register(id), open);
        let events = harness.payloads(id, "WORKSPACE_ONLINE").await;
        assert_eq!(events[0]["url"], "http://127.0.0.1:7001/");
    }

    async fn a_name_is_any_text_that_people_can_see(url: String) {
        // D31, PROV-43
        let harness = Harness::new(&url).await;
        let mut request = named(" R&D [a|b] {名前} > *! ");
        request.role = Some("Plans & reviews [daily]".to_owned());
        let id = harness.create(request).await;
        harness.until_instance(id).await;
        let row = harness.row(id).await;
        assert_eq!(
            (row.name.as_str(), row.role.as_deref()),
            ("R&D [a|b] {名前} > *!", Some("Plans & reviews [daily]"))
        );
        let config = String::from_utf8(harness.backend.spec(id).files["config.yaml"].content.clone()).unwrap();
        let expected = "name: \"R&D [a|b] {名前} > *!\"\ndescription: \"Plans & reviews [daily]\"\n";
        assert!(config.starts_with(expected), "{config}");
    }

    async fn what_is_refused_changes_nothing(url: String) {
        // LIFE-63, LIFE-66
        let harness = Harness::new(&url).await;
        for (text, spoil) in BAD {
            let mut request = named("Lead");
            spoil(&mut request);
            assert_eq!(&refusal(&harness, request).await, text);
        }
        assert!(harness.store.workspaces().await.unwrap().is_empty());
        assert!(harness.platform.history.newest(None).await.unwrap().is_empty());
        assert!(harness.backend.calls().is_empty());
    }

    async fn exactly_the_limit_is_accepted(url: String) {
        // LIFE-1
        let harness = Harness::new(&url).await;
        let id = harness
            .create(CreateWorkspace {
                role: Some("r".repeat(1000)),
                ..named(&"é".repeat(127))
            })
            .await;
        assert_eq!(harness.row(id).await.name.len(), 254);
    }

    async fn a_removed_parent_is_no_parent(url: String) {
        // OP-16
        let harness = Harness::new(&url).await;
        let parent = harness.started("Lead").await;
        harness.platform.workspaces.delete(parent, true, false).await.unwrap();
        let request = CreateWorkspace {
            parent_id: Some(parent.to_string()),
            ..named("Late")
        };
        assert_eq!(refusal(&harness, request).await, "parent_id does not name a workspace");
    }

    async fn secrets_model_role_and_parent_reach_the_agent(url: String) {
        // PROV-14, 18, 19, 20, 21, 22, 113; RUN-80a; LIFE-43, LIFE-66, LIFE-127
        let harness = Harness::new(&url).await;
        harness.platform.secrets.set_global("SHARED", "global").await.unwrap();
        harness
            .platform
            .secrets
            .set_global("OVERRIDDEN", "global")
            .await
            .unwrap();
        let parent = harness.started("Lead").await;
        let id = harness
            .create(CreateWorkspace {
                role: Some("writes".to_owned()),
                model: Some("anthropic/claude".to_owned()),
                parent_id: Some(parent.to_string()),
                max_concurrent_tasks: Some(3),
                secrets: Some([("OVERRIDDEN".to_owned(), "own".to_owned())].into()),
                ..named("Writer")
            })
            .await;
        harness.until_instance(id).await;
        let expected = [
            ("SHARED", "global"),
            ("OVERRIDDEN", "own"),
            ("MODEL", "anthropic/claude"),
            ("MODEL_PROVIDER", "anthropic/claude"),
            ("LLM_PROVIDER", "anthropic"),
            ("LLM_PROVIDER_ORIGIN", "derived"),
            ("MOLECULE_AGENT_ROLE", "writes"),
            ("MOLECULE_MAX_CONCURRENT_TASKS", "3"),
            ("PARENT_ID", &parent.to_string()),
            ("GIT_AUTHOR_NAME", "Molecule AI Writer"),
        ];
        let check = |env: &std::collections::BTreeMap<String, secrecy::SecretString>| {
            for (key, value) in expected {
                assert_eq!(env.get(key).map(ExposeSecret::expose_secret), Some(value), "{key}");
            }
        };
        check(&harness.backend.spec(id).env);
        assert!(
            !harness.backend.spec(parent).env.contains_key("PARENT_ID"),
            "absent, never empty"
        );
        // The second boot knows them too.
        harness.platform.provisioner.auto_restart(id);
        harness
            .backend
            .until("a second start", |backend| backend.starts(id).len() == 2)
            .await;
        check(&harness.backend.spec(id).env);
        assert!(
            !format!("{:?}", harness.backend.spec(id)).contains("own"),
            "secrets stay out of Debug"
        );
        // A choice replaces what was derived.
        harness.platform.secrets.set_provider(id, "mine").await.unwrap();
        harness.platform.provisioner.auto_restart(id);
        harness
            .backend
            .until("a third start", |backend| backend.starts(id).len() == 3)
            .await;
        let env = harness.backend.spec(id).env;
        assert_eq!(env["LLM_PROVIDER"].expose_secret(), "mine");
        assert!(!env.contains_key("LLM_PROVIDER_ORIGIN"));
    }

    async fn an_explicit_provider_is_kept(url: String) {
        // PROV-O10, RUN-80a
        let harness = Harness::new(&url).await;
        let secrets = [
            ("LLM_PROVIDER".to_owned(), "mine".to_owned()),
            ("MODEL_PROVIDER".to_owned(), "old".to_owned()),
        ];
        let request = CreateWorkspace {
            model: Some("anthropic/claude".to_owned()),
            secrets: Some(secrets.into()),
            ..named("Lead")
        };
        let id = harness.create(request).await;
        harness.until_instance(id).await;
        let env = harness.backend.spec(id).env;
        assert_eq!(env["LLM_PROVIDER"].expose_secret(), "mine");
        assert!(!env.contains_key("LLM_PROVIDER_ORIGIN"), "chosen, not derived");
        let secrets = &harness.platform.secrets;
        assert_eq!(secrets.provider(id).await.unwrap().value.as_deref(), Some("mine"));
        assert_eq!(
            secrets.model(id).await.unwrap().value.as_deref(),
            Some("anthropic/claude")
        );
    }

    async fn a_secret_that_cannot_be_stored_takes_the_row_with_it(url: String) {
        // LIFE-66, PROV-124
        let harness = Harness::new(&url).await;
        harness.sql("DROP TABLE workspace_secrets").await;
        let request = CreateWorkspace {
            model: Some("anthropic/x".to_owned()),
            ..named("Lead")
        };
        assert_eq!(refusal(&harness, request).await, "failed to create workspace");
        assert!(harness.store.workspaces().await.unwrap().is_empty());
        assert!(harness.platform.history.newest(None).await.unwrap().is_empty());
        assert!(harness.backend.calls().is_empty());
    }

    async fn without_a_backend_the_row_fails_with_every_remedy(url: String) {
        // LIFE-49, LIFE-50, LIFE-70, LIFE-71, PROV-3, PROV-9, ACT-90
        let harness = Harness::without_backend(&url).await;
        let created = harness
            .platform
            .workspaces
            .create(named("Lead"), "http://m.example")
            .await
            .unwrap();
        assert_eq!(created.status, WorkspaceStatus::Provisioning);
        harness.until_status(created.id, WorkspaceStatus::Failed).await;
        let failures = harness.payloads(created.id, "WORKSPACE_PROVISION_FAILED").await;
        assert_eq!(failures.len(), 1);
        let text = failures[0]["error"].as_str().unwrap();
        for remedy in [
            "MOLECULE_BACKEND",
            "process",
            "Docker daemon",
            "kubernetes",
            "control-plane",
        ] {
            assert!(text.contains(remedy), "{text}");
        }
        assert_eq!(harness.row(created.id).await.sample_error, text);
        let config = harness.store.workspace_config(created.id).await.unwrap().unwrap();
        assert_eq!((&config["name"], &config["runtime"]), (&json!("Lead"), &json!("echo")));
    }

    async fn an_external_workspace_without_url_waits_for_its_agent(url: String) {
        // LIFE-13, LIFE-72, LIFE-74, LIFE-75, LIFE-76, LIFE-80, LIFE-81
        let harness = Harness::without_backend(&url).await;
        let request = CreateWorkspace {
            name: "Laptop".to_owned(),
            external: true,
            ..CreateWorkspace::default()
        };
        let created = harness
            .platform
            .workspaces
            .create(request, "http://m.example")
            .await
            .unwrap();
        assert_eq!(
            (created.status, created.external),
            (WorkspaceStatus::AwaitingAgent, Some(true))
        );
        let connection = created.connection.unwrap();
        let identity = harness.bearer(&connection.auth_token).await;
        assert_eq!(identity.workspace(), Some(created.id));
        assert!(!format!("{connection:?}").contains(&connection.auth_token));
        let row = harness.row(created.id).await;
        assert_eq!((row.runtime.as_str(), row.delivery_mode), ("external", None));
        let events = harness.recorded(created.id).await;
        let announced = json!({ "name": "Laptop", "tier": 2, "runtime": "external" });
        assert_eq!(
            events,
            [
                ("WORKSPACE_PROVISIONING".to_owned(), announced),
                (
                    "WORKSPACE_AWAITING_AGENT".to_owned(),
                    json!({ "name": "Laptop", "external": true })
                ),
            ]
        );
    }

    async fn an_external_workspace_with_url_is_online(url: String) {
        // LIFE-12, LIFE-73, LIFE-76, OP-16
        let harness = Harness::new(&url).await;
        let request = CreateWorkspace {
            name: "Laptop".to_owned(),
            runtime: Some("external".into()),
            url: Some("http://localhost:9/".to_owned()),
            ..CreateWorkspace::default()
        };
        let created = harness
            .platform
            .workspaces
            .create(request, "http://m.example")
            .await
            .unwrap();
        assert_eq!(created.status, WorkspaceStatus::Online);
        assert!(created.connection.is_none());
        let row = harness.row(created.id).await;
        assert_eq!((row.url.as_str(), row.url_assigned), ("http://localhost:9/", false));
        assert_eq!(row.delivery_mode, Some(DeliveryMode::Push));
        let events = harness.recorded(created.id).await;
        let announced = json!({ "name": "Laptop", "tier": 2, "runtime": "external" });
        assert_eq!(
            events,
            [
                ("WORKSPACE_PROVISIONING".to_owned(), announced),
                (
                    "WORKSPACE_ONLINE".to_owned(),
                    json!({ "name": "Laptop", "external": true })
                ),
            ]
        );
        assert!(harness.backend.calls().is_empty());
    }
}
