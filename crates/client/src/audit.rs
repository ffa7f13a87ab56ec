//! The audit, and the key of the secrets.

use molecule_wire::audit::{AuditPage, AuditVerdict, RotatedSecrets};

use crate::{Client, ClientError};

/// Which records are asked for; see `GET /admin/audit`.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "named as the parameters are")]
pub struct AuditQuery {
    pub before: Option<i64>,
    pub limit: Option<u64>,
    pub actor: Option<String>,
    pub action: Option<String>,
    pub workspace_id: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
}

impl Client {
    /// `GET /admin/audit`: who changed what, newest first. Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, ClientError> {
        self.get(&["admin", "audit"])
            .query_opt("before", query.before)
            .query_opt("limit", query.limit)
            .query_opt("actor", query.actor.as_deref())
            .query_opt("action", query.action.as_deref())
            .query_opt("workspace_id", query.workspace_id.as_deref())
            .query_opt("from", query.from.as_deref())
            .query_opt("to", query.to.as_deref())
            .json()
            .await
    }

    /// `GET /admin/audit/verify`: is the record whole? Admin.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn verify_audit(&self) -> Result<AuditVerdict, ClientError> {
        self.get(&["admin", "audit", "verify"]).json().await
    }

    /// `POST /admin/secrets/rotate`: seals every secret with a new key, or completes an earlier change. Operator.
    ///
    /// # Errors
    /// [`ClientError`]; 409 if the server's environment sets the key.
    pub async fn rotate_secrets(&self) -> Result<RotatedSecrets, ClientError> {
        self.post(&["admin", "secrets", "rotate"]).json().await
    }
}
