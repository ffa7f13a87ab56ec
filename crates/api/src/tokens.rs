//! Tokens of workspaces and of organisations (`security.md` §2, §9). A token's text is in the answer that mints it and
//! nowhere else.

use std::time::{Duration, Instant, SystemTime};

use axum::{Extension, Json as Answer, extract::State};
use http::StatusCode;
use molecule_core::{OrgTokenId, Timestamp, TokenId, WorkspaceId, limits};
use molecule_platform::{
    credentials::{Identity, OrgTokenScope, Principal},
    workspaces::StateAnswer,
};
use molecule_wire::{
    ErrorBody, StatusBody,
    auth::{MintOrgToken, MintedOrgToken, MintedToken, OrgTokenList, RevokedOrgToken, TokenList},
};

use serde::Serialize;

use crate::{
    audit::Made,
    error::ApiError,
    extract::{LastPath, Live, Optional, Peer, Query, Who, WorkspacePath},
    limits::{Allowance, address_key},
    matrix::ELSEWHERE,
    scope::Scope,
    state::ApiState,
};

/// Tokens listed unless asked otherwise (SEC-14).
const LISTED: u64 = 50;
/// Most tokens listed.
const LISTED_MAX: u64 = 200;

/// 200 of the test-token route (SEC-120).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TestToken {
    /// The token.
    pub(crate) auth_token: String,
    /// Whose token it is.
    pub(crate) workspace_id: WorkspaceId,
}

fn not_found() -> ApiError {
    ApiError::not_found("token not found or already revoked")
}

/// Live tokens of a workspace, newest first.
#[utoipa::path(
    get, path = "/workspaces/{id}/tokens", operation_id = "list_tokens", tag = "tokens",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "At most so many; default 50, which anything else counts as."),
        ("offset" = Option<u32>, Query, description = "Tokens to leave out; default 0."),
    ),
    responses((status = 200, description = "Tokens, without their text.", body = TokenList))
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    query: Query,
) -> Result<Answer<TokenList>, ApiError> {
    let limit = query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .filter(|limit| (1..=LISTED_MAX).contains(limit));
    let offset: Option<u32> = query.get("offset").and_then(|offset| offset.parse().ok());
    let rows = state
        .platform()
        .credentials
        .list(id, limit.unwrap_or(LISTED), offset.unwrap_or(0).into())
        .await;
    let tokens = rows.map_err(|error| ApiError::store("failed to list tokens", &error))?;
    Ok(Answer(TokenList {
        count: tokens.len(),
        tokens,
    }))
}

/// A workspace may go between the look-up and the insert.
fn not_minted(gone: bool, cause: &(dyn std::error::Error + 'static)) -> ApiError {
    if gone {
        ApiError::not_found("workspace not found")
    } else {
        ApiError::store("failed to create token", cause)
    }
}

/// Mints a token of a workspace.
#[utoipa::path(
    post, path = "/workspaces/{id}/tokens", operation_id = "mint_token", tag = "tokens",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 201, description = "The token, shown once.", body = MintedToken),
        (status = 404, description = "Unknown or removed.", body = ErrorBody),
        (status = 429, description = "It has as many as it may.", body = ErrorBody),
    )
)]
pub(crate) async fn mint(
    State(state): State<ApiState>,
    Live(WorkspacePath(id)): Live<WorkspacePath>,
) -> Result<(StatusCode, Answer<MintedToken>), ApiError> {
    let minted = state.platform().credentials.mint(id).await;
    let minted = minted.map_err(|error| not_minted(error.is_unknown_workspace(), &error))?;
    let token = minted.ok_or_else(|| {
        let text = format!("maximum {} active tokens per workspace", limits::TOKENS_PER_WORKSPACE);
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, text)
    })?;
    let message = "Save this token: it is shown only once".to_owned();
    let minted = MintedToken {
        auth_token: token.expose().to_owned(),
        workspace_id: id,
        message,
    };
    Ok((StatusCode::CREATED, Answer(minted)))
}

/// Revokes a token of a workspace.
#[utoipa::path(
    delete, path = "/workspaces/{id}/tokens/{tokenId}", operation_id = "revoke_token", tag = "tokens",
    params(
        ("id" = WorkspaceId, Path, description = "The workspace."),
        ("tokenId" = TokenId, Path, description = "Row id of the token."),
    ),
    responses(
        (status = 200, description = "Revoked.", body = StatusBody),
        (status = 404, description = "No live token of this workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    WorkspacePath(id): WorkspacePath,
    LastPath(token): LastPath,
) -> Result<Answer<StatusBody>, ApiError> {
    let token: TokenId = token.parse().map_err(|_| not_found())?;
    let revoked = state.platform().credentials.revoke(id, token).await;
    if !revoked.map_err(|error| ApiError::store("failed to revoke token", &error))? {
        return Err(not_found());
    }
    tracing::info!(workspace = %id, %token, "workspace token revoked");
    Ok(Answer(StatusBody {
        status: "revoked".to_owned(),
    }))
}

/// A token of a workspace for tests; only for the operator's own token, and off in production.
#[utoipa::path(
    get, path = "/admin/workspaces/{id}/test-token", operation_id = "test_token", tag = "tokens",
    params(("id" = WorkspaceId, Path, description = "The workspace.")),
    responses(
        (status = 200, description = "The token.", body = TestToken),
        (status = 404, description = "Unknown or removed; or test tokens are off.", body = ErrorBody),
    )
)]
pub(crate) async fn test_token(
    State(state): State<ApiState>,
    id: Result<WorkspacePath, ApiError>,
) -> Result<Answer<TestToken>, ApiError> {
    let unknown = || ApiError::not_found("workspace not found");
    let WorkspacePath(id) = id.map_err(|_| unknown())?;
    let found = state.platform().workspaces.state(id).await;
    if let StateAnswer::Gone(_) = found.map_err(|error| ApiError::store("lookup failed", &error))? {
        return Err(unknown());
    }
    let minted = state.platform().credentials.mint_uncapped(id).await;
    let token = minted.map_err(|error| not_minted(error.is_unknown_workspace(), &error))?;
    tracing::info!(workspace = %id, "test token minted");
    Ok(Answer(TestToken {
        auth_token: token.expose().to_owned(),
        workspace_id: id,
    }))
}

/// Live org tokens, newest first; to a token that reaches a part of the org, those of that part.
#[utoipa::path(
    get, path = "/org/tokens", operation_id = "list_org_tokens", tag = "tokens",
    responses((status = 200, description = "Tokens, without their text.", body = OrgTokenList))
)]
pub(crate) async fn list_org(State(state): State<ApiState>, scope: Scope) -> Result<Answer<OrgTokenList>, ApiError> {
    let rows = state.platform().credentials.list_org().await;
    let tokens = rows.map_err(|error| ApiError::store("failed to list tokens", &error))?;
    let tokens = scope.keep(&state, tokens, |token| token.org_id).await?;
    Ok(Answer(OrgTokenList {
        count: tokens.len(),
        tokens,
    }))
}

/// Mints an org token: admin of everything, or of what it is limited to.
///
/// Without a body the token has no name and no limits. One that is sent must say what the token is good for without a
/// mistake: a limit that is not understood must not become a token without limits.
#[utoipa::path(
    post, path = "/org/tokens", operation_id = "mint_org_token", tag = "tokens",
    request_body(content = Option<MintOrgToken>),
    responses(
        (status = 200, description = "The token, shown once.", body = MintedOrgToken),
        (status = 400, description = "The body is no JSON object, the name is too long, or a limit is none.", body = ErrorBody),
        (status = 403, description = "`org_id` is not there, or out of the asking token's reach.", body = ErrorBody),
    )
)]
pub(crate) async fn mint_org(
    State(state): State<ApiState>,
    Who(identity): Who,
    Peer(peer): Peer,
    Optional(request): Optional<MintOrgToken>,
) -> Result<(Extension<Made>, Answer<MintedOrgToken>), ApiError> {
    let name = request.name.clone().filter(|name| !name.is_empty());
    if name
        .as_ref()
        .is_some_and(|name| name.len() > limits::ORG_TOKEN_NAME_BYTES)
    {
        return Err(ApiError::bad_request("name too long (max 100 chars)"));
    }
    let scope = scope_of(&state, &identity, &request).await?;
    let granted = peer.map_or(Allowance::UNLIMITED, |peer| {
        state.limits().mints.take(address_key(peer), Instant::now())
    });
    if granted.exceeded {
        return Err(ApiError::rate_limited(granted.reset));
    }
    let minted = state
        .platform()
        .credentials
        .mint_org(name.clone(), minter(&identity), scope.clone())
        .await;
    let (id, token) = minted?;
    let minted = MintedOrgToken {
        id,
        prefix: token.prefix().to_owned(),
        name,
        org_id: scope.org,
        expires_at: scope.expires_at,
        read_only: scope.read_only,
        auth_token: token.expose().to_owned(),
        warning: warning(&scope),
    };
    Ok((Extension(Made(id.to_string())), Answer(minted)))
}

/// What the token will be good for: no more than whoever mints it (SEC-21).
async fn scope_of(state: &ApiState, identity: &Identity, request: &MintOrgToken) -> Result<OrgTokenScope, ApiError> {
    let minter = Scope::of(identity);
    let org = request.org_id.or(minter.top());
    if let Some(org) = org {
        minter.require(state, Some(org)).await?;
        // Anchored where nothing is, it would never be good for anything.
        if !Scope::to(org).reaches(state, org).await? {
            return Err(ApiError::from(&ELSEWHERE));
        }
    }
    let lives = match request.expires_in {
        Some(seconds) if !(1..=limits::ORG_TOKEN_LIFE_SECS).contains(&seconds) => {
            let text = format!("expires_in must be 1 to {} seconds", limits::ORG_TOKEN_LIFE_SECS);
            return Err(ApiError::bad_request(text));
        }
        Some(seconds) => Some(Timestamp::from(SystemTime::now()).plus(Duration::from_secs(seconds))),
        None => None,
    };
    let minter_ends = match &identity.principal {
        Some(Principal::Org(org)) => org.expires_at,
        _ => None,
    };
    Ok(OrgTokenScope {
        org,
        read_only: request.read_only,
        expires_at: [lives, minter_ends].into_iter().flatten().min(),
    })
}

fn warning(scope: &OrgTokenScope) -> String {
    let may = if scope.read_only { "may see" } else { "is admin of" };
    let what = match scope.org {
        Some(org) => format!("workspace {org} and everything below it"),
        None => "every workspace".to_owned(),
    };
    format!("Save this token: it is shown only once, and whoever holds it {may} {what}")
}

/// Who mints (SEC-21). Sessions are bearers here, so that a stray cookie says nothing.
fn minter(identity: &Identity) -> String {
    match &identity.principal {
        Some(Principal::Org(org)) => format!("org-token:{}", org.prefix),
        Some(Principal::Session(_) | Principal::Member(_)) => "session".to_owned(),
        _ => "admin-token".to_owned(),
    }
}

/// Revokes an org token.
#[utoipa::path(
    delete, path = "/org/tokens/{tokenId}", operation_id = "revoke_org_token", tag = "tokens",
    params(("tokenId" = OrgTokenId, Path, description = "Row id of the token.")),
    responses(
        (status = 200, description = "Revoked.", body = RevokedOrgToken),
        (status = 404, description = "No live token.", body = ErrorBody),
    )
)]
pub(crate) async fn revoke_org(
    State(state): State<ApiState>,
    scope: Scope,
    LastPath(id): LastPath,
) -> Result<Answer<RevokedOrgToken>, ApiError> {
    let id: OrgTokenId = id.parse().map_err(|_| not_found())?;
    let credentials = &state.platform().credentials;
    if scope.top().is_some() {
        // What is out of reach is not there.
        let reach = credentials.reach_of_org(id).await;
        let reach = reach.map_err(|error| ApiError::store("failed to revoke", &error))?;
        if !scope.covers(&state, reach.ok_or_else(not_found)?).await? {
            return Err(not_found());
        }
    }
    let revoked = credentials.revoke_org(id).await;
    if !revoked.map_err(|error| ApiError::store("failed to revoke", &error))? {
        return Err(not_found());
    }
    tracing::info!(token = %id, "org token revoked");
    Ok(Answer(RevokedOrgToken { revoked: id }))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn no_token_for_a_workspace_that_has_gone() {
        // SEC-15, LIFE-199: its own token passed the gate just before it was removed.
        let (state, _database) = testing::state().await;
        let path = Live(WorkspacePath(WorkspaceId::random()));
        let refused = mint(State(state), path).await.unwrap_err();
        assert_eq!(refused.into_response().status(), StatusCode::NOT_FOUND);
    }
}
