//! Org-level tokens (SEC-2, SEC-17…21).

use molecule_core::{OrgTokenId, Timestamp, WorkspaceId, credential::TokenHash};
use molecule_db::now;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::Expr};

use crate::{Store, StoreError, changes::Subject, entities::org_token};

/// A live org token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgTokenRow {
    /// Row id.
    pub id: OrgTokenId,
    /// Given name.
    pub name: Option<String>,
    /// Kind of credential that minted it.
    pub created_by: String,
    /// Root workspace it is anchored to.
    pub org_id: Option<WorkspaceId>,
    /// First eight characters.
    pub prefix: String,
    /// When it was minted.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// An org token about to be stored.
#[derive(Debug, Clone)]
pub struct NewOrgToken {
    /// Hash of its text.
    pub hash: TokenHash,
    /// First eight characters.
    pub prefix: String,
    /// Given name.
    pub name: Option<String>,
    /// Kind of credential that mints it (SEC-21).
    pub created_by: String,
    /// Inherited anchor (SEC-21).
    pub org_id: Option<WorkspaceId>,
}

impl From<org_token::Model> for OrgTokenRow {
    fn from(row: org_token::Model) -> Self {
        Self {
            id: OrgTokenId::from_uuid(row.id),
            name: row.name,
            created_by: row.created_by,
            org_id: row.org_id.map(WorkspaceId::from_uuid),
            prefix: row.prefix,
            created_at: Timestamp::from_micros(row.created_at),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        }
    }
}

impl Store {
    /// A live org token by its hash.
    ///
    /// # Errors
    /// The query failed; the caller answers 503, not 401.
    pub async fn org_token(&self, hash: &TokenHash) -> Result<Option<OrgTokenRow>, StoreError> {
        let row = org_token::Entity::find()
            .filter(org_token::Column::Hash.eq(hash.bytes().to_vec()))
            .filter(org_token::Column::RevokedAt.is_null())
            .one(self.db.reader())
            .await?;
        Ok(row.map(Into::into))
    }

    /// Stores an org token.
    ///
    /// # Errors
    /// The insert failed.
    pub async fn add_org_token(&self, token: NewOrgToken) -> Result<OrgTokenId, StoreError> {
        let id = OrgTokenId::random();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    org_token::Entity::insert(org_token::ActiveModel {
                        id: Set(id.uuid()),
                        name: Set(token.name),
                        created_by: Set(token.created_by),
                        org_id: Set(token.org_id.map(WorkspaceId::uuid)),
                        hash: Set(token.hash.bytes().to_vec()),
                        prefix: Set(token.prefix),
                        created_at: Set(now().micros()),
                        last_used_at: Set(None),
                        revoked_at: Set(None),
                    })
                    .exec_without_returning(tx)
                    .await?;
                    Ok(id)
                })
            })
            .await
    }

    /// Live org tokens, newest first.
    ///
    /// # Errors
    /// The query failed.
    pub async fn list_org_tokens(&self, limit: u64) -> Result<Vec<OrgTokenRow>, StoreError> {
        let rows = org_token::Entity::find()
            .filter(org_token::Column::RevokedAt.is_null())
            .order_by_desc(org_token::Column::CreatedAt)
            .order_by_desc(org_token::Column::Id)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Revokes a live org token; tells whether there was one.
    ///
    /// # Errors
    /// The update failed.
    pub async fn revoke_org_token(&self, id: OrgTokenId) -> Result<bool, StoreError> {
        let _told = self.changes.telling(Subject::OrgToken(id));
        self.set_org_token(id, org_token::Column::RevokedAt).await
    }

    /// Notes the use of an org token (SEC-7).
    ///
    /// # Errors
    /// The update failed; the use is lost, the token is not.
    pub async fn touch_org_token(&self, id: OrgTokenId) -> Result<bool, StoreError> {
        self.set_org_token(id, org_token::Column::LastUsedAt).await
    }

    async fn set_org_token(&self, id: OrgTokenId, column: org_token::Column) -> Result<bool, StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let done = org_token::Entity::update_many()
                        .col_expr(column, Expr::value(now().micros()))
                        .filter(org_token::Column::Id.eq(id.uuid()))
                        .filter(org_token::Column::RevokedAt.is_null())
                        .exec(tx)
                        .await?;
                    Ok(done.rows_affected == 1)
                })
            })
            .await
    }
}
