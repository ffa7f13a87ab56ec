use sea_orm::{DatabaseTransaction, DbErr};

use crate::{BoxFuture, Db};

impl Db {
    /// Runs `work` in one write transaction: committed if it returns `Ok`, rolled back otherwise and when dropped.
    /// No network call and no second write belong inside: on SQLite everybody else waits.
    ///
    /// # Errors
    /// Whatever `work` returns, or the engine's error on begin and commit.
    pub async fn tx<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, E>> + Send,
        E: From<DbErr>,
    {
        self.transact(false, work).await
    }

    /// Like [`Db::tx`], but what it commits survives a killed process only: a power cut may undo it (D15). For what is
    /// observed again anyway, such as heartbeats, and too frequent to wait for the disk.
    ///
    /// # Errors
    /// Whatever `work` returns, or the engine's error on begin and commit.
    pub async fn tx_relaxed<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, E>> + Send,
        E: From<DbErr>,
    {
        self.transact(true, work).await
    }

    async fn transact<T, E, F>(&self, relaxed: bool, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, E>> + Send,
        E: From<DbErr>,
    {
        let writer = self.writer();
        let _turn = writer.turn().await;
        let tx = writer.begin(relaxed).await?;
        match work(&tx).await {
            Ok(value) => {
                tx.commit().await?;
                Ok(value)
            }
            Err(error) => {
                if let Err(rollback) = tx.rollback().await {
                    tracing::warn!(error = %rollback, "rollback failed; the connection discards the transaction");
                }
                Err(error)
            }
        }
    }
}
