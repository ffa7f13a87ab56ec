//! Finding, opening and listing templates.

use molecule_core::runtime::Allowlist;
use serde_json::json;

use super::Fixture;
use crate::{
    ConfigSource, RestartRequest, choose_restart,
    orgs::{OrgErrorKind, OrgLibrary, RestartSources},
};

#[test]
fn open_tells_apart_what_the_api_tells_apart() {
    // PROV-40, PROV-133, PROV-O14, SEC-194
    let fixture = Fixture::new(&[
        ("orgs/yml/org.yml", "name: yml\n"),
        ("orgs/both/org.yaml", "name: first\n"),
        ("orgs/both/org.yml", "name: second\n"),
        ("orgs/empty/readme", ""),
        ("orgs/syntax/org.yaml", "name: [\n"),
        ("orgs/shape/org.yaml", "name: x\nworkspaces:\n- name: a\n  tier: two\n"),
        ("orgs/nested/org.yaml", "name: x\nworkspaces: !include w.yaml\n"),
        ("orgs/nested/w.yaml", "- {name: a, children: [{name: b, tier: two}]}\n"),
        ("orgs/include/org.yaml", "workspaces: !include ../yml/org.yml\n"),
        ("elsewhere/org.yaml", "name: out\n"),
    ]);
    let library = fixture.library();
    assert_eq!(library.open("yml").unwrap().document.name, "yml");
    assert_eq!(library.open("both").unwrap().document.name, "first");
    let failed = |dir: &str| {
        let error = library.open(dir).unwrap_err();
        (error.kind(), error.to_string())
    };
    for dir in ["", "..", "../elsewhere", "/etc", "yml/../.."] {
        assert_eq!(failed(dir).0, OrgErrorKind::InvalidDirectory, "{dir}");
    }
    for dir in ["absent", "empty"] {
        assert_eq!(failed(dir).0, OrgErrorKind::NotFound, "{dir}");
    }
    assert_eq!(failed("include").0, OrgErrorKind::Expansion);
    for (dir, said) in [
        ("syntax", "syntax/org.yaml:"),
        ("shape", "shape/org.yaml:4: workspaces[0].tier"),
        ("nested", "nested/org.yaml: workspaces[0].children[0].tier"),
    ] {
        let (kind, text) = failed(dir);
        assert_eq!(kind, OrgErrorKind::InvalidTemplate);
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn list_counts_recursively_and_skips_what_does_not_parse() {
    // PROV-131, PROV-132
    let fixture = Fixture::new(&[
        (
            "orgs/b/org.yml",
            "name: B\nworkspaces: [{name: x, required_env: [K], children: [{name: y}, {name: z}]}]\n",
        ),
        (
            "orgs/a/org.yaml",
            "name: A\ndescription: d\nrecommended_env: [{any_of: [X, Y]}]\n",
        ),
        ("orgs/broken/org.yaml", "workspaces: !include gone.yaml\n"),
        ("orgs/half/.git/HEAD", ""),
        ("orgs/file", ""),
    ]);
    assert_eq!(
        serde_json::to_value(fixture.library().list()).unwrap(),
        json!([
            {"dir": "a", "name": "A", "description": "d", "workspaces": 0, "required_env": [], "recommended_env": [{"any_of": ["X", "Y"]}]},
            {"dir": "b", "name": "B", "description": "", "workspaces": 3, "required_env": ["K"], "recommended_env": []}
        ])
    );
    assert!(OrgLibrary::new(["/nonexistent".into()]).list().is_empty());
}

#[test]
fn a_restart_can_rebuild_from_the_org_role() {
    // PROV-47 row 3, LIFE-130
    let fixture = Fixture::new(&[
        (
            "orgs/o/org.yaml",
            "workspaces: [{name: Lead, files_dir: roles/lead, children: [{name: No Files}]}]\n",
        ),
        ("orgs/o/roles/lead/system-prompt.md", ""),
        ("workspaces/codex-default/config.yaml", ""),
    ]);
    let (catalogue, orgs) = (fixture.catalogue(), fixture.library());
    let sources = RestartSources {
        catalogue: &catalogue,
        orgs: &orgs,
    };
    let choose = |request: RestartRequest<'_>| choose_restart(&request, &Allowlist::fallback(), &sources);
    let request = RestartRequest {
        rebuild_config: true,
        name: "lead",
        runtime: "codex",
        ..RestartRequest::default()
    };
    let source = choose(request);
    assert_eq!(source.label(), "org-templates/o/roles/lead");
    assert!(source.dir().unwrap().ends_with("orgs/o/roles/lead"));
    assert_eq!(
        choose(RestartRequest {
            name: "No Files",
            ..request
        }),
        ConfigSource::ExistingVolume
    );
    let applied = RestartRequest {
        name: "x",
        template: Some("../../etc"),
        apply_template: true,
        ..request
    };
    assert_eq!(choose(applied).label(), "codex-default");
}
