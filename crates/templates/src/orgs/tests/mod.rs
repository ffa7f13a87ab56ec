//! Whole templates: found, parsed, planned; and the ones that ship.

mod library;
mod shipped;

use std::{collections::BTreeMap, fs, path::Path};

use molecule_core::{Runtime, runtime::Allowlist, validate::WorkspaceAccess};
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::Catalogue;

/// A directory of organisation templates, workspace templates and plugins.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    /// One organisation `o` of that YAML.
    fn org(yaml: &str) -> Self {
        Self::new(&[("orgs/o/org.yaml", yaml)])
    }

    fn library(&self) -> OrgLibrary {
        OrgLibrary::new([self.0.path().join("orgs")])
    }

    fn catalogue(&self) -> Catalogue {
        Catalogue::new([self.0.path().join("workspaces")])
    }

    fn plan_with(&self, overrides: &ImportOverrides) -> OrgPlan {
        plan(
            &self.library().open("o").unwrap(),
            &self.catalogue(),
            Some(&self.0.path().join("plugins")),
            overrides,
        )
        .unwrap()
    }

    fn plan(&self) -> OrgPlan {
        self.plan_with(&ImportOverrides::default())
    }
}

fn process_env(name: &str) -> Option<String> {
    match name {
        "HOST_DIR" => Some("/srv/host".to_owned()),
        "ADMIN_TOKEN" => Some("leaked".to_owned()),
        _ => None,
    }
}

fn plan(
    template: &OrgTemplate,
    catalogue: &Catalogue,
    plugins: Option<&Path>,
    overrides: &ImportOverrides,
) -> Result<OrgPlan, OrgYamlError> {
    let allowlist = Allowlist::fallback();
    template.plan(PlanContext {
        allowlist: &allowlist,
        catalogue,
        plugins,
        process_env: &process_env,
        overrides,
    })
}

fn inline(template: &serde_json::Value) -> Result<OrgPlan, OrgYamlError> {
    plan(
        &OrgTemplate::inline(&template.to_string())?.expect("it has a name"),
        &Catalogue::new([]),
        None,
        &ImportOverrides::default(),
    )
}

fn config(node: &NodePlan) -> yaml_serde::Value {
    yaml_serde::from_slice(&config_files(node)["config.yaml"]).unwrap()
}

#[test]
fn everything_is_inherited_and_overridable() {
    // PROV-125, PROV-128, PROV-O2, LIFE-1
    let fixture = Fixture::org(
        "defaults: {runtime: codex, model: gpt-5, tier: 1, idle_prompt: tick, idle_interval_seconds: 30, initial_memories: [{content: d}]}\n\
         workspaces:\n\
         - {name: a}\n\
         - {name: b, runtime: hermes, model: m, tier: 3, idle_interval_seconds: 0, initial_memories: [{content: own, scope: team}], max_concurrent_tasks: -2}\n\
         - {name: c, runtime: langgraph, tier: 0, max_concurrent_tasks: 4, idle_interval_seconds: -5}\n",
    );
    let roots = fixture.plan().roots;
    let facts: Vec<_> = roots
        .iter()
        .map(|n| (n.runtime, n.model.as_deref(), n.tier, n.idle_interval_seconds))
        .collect();
    assert_eq!(
        facts,
        [
            (Runtime::Codex, Some("gpt-5"), 1, 30),
            (Runtime::Hermes, Some("m"), 3, 30),
            (Runtime::ClaudeCode, Some("gpt-5"), 1, 600),
        ]
    );
    assert_eq!(
        roots[0].memories,
        [MemorySeed {
            content: "d".into(),
            scope: String::new()
        }]
    );
    assert_eq!(
        roots[1].memories,
        [MemorySeed {
            content: "own".into(),
            scope: "team".into()
        }]
    );
    assert_eq!(
        roots.iter().map(|n| n.max_concurrent_tasks).collect::<Vec<_>>(),
        [1, 1, 4]
    );

    let bare = Fixture::org("workspaces: [{name: x}]\n").plan().roots.remove(0);
    assert_eq!(
        (bare.runtime, bare.model.as_deref(), bare.tier),
        (Runtime::ClaudeCode, None, 2)
    );
    assert_eq!(config(&bare)["model"], "sonnet");
}

#[test]
fn overrides_spare_external_workspaces_and_drop_foreign_models() {
    let yaml = "defaults: {runtime: claude-code, model: sonnet}\nworkspaces:\n- {name: a}\n- {name: n, runtime: native, model: local}\n\
                - {name: e, external: true, url: 'https://x.example', model: kept}\n";
    let fixture = Fixture::org(yaml);
    let facts = |overrides: ImportOverrides| -> Vec<(Runtime, Option<String>)> {
        fixture
            .plan_with(&overrides)
            .roots
            .iter()
            .map(|n| (n.runtime, n.model.clone()))
            .collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        facts(ImportOverrides {
            runtime: Some(Runtime::Native),
            model: None
        }),
        [
            (Runtime::Native, None),
            (Runtime::Native, some("local")),
            (Runtime::External, some("kept"))
        ]
    );
    assert_eq!(
        facts(ImportOverrides {
            runtime: None,
            model: some("m")
        }),
        [
            (Runtime::ClaudeCode, some("m")),
            (Runtime::Native, some("m")),
            (Runtime::External, some("kept"))
        ]
    );
    assert_eq!(
        facts(ImportOverrides {
            runtime: Some(Runtime::Echo),
            model: some("m")
        })[..2],
        [(Runtime::Echo, some("m")), (Runtime::Echo, some("m"))]
    );
}

#[test]
fn external_workspaces() {
    // PROV-149, PROV-O13
    let roots = Fixture::org(
        "workspaces: [{name: a, external: true, url: ' https://a.example '}, {name: b, runtime: external}, {name: c, url: 'https://ignored'}]",
    )
    .plan()
    .roots;
    let facts: Vec<_> = roots.iter().map(|n| (n.runtime, n.url.as_deref())).collect();
    let default = Runtime::ClaudeCode;
    assert_eq!(
        facts,
        [
            (Runtime::External, Some("https://a.example")),
            (Runtime::External, None),
            (default, None)
        ]
    );
}

#[test]
fn template_dir_and_generated_files() {
    // PROV-142, PROV-143, PROV-144, PROV-164
    let fixture = Fixture::new(&[
        (
            "orgs/o/org.yaml",
            "defaults: {initial_prompt_file: hello.md, category_routing: {a: [X], b: [Y]}}\nbackend: docker\n\
             workspaces:\n\
             - {name: files, files_dir: role, template: mine, idle_prompt_file: idle.md, system_prompt: inline, category_routing: {b: []}}\n\
             - {name: named, template: mine, backend: kubernetes}\n\
             - {name: default, template: gone}\n\
             - {name: escape, files_dir: ../../workspaces/mine, template: ../plugins, idle_prompt_file: hello.md}\n\
             - {name: none, runtime: hermes}\n",
        ),
        ("orgs/o/hello.md", "Hello\n"),
        ("orgs/o/role/idle.md", "Idle"),
        ("orgs/o/role/config.yaml", "name: loses\n"),
        ("workspaces/mine/config.yaml", ""),
        ("workspaces/claude-code-default/config.yaml", ""),
        ("plugins/p/x", ""),
    ]);
    let roots = fixture.plan().roots;
    let dir = |node: &NodePlan| {
        let path = node.template_dir.as_ref()?;
        Some(
            path.strip_prefix(fixture.0.path().canonicalize().unwrap())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
        )
    };
    let dirs: Vec<_> = roots.iter().map(|node| dir(node).unwrap_or_default()).collect();
    let default = "workspaces/claude-code-default";
    assert_eq!(dirs, ["orgs/o/role", "workspaces/mine", default, default, ""]);

    let files = config_files(&roots[0]);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["config.yaml", "system-prompt.md"]);
    assert_eq!(files["system-prompt.md"], b"inline");
    let yaml = config(&roots[0]);
    assert_eq!(
        (&yaml["name"], &yaml["initial_prompt"], &yaml["idle_prompt"]),
        (&"files".into(), &"Hello\n".into(), &"Idle".into())
    );
    assert_eq!(
        yaml["category_routing"],
        yaml_serde::from_str::<yaml_serde::Value>("{a: [X]}").unwrap()
    );
    assert_eq!(yaml["runtime_config"]["timeout"], 0);
    // A node without files_dir may use files of the organisation, one with a bad files_dir may not.
    assert_eq!(roots[3].idle_prompt, "");
    assert!(
        config_files(&roots[1]).len() == 1,
        "no system prompt of its own: the template's stays"
    );
}

#[test]
fn plugins_are_checked_and_copied() {
    // PROV-40, PROV-145, PROV-O17
    let fixture = Fixture::new(&[
        (
            "orgs/o/org.yaml",
            "defaults: {plugins: [p, q, ../orgs, gone]}\nworkspaces: [{name: a, plugins: ['!q', r]}]\n",
        ),
        ("plugins/p/rules/a.md", "rule"),
        ("plugins/p/.git/config", "no"),
        ("plugins/q/x", ""),
        ("plugins/r/plugin.yaml", "r"),
        ("secret", "s"),
    ]);
    std::os::unix::fs::symlink(fixture.0.path().join("secret"), fixture.0.path().join("plugins/p/link")).unwrap();
    let node = fixture.plan().roots.remove(0);
    assert_eq!(
        node.plugins.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["p", "r"]
    );
    let files = config_files(&node);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["config.yaml", "plugins/p/rules/a.md", "plugins/r/plugin.yaml"]);
}

#[test]
fn env_files_feed_secrets_channels_and_directories() {
    // PROV-146, PROV-148, PROV-O8, PROV-O17
    let fixture = Fixture::new(&[
        (
            "orgs/o/org.yaml",
            "workspaces:\n\
             - name: a\n  files_dir: role\n  workspace_dir: ${HOST_DIR}/a\n  workspace_access: read_write\n  channels:\n\
             \x20 - {type: telegram, config: {bot: '$BOT', chat: -100, price: '$5'}, allowed_users: [7]}\n\
             \x20 - {type: slack, enabled: false, config: {a: '${ADMIN_TOKEN}', b: '${NOPE}', c: '$NOPE'}}\n\
             \x20 - {config: {a: b}}\n\
             - {name: b, files_dir: ../o2}\n",
        ),
        ("orgs/o/.env", "BOT=org\nORG=1\n"),
        ("orgs/o/role/.env", "BOT='s3cr3t'\nEMPTY=\n"),
        ("orgs/o2/.env", "STOLEN=1\n"),
    ]);
    let roots = fixture.plan().roots;
    let env: BTreeMap<_, _> = roots[0]
        .env
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose_secret()))
        .collect();
    assert_eq!(env, BTreeMap::from([("BOT", "s3cr3t"), ("ORG", "1")]));
    assert_eq!(roots[1].env.keys().collect::<Vec<_>>(), ["BOT", "ORG"]);

    let channels = &roots[0].channels;
    let values: Vec<_> = channels[0].config.values().map(ExposeSecret::expose_secret).collect();
    assert_eq!(values, ["s3cr3t", "-100", "$5"]);
    assert_eq!((channels[0].skip_reason(), channels[0].enabled), (None, true));
    assert_eq!(channels[0].allowed_users, ["7"]);
    assert_eq!(
        channels[1].skip_reason().as_deref(),
        Some("missing env: [ADMIN_TOKEN NOPE]")
    );
    assert!(!channels[1].enabled);
    assert_eq!(channels[2].skip_reason().as_deref(), Some("empty type"));
    assert!(
        !format!("{:?}", roots[0]).contains("s3cr3t"),
        "no secret value in Debug"
    );

    let mount = roots[0].mount().unwrap();
    assert_eq!(
        (mount.dir.unwrap(), mount.access),
        ("/srv/host/a".into(), WorkspaceAccess::ReadWrite)
    );
}

#[test]
fn mounts_are_validated_per_workspace() {
    // PROV-60, PROV-140, LIFE-2
    let of = |dir: &str, access: &str| {
        let yaml = format!("workspaces: [{{name: a, workspace_dir: '{dir}', workspace_access: '{access}'}}]\n");
        Fixture::org(&yaml).plan().roots[0].mount()
    };
    assert_eq!(of("", ""), Ok(Mount::default()));
    assert_eq!(of("${UNSET}", "none"), Ok(Mount::default()));
    assert_eq!(of("/srv/x", "").unwrap().access, WorkspaceAccess::None);
    assert_eq!(of("/srv/x", "read_only").unwrap().access, WorkspaceAccess::ReadOnly);
    assert_eq!(of("/etc/x", ""), Err(InvalidMount::Dir));
    assert_eq!(of("relative", ""), Err(InvalidMount::Dir));
    assert_eq!(of("${HOST_DIR}/../etc", ""), Err(InvalidMount::Dir));
    assert_eq!(of("${UNSET}/x", ""), Err(InvalidMount::Unset(vec!["UNSET".into()])));
    assert_eq!(of("", "write"), Err(InvalidMount::Access));
    assert_eq!(
        of("", "read_only").unwrap_err().to_string(),
        "workspace_access read_only needs a workspace_dir"
    );
}

#[test]
fn schedules_need_a_prompt() {
    // PROV-147
    let fixture = Fixture::new(&[
        (
            "orgs/o/org.yaml",
            "workspaces:\n- name: a\n  files_dir: role\n  schedules:\n\
             \x20 - {name: inline, cron_expr: '0 9 * * *', prompt: go}\n\
             \x20 - {name: file, cron_expr: x, prompt_file: p.md, timezone: Europe/Berlin, enabled: false}\n\
             \x20 - {name: empty, cron_expr: '* * * * *'}\n\
             \x20 - {name: unreadable, prompt_file: none.md}\n",
        ),
        ("orgs/o/role/p.md", "from file"),
    ]);
    let plan = |name: &str, cron: &str, zone: &str, prompt: &str, enabled| SchedulePlan {
        name: name.into(),
        cron_expr: cron.into(),
        timezone: zone.into(),
        prompt: prompt.into(),
        enabled,
    };
    assert_eq!(
        fixture.plan().roots[0].schedules,
        [
            plan("inline", "0 9 * * *", "UTC", "go", true),
            plan("file", "x", "Europe/Berlin", "from file", false)
        ]
    );
}

#[test]
fn positions_are_absolute_and_relative() {
    // PROV-141
    let plan = Fixture::org(
        "workspaces: [{name: r, canvas: {x: 100, y: 50}, children: [{name: a, canvas: {x: 9, y: 9}}, {name: b, children: [{name: c}]}]}]\n",
    )
    .plan();
    assert_eq!(plan.count(), 4);
    let root = &plan.roots[0];
    let at = |x, y| Point { x, y };
    assert_eq!((root.position, root.offset), (at(100.0, 50.0), at(100.0, 50.0)));
    let (a, b) = (&root.children[0], &root.children[1]);
    assert_eq!((a.position, a.offset), (at(116.0, 180.0), at(16.0, 130.0)));
    assert_eq!((b.position, b.offset), (at(402.0, 180.0), at(302.0, 130.0)));
    assert_eq!(
        (b.children[0].position, b.children[0].offset),
        (at(418.0, 310.0), at(16.0, 130.0))
    );
}

#[test]
fn inline_templates() {
    // PROV-127, PROV-133, PROV-144
    let plan = inline(&json!({
        "name": "I", "global_memories": [{"content": "g", "scope": "LOCAL"}], "required_env": [{"any_of": ["A", "B"]}],
        "workspaces": [{"name": "a", "files_dir": "x", "workspace_dir": null, "children": [{"name": "b", "tier": 1}]}]
    }))
    .unwrap();
    assert_eq!((plan.name.as_str(), plan.count()), ("I", 2));
    // PROV-150
    assert_eq!(
        plan.global_memories,
        [MemorySeed {
            content: "g".into(),
            scope: "GLOBAL".into()
        }]
    );
    assert_eq!(
        serde_json::to_value(&plan.required_env).unwrap(),
        json!([{"any_of": ["A", "B"]}])
    );

    // PROV-133: without a name it is none.
    for unnamed in [json!({"workspaces": []}), json!({"name": " "}), json!([])] {
        assert!(
            OrgTemplate::inline(&unnamed.to_string()).unwrap().is_none(),
            "{unnamed}"
        );
    }
    // SEC-147: told in the words of the document.
    for (bad, said) in [
        (
            json!("text"),
            "template: invalid type: string \"text\", expected a mapping",
        ),
        (
            json!({"name": "I", "workspaces": [{"name": "a"}, {"name": "b", "tier": "x"}]}),
            "template.workspaces[1].tier: invalid type: string \"x\", expected a whole number",
        ),
        (
            json!({"name": "I", "workspaces": [{"name": "a", "tier": 3_000_000_000_i64}]}),
            "template.workspaces[0].tier: 3000000000 is out of range",
        ),
        (
            json!({"name": "I", "workspaces": [{"name": "a", "canvas": {"x": "left"}}]}),
            "template.workspaces[0].canvas.x: invalid type: string \"left\", expected a number",
        ),
        (
            json!({"name": "I", "workspaces": [5]}),
            "template.workspaces[0]: invalid type: integer `5`, expected a mapping",
        ),
        (
            json!({"name": "I", "workspaces": [{"schedules": ["x"]}]}),
            "template.workspaces[0].schedules[0]: invalid type: string \"x\", expected a mapping",
        ),
    ] {
        let error = inline(&bad).unwrap_err();
        assert_eq!(error.kind(), OrgErrorKind::Unreadable);
        assert_eq!(error.detail().as_deref(), Some(said));
    }
    for (bad, said) in [
        (
            json!({"name": "I", "workspaces": [{"name": "a", "initial_prompt_file": "/etc/passwd"}]}),
            "cannot refer",
        ),
        (
            json!({"name": "I", "defaults": {"idle_prompt_file": "f"}, "workspaces": [{"name": "a"}]}),
            "cannot refer",
        ),
        (
            json!({"name": "I", "workspaces": [{"name": "a", "schedules": [{"prompt_file": "f"}]}]}),
            "cannot refer",
        ),
        (
            json!({"name": "I", "workspaces": [{"name": "a"}, {"name": "b", "children": [{"role": "nameless"}]}]}),
            "workspaces[1].children[0].name must not be blank",
        ),
        (
            json!({"name": "I", "workspaces": [{"name": "a\u{202e}b"}]}),
            "workspaces[0].name contains invalid characters: U+202E does not show",
        ),
        (
            json!({"name": "I", "workspaces": [{"name": "a", "role": "\u{0}"}]}),
            "workspaces[0].role contains invalid characters: U+0000 does not show",
        ),
        (
            json!({"name": "I", "workspaces": [{"name": "a", "model": "m".repeat(101)}]}),
            "workspaces[0].model must be at most 100 characters",
        ),
    ] {
        let error = inline(&bad).unwrap_err();
        assert_eq!(error.kind(), OrgErrorKind::InvalidTemplate);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn texts_of_public_templates_are_taken_as_they_are_written() {
    // PROV-43, PROV-140, D31
    let long = "Reviews & merges. ".repeat(100);
    let fixture = Fixture::org(&format!(
        "name: T\nworkspaces:\n- name: >\n    R&D (Zürich) [a|b]\n  role: >\n    Plans work; reviews & merges (daily)\n    for {{all}} teams!\n\n    Second paragraph.\n  children:\n  - name: 名前\n    role: |\n      {long}\n"
    ));
    let plan = fixture.plan();
    let node = &plan.roots[0];
    assert_eq!(node.name, "R&D (Zürich) [a|b]");
    assert_eq!(
        node.role,
        "Plans work; reviews & merges (daily) for {all} teams! Second paragraph."
    );
    let yaml = config(node);
    assert_eq!(
        (&yaml["name"], &yaml["description"]),
        (&node.name.as_str().into(), &node.role.as_str().into())
    );
    let child = &node.children[0];
    assert_eq!((child.name.as_str(), child.role.as_str()), ("名前", long.trim()));
    assert!(child.role.len() > molecule_core::limits::ROLE_BYTES);
}
