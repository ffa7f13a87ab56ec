//! Org-level tokens (SEC-2, SEC-17…21).

use molecule_core::{OrgTokenId, Timestamp, WorkspaceId, WorkspaceStatus, credential::TokenHash};
use molecule_db::now;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Set,
    sea_query::Expr,
};

use crate::{
    Store, StoreError,
    changes::Subject,
    entities::{org_token, workspace},
};

/// Key of the advisory lock under which org tokens are counted: "orgtoken" in ASCII.
const MINTING: i64 = 0x6f72_6774_6f6b_656e;

/// A live org token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgTokenRow {
    /// Row id.
    pub id: OrgTokenId,
    /// Given name.
    pub name: Option<String>,
    /// Kind of credential that minted it.
    pub created_by: String,
    /// Workspace it is anchored to.
    pub org_id: Option<WorkspaceId>,
    /// It changes nothing.
    pub read_only: bool,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
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
    /// Anchor (SEC-21).
    pub org_id: Option<WorkspaceId>,
    /// It changes nothing.
    pub read_only: bool,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// The predicate of a live org token, stated nowhere else: not revoked, not expired, and the workspace it is anchored to
/// is there. A token whose anchor went must not become one without an anchor.
fn live() -> Select<org_token::Entity> {
    use org_token::Column;
    let anchors = workspace::Entity::find()
        .select_only()
        .column(workspace::Column::Id)
        .filter(workspace::Column::Status.ne(WorkspaceStatus::Removed.as_str()));
    let anchor = Condition::any()
        .add(Column::Anchored.eq(false))
        .add(Column::OrgId.in_subquery(anchors.into_query()));
    let end = Condition::any()
        .add(Column::ExpiresAt.is_null())
        .add(Column::ExpiresAt.gt(now().micros()));
    org_token::Entity::find()
        .filter(Column::RevokedAt.is_null())
        .filter(anchor)
        .filter(end)
}

impl From<org_token::Model> for OrgTokenRow {
    fn from(row: org_token::Model) -> Self {
        Self {
            id: OrgTokenId::from_uuid(row.id),
            name: row.name,
            created_by: row.created_by,
            org_id: row.org_id.map(WorkspaceId::from_uuid),
            read_only: row.read_only,
            expires_at: row.expires_at.map(Timestamp::from_micros),
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
        let row = live()
            .filter(org_token::Column::Hash.eq(hash.bytes().to_vec()))
            .one(self.db.reader())
            .await?;
        Ok(row.map(Into::into))
    }

    /// A live org token by its row.
    ///
    /// # Errors
    /// The query failed.
    pub async fn org_token_of(&self, id: OrgTokenId) -> Result<Option<OrgTokenRow>, StoreError> {
        let row = live()
            .filter(org_token::Column::Id.eq(id.uuid()))
            .one(self.db.reader())
            .await?;
        Ok(row.map(Into::into))
    }

    /// Stores an org token unless there are `limit` live ones already; `None` means there are.
    ///
    /// # Errors
    /// The count or the insert failed.
    pub async fn add_org_token(&self, token: NewOrgToken, limit: u64) -> Result<Option<OrgTokenId>, StoreError> {
        let id = OrgTokenId::random();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    // One at a time, or two could both find room for one.
                    molecule_db::lock(tx, MINTING).await?;
                    if live().count(tx).await? >= limit {
                        return Ok(None);
                    }
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
                        anchored: Set(token.org_id.is_some()),
                        read_only: Set(token.read_only),
                        expires_at: Set(token.expires_at.map(Timestamp::micros)),
                    })
                    .exec_without_returning(tx)
                    .await?;
                    Ok(Some(id))
                })
            })
            .await
    }

    /// Live org tokens, newest first.
    ///
    /// # Errors
    /// The query failed.
    pub async fn list_org_tokens(&self, limit: u64) -> Result<Vec<OrgTokenRow>, StoreError> {
        let rows = live()
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
