//! The catalogue over a directory, and everything that ships.

use std::{fs, path::Path, time::Duration};

use molecule_core::{Runtime, runtime::Allowlist};

use super::*;

struct Fixture {
    root: tempfile::TempDir,
}

impl Fixture {
    fn new(templates: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (id, config) in templates {
            fs::create_dir_all(root.path().join(id)).unwrap();
            fs::write(root.path().join(id).join("config.yaml"), config).unwrap();
        }
        Self { root }
    }

    fn catalogue(&self) -> Catalogue {
        Catalogue::new([self.root.path().to_owned()])
    }
}

fn ids(catalogue: &Catalogue) -> Vec<String> {
    catalogue.list().into_iter().map(|(found, _)| found.id).collect()
}

#[test]
fn list_skips_what_is_no_template() {
    // PROV-103, PROV-104
    let fixture = Fixture::new(&[
        ("good", "name: G\n"),
        ("bad", "providers: text\n"),
        (".hidden", "name: H\n"),
    ]);
    fs::write(fixture.root.path().join("file"), "x").unwrap();
    fs::create_dir(fixture.root.path().join("empty")).unwrap();
    fs::create_dir_all(fixture.root.path().join("dir-as-config/config.yaml")).unwrap();
    assert_eq!(ids(&fixture.catalogue()), ["good"]);
    assert!(ids(&Catalogue::new(["/nonexistent/templates".into()])).is_empty());
}

#[test]
fn list_does_not_read_through_links_that_leave() {
    // PROV-O8
    let outside = Fixture::new(&[("secret", "name: S\n")]);
    let fixture = Fixture::new(&[("own", "name: O\n")]);
    std::os::unix::fs::symlink(outside.root.path().join("secret"), fixture.root.path().join("dir")).unwrap();
    fs::create_dir(fixture.root.path().join("sneaky")).unwrap();
    let target = outside.root.path().join("secret/config.yaml");
    std::os::unix::fs::symlink(target, fixture.root.path().join("sneaky/config.yaml")).unwrap();
    assert_eq!(ids(&fixture.catalogue()), ["own"]);
    assert_eq!(fixture.catalogue().resolve("dir"), Err(InvalidTemplate));
}

#[test]
fn the_first_root_shadows_the_next() {
    let operator = Fixture::new(&[("a", "name: mine\n")]);
    let shipped = Fixture::new(&[("a", "name: theirs\n"), ("b", "name: B\n")]);
    fs::create_dir(operator.root.path().join("b")).unwrap();
    let catalogue = Catalogue::new([operator.root.path().to_owned(), shipped.root.path().to_owned()]);
    let names: Vec<_> = catalogue.list().into_iter().map(|(_, config)| config.name).collect();
    assert_eq!(
        names,
        ["mine", "B"],
        "a directory without config.yaml hides no template"
    );
}

#[test]
fn resolve_is_bounded() {
    // PROV-40, PROV-41, SEC-194
    let fixture = Fixture::new(&[("a", ""), ("nested/b", "")]);
    let catalogue = fixture.catalogue();
    assert_eq!(catalogue.resolve("a").unwrap().unwrap().id, "a");
    assert!(catalogue.resolve("nested/b").unwrap().is_some());
    assert_eq!(catalogue.resolve("absent"), Ok(None));
    for bad in ["", "..", "../a", "/a", "a/../..", ".", "a/..", "x\0"] {
        assert_eq!(catalogue.resolve(bad), Err(InvalidTemplate), "{bad:?}");
    }
    assert_eq!(Catalogue::new([]).resolve("../a"), Err(InvalidTemplate));
    assert_eq!(InvalidTemplate.to_string(), "invalid template");
}

#[test]
fn creation_chooses_template_default_or_generated() {
    // PROV-41, LIFE-69
    let fixture = Fixture::new(&[("mine", ""), ("codex-default", "")]);
    let choose = |template, runtime| choose_create(&fixture.catalogue(), template, runtime);
    let id = |source: CreateSource| match source {
        CreateSource::Template(found) => found.id,
        CreateSource::Generated => "generated".to_owned(),
    };
    assert_eq!(id(choose(None, Runtime::Codex).unwrap()), "generated");
    assert_eq!(id(choose(Some(""), Runtime::Codex).unwrap()), "generated");
    assert_eq!(id(choose(Some("mine"), Runtime::Codex).unwrap()), "mine");
    assert_eq!(id(choose(Some("gone"), Runtime::Codex).unwrap()), "codex-default");
    assert_eq!(id(choose(Some("gone"), Runtime::Hermes).unwrap()), "generated");
    assert_eq!(choose(Some("../mine"), Runtime::Codex), Err(InvalidTemplate));
}

#[test]
fn defaults_come_from_the_template() {
    // PROV-42, LIFE-65
    let fixture = Fixture::new(&[
        (
            "both",
            "runtime: \"codex\"\nmodel: top\nruntime_config: {model: 'inner'}\nproviders: not-a-list\n",
        ),
        ("top", "model: top\n"),
        ("broken", "runtime: [\n"),
    ]);
    let catalogue = fixture.catalogue();
    let of = |id: &str| catalogue.defaults(&catalogue.resolve(id).unwrap().unwrap());
    assert_eq!(
        of("both"),
        TemplateDefaults {
            runtime: Some("codex".into()),
            model: Some("inner".into())
        }
    );
    assert_eq!(
        of("top"),
        TemplateDefaults {
            runtime: None,
            model: Some("top".into())
        }
    );
    assert_eq!(of("broken"), TemplateDefaults::default());
}

#[test]
fn recovery_prefers_default_and_needs_a_config() {
    // PROV-28, PROV-29, LIFE-134
    let fixture = Fixture::new(&[("codex", ""), ("claude-code-default", ""), ("claude-code", "")]);
    fs::create_dir(fixture.root.path().join("codex-default")).unwrap();
    let id = |runtime| fixture.catalogue().recover(runtime).map(|found| found.id);
    assert_eq!(id(Runtime::Codex).as_deref(), Some("codex"));
    assert_eq!(id(Runtime::ClaudeCode).as_deref(), Some("claude-code-default"));
    assert_eq!(id(Runtime::Hermes), None);
}

#[test]
fn by_name_takes_directory_then_config_name() {
    // PROV-46, LIFE-129
    let fixture = Fixture::new(&[
        ("my-agent", "name: Other\n"),
        ("b", "name: The LEAD\n"),
        ("a", "name: the lead\n"),
        ("ws-1", "name: Ghost\n"),
    ]);
    let id = |name: &str| fixture.catalogue().by_name(name).map(|found| found.id);
    assert_eq!(id("My Agent").as_deref(), Some("my-agent"));
    assert_eq!(id("THE lead").as_deref(), Some("a"));
    assert_eq!(id("ghost"), None);
    for odd in ["", "../my-agent", ".", "nobody"] {
        assert_eq!(id(odd), None, "{odd:?}");
    }
}

#[test]
fn provision_timeouts_have_one_accessor() {
    // PROV-92, PROV-94, PROV-95, LIFE-189, LIFE-190, LIFE-191
    let with = |seconds: &str| format!("runtime: codex\nruntime_config: {{provision_timeout_seconds: {seconds}}}\n");
    let fixture = Fixture::new(&[
        ("a", &with("30")),
        ("b", &with("1200")),
        ("c", &with("-5")),
        (
            "broken",
            "runtime: codex\nruntime_config: {provision_timeout_seconds: soon}\n",
        ),
        ("no-runtime", "runtime_config: {provision_timeout_seconds: 9999}\n"),
        (
            "low",
            "runtime: hermes\nruntime_config: {provision_timeout_seconds: 60}\n",
        ),
    ]);
    let timeouts = ProvisionTimeouts::new(fixture.catalogue(), None);
    let seconds = Duration::from_secs;
    assert_eq!(timeouts.declared(Runtime::Codex), Some(seconds(1_200)));
    assert_eq!(timeouts.declared(Runtime::Native), None);
    assert_eq!(timeouts.provision_timeout(Runtime::Codex), seconds(1_200));
    assert_eq!(
        timeouts.provision_timeout(Runtime::Hermes),
        seconds(60),
        "a template may also shorten"
    );
    assert_eq!(timeouts.provision_timeout(Runtime::Native), seconds(600));

    // Read once per process.
    fs::remove_dir_all(fixture.root.path().join("b")).unwrap();
    assert_eq!(timeouts.declared(Runtime::Codex), Some(seconds(1_200)));

    let nothing = ProvisionTimeouts::new(Catalogue::new(["/nonexistent".into()]), None);
    assert_eq!(nothing.provision_timeout(Runtime::Hermes), seconds(1_800));
    let operator = ProvisionTimeouts::new(fixture.catalogue(), Some(seconds(42)));
    assert_eq!(operator.provision_timeout(Runtime::Codex), seconds(42));
}

fn shipped() -> (tempfile::TempDir, Catalogue) {
    let dir = tempfile::tempdir().unwrap();
    materialise_embedded(dir.path()).unwrap();
    let catalogue = Catalogue::new([workspaces_dir(dir.path())]);
    (dir, catalogue)
}

#[test]
fn every_shipped_template_is_complete() {
    // PROV-98, PROV-100, RUN-89, D6, UI-106
    let (_dir, catalogue) = shipped();
    let listed = catalogue.list();
    let on_disk = paths::subdirectories(&catalogue.roots()[0]);
    assert_eq!(
        listed.iter().map(|(found, _)| found.id.as_str()).collect::<Vec<_>>(),
        on_disk,
        "every directory decodes"
    );
    for runtime in Runtime::ALL.into_iter().filter(|runtime| runtime.is_managed()) {
        let found = catalogue
            .recover(runtime)
            .unwrap_or_else(|| panic!("no template for {runtime}"));
        let id = &found.id;
        let (_, config) = listed.iter().find(|(listed, _)| listed.id == *id).unwrap();
        assert_eq!(config.runtime, runtime.as_str());
        assert!(!config.name.is_empty() && !config.description.is_empty(), "{id}");
        assert!(
            (1..=2).contains(&config.tier),
            "{id}: privileged tiers are never a default (D20)"
        );
        let models = &config.runtime_config.models;
        let known: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let default = config.listed_model();
        // RUN-6: `native` finds the model itself that fits the credential it has.
        let left_open = known.is_empty() || runtime == Runtime::Native;
        assert!(
            if left_open {
                default.is_empty()
            } else {
                known.contains(&default)
            },
            "{id}: default model is listed"
        );
        assert_eq!(
            known.is_empty(),
            matches!(runtime, Runtime::Echo | Runtime::Exec),
            "{id}"
        );
        for file in prompt_files(&found.dir) {
            assert!(found.dir.join(&file).is_file(), "{id}/{file}");
        }
    }
}

#[test]
fn shipped_templates_use_only_keys_the_agent_knows() {
    // RUN-89
    let (_dir, catalogue) = shipped();
    let top = "name description role version tier runtime model provider runtime_config providers initial_prompt \
               initial_prompt_file idle_prompt idle_prompt_file idle_interval_seconds skills plugins tools prompt_files \
               sub_workspaces a2a delegation sandbox rbac hitl governance security_scan compliance effort task_budget env \
               template_schema_version memory";
    let inner = "command args required_env timeout model provider provision_timeout_seconds models providers";
    for (Found { id, dir }, _) in catalogue.list() {
        let config: yaml_serde::Value = yaml_serde::from_slice(&fs::read(dir.join("config.yaml")).unwrap()).unwrap();
        let check = |value: &yaml_serde::Value, allowed: &str| {
            for key in value.as_mapping().unwrap().keys() {
                let key = key.as_str().unwrap();
                assert!(allowed.split_whitespace().any(|known| known == key), "{id}: {key}");
            }
        };
        check(&config, top);
        check(&config["runtime_config"], inner);
        assert_eq!(config["runtime_config"]["timeout"], 0, "{id}: PROV-44");
    }
}

fn prompt_files(dir: &Path) -> Vec<String> {
    let config: yaml_serde::Value = yaml_serde::from_slice(&fs::read(dir.join("config.yaml")).unwrap()).unwrap();
    let listed = config
        .get("prompt_files")
        .and_then(|files| files.as_sequence())
        .cloned()
        .unwrap_or_default();
    let listed: Vec<String> = listed.iter().map(|file| file.as_str().unwrap().to_owned()).collect();
    if listed.is_empty() {
        vec!["system-prompt.md".to_owned()]
    } else {
        listed
    }
}

#[test]
fn the_shipped_manifest_is_that_of_the_spec() {
    // PROV-89, PROV-89a
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/manifest.json");
    let loaded = load_allowlist(std::slice::from_ref(&path));
    assert_eq!(loaded.manifest, Some(path.clone()));
    assert_eq!(loaded.allowlist, Allowlist::fallback());
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let names: Vec<_> = manifest["workspace_templates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].clone())
        .collect();
    assert_eq!(names, ["claude-code-default", "hermes", "openclaw", "codex"]);
}
