//! `GET /admin/audit`.

use std::num::NonZeroU32;

use axum::{Json as Answer, extract::State};
use molecule_core::{Timestamp, WorkspaceId, limits};
use molecule_platform::audit::Filter;
use molecule_wire::{
    ErrorBody,
    audit::{AuditPage, AuditVerdict},
};

use crate::{error::ApiError, extract::Query, state::ApiState};

/// Who changed what, newest first.
#[utoipa::path(
    get, path = "/admin/audit", operation_id = "list_audit", tag = "audit",
    params(
        ("before" = Option<u32>, Query, minimum = 1, description = "Only records before this one: `next` of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, description = "Records of a page; default 100, highest 500."),
        ("actor" = Option<String>, Query, description = "Only of this actor, such as `admin`."),
        ("action" = Option<String>, Query, description = "Only this action, such as `workspace.delete`."),
        ("workspace_id" = Option<WorkspaceId>, Query, description = "Only about this workspace."),
        ("from" = Option<Timestamp>, Query, description = "Not older than this time."),
        ("to" = Option<Timestamp>, Query, description = "Older than this time."),
    ),
    responses(
        (status = 200, description = "Records.", body = AuditPage),
        (status = 400, description = "A parameter is no number, id or time.", body = ErrorBody),
    )
)]
pub(crate) async fn list(State(state): State<ApiState>, query: Query) -> Result<Answer<AuditPage>, ApiError> {
    let limit = query
        .count("limit")?
        .map_or(limits::AUDIT_PAGE_DEFAULT, |limit| limit as u64);
    let filter = Filter {
        before: parse::<NonZeroU32>(&query, "before", "a whole number from 1")?.map(|before| i64::from(before.get())),
        actor: query.get("actor").map(str::to_owned),
        action: query.get("action").map(str::to_owned),
        workspace_id: parse(&query, "workspace_id", "the id of a workspace")?,
        from: time(&query, "from")?,
        to: time(&query, "to")?,
    };
    let page = state.platform().audit.page(filter, limit).await;
    page.map(Answer)
        .map_err(|error| ApiError::store("query failed", &error))
}

/// Whether the record is whole: every entry follows the one before it, and says what was recorded.
#[utoipa::path(
    get, path = "/admin/audit/verify", operation_id = "verify_audit", tag = "audit",
    responses((status = 200, description = "What was found.", body = AuditVerdict))
)]
pub(crate) async fn verify(State(state): State<ApiState>) -> Result<Answer<AuditVerdict>, ApiError> {
    let verdict = state.platform().audit.verify().await;
    verdict
        .map(Answer)
        .map_err(|error| ApiError::store("query failed", &error))
}

fn parse<T: std::str::FromStr>(query: &Query, name: &str, what: &str) -> Result<Option<T>, ApiError> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| ApiError::bad_request(format!("{name} must be {what}")))
    };
    query.get(name).map(read).transpose()
}

fn time(query: &Query, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let read = |text: &str| {
        Timestamp::parse_rfc3339(text)
            .map_err(|_| ApiError::bad_request(format!("{name} must be a time such as 2026-01-31T12:00:00Z")))
    };
    query.get(name).map(read).transpose()
}
