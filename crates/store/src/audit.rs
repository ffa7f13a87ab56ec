//! Who changed what. A record is begun before the change and completed after it, so that a change that was interrupted
//! is in here too; each is chained to the one before it. What it is sealed with is the caller's: the store has no keys.

use molecule_core::{AuditId, Timestamp, WorkspaceId, text::storable};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Set, sea_query::Expr,
};
use uuid::Uuid;

use crate::{Store, StoreError, entities::audit, events::take_positions};

/// Name of the head of the audit's positions.
const LOG: &str = "audit";

/// A change about to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAudit {
    /// Who changes something, such as `session:…`.
    pub actor: String,
    /// What is done, such as `workspace.delete`.
    pub action: String,
    /// Method and pattern of the route.
    pub route: String,
    /// The workspace it is about.
    pub workspace_id: Option<WorkspaceId>,
    /// What is changed, where that is no workspace or a part of one.
    pub target: Option<String>,
    /// Address of whoever asks.
    pub address: Option<String>,
    /// Trace of the request.
    pub trace_id: Option<String>,
}

/// A recorded change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Position.
    pub seq: i64,
    /// Id on the wire.
    pub id: AuditId,
    /// When it was begun.
    pub created_at: Timestamp,
    /// What was begun.
    pub what: NewAudit,
    /// Which key seals it.
    pub key_id: String,
    /// Seal of the record before it; empty for the first.
    pub prev_hmac: Vec<u8>,
    /// Seal of this one.
    pub hmac: Vec<u8>,
    /// How it ended; `None` while it goes on, or if it was interrupted.
    pub outcome: Option<AuditOutcome>,
    /// Seal of the outcome.
    pub outcome_hmac: Option<Vec<u8>>,
}

/// How a change ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditOutcome {
    /// Status of the answer.
    pub status: u16,
    /// Id of what was made, if that was not known before.
    pub made: Option<String>,
    /// JSON of what was there before, as far as it changed; without any secret.
    pub before: Option<String>,
    /// JSON of what is there now, likewise.
    pub after: Option<String>,
}

/// Which records are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only records before this position.
    pub before: Option<i64>,
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only about this workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// Not older.
    pub from: Option<Timestamp>,
    /// Older.
    pub to: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct Head {
    seq: i64,
}

impl From<audit::Model> for AuditRow {
    fn from(row: audit::Model) -> Self {
        let outcome = row.status.map(|status| AuditOutcome {
            status: u16::try_from(status).unwrap_or_default(),
            made: row.made,
            before: row.state_before,
            after: row.state_after,
        });
        Self {
            seq: row.seq,
            id: AuditId::from_uuid(row.id),
            created_at: Timestamp::from_micros(row.created_at),
            what: NewAudit {
                actor: row.actor,
                action: row.action,
                route: row.route,
                workspace_id: row.workspace_id.map(WorkspaceId::from_uuid),
                target: row.target,
                address: row.address,
                trace_id: row.trace_id,
            },
            key_id: row.key_id,
            prev_hmac: row.prev_hmac,
            hmac: row.hmac,
            outcome,
            outcome_hmac: row.outcome_hmac,
        }
    }
}

fn stored(text: Option<String>) -> Option<String> {
    text.map(|text| storable(&text).into_owned())
}

async fn begin(
    tx: &DatabaseTransaction,
    new: NewAudit,
    key_id: String,
    seal: impl FnOnce(&AuditRow) -> Vec<u8>,
) -> Result<AuditRow, StoreError> {
    let mut positions = take_positions(tx, LOG, 1).await?;
    let (seq, at) = positions.next().unwrap_or_default();
    let last: Option<Vec<u8>> = audit::Entity::find_by_id(seq - 1)
        .select_only()
        .column(audit::Column::Hmac)
        .into_tuple()
        .one(tx)
        .await?;
    let mut row = AuditRow {
        seq,
        id: AuditId::from_uuid(Uuid::now_v7()),
        created_at: Timestamp::from_micros(at),
        what: NewAudit {
            actor: storable(&new.actor).into_owned(),
            target: stored(new.target),
            address: stored(new.address),
            ..new
        },
        key_id,
        prev_hmac: last.unwrap_or_default(),
        hmac: Vec::new(),
        outcome: None,
        outcome_hmac: None,
    };
    row.hmac = seal(&row);
    let what = row.what.clone();
    audit::Entity::insert(audit::ActiveModel {
        seq: Set(seq),
        id: Set(row.id.uuid()),
        created_at: Set(at),
        actor: Set(what.actor),
        action: Set(what.action),
        route: Set(what.route),
        workspace_id: Set(what.workspace_id.map(WorkspaceId::uuid)),
        target: Set(what.target),
        address: Set(what.address),
        trace_id: Set(what.trace_id),
        state_before: Set(None),
        key_id: Set(row.key_id.clone()),
        prev_hmac: Set(row.prev_hmac.clone()),
        hmac: Set(row.hmac.clone()),
        status: Set(None),
        made: Set(None),
        state_after: Set(None),
        outcome_hmac: Set(None),
    })
    .exec_without_returning(tx)
    .await?;
    Ok(row)
}

impl Store {
    /// Records a change that is about to be made. `seal` gives the seal of the record as it is with the one before it.
    ///
    /// # Errors
    /// Nothing was recorded, and so nothing may be changed.
    pub async fn begin_audit(
        &self,
        new: NewAudit,
        key_id: String,
        seal: impl FnOnce(&AuditRow) -> Vec<u8> + Send + 'static,
    ) -> Result<AuditRow, StoreError> {
        self.db
            .tx(|tx| Box::pin(async move { begin(tx, new, key_id, seal).await }))
            .await
    }

    /// Records how a change ended. Once it is told, it stays.
    ///
    /// # Errors
    /// The record says that the change was begun, and not how it ended.
    pub async fn end_audit(&self, seq: i64, outcome: AuditOutcome, hmac: Vec<u8>) -> Result<(), StoreError> {
        self.db
            .tx(|tx| {
                Box::pin(async move {
                    audit::Entity::update_many()
                        .col_expr(audit::Column::Status, Expr::value(i32::from(outcome.status)))
                        .col_expr(audit::Column::Made, Expr::value(stored(outcome.made)))
                        .col_expr(audit::Column::StateBefore, Expr::value(stored(outcome.before)))
                        .col_expr(audit::Column::StateAfter, Expr::value(stored(outcome.after)))
                        .col_expr(audit::Column::OutcomeHmac, Expr::value(hmac))
                        .filter(audit::Column::Seq.eq(seq))
                        .filter(audit::Column::Status.is_null())
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Records, newest first.
    ///
    /// # Errors
    /// The query failed.
    pub async fn audit(&self, filter: AuditFilter, limit: u64) -> Result<Vec<AuditRow>, StoreError> {
        use audit::Column;
        let mut rows = audit::Entity::find();
        if let Some(before) = filter.before {
            rows = rows.filter(Column::Seq.lt(before));
        }
        if let Some(actor) = filter.actor {
            rows = rows.filter(Column::Actor.eq(actor));
        }
        if let Some(action) = filter.action {
            rows = rows.filter(Column::Action.eq(action));
        }
        if let Some(workspace) = filter.workspace_id {
            // It is about it, or it made it.
            let about = Condition::any()
                .add(Column::WorkspaceId.eq(workspace.uuid()))
                .add(Column::Made.eq(workspace.to_string()));
            rows = rows.filter(about);
        }
        if let Some(from) = filter.from {
            rows = rows.filter(Column::CreatedAt.gte(from.micros()));
        }
        if let Some(to) = filter.to {
            rows = rows.filter(Column::CreatedAt.lt(to.micros()));
        }
        let rows = rows
            .order_by_desc(Column::Seq)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Records in order, those after a position.
    ///
    /// # Errors
    /// The query failed.
    pub async fn audit_after(&self, seq: i64, limit: u64) -> Result<Vec<AuditRow>, StoreError> {
        let rows = audit::Entity::find()
            .filter(audit::Column::Seq.gt(seq))
            .order_by_asc(audit::Column::Seq)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Position of the last record ever begun; 0 for none. Known apart from the records, so that one sees when the last
    /// of them are gone.
    ///
    /// # Errors
    /// The query failed.
    pub async fn audit_head(&self) -> Result<i64, StoreError> {
        let statement = self
            .db
            .statement("SELECT seq FROM log_head WHERE name = $1", [LOG.into()]);
        let head = Head::find_by_statement(statement).one(self.db.reader()).await?;
        Ok(head.map_or(0, |head| head.seq))
    }
}
