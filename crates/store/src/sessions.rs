//! Browser sessions (D2). Only hashes are stored; they survive a restart of the server.

use molecule_core::{SessionId, Timestamp, credential::TokenHash};
use molecule_db::now;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::Expr};

use crate::{Store, StoreError, changes::Subject, entities::session};

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Row id.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends unless used.
    pub expires_at: Timestamp,
    /// When it was last looked up.
    pub last_used_at: Option<Timestamp>,
    /// Where it began.
    pub origin: SessionOrigin,
}

/// Where a session began, as its browser told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionOrigin {
    /// What the browser called itself.
    pub agent: Option<String>,
    /// Its address.
    pub address: Option<String>,
}

impl From<session::Model> for SessionRow {
    fn from(row: session::Model) -> Self {
        Self {
            id: SessionId::from_uuid(row.id),
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
            origin: SessionOrigin {
                agent: row.agent,
                address: row.address,
            },
        }
    }
}

impl Store {
    /// Begins a session; sessions that have ended are cleared away with it.
    ///
    /// # Errors
    /// The insert failed.
    pub async fn add_session(
        &self,
        hash: TokenHash,
        expires_at: Timestamp,
        origin: SessionOrigin,
    ) -> Result<SessionId, StoreError> {
        let id = SessionId::random();
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let at = now().micros();
                    session::Entity::delete_many()
                        .filter(session::Column::ExpiresAt.lte(at))
                        .exec(tx)
                        .await?;
                    session::Entity::insert(session::ActiveModel {
                        id: Set(id.uuid()),
                        hash: Set(hash.bytes().to_vec()),
                        created_at: Set(at),
                        expires_at: Set(expires_at.micros()),
                        agent: Set(origin.agent),
                        address: Set(origin.address),
                        last_used_at: Set(None),
                    })
                    .exec_without_returning(tx)
                    .await?;
                    Ok(id)
                })
            })
            .await
    }

    /// A live session by its token's hash.
    ///
    /// # Errors
    /// The query failed.
    pub async fn session(&self, hash: &TokenHash) -> Result<Option<SessionRow>, StoreError> {
        let row = session::Entity::find()
            .filter(session::Column::Hash.eq(hash.bytes().to_vec()))
            .filter(session::Column::ExpiresAt.gt(now().micros()))
            .one(self.db.reader())
            .await?;
        Ok(row.map(Into::into))
    }

    /// Live sessions, newest first, at most `limit`.
    ///
    /// # Errors
    /// The query failed.
    pub async fn list_sessions(&self, limit: u64) -> Result<Vec<SessionRow>, StoreError> {
        let rows = session::Entity::find()
            .filter(session::Column::ExpiresAt.gt(now().micros()))
            .order_by_desc(session::Column::CreatedAt)
            .order_by_desc(session::Column::Id)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Notes the use of a live session, and moves its end.
    ///
    /// # Errors
    /// The update failed.
    pub async fn extend_session(&self, id: SessionId, expires_at: Timestamp) -> Result<(), StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    session::Entity::update_many()
                        .col_expr(session::Column::ExpiresAt, Expr::value(expires_at.micros()))
                        .col_expr(session::Column::LastUsedAt, Expr::value(now().micros()))
                        .filter(session::Column::Id.eq(id.uuid()))
                        .filter(session::Column::ExpiresAt.gt(now().micros()))
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Ends a session; tells whether there was one.
    ///
    /// # Errors
    /// The delete failed.
    pub async fn end_session(&self, id: SessionId) -> Result<bool, StoreError> {
        let _told = self.changes.telling(Subject::Session(id));
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    let ended = session::Entity::delete_by_id(id.uuid()).exec(tx).await?;
                    Ok(ended.rows_affected == 1)
                })
            })
            .await
    }
}
