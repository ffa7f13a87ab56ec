//! Changing a workspace (LIFE §7, D4).

use molecule_platform::workspaces::PatchError;
use molecule_testkit::both_engines;
use molecule_wire::workspaces::UpdateWorkspace;

use crate::common::*;

/// Every field with a value that is in order, and whether a workspace may change it itself (D4).
fn fields(parent: WorkspaceId) -> Vec<(&'static str, Value, bool)> {
    let all = json!({
        "name": "New", "role": "Writes", "collapsed": true, "x": 1.0, "y": 2.0,
        "tier": 3, "parent_id": parent, "runtime": "native", "workspace_dir": "/srv/project",
        "workspace_access": "read_only", "hibernation_idle_minutes": 5, "max_concurrent_tasks": 2,
    });
    let own = ["name", "role", "collapsed", "x", "y"];
    let one = |(field, value): (&String, &Value)| {
        let field: &'static str = field.clone().leak();
        (field, json!({ field: value }), own.contains(&field))
    };
    all.as_object().unwrap().iter().map(one).collect()
}

async fn patch(harness: &Harness, id: WorkspaceId, body: &Value, admin: bool) -> Result<(), PatchError> {
    let request: UpdateWorkspace = serde_json::from_value(body.clone()).unwrap();
    harness.platform.workspaces.patch(id, request, admin).await.map(drop)
}

both_engines! {
    async fn access_is_given_to_a_directory(url: String) {
        // OP-1
        let harness = Harness::new(&url).await;
        let id = harness.online("Writer").await;
        let untouched = harness.row(id).await;
        let access = json!({ "workspace_access": "read_write", "name": "Other" });
        let refused = patch(&harness, id, &access, true).await;
        assert!(matches!(refused, Err(PatchError::BadAccess)), "{refused:?}");
        assert_eq!(harness.row(id).await, untouched);
        let both = json!({ "workspace_access": "read_write", "workspace_dir": "/srv" });
        patch(&harness, id, &both, true).await.unwrap();
        let given = harness.row(id).await;
        for away in [json!({ "workspace_dir": "" }), json!({ "workspace_dir": null })] {
            let refused = patch(&harness, id, &away, true).await;
            assert!(matches!(refused, Err(PatchError::BadAccess)), "{refused:?}");
            assert_eq!(harness.row(id).await, given);
        }
        let neither = json!({ "workspace_access": "none", "workspace_dir": null });
        patch(&harness, id, &neither, true).await.unwrap();
    }

    async fn agents_change_their_name_role_and_layout_only(url: String) {
        // D4
        let harness = Harness::new(&url).await;
        let parent = harness.started("Lead").await;
        let id = harness.started("Writer").await;
        // Access is given to a directory.
        patch(&harness, id, &json!({ "workspace_dir": "/srv" }), true).await.unwrap();
        for (field, body, own) in fields(parent) {
            let before = harness.row(id).await;
            match patch(&harness, id, &body, false).await {
                Ok(()) => assert!(own, "{field}"),
                Err(PatchError::AdminOnly(refused)) => {
                    assert!(!own, "{field}");
                    assert_eq!(refused, field);
                    assert_eq!(harness.row(id).await, before);
                }
                Err(error) => panic!("{field}: {error}"),
            }
            patch(&harness, id, &body, true).await.unwrap();
        }
        let row = harness.row(id).await;
        assert_eq!(
            (row.runtime.as_str(), row.parent_id, row.tier),
            ("native", Some(parent), 3)
        );
        // One forbidden field spoils the rest.
        let both = json!({ "name": "Newer", "runtime": "echo" });
        assert!(matches!(
            patch(&harness, id, &both, false).await,
            Err(PatchError::AdminOnly("runtime"))
        ));
        assert_eq!(harness.row(id).await.name, "New");
    }

    async fn a_name_is_any_text_that_people_can_see(url: String) {
        // D31, LIFE-96
        let harness = Harness::new(&url).await;
        let id = harness.started("Lead").await;
        for (body, text) in [
            (
                json!({ "name": "n".repeat(256) }),
                "name must be at most 255 characters",
            ),
            (json!({ "name": "a\nb" }), "name must not contain newline characters"),
            (json!({ "name": "a\u{202e}b" }), "name contains invalid characters"),
            (json!({ "role": "a\nb" }), "role must not contain newline characters"),
        ] {
            let refused = patch(&harness, id, &body, false).await.unwrap_err();
            assert_eq!(refused.to_string(), text);
        }
        assert_eq!(harness.row(id).await.name, "Lead");
        patch(&harness, id, &json!({ "name": " 名前 [R&D]! ", "role": "{*}" }), false)
            .await
            .unwrap();
        let row = harness.row(id).await;
        assert_eq!((row.name.as_str(), row.role.as_deref()), ("名前 [R&D]!", Some("{*}")));
    }

    async fn who_runs_the_agent_does_not_change(url: String) {
        // D4, LIFE-3: a process on this host is started for managed workspaces only.
        let harness = Harness::new(&url).await;
        let managed = harness.started("Lead").await;
        let (external, _) = harness.polling("Laptop").await;
        let cases = [
            (managed, "external"),
            (managed, " external "),
            (external, "native"),
            (external, ""),
        ];
        for (id, runtime) in cases {
            let before = harness.row(id).await;
            let refused = patch(&harness, id, &json!({ "runtime": runtime }), true)
                .await
                .unwrap_err();
            assert_eq!(
                refused.to_string(),
                "runtime cannot change between external and managed: create another workspace instead"
            );
            assert_eq!(harness.row(id).await, before, "{runtime:?}");
        }
        patch(&harness, external, &json!({ "runtime": " external " }), true)
            .await
            .unwrap();
        assert_eq!(harness.row(external).await.runtime, "external");
        let unknown = patch(&harness, WorkspaceId::random(), &json!({ "runtime": "echo" }), true).await;
        assert!(matches!(unknown, Err(PatchError::NotFound)), "{unknown:?}");
    }
}
