//! Sign-in of browsers and tickets for sockets (D2). There is no cookie: a one-time code from the login URL buys a
//! session, which is a bearer, and a bearer buys single-use tickets for what cannot carry one.

use std::time::SystemTime;

use axum::{Extension, Json as Answer, extract::State};
use http::{HeaderMap, StatusCode, header};
use molecule_core::{SessionId, Timestamp, credential::parse_bearer, limits};
use molecule_platform::credentials::{Principal, SessionOrigin};
use molecule_wire::{
    ErrorBody, StatusBody,
    auth::{BuyTicket, LoggedIn, Login, LoginCode, SessionList, Ticket, TicketPurpose},
    words::ErrorCode,
};

use crate::{
    audit::Made,
    error::ApiError,
    extract::{BaseUrl, Json, LastPath, Optional, Peer, Who},
    state::ApiState,
    tickets::Grant,
};

/// Trades the code of a login URL for a session. The code never works again.
#[utoipa::path(
    post, path = "/auth/login", operation_id = "login", tag = "auth",
    request_body = Login,
    responses(
        (status = 200, description = "The session's bearer, shown once.", body = LoggedIn),
        (status = 400, description = "No code.", body = ErrorBody),
        (status = 401, description = "The code is unknown, used or too old.", body = ErrorBody),
    )
)]
pub(crate) async fn login(
    State(state): State<ApiState>,
    Peer(peer): Peer,
    headers: HeaderMap,
    Json(Login { code }): Json<Login>,
) -> Result<(Extension<Made>, Answer<LoggedIn>), ApiError> {
    let refused = || ApiError::unauthorized("login code is invalid or expired").code(ErrorCode::InvalidCode);
    state.codes().logins.redeem(&code).map_err(|_| refused())?;
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let origin = SessionOrigin {
        agent: agent.map(|agent| agent.chars().take(limits::USER_AGENT_CHARS).collect()),
        address: peer.map(|peer| peer.to_string()),
    };
    let begun = state.platform().credentials.begin_session(origin).await;
    let begun = begun.map_err(|error| ApiError::store("failed to begin a session", &error))?;
    tracing::info!(session = %begun.id, "browser signed in");
    let logged_in = LoggedIn {
        session_token: begun.token.expose().to_owned(),
        expires_at: begun.expires_at,
    };
    Ok((Extension(Made(begun.id.to_string())), Answer(logged_in)))
}

/// Ends the session that asks. Other credentials have nothing to end.
#[utoipa::path(
    post, path = "/auth/logout", operation_id = "logout", tag = "auth",
    responses((status = 200, description = "The session is over.", body = StatusBody))
)]
pub(crate) async fn logout(State(state): State<ApiState>, Who(identity): Who) -> Result<Answer<StatusBody>, ApiError> {
    if let Some(Principal::Session(id)) = identity.principal {
        let ended = state.platform().credentials.end_session(id).await;
        ended.map_err(|error| ApiError::store("failed to end the session", &error))?;
        tracing::info!(session = %id, "browser signed out");
    }
    Ok(Answer(StatusBody {
        status: "signed_out".to_owned(),
    }))
}

/// Browsers that are signed in.
#[utoipa::path(
    get, path = "/auth/sessions", operation_id = "list_sessions", tag = "auth",
    responses((status = 200, description = "Sessions, newest first.", body = SessionList))
)]
pub(crate) async fn sessions(
    State(state): State<ApiState>,
    Who(identity): Who,
) -> Result<Answer<SessionList>, ApiError> {
    let current = match identity.principal {
        Some(Principal::Session(id)) => Some(id),
        _ => None,
    };
    let listed = state.platform().credentials.list_sessions(current).await;
    let sessions = listed.map_err(|error| ApiError::store("failed to list sessions", &error))?;
    Ok(Answer(SessionList {
        count: sessions.len(),
        sessions,
    }))
}

/// Signs a browser out.
#[utoipa::path(
    delete, path = "/auth/sessions/{sessionId}", operation_id = "end_session", tag = "auth",
    params(("sessionId" = SessionId, Path, description = "The session, as it is listed.")),
    responses(
        (status = 200, description = "The session is over.", body = StatusBody),
        (status = 404, description = "There is none.", body = ErrorBody),
    )
)]
pub(crate) async fn end_session(
    State(state): State<ApiState>,
    LastPath(id): LastPath,
) -> Result<Answer<StatusBody>, ApiError> {
    let unknown = || ApiError::not_found("session not found or already over");
    let id: SessionId = id.parse().map_err(|_| unknown())?;
    let ended = state.platform().credentials.end_session(id).await;
    if !ended.map_err(|error| ApiError::store("failed to end the session", &error))? {
        return Err(unknown());
    }
    tracing::info!(session = %id, "browser signed out by another");
    Ok(Answer(StatusBody {
        status: "signed_out".to_owned(),
    }))
}

/// A fresh login URL.
#[utoipa::path(
    post, path = "/auth/login-codes", operation_id = "create_login_code", tag = "auth",
    responses((status = 201, description = "The URL; it works once, for ten minutes.", body = LoginCode))
)]
pub(crate) async fn login_code(
    State(state): State<ApiState>,
    BaseUrl(base): BaseUrl,
) -> Result<(StatusCode, Answer<LoginCode>), ApiError> {
    let login_url = login_url(&state, &base).ok_or_else(ApiError::internal)?;
    let expires_at = Timestamp::from(SystemTime::now()).plus(state.codes().logins.lifetime());
    tracing::info!("login code issued");
    Ok((StatusCode::CREATED, Answer(LoginCode { login_url, expires_at })))
}

/// The code travels in the fragment, which no server and no referrer sees. `None` without randomness.
pub(crate) fn login_url(state: &ApiState, base: &str) -> Option<String> {
    let code = state.codes().logins.issue(())?;
    Some(format!("{}/#code={}", base.trim_end_matches('/'), code.expose()))
}

/// A ticket for what cannot carry a bearer: it opens once, within 30 seconds, what it was bought for.
///
/// Without a body it opens the event socket.
#[utoipa::path(
    post, path = "/auth/tickets", operation_id = "create_ticket", tag = "auth",
    request_body(content = Option<BuyTicket>),
    responses(
        (status = 201, description = "The ticket.", body = Ticket),
        (status = 400, description = "An unknown purpose, or one that needs a workspace.", body = ErrorBody),
    )
)]
pub(crate) async fn ticket(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Optional(what): Optional<BuyTicket>,
) -> Result<(StatusCode, Answer<Ticket>), ApiError> {
    if what.purpose == TicketPurpose::Logs && what.workspace_id.is_none() {
        return Err(ApiError::bad_request("a ticket for logs needs a workspace_id"));
    }
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| parse_bearer(value.to_str().ok()?));
    let grant = Grant {
        bearer: bearer.map(Into::into),
        what,
    };
    let ticket = state.codes().tickets.issue(grant).ok_or_else(ApiError::internal)?;
    let expires_in = state.codes().tickets.lifetime().as_secs();
    Ok((
        StatusCode::CREATED,
        Answer(Ticket {
            ticket: ticket.expose().to_owned(),
            expires_in,
        }),
    ))
}
