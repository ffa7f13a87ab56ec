use molecule_core::{ActivityId, Timestamp, WorkspaceId};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Asterisk, Query, SelectStatement, UnionType},
};

use super::Activity;
use crate::{Store, StoreError, entities::activity, events::Seq};

/// Which rows of a feed (ACT §1.2). All parts compose with AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Exact kind; an unknown one matches nothing.
    pub activity_type: Option<String>,
    /// People or agents.
    pub source: Option<SourceFilter>,
    /// Source or target is this workspace (ACT-20).
    pub peer: Option<WorkspaceId>,
    /// Recorded at or after.
    pub since: Option<Timestamp>,
    /// Recorded strictly before (ACT-22).
    pub before: Option<Timestamp>,
    /// Rows strictly after this row, oldest first (ACT-23).
    pub after: Option<ActivityId>,
    /// At most so many.
    pub limit: u64,
}

/// Who began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFilter {
    /// No source workspace: a person on the canvas, or the system.
    Canvas,
    /// Another workspace.
    Agent,
}

/// Why a feed could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The cursor row is unknown, pruned or another workspace's; indistinguishable (ACT-26).
    #[error("since_id cursor not found")]
    CursorGone,
    /// The query failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<activity::Model> for Activity {
    fn from(row: activity::Model) -> Self {
        Self {
            seq: Seq(row.seq),
            id: ActivityId::from_uuid(row.id),
            workspace_id: WorkspaceId::from_uuid(row.workspace_id),
            activity_type: row.activity_type,
            source_id: row.source_id.map(WorkspaceId::from_uuid),
            target_id: row.target_id.map(WorkspaceId::from_uuid),
            method: row.method,
            summary: row.summary,
            request_body: row.request_body,
            response_body: row.response_body,
            tool_trace: row.tool_trace,
            duration_ms: row.duration_ms,
            status: row.status,
            error_detail: row.error_detail,
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

/// The feed's statement; `cursor` is the position of `filter.after`.
pub(crate) fn feed(workspace: WorkspaceId, filter: &ActivityFilter, cursor: Option<Seq>) -> SelectStatement {
    use activity::Column;
    let order = if cursor.is_some() { Order::Asc } else { Order::Desc };
    let rows = part(workspace, filter, cursor);
    let Some(peer) = filter.peer else {
        return rows.order_by(Column::Seq, order).limit(filter.limit).into_query();
    };
    // Each direction walks its own index in order and stops at the limit (ACT-12a). As one condition with OR, either
    // engine may decide to walk the whole workspace instead.
    let direction =
        |of: Select<activity::Entity>| of.order_by(Column::Seq, order.clone()).limit(filter.limit).into_query();
    let inbound = direction(rows.clone().filter(Column::SourceId.eq(peer.uuid())));
    let not_inbound = Condition::any()
        .add(Column::SourceId.is_null())
        .add(Column::SourceId.ne(peer.uuid()));
    let outbound = direction(rows.filter(Column::TargetId.eq(peer.uuid())).filter(not_inbound));
    let from =
        |of: SelectStatement, alias: &'static str| Query::select().column(Asterisk).from_subquery(of, alias).to_owned();
    from(inbound, "inbound")
        .union(UnionType::All, from(outbound, "outbound"))
        .order_by(Column::Seq, order.clone())
        .limit(filter.limit)
        .to_owned()
}

/// Every condition except the peer.
fn part(workspace: WorkspaceId, filter: &ActivityFilter, cursor: Option<Seq>) -> Select<activity::Entity> {
    use activity::Column;
    let mut query = activity::Entity::find().filter(Column::WorkspaceId.eq(workspace.uuid()));
    if let Some(cursor) = cursor {
        query = query.filter(Column::Seq.gt(cursor.0));
    }
    if let Some(kind) = &filter.activity_type {
        query = query.filter(Column::ActivityType.eq(kind.as_str()));
    }
    match filter.source {
        Some(SourceFilter::Canvas) => query = query.filter(Column::SourceId.is_null()),
        Some(SourceFilter::Agent) => query = query.filter(Column::SourceId.is_not_null()),
        None => {}
    }
    if let Some(since) = filter.since {
        query = query.filter(Column::CreatedAt.gte(since.micros()));
    }
    if let Some(before) = filter.before {
        query = query.filter(Column::CreatedAt.lt(before.micros()));
    }
    query
}

impl Store {
    /// Rows of a workspace's feed: newest first, or oldest first after a cursor.
    ///
    /// # Errors
    /// [`FeedError::CursorGone`], or the query failed.
    pub async fn activity_feed(
        &self,
        workspace: WorkspaceId,
        filter: &ActivityFilter,
    ) -> Result<Vec<Activity>, FeedError> {
        let cursor = match filter.after {
            Some(id) => Some(self.cursor(workspace, id).await?),
            None => None,
        };
        let statement = self.db.backend().build(&feed(workspace, filter, cursor));
        let rows = activity::Entity::find()
            .from_raw_sql(statement)
            .all(self.db.reader())
            .await
            .map_err(StoreError::from)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Position of a cursor row, looked up within the workspace (ACT-25).
    async fn cursor(&self, workspace: WorkspaceId, id: ActivityId) -> Result<Seq, FeedError> {
        let row = activity::Entity::find()
            .filter(activity::Column::Id.eq(id.uuid()))
            .filter(activity::Column::WorkspaceId.eq(workspace.uuid()))
            .one(self.db.reader())
            .await
            .map_err(StoreError::from)?;
        row.map(|row| Seq(row.seq)).ok_or(FeedError::CursorGone)
    }
}
