//! Expand and collapse (LIFE §12).

use std::fs;

use molecule_platform::workspaces::CollapseError;
use molecule_testkit::both_engines;

use crate::common::*;

const LEAD: &str = "name: Lead
runtime: echo
sub_workspaces:
- config: writer
  name: Ann
  role: writes
- config: nowhere
- config: ../../escape
  name: Outside
- config: writer
  name: \"\\u202eevil\"
";

/// A platform whose templates are `Lead`'s and `writer`'s.
async fn with_team(url: &str) -> (Harness, tempfile::TempDir) {
    let root = tempfile::tempdir().unwrap();
    for (id, config) in [
        ("lead", LEAD),
        (
            "writer",
            "name: Writer\nruntime: echo\nruntime_config:\n  model: echo/one\n",
        ),
    ] {
        fs::create_dir(root.path().join(id)).unwrap();
        fs::write(root.path().join(id).join("config.yaml"), config).unwrap();
    }
    let mut options = Options::default();
    options.paths.templates = vec![root.path().to_path_buf()];
    (Harness::with(url, options).await, root)
}

both_engines! {
    async fn a_template_makes_a_team(url: String) {
        // LIFE-10, LIFE-43, LIFE-165, LIFE-166, LIFE-167, OP-12, ACT-91
        let (harness, _templates) = with_team(&url).await;
        let lead = harness.online("Lead").await;
        harness.set("workspaces", "id", lead, "tier = 1").await;
        let expanded = harness.platform.workspaces.expand(lead).await.unwrap();
        assert_eq!(expanded.status, "expanded");
        let names: Vec<_> = expanded.children.iter().map(|child| child.name.as_str()).collect();
        assert_eq!(
            names,
            ["Ann", "nowhere", "Outside"],
            "the one with a hidden character is left out"
        );
        assert_eq!(expanded.children[0].role.as_deref(), Some("writes"));
        assert_eq!(expanded.children[1].role, None);
        for child in &expanded.children {
            harness.until_instance(child.id).await;
            let (row, spec) = (harness.row(child.id).await, harness.backend.spec(child.id));
            assert_eq!((row.tier, row.parent_id, row.x, row.y), (1, Some(lead), 0.0, 0.0));
            assert_eq!(
                secrecy::ExposeSecret::expose_secret(&spec.env["PARENT_ID"]),
                lead.to_string()
            );
            assert!(spec.files.contains_key("config.yaml"));
            let announced = harness.payloads(child.id, "WORKSPACE_PROVISIONING").await.remove(0);
            assert_eq!(announced["parent_id"], lead.to_string());
        }
        assert_eq!(harness.row(expanded.children[0].id).await.runtime, "echo");
        let event = harness.payloads(lead, "WORKSPACE_EXPANDED").await.remove(0);
        assert_eq!(
            event["children"][0],
            json!({
                "id": expanded.children[0].id, "name": "Ann", "role": "writes",
            })
        );
        assert_eq!(event["children"][1]["role"], Value::Null);
        // Not idempotent.
        assert_eq!(
            harness.platform.workspaces.expand(lead).await.unwrap().children.len(),
            3
        );
        assert_eq!(harness.store.children(lead).await.unwrap().len(), 6);
    }

    async fn without_a_template_there_is_no_team(url: String) {
        // LIFE-164
        let (harness, _templates) = with_team(&url).await;
        let expand = async |id| harness.platform.workspaces.expand(id).await.unwrap_err().to_string();
        assert_eq!(expand(WorkspaceId::random()).await, "workspace not found");
        let nobody = harness.online("Nobody").await;
        assert_eq!(expand(nobody).await, "no config found for workspace");
        let writer = harness.online("Writer").await;
        assert_eq!(
            expand(writer).await,
            "workspace has no sub_workspaces defined in config"
        );
        assert!(harness.payloads(writer, "WORKSPACE_EXPANDED").await.is_empty());
    }

    async fn a_collapse_removes_everything_below(url: String) {
        // LIFE-34, LIFE-168, LIFE-169, OP-11, ACT-91
        let harness = Harness::new(&url).await;
        let lead = harness.online("Lead").await;
        let child = harness.online_below("Writer", Some(lead)).await;
        let grandchild = harness.online_below("Proof", Some(child)).await;
        let token = harness.agent(grandchild).await;
        harness.backend.every_stop(Stop::Fail);
        let Err(CollapseError::Stops(failures)) = harness.platform.workspaces.collapse(lead).await else {
            panic!("it is an error");
        };
        assert_eq!((failures.removed_count, failures.stop_failures), (2, 2));
        harness.backend.every_stop(Stop::Succeed);
        let again = harness.platform.workspaces.collapse(lead).await.unwrap();
        assert_eq!((again.status.as_str(), again.removed.len()), ("collapsed", 0));
        for id in [child, grandchild] {
            assert_eq!(harness.status(id).await, WorkspaceStatus::Removed);
            assert_eq!(
                harness.backend.instance(id),
                None,
                "a repetition stops what did not stop"
            );
            assert_eq!(harness.payloads(id, "WORKSPACE_REMOVED").await, [json!({})]);
        }
        assert_eq!(
            harness.payloads(lead, "WORKSPACE_COLLAPSED").await[0],
            json!({ "removed_children": ["Writer"] })
        );
        assert_eq!(harness.status(lead).await, WorkspaceStatus::Online);
        assert!(harness.backend.instance(lead).is_some());
        let beat = Heartbeat {
            workspace_id: grandchild.to_string(),
            ..Heartbeat::default()
        };
        assert!(harness.platform.registry.heartbeat(&token, beat).await.is_err());
        let unknown = harness.platform.workspaces.collapse(WorkspaceId::random()).await;
        assert!(matches!(unknown, Err(CollapseError::NotFound)));
    }
}
