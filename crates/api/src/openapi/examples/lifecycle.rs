//! Pausing, sleeping, teams, agents on record, and coming back.

use molecule_core::{AgentId, WorkspaceStatus};
use molecule_wire::{
    agents::{AssignAgent, AssignedAgent, MoveAgent, MovedAgent, RemovedAgent, ReplacedAgent},
    workspaces::{
        BootstrapFailed, BootstrapNoted, Budget, CollapsedWorkspace, ExpandedWorkspace, HibernatedWorkspace,
        PausedWorkspace, RestoredWorkspace, ResumedWorkspace, TeamMember, WokenWorkspace,
    },
};
use serde_json::json;

use super::{Example, LEAD, SCOUT};

const AGENT: AgentId = AgentId::from_u128(0x3f2c_8a10_5b7e_4c21_9d33_0a6b_1c2d_3e4f);
const MODEL: &str = "anthropic:claude-sonnet-4-5";

pub(super) fn examples() -> Vec<Example> {
    [sleep(), teams(), agents(), returns(), budgets()]
        .into_iter()
        .flatten()
        .collect()
}

fn sleep() -> Vec<Example> {
    let status = |word: &str| word.to_owned();
    vec![
        Example::of("pause_workspace").gives(
            "200",
            PausedWorkspace {
                status: status("paused"),
                paused_count: 3,
            },
        ),
        Example::of("resume_workspace").gives(
            "200",
            ResumedWorkspace {
                status: status("provisioning"),
                resumed_count: 3,
            },
        ),
        Example::of("hibernate_workspace").gives(
            "200",
            HibernatedWorkspace {
                status: status("hibernated"),
            },
        ),
        Example::of("wake_workspace").gives(
            "200",
            WokenWorkspace {
                status: status("waking"),
            },
        ),
    ]
}

fn budgets() -> Vec<Example> {
    let budget = Budget {
        budget_limit: Some(5_000),
        monthly_spend: 1_250,
        budget_remaining: Some(3_750),
    };
    vec![
        Example::of("workspace_budget").gives("200", budget.clone()),
        // Not a typed value: it is only read here, because absent is not null.
        Example::of("set_workspace_budget")
            .asks(json!({ "budget_limit": 5_000 }))
            .gives("200", budget),
    ]
}

fn teams() -> Vec<Example> {
    vec![
        Example::of("expand_workspace").gives(
            "200",
            ExpandedWorkspace {
                status: "expanded".to_owned(),
                children: vec![TeamMember {
                    id: SCOUT,
                    name: "Scout".to_owned(),
                    role: Some("Reads what is new".to_owned()),
                }],
            },
        ),
        Example::of("collapse_workspace").gives(
            "200",
            CollapsedWorkspace {
                status: "collapsed".to_owned(),
                removed: vec!["Scout".to_owned()],
            },
        ),
    ]
}

fn agents() -> Vec<Example> {
    let model = || MODEL.to_owned();
    let moved = MovedAgent {
        agent_id: AGENT,
        model: model(),
        from_workspace: LEAD,
        to_workspace: SCOUT,
    };
    vec![
        Example::of("assign_agent").asks(AssignAgent { model: model() }).gives(
            "201",
            AssignedAgent {
                agent_id: AGENT,
                model: model(),
            },
        ),
        Example::of("replace_agent").asks(AssignAgent { model: model() }).gives(
            "200",
            ReplacedAgent {
                agent_id: AGENT,
                model: model(),
                old_model: "openai:gpt-5".to_owned(),
            },
        ),
        Example::of("remove_agent").gives(
            "200",
            RemovedAgent {
                status: "removed".to_owned(),
                agent_id: AGENT,
            },
        ),
        Example::of("move_agent")
            .asks(MoveAgent {
                target_workspace_id: SCOUT.to_string(),
            })
            .gives("200", moved),
    ]
}

fn returns() -> Vec<Example> {
    vec![
        Example::of("restore_workspace").gives(
            "200",
            RestoredWorkspace {
                id: LEAD,
                status: WorkspaceStatus::Provisioning,
                connection: None,
            },
        ),
        Example::of("report_failed_bootstrap")
            .asks(BootstrapFailed {
                error: "the disk is full".to_owned(),
                log_tail: "no space left on device\n".to_owned(),
            })
            .gives(
                "200",
                BootstrapNoted {
                    ok: true,
                    no_change: None,
                },
            ),
    ]
}
