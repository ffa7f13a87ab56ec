//! Workspaces, organisations and templates.

use std::collections::BTreeMap;

use molecule_core::{DeliveryMode, WorkspaceStatus, validate::WorkspaceAccess};
use molecule_wire::{
    ErrorBody,
    orgs::{IfExists, ImportOrg, ImportedOrg, ImportedWorkspace, OrgTemplateView},
    templates::{ImportTemplate, ImportedTemplate, TemplateSummary},
    words::ErrorCode,
    workspaces::{
        CanvasPosition, CreateWorkspace, CreatedWorkspace, DeletedWorkspace, RestartWorkspace, RestartedWorkspace,
        UpdatedWorkspace, WorkspaceListItem, WorkspaceLogs, WorkspaceState, WorkspaceView,
    },
};
use serde_json::json;

use super::{Example, LEAD, NOW, SCOUT};

pub(super) fn examples() -> Vec<Example> {
    let mut all = vec![
        Example::of("list_workspaces").gives("200", [listed()]),
        Example::of("create_workspace").asks(creation()).gives("201", created()),
        Example::of("get_workspace").gives("200", view(Some(Some(NOW)))),
        // Not a typed value: it is only read here, because absent is not null.
        Example::of("update_workspace")
            .asks(json!({ "name": "Research lead", "role": null, "tier": 3, "x": 120.0, "y": 80.0 }))
            .gives(
                "200",
                UpdatedWorkspace {
                    status: "updated".to_owned(),
                    needs_restart: None,
                },
            ),
        Example::of("delete_workspace").gives(
            "200",
            DeletedWorkspace {
                status: "removed".to_owned(),
                cascade_deleted: 2,
            },
        ),
        Example::of("workspace_state").gives(
            "200",
            WorkspaceState {
                workspace_id: LEAD.to_string(),
                status: Some(WorkspaceStatus::Online),
                paused: Some(false),
                deleted: false,
            },
        ),
        restart(),
        Example::of("workspace_logs").gives(
            "200",
            WorkspaceLogs {
                output: "listening on 127.0.0.1:41287\n".to_owned(),
                truncated: false,
            },
        ),
    ];
    all.extend(organisations());
    all.extend(templates());
    all.extend(
        [
            "show_artifacts",
            "create_artifacts",
            "fork_artifacts",
            "artifacts_token",
        ]
        .map(absent),
    );
    all
}

fn creation() -> CreateWorkspace {
    CreateWorkspace {
        name: "Research lead".to_owned(),
        role: Some("Finds out what others ask for, and delegates".to_owned()),
        runtime: Some("native".into()),
        model: Some("anthropic:claude-sonnet-4-5".to_owned()),
        tier: Some(2),
        secrets: Some([("ANTHROPIC_API_KEY".to_owned(), "sk-ant-…".to_owned())].into()),
        canvas: Some(CanvasPosition { x: 120.0, y: 80.0 }),
        ..CreateWorkspace::default()
    }
}

fn created() -> CreatedWorkspace {
    CreatedWorkspace {
        id: LEAD,
        status: WorkspaceStatus::Provisioning,
        awareness_namespace: Some(format!("workspace:{LEAD}")),
        workspace_access: Some(WorkspaceAccess::None),
        external: None,
        connection: None,
    }
}

fn view(last_outbound_at: Option<Option<molecule_core::Timestamp>>) -> WorkspaceView {
    WorkspaceView {
        id: LEAD,
        name: "Research lead".to_owned(),
        role: Some("Finds out what others ask for, and delegates".to_owned()),
        tier: 2,
        status: WorkspaceStatus::Online,
        url: "http://127.0.0.1:41287".to_owned(),
        parent_id: None,
        active_tasks: 1,
        max_concurrent_tasks: 1,
        last_error_rate: 0.0,
        uptime_seconds: 3_600,
        runtime: "native".into(),
        delivery_mode: Some(DeliveryMode::Push),
        x: 120.0,
        y: 80.0,
        collapsed: false,
        agent_card: Some(json!({ "name": "Research lead", "version": "0.1.0" })),
        provision_timeout_ms: None,
        last_outbound_at,
    }
}

fn listed() -> WorkspaceListItem {
    WorkspaceListItem {
        workspace: view(None),
        budget_limit: None,
        monthly_spend: 0,
        current_task: "Summing up the answers".to_owned(),
        last_sample_error: String::new(),
        restarts: 0,
        workspace_dir: None,
    }
}

fn restart() -> Example {
    Example::of("restart_workspace")
        .asks(RestartWorkspace {
            reset: true,
            ..RestartWorkspace::default()
        })
        .gives(
            "200",
            RestartedWorkspace {
                status: "provisioning".to_owned(),
                config_dir: None,
                reset_session: Some(true),
                message: None,
            },
        )
}

fn organisations() -> Vec<Example> {
    let template = OrgTemplateView {
        dir: "research-team".to_owned(),
        name: "Research team".to_owned(),
        description: "A lead with two scouts".to_owned(),
        workspaces: 3,
        required_env: vec![json!({ "any_of": ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"] })],
        recommended_env: vec![json!("GITHUB_TOKEN")],
    };
    let import = ImportOrg {
        dir: Some("research-team".to_owned()),
        if_exists: IfExists::Refuse,
        ..ImportOrg::default()
    };
    let imported = ImportedOrg {
        org: "Research team".to_owned(),
        workspaces: vec![
            ImportedWorkspace {
                id: LEAD,
                name: "Research lead".to_owned(),
                tier: 2,
            },
            ImportedWorkspace {
                id: SCOUT,
                name: "Scout".to_owned(),
                tier: 2,
            },
        ],
        count: 2,
        error: None,
    };
    let stopped = ImportedOrg {
        error: Some("failed to create workspace".to_owned()),
        ..imported.clone()
    };
    vec![
        Example::of("list_org_templates").gives("200", [template]),
        Example::of("import_org")
            .asks(import)
            .gives("201", imported)
            .gives("207", stopped),
    ]
}

fn templates() -> Vec<Example> {
    let summary = TemplateSummary {
        id: "researcher".to_owned(),
        name: "Researcher".to_owned(),
        description: "Finds things out".to_owned(),
        tier: 2,
        runtime: "native".into(),
        required_env: vec!["ANTHROPIC_API_KEY".to_owned()],
        skills: vec!["web-search".to_owned()],
        skill_count: 1,
        ..TemplateSummary::default()
    };
    let files = [("system-prompt.md".to_owned(), "You find things out.\n".to_owned())];
    vec![
        Example::of("list_templates").gives("200", [summary]),
        Example::of("import_template")
            .asks(ImportTemplate {
                name: "Researcher".to_owned(),
                files: BTreeMap::from(files),
            })
            .gives(
                "201",
                ImportedTemplate {
                    status: "imported".to_owned(),
                    id: "researcher".to_owned(),
                    name: "Researcher".to_owned(),
                },
            ),
    ]
}

/// These answer nothing else.
fn absent(operation: &'static str) -> Example {
    Example::of(operation).gives(
        "501",
        ErrorBody {
            error: "artifacts need an account with a third party and are not part of this platform".to_owned(),
            code: Some(ErrorCode::NotImplemented.as_str().to_owned()),
        },
    )
}
