//! Recorded events: the outbox, read in `seq` order by one pump and newest first by `GET /events`.

use molecule_core::{EventId, EventType, Timestamp, Word, WorkspaceId, event::Event};
use molecule_db::now;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Set, Statement,
};
use uuid::Uuid;

use crate::{Store, StoreError, entities::event};

/// Position in a log. Order of `Seq` is order of visibility, on both engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Seq(pub i64);

/// An event about to be recorded with the change that causes it.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The subject.
    pub workspace_id: WorkspaceId,
    /// What happened, and what is said of it.
    pub event: Event,
}

impl NewEvent {
    /// About `workspace_id`.
    #[must_use]
    pub fn of(workspace_id: WorkspaceId, event: Event) -> Self {
        Self { workspace_id, event }
    }
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Position.
    pub seq: Seq,
    /// Id on the wire.
    pub id: EventId,
    /// Catalogue name; rows outlive the catalogue of their time.
    pub event: Word<EventType>,
    /// The subject.
    pub workspace_id: Option<WorkspaceId>,
    /// JSON text.
    pub payload: String,
    /// When it was recorded.
    pub created_at: Timestamp,
}

#[derive(FromQueryResult)]
struct Head {
    seq: i64,
    at: i64,
}

/// Takes `count` positions of `log`. The last step before the insert: the row lock is held until the commit, so
/// positions become visible in order. Each position has its own microsecond.
pub(crate) async fn take_positions(
    tx: &DatabaseTransaction,
    log: &'static str,
    count: usize,
) -> Result<impl Iterator<Item = (i64, i64)> + use<>, StoreError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "UPDATE log_head SET seq = seq + $1, at = CASE WHEN at + $1 > $2 THEN at + $1 ELSE $2 END
         WHERE name = $3 RETURNING seq, at",
        [count.into(), now().micros().into(), log.into()],
    );
    let head = Head::find_by_statement(statement)
        .one(tx)
        .await?
        .ok_or(StoreError::Corrupt {
            column: "log_head.name",
            value: log.to_owned(),
        })?;
    Ok((0..count).map(move |i| (head.seq - count + 1 + i, head.at - count + 1 + i)))
}

/// Records `events` in `tx`, in order. Returns the position of the last one; `Seq(0)` for none.
pub(crate) async fn append(tx: &DatabaseTransaction, events: Vec<NewEvent>) -> Result<Seq, StoreError> {
    if events.is_empty() {
        return Ok(Seq(0));
    }
    let positions = take_positions(tx, "events", events.len()).await?;
    let mut last = Seq(0);
    let mut rows = Vec::with_capacity(events.len());
    for ((seq, at), new) in positions.zip(events) {
        last = Seq(seq);
        rows.push(event::ActiveModel {
            seq: Set(seq),
            id: Set(Uuid::now_v7()),
            event_type: Set(new.event.kind().as_str().to_owned()),
            workspace_id: Set(Some(new.workspace_id.uuid())),
            agent_id: Set(None),
            target_id: Set(None),
            payload: Set(molecule_core::text::storable(&payload_text(&new.event)?).into_owned()),
            created_at: Set(at),
        });
    }
    // Parameters per statement are bounded on both engines; a cascade delete can be long.
    for chunk in rows.chunks(500) {
        event::Entity::insert_many(chunk.to_vec())
            .exec_without_returning(tx)
            .await?;
    }
    Ok(last)
}

fn payload_text(event: &Event) -> Result<String, StoreError> {
    serde_json::to_string(event).map_err(|error| StoreError::Corrupt {
        column: "structure_events.payload",
        value: format!("{:?}: {error}", event.kind()),
    })
}

impl From<event::Model> for RecordedEvent {
    fn from(row: event::Model) -> Self {
        Self {
            seq: Seq(row.seq),
            id: EventId::from_uuid(row.id),
            event: Word::from(row.event_type),
            workspace_id: row.workspace_id.map(WorkspaceId::from_uuid),
            payload: row.payload,
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

impl Store {
    /// Records events that belong to no other change.
    ///
    /// # Errors
    /// Nothing was recorded.
    pub async fn record_events(&self, events: Vec<NewEvent>) -> Result<Seq, StoreError> {
        self.db.tx(|tx| Box::pin(async move { append(tx, events).await })).await
    }

    /// Position of the newest recorded event.
    ///
    /// # Errors
    /// The query failed.
    pub async fn events_head(&self) -> Result<Seq, StoreError> {
        let newest = event::Entity::find()
            .select_only()
            .column(event::Column::Seq)
            .order_by_desc(event::Column::Seq);
        Ok(newest.into_tuple().one(self.db.reader()).await?.map_or(Seq(0), Seq))
    }

    /// Events after `seq`, oldest first.
    ///
    /// # Errors
    /// The query failed.
    pub async fn events_after(&self, seq: Seq, limit: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = event::Entity::find()
            .filter(event::Column::Seq.gt(seq.0))
            .order_by_asc(event::Column::Seq)
            .limit(limit)
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Newest events first, of one workspace or of all (ACT-69).
    ///
    /// # Errors
    /// The query failed.
    pub async fn newest_events(
        &self,
        workspace: Option<WorkspaceId>,
        limit: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut query = event::Entity::find().order_by_desc(event::Column::Seq).limit(limit);
        if let Some(id) = workspace {
            query = query.filter(event::Column::WorkspaceId.eq(id.uuid()));
        }
        Ok(query.all(self.db.reader()).await?.into_iter().map(Into::into).collect())
    }
}
