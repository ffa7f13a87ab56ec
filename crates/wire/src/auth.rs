//! Sign-in, tickets and tokens (`security.md` §2, D2).

use molecule_core::{OrgTokenId, SessionId, Timestamp, TokenId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::patch::null_is_default;

macro_rules! hide {
    ($($name:ident),+) => { $(impl std::fmt::Debug for $name {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct(stringify!($name)).finish_non_exhaustive()
        }
    })+ };
}
hide!(
    Login,
    LoggedIn,
    LoginCode,
    Ticket,
    MintedToken,
    MintedOrgToken,
    RotatedAdminToken
);

/// `POST /auth/login`: the one-time code from the login URL's fragment.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Login {
    /// The code.
    pub code: String,
}

/// 200 of `POST /auth/login`.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoggedIn {
    /// Bearer of this browser, kept in origin-bound storage.
    pub session_token: String,
    /// When it ends unless used.
    pub expires_at: Timestamp,
}

/// 201 of `POST /auth/login-codes` (admin): a fresh login URL.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginCode {
    /// URL with the code in the fragment.
    pub login_url: String,
    /// When the code ends.
    pub expires_at: Timestamp,
}

/// What a ticket is good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TicketPurpose {
    /// `GET /ws`: live events, of one workspace if the ticket names one.
    #[default]
    Events,
    /// `GET /workspaces/:id/logs` of the workspace that the ticket names.
    Logs,
}

/// Optional body of `POST /auth/tickets`. Without one the ticket is for `events`, of every workspace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BuyTicket {
    /// What it opens.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schema(nullable)]
    pub purpose: TicketPurpose,
    /// Of which workspace. `logs` needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<WorkspaceId>,
}

/// 201 of `POST /auth/tickets`: opens once, within 30 s, what it was bought for.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ticket {
    /// Value of the `ticket` query parameter.
    pub ticket: String,
    /// Seconds it is good for.
    pub expires_in: u64,
}

/// One live token of a workspace (SEC-14).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenView {
    /// Row id, for revoking.
    pub id: TokenId,
    /// First eight characters.
    pub prefix: String,
    /// When it was minted.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// 200 of `GET /workspaces/:id/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenList {
    /// Newest first.
    pub tokens: Vec<TokenView>,
    /// Their number.
    pub count: usize,
}

/// 201 of `POST /workspaces/:id/tokens` (SEC-15).
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MintedToken {
    /// Shown once.
    pub auth_token: String,
    /// Whose token it is.
    pub workspace_id: WorkspaceId,
    /// Says that it is shown once.
    pub message: String,
}

/// One live org token (SEC-17).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrgTokenView {
    /// Row id, for revoking.
    pub id: OrgTokenId,
    /// First eight characters.
    pub prefix: String,
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Workspace it is anchored to: it reaches that and what is below it, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<WorkspaceId>,
    /// Which kind of credential minted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// It changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// When it was minted.
    pub created_at: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// 200 of `GET /org/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrgTokenList {
    /// Newest first.
    pub tokens: Vec<OrgTokenView>,
    /// Their number.
    pub count: usize,
}

/// Optional body of `POST /org/tokens`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MintOrgToken {
    /// At most 100 bytes of UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100)]
    pub name: Option<String>,
    /// Workspace that the token reaches, with what is below it; every workspace if absent. Org tokens that are anchored
    /// mint only such as are anchored there or below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<WorkspaceId>,
    /// Seconds that it lives, at most ten years; until it is revoked if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub expires_in: Option<u64>,
    /// It changes nothing.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    #[schema(nullable)]
    pub read_only: bool,
}

/// 200 of `POST /org/tokens` (SEC-18).
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MintedOrgToken {
    /// Row id.
    pub id: OrgTokenId,
    /// First eight characters.
    pub prefix: String,
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Workspace it is anchored to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org_id: Option<WorkspaceId>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// It changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Shown once.
    pub auth_token: String,
    /// Says what it can do.
    pub warning: String,
}

/// One signed-in browser.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionView {
    /// For ending it.
    pub id: SessionId,
    /// It is the one that asks.
    pub current: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends unless used.
    pub expires_at: Timestamp,
    /// When it was last seen, to five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// What the browser called itself when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Where it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// 200 of `GET /auth/sessions`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionList {
    /// Newest first.
    pub sessions: Vec<SessionView>,
    /// Their number.
    pub count: usize,
}

/// 200 of `POST /admin/token/rotate`: the operator's new token.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RotatedAdminToken {
    /// Shown once; it is also in the data directory, where the CLI on the same machine finds it.
    pub auth_token: String,
    /// Says what became of the old one.
    pub message: String,
}

/// 200 of `DELETE /org/tokens/:id`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RevokedOrgToken {
    /// The token's row id.
    pub revoked: OrgTokenId,
}
