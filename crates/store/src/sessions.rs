//! Browser sessions (D2). Only hashes are stored; they survive a restart of the server.

use molecule_core::{SessionId, Timestamp, credential::TokenHash};
use molecule_db::now;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set, sea_query::Expr};

use crate::{Store, StoreError, changes::Subject, entities::session};

/// A session that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRow {
    /// Row id.
    pub id: SessionId,
    /// When it ends unless used.
    pub expires_at: Timestamp,
}

impl Store {
    /// Begins a session; sessions that have ended are cleared away with it.
    ///
    /// # Errors
    /// The insert failed.
    pub async fn add_session(&self, hash: TokenHash, expires_at: Timestamp) -> Result<SessionId, StoreError> {
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
        Ok(row.map(|row| SessionRow {
            id: SessionId::from_uuid(row.id),
            expires_at: Timestamp::from_micros(row.expires_at),
        }))
    }

    /// Moves the end of a live session.
    ///
    /// # Errors
    /// The update failed.
    pub async fn extend_session(&self, id: SessionId, expires_at: Timestamp) -> Result<(), StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    session::Entity::update_many()
                        .col_expr(session::Column::ExpiresAt, Expr::value(expires_at.micros()))
                        .filter(session::Column::Id.eq(id.uuid()))
                        .filter(session::Column::ExpiresAt.gt(now().micros()))
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The delete failed.
    pub async fn end_session(&self, id: SessionId) -> Result<(), StoreError> {
        let _told = self.changes.telling(Subject::Session(id));
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    session::Entity::delete_by_id(id.uuid()).exec(tx).await?;
                    Ok(())
                })
            })
            .await
    }
}
