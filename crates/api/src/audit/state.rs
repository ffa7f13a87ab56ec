//! What is shown of a thing before and after a change: read the same way both times, and never a secret.

use molecule_core::WorkspaceId;
use molecule_platform::{
    secrets::SecretScope,
    workspaces::{BudgetError, Seen},
};
use serde_json::{Map, Value, json};

use crate::{route::Thing, state::ApiState};

/// Members of a workspace that its agent changes all the time; who decided what is not in them.
const REPORTED: [&str; 12] = [
    "url",
    "agent_card",
    "active_tasks",
    "current_task",
    "last_error_rate",
    "last_sample_error",
    "last_outbound_at",
    "last_heartbeat_at",
    "monthly_spend",
    "uptime_seconds",
    "created_at",
    "updated_at",
];

/// The thing as it is now; `None` if there is none, or if it cannot be read, which is logged.
pub(super) async fn read(state: &ApiState, thing: Thing, subject: Option<WorkspaceId>) -> Option<Value> {
    let read = match (thing, subject) {
        (Thing::Workspace, Some(id)) => workspace(state, id).await,
        (Thing::WorkspaceSecrets, Some(id)) => secrets(state, id).await,
        (Thing::Settings, Some(id)) => settings(state, id).await,
        (Thing::Budget, Some(id)) => budget(state, id).await,
        (Thing::Tokens, Some(id)) => tokens(state, id).await,
        (Thing::Allowlist, Some(id)) => allowlist(state, id).await,
        (Thing::GlobalSecrets, _) => global_secrets(state).await,
        (Thing::OrgTokens, _) => org_tokens(state).await,
        (Thing::Sessions, _) => sessions(state).await,
        (Thing::Log, _) => Ok(state
            .config()
            .log
            .as_deref()
            .map(|log| json!({ "filter": log.filter() }))),
        // What is no id names nothing.
        (Thing::Opaque, _) | (_, None) => return None,
    };
    read.unwrap_or_else(|error| {
        tracing::error!(error, ?thing, "the state before or after a change is not known");
        None
    })
}

type Read = Result<Option<Value>, String>;

fn object(members: impl Iterator<Item = (String, Value)>) -> Option<Value> {
    Some(Value::Object(members.collect::<Map<_, _>>()))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn workspace(state: &ApiState, id: WorkspaceId) -> Read {
    let view = match state.platform().workspaces.get(id).await.map_err(text)? {
        Seen::Live(view) | Seen::Removed { view, .. } => view,
        Seen::Unknown => return Ok(None),
    };
    let mut view = serde_json::to_value(view).map_err(text)?;
    if let Some(members) = view.as_object_mut() {
        members.retain(|name, _| !REPORTED.contains(&name.as_str()));
    }
    Ok(Some(view))
}

async fn secrets(state: &ApiState, id: WorkspaceId) -> Read {
    let listed = state.platform().secrets.list(id).await.map_err(text)?;
    let own = listed
        .into_iter()
        .filter(|secret| secret.scope == SecretScope::Workspace.as_str());
    Ok(object(own.map(|secret| (secret.key, json!(secret.updated_at)))))
}

async fn global_secrets(state: &ApiState) -> Read {
    let listed = state.platform().secrets.list_global().await.map_err(text)?;
    Ok(object(
        listed.into_iter().map(|secret| (secret.key, json!(secret.updated_at))),
    ))
}

async fn settings(state: &ApiState, id: WorkspaceId) -> Read {
    let model = state.platform().secrets.model(id).await.map_err(text)?;
    let provider = state.platform().secrets.provider(id).await.map_err(text)?;
    Ok(Some(json!({ "model": model.value, "provider": provider.value })))
}

async fn budget(state: &ApiState, id: WorkspaceId) -> Read {
    match state.platform().workspaces.budget(id).await {
        Ok(budget) => Ok(Some(json!({ "budget_limit": budget.budget_limit }))),
        Err(BudgetError::NotFound) => Ok(None),
        Err(error) => Err(text(error)),
    }
}

async fn tokens(state: &ApiState, id: WorkspaceId) -> Read {
    let listed = state.platform().credentials.list(id, 200, 0).await.map_err(text)?;
    Ok(object(
        listed
            .into_iter()
            .map(|token| (token.id.to_string(), json!(token.created_at))),
    ))
}

async fn org_tokens(state: &ApiState) -> Read {
    let listed = state.platform().credentials.list_org().await.map_err(text)?;
    Ok(object(listed.into_iter().map(|token| {
        let shown = json!({
            "name": token.name, "org_id": token.org_id, "read_only": token.read_only,
            "expires_at": token.expires_at, "created_by": token.created_by,
        });
        (token.id.to_string(), shown)
    })))
}

async fn sessions(state: &ApiState) -> Read {
    let listed = state.platform().credentials.list_sessions(None).await.map_err(text)?;
    Ok(object(listed.into_iter().map(|session| {
        let shown = json!({ "address": session.address, "user_agent": session.user_agent });
        (session.id.to_string(), shown)
    })))
}

async fn allowlist(state: &ApiState, org: WorkspaceId) -> Read {
    let list = state.platform().allowlists.list(org).await.map_err(text)?;
    Ok(object(
        list.plugins
            .into_iter()
            .map(|plugin| (plugin.plugin_name, json!(plugin.enabled_by))),
    ))
}
