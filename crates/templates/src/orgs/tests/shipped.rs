//! The organisations that ship.

use std::fs;

use molecule_core::Runtime;

use super::{config, plan};
use crate::{
    Catalogue, materialise_embedded,
    orgs::{ImportOverrides, Mount, NodePlan, OrgLibrary},
    orgs_dir, workspaces_dir,
};

struct Shipped {
    _dir: tempfile::TempDir,
    library: OrgLibrary,
    catalogue: Catalogue,
}

fn shipped() -> Shipped {
    let dir = tempfile::tempdir().unwrap();
    materialise_embedded(dir.path()).unwrap();
    let library = OrgLibrary::new([orgs_dir(dir.path())]);
    let catalogue = Catalogue::new([workspaces_dir(dir.path())]);
    Shipped {
        _dir: dir,
        library,
        catalogue,
    }
}

fn all(nodes: &[NodePlan]) -> Vec<&NodePlan> {
    nodes
        .iter()
        .flat_map(|node| std::iter::once(node).chain(all(&node.children)))
        .collect()
}

#[test]
fn every_shipped_org_plans_completely_on_every_runtime() {
    // PROV-128, PROV-164, D6
    let shipped = shipped();
    let listed = shipped.library.list();
    assert_eq!(
        listed.iter().map(|org| org.dir.as_str()).collect::<Vec<_>>(),
        ["software-team", "starter"]
    );
    for org in &listed {
        assert!(!org.name.is_empty() && !org.description.is_empty());
        let template = shipped.library.open(&org.dir).unwrap();
        for runtime in std::iter::once(None).chain(Runtime::ALL.into_iter().filter(|r| r.is_managed()).map(Some)) {
            let overrides = ImportOverrides { runtime, model: None };
            let plan = plan(&template, &shipped.catalogue, None, &overrides).unwrap();
            assert_eq!(plan.count(), org.workspaces);
            for node in all(&plan.roots) {
                assert!(runtime.is_none_or(|runtime| node.runtime == runtime));
                assert!(
                    (1..=2).contains(&node.tier),
                    "privileged tiers are never a default (D20)"
                );
                let prompt = node.template_dir.as_ref().unwrap().join("system-prompt.md");
                let prompt = fs::read_to_string(prompt).unwrap();
                assert!(
                    prompt.len() > 1_000 && prompt.starts_with(&format!("# {}\n", node.name)),
                    "{}",
                    node.name
                );
                molecule_core::validate::name(&node.name).unwrap();
                molecule_core::validate::role(&node.role).unwrap();
                assert_eq!(config(node)["runtime"], node.runtime.as_str());
                // RUN-6: one vendor's model would break the team on every other endpoint.
                assert_eq!(node.model, None, "{}", node.name);
                assert_eq!(node.mount(), Ok(Mount::default()));
            }
        }
    }
}

#[test]
fn prompts_of_shipped_orgs_name_colleagues_that_exist() {
    let shipped = shipped();
    for org in shipped.library.list() {
        let plan = plan(
            &shipped.library.open(&org.dir).unwrap(),
            &shipped.catalogue,
            None,
            &ImportOverrides::default(),
        )
        .unwrap();
        let names: Vec<&str> = all(&plan.roots).iter().map(|node| node.name.as_str()).collect();
        for node in all(&plan.roots) {
            let prompt = fs::read_to_string(node.template_dir.as_ref().unwrap().join("system-prompt.md")).unwrap();
            // A colleague is introduced in bold at the start of a list item.
            for line in prompt.lines().filter_map(|line| line.strip_prefix("- **")) {
                let Some((bold, _)) = line.split_once("** ") else {
                    continue;
                };
                assert!(bold.ends_with(':') || names.contains(&bold), "{}: {bold}", node.name);
            }
            for child in &node.children {
                assert!(
                    prompt.contains(&format!("- **{}** ", child.name)),
                    "{} does not know {}",
                    node.name,
                    child.name
                );
            }
        }
    }
}

#[test]
fn the_starter_team_is_three_agents_that_need_no_key() {
    // PROV-135: nothing required, so the import works with echo on a fresh installation
    let shipped = shipped();
    let template = shipped.library.open("starter").unwrap();
    let plan = plan(&template, &shipped.catalogue, None, &ImportOverrides::default()).unwrap();
    assert!(plan.required_env.is_empty());
    let [lead] = plan.roots.as_slice() else {
        panic!("one root")
    };
    assert_eq!((lead.name.as_str(), lead.runtime), ("Lead", Runtime::Native));
    assert_eq!(
        lead.children.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(),
        ["Researcher", "Writer"]
    );
}

#[test]
fn skills_of_shipped_roles_come_with_their_templates() {
    // RUN-32, PROV-45: the template's directory is what the backend copies
    let shipped = shipped();
    let template = shipped.library.open("software-team").unwrap();
    let plan = plan(&template, &shipped.catalogue, None, &ImportOverrides::default()).unwrap();
    let mut found = Vec::new();
    for node in all(&plan.roots) {
        let Ok(skills) = fs::read_dir(node.template_dir.as_ref().unwrap().join("skills")) else {
            continue;
        };
        for skill in skills {
            let skill = skill.unwrap();
            let text = fs::read_to_string(skill.path().join("SKILL.md")).unwrap();
            let (front, body) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
            let meta: yaml_serde::Value = yaml_serde::from_str(front).unwrap();
            for key in ["name", "description"] {
                assert!(
                    meta[key].as_str().is_some_and(|text| !text.is_empty()),
                    "{:?}: {key}",
                    skill.path()
                );
            }
            assert!(!body.trim().is_empty());
            found.push(format!("{}: {}", node.name, skill.file_name().to_str().unwrap()));
        }
    }
    assert_eq!(
        found,
        ["Backend Engineer: schema-migration", "QA Engineer: flaky-tests"]
    );
}
