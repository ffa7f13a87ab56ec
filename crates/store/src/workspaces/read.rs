use std::collections::HashMap;

use molecule_core::{DeliveryMode, Runtime, Timestamp, Word, WorkspaceId, WorkspaceStatus, validate::WorkspaceAccess};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::{parse_access, parse_mode, parse_status};
use crate::{Store, StoreError, secrets::Sealed};

/// A workspace with its layout and its latest pulse.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are the record table of lifecycle.md §1")]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    pub role: Option<String>,
    pub tier: i32,
    pub runtime: Word<Runtime>,
    pub status: WorkspaceStatus,
    pub parent_id: Option<WorkspaceId>,
    pub awareness_namespace: String,
    pub template: Option<String>,
    pub agent_card: Option<String>,
    pub url: String,
    pub url_assigned: bool,
    pub delivery_mode: Option<DeliveryMode>,
    pub workspace_dir: Option<String>,
    pub workspace_access: WorkspaceAccess,
    pub budget_limit: Option<i64>,
    pub max_concurrent_tasks: i32,
    pub hibernation_idle_minutes: Option<i32>,
    pub generation: i64,
    pub version: i64,
    pub status_changed_at: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub x: f64,
    pub y: f64,
    pub collapsed: bool,
    pub last_beat_at: Option<Timestamp>,
    pub uptime_seconds: i64,
    pub error_rate: f64,
    pub sample_error: String,
    pub active_tasks: i64,
    pub current_task: String,
    pub monthly_spend: i64,
    pub last_outbound_at: Option<Timestamp>,
}

/// What a message's route is decided from; small enough to be cached for every workspace.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a subset of `Workspace`")]
pub struct RouteRow {
    pub id: WorkspaceId,
    pub name: String,
    pub runtime: Word<Runtime>,
    pub status: WorkspaceStatus,
    pub parent_id: Option<WorkspaceId>,
    pub url: String,
    pub url_assigned: bool,
    pub delivery_mode: Option<DeliveryMode>,
    pub agent_card: Option<String>,
    pub inbound_secret: Option<Sealed>,
    pub budget_limit: Option<i64>,
    pub monthly_spend: i64,
    pub active_tasks: i64,
    pub current_task: String,
    pub max_concurrent_tasks: i32,
    pub generation: i64,
    pub version: i64,
}

/// A workspace as it appears in a tree walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRow {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Its parent.
    pub parent_id: Option<WorkspaceId>,
    /// Its state.
    pub status: WorkspaceStatus,
}

#[derive(FromQueryResult)]
struct FullRow {
    id: Uuid,
    name: String,
    role: Option<String>,
    tier: i32,
    runtime: String,
    status: String,
    parent_id: Option<Uuid>,
    awareness_namespace: String,
    template: Option<String>,
    agent_card: Option<String>,
    url: String,
    url_assigned: bool,
    delivery_mode: Option<String>,
    workspace_dir: Option<String>,
    workspace_access: String,
    budget_limit: Option<i64>,
    max_concurrent_tasks: i32,
    hibernation_idle_minutes: Option<i32>,
    generation: i64,
    version: i64,
    status_changed_at: i64,
    created_at: i64,
    updated_at: i64,
    x: Option<f64>,
    y: Option<f64>,
    collapsed: Option<bool>,
    last_beat_at: Option<i64>,
    uptime_seconds: Option<i64>,
    error_rate: Option<f64>,
    sample_error: Option<String>,
    active_tasks: Option<i64>,
    current_task: Option<String>,
    monthly_spend: Option<i64>,
    last_outbound_at: Option<i64>,
}

#[derive(FromQueryResult)]
struct RouteModel {
    id: Uuid,
    name: String,
    runtime: String,
    status: String,
    parent_id: Option<Uuid>,
    url: String,
    url_assigned: bool,
    delivery_mode: Option<String>,
    agent_card: Option<String>,
    inbound_secret: Option<Vec<u8>>,
    inbound_secret_key: Option<String>,
    budget_limit: Option<i64>,
    monthly_spend: Option<i64>,
    active_tasks: Option<i64>,
    current_task: Option<String>,
    max_concurrent_tasks: i32,
    generation: i64,
    version: i64,
}

#[derive(FromQueryResult)]
struct TreeModel {
    id: Uuid,
    name: String,
    parent_id: Option<Uuid>,
    status: String,
}

const SELECT_FULL: &str = "SELECT w.id, w.name, w.role, w.tier, w.runtime, w.status, w.parent_id,
    w.awareness_namespace, w.template, w.agent_card, w.url, w.url_assigned, w.delivery_mode, w.workspace_dir,
    w.workspace_access, w.budget_limit, w.max_concurrent_tasks, w.hibernation_idle_minutes, w.generation, w.version,
    w.status_changed_at, w.created_at, w.updated_at, l.x, l.y, l.collapsed, p.last_beat_at, p.uptime_seconds,
    p.error_rate, p.sample_error, p.active_tasks, p.current_task, p.monthly_spend, p.last_outbound_at
    FROM workspaces w
    LEFT JOIN canvas_layouts l ON l.workspace_id = w.id
    LEFT JOIN workspace_pulse p ON p.workspace_id = w.id";

/// Depth at which tree walks stop. Only a cycle through the root can be met on the way down, and that one ends at the
/// root; this bounds a chain nobody meant.
const TREE_DEPTH: i64 = 1_000;

/// The condition of the partial index `workspaces_order`, spelled out: as a parameter it would not be recognised.
fn not_removed() -> String {
    format!("w.status <> '{}'", WorkspaceStatus::Removed)
}

/// Every workspace that is not removed, by creation.
pub(crate) fn list_sql() -> String {
    format!("{SELECT_FULL} WHERE {} ORDER BY w.created_at, w.id", not_removed())
}

impl TryFrom<FullRow> for Workspace {
    type Error = StoreError;

    fn try_from(row: FullRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: WorkspaceId::from_uuid(row.id),
            status: parse_status(&row.status)?,
            delivery_mode: parse_mode(row.delivery_mode.as_deref())?,
            workspace_access: parse_access(&row.workspace_access)?,
            name: row.name,
            role: row.role,
            tier: row.tier,
            runtime: Word::from(row.runtime),
            parent_id: row.parent_id.map(WorkspaceId::from_uuid),
            awareness_namespace: row.awareness_namespace,
            template: row.template,
            agent_card: row.agent_card,
            url: row.url,
            url_assigned: row.url_assigned,
            workspace_dir: row.workspace_dir,
            budget_limit: row.budget_limit,
            max_concurrent_tasks: row.max_concurrent_tasks,
            hibernation_idle_minutes: row.hibernation_idle_minutes,
            generation: row.generation,
            version: row.version,
            status_changed_at: Timestamp::from_micros(row.status_changed_at),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            x: row.x.unwrap_or_default(),
            y: row.y.unwrap_or_default(),
            collapsed: row.collapsed.unwrap_or_default(),
            last_beat_at: row.last_beat_at.map(Timestamp::from_micros),
            uptime_seconds: row.uptime_seconds.unwrap_or_default(),
            error_rate: row.error_rate.unwrap_or_default(),
            sample_error: row.sample_error.unwrap_or_default(),
            active_tasks: row.active_tasks.unwrap_or_default(),
            current_task: row.current_task.unwrap_or_default(),
            monthly_spend: row.monthly_spend.unwrap_or_default(),
            last_outbound_at: row.last_outbound_at.map(Timestamp::from_micros),
        })
    }
}

impl TryFrom<RouteModel> for RouteRow {
    type Error = StoreError;

    fn try_from(row: RouteModel) -> Result<Self, StoreError> {
        Ok(Self {
            id: WorkspaceId::from_uuid(row.id),
            name: row.name,
            runtime: Word::from(row.runtime),
            status: parse_status(&row.status)?,
            parent_id: row.parent_id.map(WorkspaceId::from_uuid),
            url: row.url,
            url_assigned: row.url_assigned,
            delivery_mode: parse_mode(row.delivery_mode.as_deref())?,
            agent_card: row.agent_card,
            inbound_secret: sealed(row.inbound_secret, row.inbound_secret_key),
            budget_limit: row.budget_limit,
            monthly_spend: row.monthly_spend.unwrap_or_default(),
            active_tasks: row.active_tasks.unwrap_or_default(),
            current_task: row.current_task.unwrap_or_default(),
            max_concurrent_tasks: row.max_concurrent_tasks,
            generation: row.generation,
            version: row.version,
        })
    }
}

/// NULL and empty are both absent (SEC-113).
fn sealed(bytes: Option<Vec<u8>>, key_id: Option<String>) -> Option<Sealed> {
    let bytes = bytes.filter(|bytes| !bytes.is_empty())?;
    Some(Sealed {
        bytes,
        version: crate::secrets::GCM,
        key_id: key_id.unwrap_or_default(),
    })
}

impl TryFrom<TreeModel> for ChildRow {
    type Error = StoreError;

    fn try_from(row: TreeModel) -> Result<Self, StoreError> {
        Ok(Self {
            id: WorkspaceId::from_uuid(row.id),
            name: row.name,
            parent_id: row.parent_id.map(WorkspaceId::from_uuid),
            status: parse_status(&row.status)?,
        })
    }
}

/// Rows that convert; the others are logged and left out, so that one bad row never hides the rest (LIFE-86).
pub(super) fn readable<M, T: TryFrom<M, Error = StoreError>>(rows: Vec<M>) -> Vec<T> {
    rows.into_iter()
        .filter_map(|row| {
            T::try_from(row)
                .inspect_err(|error| tracing::error!(%error, "skipped an unreadable workspace row"))
                .ok()
        })
        .collect()
}

/// The live subtree below `root`, nearest level first, without `root`. With `removed`, removed rows are walked too
/// (LIFE OP-10).
pub(super) async fn descendants(
    connection: &impl ConnectionTrait,
    root: WorkspaceId,
    removed: bool,
) -> Result<Vec<ChildRow>, StoreError> {
    let sql = "WITH RECURSIVE tree (id, depth) AS (
            SELECT id, 1 FROM workspaces WHERE parent_id = $1 AND id <> $1 AND ($2 = 1 OR status <> $3)
            UNION
            SELECT w.id, t.depth + 1 FROM workspaces w JOIN tree t ON w.parent_id = t.id
            WHERE ($2 = 1 OR w.status <> $3) AND t.depth < $4 AND w.id <> $1
        )
        SELECT w.id, w.name, w.parent_id, w.status FROM workspaces w
        JOIN (SELECT id, MIN(depth) AS depth FROM tree GROUP BY id) t ON t.id = w.id
        ORDER BY t.depth, w.created_at, w.id";
    let values: [Value; 4] = [
        root.uuid().into(),
        i64::from(removed).into(),
        WorkspaceStatus::Removed.as_str().into(),
        TREE_DEPTH.into(),
    ];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    TreeModel::find_by_statement(statement)
        .all(connection)
        .await?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
}

/// Siblings, children and parent (`$2`) of `$1`.
pub(crate) fn peers_sql(has_parent: bool) -> String {
    let siblings = if has_parent {
        "w.parent_id = $2"
    } else {
        "w.parent_id IS NULL"
    };
    format!(
        "{SELECT_FULL} WHERE {} AND w.id <> $1 AND ({siblings} OR w.parent_id = $1 OR w.id = $2)
         ORDER BY w.created_at, w.id",
        not_removed()
    )
}

impl Store {
    /// A workspace by id, removed ones included.
    ///
    /// # Errors
    /// The query failed or the row is unreadable.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        let statement = self
            .db
            .statement(&format!("{SELECT_FULL} WHERE w.id = $1"), [id.uuid().into()]);
        FullRow::find_by_statement(statement)
            .one(self.db.reader())
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Every workspace that is not removed, by creation (LIFE §6).
    ///
    /// # Errors
    /// The query failed; unreadable rows are left out and logged.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError> {
        let statement = self.db.statement(&list_sql(), []);
        Ok(readable(
            FullRow::find_by_statement(statement).all(self.db.reader()).await?,
        ))
    }

    /// Workspaces in one of `statuses`, by creation.
    ///
    /// # Errors
    /// The query failed; unreadable rows are left out and logged.
    pub async fn workspaces_in(&self, statuses: &[WorkspaceStatus]) -> Result<Vec<Workspace>, StoreError> {
        if statuses.is_empty() {
            return Ok(Vec::new());
        }
        let marks: Vec<String> = (1..=statuses.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "{SELECT_FULL} WHERE w.status IN ({}) ORDER BY w.created_at, w.id",
            marks.join(", ")
        );
        let statement = self
            .db
            .statement(&sql, statuses.iter().map(|status| status.as_str().into()));
        Ok(readable(
            FullRow::find_by_statement(statement).all(self.db.reader()).await?,
        ))
    }

    /// What routing needs of a workspace.
    ///
    /// # Errors
    /// The query failed or the row is unreadable.
    pub async fn route(&self, id: WorkspaceId) -> Result<Option<RouteRow>, StoreError> {
        let statement = self.db.statement(
            "SELECT w.id, w.name, w.runtime, w.status, w.parent_id, w.url, w.url_assigned, w.delivery_mode,
             w.agent_card, w.inbound_secret, w.inbound_secret_key, w.budget_limit, p.monthly_spend, p.active_tasks, p.current_task,
             w.max_concurrent_tasks, w.generation, w.version
             FROM workspaces w LEFT JOIN workspace_pulse p ON p.workspace_id = w.id WHERE w.id = $1",
            [id.uuid().into()],
        );
        RouteModel::find_by_statement(statement)
            .one(self.db.reader())
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Live direct children, by creation.
    ///
    /// # Errors
    /// The query failed.
    pub async fn children(&self, parent: WorkspaceId) -> Result<Vec<ChildRow>, StoreError> {
        let statement = self.db.statement(
            "SELECT id, name, parent_id, status FROM workspaces WHERE parent_id = $1 AND status <> $2
             ORDER BY created_at, id",
            [parent.uuid().into(), WorkspaceStatus::Removed.as_str().into()],
        );
        TreeModel::find_by_statement(statement)
            .all(self.db.reader())
            .await?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    /// The subtree below a workspace, nearest level first.
    ///
    /// # Errors
    /// The query failed.
    pub async fn descendants(&self, root: WorkspaceId, removed: bool) -> Result<Vec<ChildRow>, StoreError> {
        descendants(self.db.reader(), root, removed).await
    }

    /// Siblings (all other roots for a root), then children, then the parent; removed ones excluded (REG-86).
    ///
    /// # Errors
    /// The query failed; unreadable rows are left out and logged.
    pub async fn peers(&self, id: WorkspaceId, parent: Option<WorkspaceId>) -> Result<Vec<Workspace>, StoreError> {
        // A root has no parent; its own id stands in, which the other terms exclude.
        let anchor = parent.unwrap_or(id);
        let statement = self
            .db
            .statement(&peers_sql(parent.is_some()), [id.uuid().into(), anchor.uuid().into()]);
        let rows = FullRow::find_by_statement(statement).all(self.db.reader()).await?;
        let mut peers: Vec<Workspace> = readable(rows);
        let rank = |peer: &Workspace| match peer.parent_id {
            _ if Some(peer.id) == parent => 2,
            Some(of) if of == id => 1,
            _ => 0,
        };
        peers.sort_by_key(rank);
        Ok(peers)
    }

    /// Parent of every workspace that is not removed, for walks over the whole tree.
    ///
    /// # Errors
    /// The query failed.
    pub async fn parents(&self) -> Result<HashMap<WorkspaceId, Option<WorkspaceId>>, StoreError> {
        let statement = self.db.statement(
            "SELECT id, name, parent_id, status FROM workspaces WHERE status <> $1",
            [WorkspaceStatus::Removed.as_str().into()],
        );
        let rows = TreeModel::find_by_statement(statement).all(self.db.reader()).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                (
                    WorkspaceId::from_uuid(row.id),
                    row.parent_id.map(WorkspaceId::from_uuid),
                )
            })
            .collect())
    }
}
