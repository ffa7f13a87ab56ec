//! Workspace tokens (SEC-1…16). Only hashes are stored.

use molecule_core::{Timestamp, TokenId, WorkspaceId, WorkspaceStatus, credential::TokenHash};
use molecule_db::now;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set, Statement, sea_query::Expr,
};
use uuid::Uuid;

use crate::{Store, StoreError, entities::auth_token};

/// A token about to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Hash of its text.
    pub hash: TokenHash,
    /// First eight characters.
    pub prefix: String,
}

/// A live token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Row id.
    pub id: TokenId,
    /// First eight characters.
    pub prefix: String,
    /// When it was minted.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// Who a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenOwner {
    /// Row id.
    pub token: TokenId,
    /// The workspace.
    pub workspace: WorkspaceId,
}

#[derive(FromQueryResult)]
struct OwnerRow {
    id: Uuid,
    workspace_id: Uuid,
}

impl From<OwnerRow> for TokenOwner {
    fn from(row: OwnerRow) -> Self {
        Self {
            token: TokenId::from_uuid(row.id),
            workspace: WorkspaceId::from_uuid(row.workspace_id),
        }
    }
}

/// The predicate of a live token, stated nowhere else (SEC-4): hash equal, not revoked, workspace not removed.
const LIVE_TOKEN: &str = "SELECT t.id, t.workspace_id FROM workspace_auth_tokens t
    JOIN workspaces w ON w.id = t.workspace_id
    WHERE t.hash = $1 AND t.revoked_at IS NULL AND w.status <> $2";

pub(crate) async fn insert(
    tx: &DatabaseTransaction,
    workspace: WorkspaceId,
    token: NewToken,
) -> Result<TokenId, StoreError> {
    let id = TokenId::random();
    auth_token::Entity::insert(auth_token::ActiveModel {
        id: Set(id.uuid()),
        workspace_id: Set(workspace.uuid()),
        hash: Set(token.hash.bytes().to_vec()),
        prefix: Set(token.prefix),
        created_at: Set(now().micros()),
        last_used_at: Set(None),
        revoked_at: Set(None),
    })
    .exec_without_returning(tx)
    .await?;
    Ok(id)
}

/// Revokes every live token of the workspaces; returns how many.
pub(crate) async fn revoke_all(tx: &DatabaseTransaction, workspaces: &[WorkspaceId]) -> Result<u64, StoreError> {
    use auth_token::Column;
    let at = now().micros();
    let mut revoked = 0;
    for chunk in workspaces.chunks(500) {
        let theirs = Condition::all()
            .add(Column::WorkspaceId.is_in(chunk.iter().map(|id| id.uuid())))
            .add(Column::RevokedAt.is_null());
        // Locked by id first, as `touch_tokens` does, or the two could wait for each other.
        let lock = auth_token::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(theirs.clone());
        lock.order_by_asc(Column::Id)
            .lock_exclusive()
            .into_tuple::<Uuid>()
            .all(tx)
            .await?;
        let update = auth_token::Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(at))
            .filter(theirs);
        revoked += update.exec(tx).await?.rows_affected;
    }
    Ok(revoked)
}

impl Store {
    /// Owner of a live token (SEC-4). The only lookup that authenticates.
    ///
    /// # Errors
    /// The query failed; the caller answers 503, not 401.
    pub async fn token_owner(&self, hash: &TokenHash) -> Result<Option<TokenOwner>, StoreError> {
        let values = [hash.bytes().to_vec().into(), WorkspaceStatus::Removed.as_str().into()];
        let row = OwnerRow::find_by_statement(self.db.statement(LIVE_TOKEN, values))
            .one(self.db.reader())
            .await?;
        Ok(row.map(Into::into))
    }

    /// Workspace a token was once issued for, if that workspace is removed (LIFE-89a). Authenticates nothing.
    ///
    /// # Errors
    /// The query failed.
    pub async fn removed_owner(&self, hash: &TokenHash) -> Result<Option<WorkspaceId>, StoreError> {
        let statement = self.db.statement(
            "SELECT t.id, t.workspace_id FROM workspace_auth_tokens t
             JOIN workspaces w ON w.id = t.workspace_id WHERE t.hash = $1 AND w.status = $2",
            [hash.bytes().to_vec().into(), WorkspaceStatus::Removed.as_str().into()],
        );
        let row = OwnerRow::find_by_statement(statement).one(self.db.reader()).await?;
        Ok(row.map(|row| WorkspaceId::from_uuid(row.workspace_id)))
    }

    /// Does the workspace have a live token? Counts unrevoked rows only, no join (SEC-9).
    ///
    /// # Errors
    /// The query failed.
    pub async fn has_live_token(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        Ok(live(workspace).one(self.db.reader()).await?.is_some())
    }

    /// Is the token, which was live when it was shown, still not revoked?
    ///
    /// # Errors
    /// The query failed.
    pub async fn is_unrevoked(&self, token: TokenId) -> Result<bool, StoreError> {
        let row = auth_token::Entity::find_by_id(token.uuid())
            .filter(auth_token::Column::RevokedAt.is_null())
            .one(self.db.reader())
            .await?;
        Ok(row.is_some())
    }

    /// Stores a token for a workspace.
    ///
    /// # Errors
    /// [`StoreError::UnknownWorkspace`], or the insert failed.
    pub async fn add_token(&self, workspace: WorkspaceId, token: NewToken) -> Result<TokenId, StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    require_live_workspace(tx, workspace).await?;
                    insert(tx, workspace, token).await
                })
            })
            .await
    }

    /// Stores a token only if the workspace has no live one and is not removed (REG-32, SEC-74); tells whether it did.
    ///
    /// # Errors
    /// The insert failed.
    pub async fn add_first_token(&self, workspace: WorkspaceId, token: NewToken) -> Result<bool, StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    // Locked before it is counted, or two registers could both find none.
                    let present = lock_live_workspace(tx, workspace).await?;
                    if !present || live(workspace).one(tx).await?.is_some() {
                        return Ok(false);
                    }
                    insert(tx, workspace, token).await?;
                    Ok(true)
                })
            })
            .await
    }

    /// Stores a token unless the workspace has `limit` live ones already (SEC-15); `None` means it has.
    ///
    /// # Errors
    /// [`StoreError::UnknownWorkspace`], or the count or the insert failed.
    pub async fn add_token_below(
        &self,
        workspace: WorkspaceId,
        token: NewToken,
        limit: u64,
    ) -> Result<Option<TokenId>, StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    require_live_workspace(tx, workspace).await?;
                    if live(workspace).count(tx).await? >= limit {
                        return Ok(None);
                    }
                    insert(tx, workspace, token).await.map(Some)
                })
            })
            .await
    }

    /// Revokes what the workspace had and stores `token` instead, in one transaction (PROV-52).
    ///
    /// # Errors
    /// [`StoreError::UnknownWorkspace`], or the write failed. Nothing changed.
    pub async fn rotate_token(&self, workspace: WorkspaceId, token: NewToken) -> Result<TokenId, StoreError> {
        let _told = self.changes.telling(workspace);
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    require_live_workspace(tx, workspace).await?;
                    revoke_all(tx, &[workspace]).await?;
                    insert(tx, workspace, token).await
                })
            })
            .await
    }

    /// Live tokens, newest first (SEC-14).
    ///
    /// # Errors
    /// The query failed.
    pub async fn list_tokens(
        &self,
        workspace: WorkspaceId,
        limit: u64,
        offset: u64,
    ) -> Result<Vec<TokenRow>, StoreError> {
        let rows = live(workspace)
            .order_by_desc(auth_token::Column::CreatedAt)
            .order_by_desc(auth_token::Column::Id)
            .limit(limit)
            .offset(offset)
            .all(self.db.reader())
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| TokenRow {
                id: TokenId::from_uuid(row.id),
                prefix: row.prefix,
                created_at: Timestamp::from_micros(row.created_at),
                last_used_at: row.last_used_at.map(Timestamp::from_micros),
            })
            .collect())
    }

    /// Revokes one live token of the workspace; tells whether there was one (SEC-16, SEC-100).
    ///
    /// # Errors
    /// The update failed.
    pub async fn revoke_token(&self, workspace: WorkspaceId, token: TokenId) -> Result<bool, StoreError> {
        let _told = self.changes.telling(workspace);
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let done = auth_token::Entity::update_many()
                        .col_expr(auth_token::Column::RevokedAt, Expr::value(now().micros()))
                        .filter(auth_token::Column::Id.eq(token.uuid()))
                        .filter(auth_token::Column::WorkspaceId.eq(workspace.uuid()))
                        .filter(auth_token::Column::RevokedAt.is_null())
                        .exec(tx)
                        .await?;
                    Ok(done.rows_affected == 1)
                })
            })
            .await
    }

    /// Notes when tokens were last used (SEC-7), many at a time.
    ///
    /// # Errors
    /// The update failed; uses are lost, tokens are not.
    pub async fn touch_tokens(&self, mut uses: Vec<(TokenId, Timestamp)>) -> Result<(), StoreError> {
        uses.sort_unstable();
        self.db
            .tx_relaxed(|tx| {
                Box::pin(async move {
                    for (token, at) in uses {
                        auth_token::Entity::update_many()
                            .col_expr(auth_token::Column::LastUsedAt, Expr::value(at.micros()))
                            .filter(auth_token::Column::Id.eq(token.uuid()))
                            .exec(tx)
                            .await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// Refuses tokens of workspaces that are removed or unknown: at a restoration such a token would come alive (LIFE-199).
async fn require_live_workspace(tx: &DatabaseTransaction, workspace: WorkspaceId) -> Result<(), StoreError> {
    if lock_live_workspace(tx, workspace).await? {
        Ok(())
    } else {
        Err(StoreError::UnknownWorkspace)
    }
}

/// Holds the workspace's row until the end of the transaction, so that two first tokens cannot both be the first.
/// `false` if it is unknown or removed.
pub(crate) async fn lock_live_workspace(tx: &DatabaseTransaction, workspace: WorkspaceId) -> Result<bool, StoreError> {
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "UPDATE workspaces SET version = version WHERE id = $1 AND status <> $2",
        [workspace.uuid().into(), WorkspaceStatus::Removed.as_str().into()],
    );
    Ok(tx.execute_raw(statement).await?.rows_affected() == 1)
}

fn live(workspace: WorkspaceId) -> sea_orm::Select<auth_token::Entity> {
    auth_token::Entity::find()
        .filter(auth_token::Column::WorkspaceId.eq(workspace.uuid()))
        .filter(auth_token::Column::RevokedAt.is_null())
}
