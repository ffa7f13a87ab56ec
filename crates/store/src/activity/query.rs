use molecule_core::{
    ActivityId, Timestamp, Word, WorkspaceId,
    activity::{ActivityFilter, SourceFilter},
    limits,
    text::storable,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
    sea_query::{Asterisk, Expr, Query, SelectStatement, UnionType},
};

use super::Activity;
use crate::{Store, StoreError, entities::activity, events::Seq};

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
            activity_type: Word::from(row.activity_type),
            source_id: row.source_id.map(WorkspaceId::from_uuid),
            target_id: row.target_id.map(WorkspaceId::from_uuid),
            method: row.method,
            summary: row.summary,
            request_body: row.request_body,
            response_body: row.response_body,
            tool_trace: row.tool_trace,
            duration_ms: row.duration_ms,
            status: Word::from(row.status),
            error_detail: row.error_detail,
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

/// Bytes of what can be large in a row. Neither engine reads a text to tell how many bytes it has.
const SIZE: &str = "CAST(COALESCE(octet_length(request_body), 0) + COALESCE(octet_length(response_body), 0) \
     + COALESCE(octet_length(tool_trace), 0) + COALESCE(octet_length(method), 0) \
     + COALESCE(octet_length(summary), 0) + COALESCE(octet_length(error_detail), 0) AS BIGINT)";

/// Positions that a feed is confined to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// The cursor: only rows after it, oldest first.
    pub(crate) after: Option<Seq>,
    /// The first row at or after [`ActivityFilter::since`].
    pub(crate) from: Option<Seq>,
    /// The first row that is no longer before [`ActivityFilter::before`].
    pub(crate) until: Option<Seq>,
}

/// The feed's statement: a walk along one index, in order, that stops at the limit.
pub(crate) fn feed(workspace: WorkspaceId, filter: &ActivityFilter, span: Span) -> SelectStatement {
    use activity::Column;
    let order = if span.after.is_some() { Order::Asc } else { Order::Desc };
    let walk = |rows: Select<activity::Entity>| {
        rows.order_by(Column::Seq, order.clone())
            .limit(filter.limit)
            .into_query()
    };
    let rows = confined(workspace, filter, span);
    let Some(peer) = filter.peer else { return walk(rows) };
    // Each direction walks an index of its own (ACT-12a). Asked for in one condition, with OR, either engine may decide
    // to walk the whole workspace instead.
    let [inbound, outbound] = directions(rows, peer).map(|rows| {
        Query::select()
            .column(Asterisk)
            .from_subquery(walk(rows), "direction")
            .to_owned()
    });
    let mut both = inbound;
    both.union(UnionType::All, outbound)
        .order_by(Column::Seq, order.clone())
        .limit(filter.limit)
        .to_owned()
}

/// What a peer sent, and what it was sent by others (ACT-20).
fn directions(rows: Select<activity::Entity>, peer: WorkspaceId) -> [Select<activity::Entity>; 2] {
    use activity::Column;
    let others = Condition::any()
        .add(Column::SourceId.is_null())
        .add(Column::SourceId.ne(peer.uuid()));
    let inbound = rows.clone().filter(Column::SourceId.eq(peer.uuid()));
    let outbound = rows.filter(Column::TargetId.eq(peer.uuid())).filter(others);
    [inbound, outbound]
}

/// Every condition except the peer.
fn confined(workspace: WorkspaceId, filter: &ActivityFilter, span: Span) -> Select<activity::Entity> {
    use activity::Column;
    let kind = filter
        .activity_type
        .as_ref()
        .map(|kind| Column::ActivityType.eq(storable(kind.as_str()).into_owned()));
    let source = filter.source.map(|source| match source {
        SourceFilter::Canvas => Column::SourceId.is_null(),
        SourceFilter::Agent => Column::SourceId.is_not_null(),
    });
    let conditions = [
        span.after.map(|seq| Column::Seq.gt(seq.0)),
        span.from.map(|seq| Column::Seq.gte(seq.0)),
        span.until.map(|seq| Column::Seq.lt(seq.0)),
        kind,
        source,
        filter.since.map(|since| Column::CreatedAt.gte(since.micros())),
        filter.before.map(|before| Column::CreatedAt.lt(before.micros())),
    ];
    let rows = activity::Entity::find().filter(Column::WorkspaceId.eq(workspace.uuid()));
    conditions.into_iter().flatten().fold(rows, Select::filter)
}

impl Store {
    /// Rows of a workspace's feed: newest first, or oldest first after a cursor. Fewer than asked for if they are long.
    ///
    /// # Errors
    /// [`FeedError::CursorGone`], or the query failed.
    pub async fn activity_feed(
        &self,
        workspace: WorkspaceId,
        filter: &ActivityFilter,
    ) -> Result<Vec<Activity>, FeedError> {
        let mut span = Span::default();
        if let Some(id) = filter.after {
            span.after = Some(self.cursor(workspace, id).await?);
        }
        if let Some(since) = filter.since {
            span.from = self.first_since(since).await?;
            if span.from.is_none() {
                return Ok(Vec::new());
            }
        }
        if let Some(before) = filter.before {
            span.until = self.first_since(before).await?;
        }
        let page = self.positions_that_fit(&feed(workspace, filter, span)).await?;
        let Some(last) = page.iter().max() else {
            return Ok(Vec::new());
        };
        // Up to where the page was measured: a row recorded since then must not push another one out.
        span.until = Some(Seq(last.0 + 1));
        let filter = ActivityFilter {
            limit: page.len() as u64,
            ..filter.clone()
        };
        let statement = self.db.backend().build(&feed(workspace, &filter, span));
        let rows = activity::Entity::find()
            .from_raw_sql(statement)
            .all(self.db.reader())
            .await
            .map_err(StoreError::from)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Positions of the first rows of a page that together have at most [`limits::ACTIVITY_PAGE_BYTES`], and of one row
    /// in any case. What a page is cut short of comes with the next: it is a beginning of what was asked for, in either
    /// direction.
    async fn positions_that_fit(&self, page: &SelectStatement) -> Result<Vec<Seq>, StoreError> {
        let sizes = Query::select()
            .column(activity::Column::Seq)
            .expr_as(Expr::cust(SIZE), "bytes")
            .from_subquery(page.clone(), "page")
            .to_owned();
        let rows = self.db.reader().query_all_raw(self.db.backend().build(&sizes)).await?;
        let mut positions = Vec::with_capacity(rows.len());
        let mut total = 0;
        for row in rows {
            let (seq, bytes): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            total += bytes;
            if total > limits::ACTIVITY_PAGE_BYTES && !positions.is_empty() {
                break;
            }
            positions.push(Seq(seq));
        }
        Ok(positions)
    }

    /// Position of a cursor row, looked up within the workspace (ACT-25).
    async fn cursor(&self, workspace: WorkspaceId, id: ActivityId) -> Result<Seq, FeedError> {
        let row = activity::Entity::find()
            .filter(activity::Column::Id.eq(id.uuid()))
            .filter(activity::Column::WorkspaceId.eq(workspace.uuid()));
        self.position(row).await?.ok_or(FeedError::CursorGone)
    }

    /// Position of the oldest row, of any workspace, recorded at or after an instant. Rows are stamped in the order of
    /// their positions, so that an instant divides the log in two.
    async fn first_since(&self, at: Timestamp) -> Result<Option<Seq>, StoreError> {
        let rows = activity::Entity::find()
            .filter(activity::Column::CreatedAt.gte(at.micros()))
            .order_by_asc(activity::Column::CreatedAt);
        self.position(rows).await
    }

    async fn position(&self, rows: Select<activity::Entity>) -> Result<Option<Seq>, StoreError> {
        let row = rows
            .select_only()
            .column(activity::Column::Seq)
            .into_tuple()
            .one(self.db.reader())
            .await?;
        Ok(row.map(Seq))
    }
}
