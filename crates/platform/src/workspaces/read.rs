use molecule_core::{Timestamp, WorkspaceId, WorkspaceStatus};
use molecule_store::{StoreError, workspaces::Workspace};
use molecule_wire::workspaces::{WorkspaceListItem, WorkspaceState, WorkspaceView};

use super::Workspaces;

/// What a reader of one workspace sees.
#[derive(Debug)]
pub enum Seen {
    /// It is there.
    Live(Box<WorkspaceView>),
    /// It is a tombstone (LIFE-89).
    Removed {
        /// For readers that ask for removed ones.
        view: Box<WorkspaceView>,
        /// When it was removed.
        removed_at: Option<Timestamp>,
    },
    /// Never heard of.
    Unknown,
}

/// What an agent learns of its own state (LIFE-92).
#[derive(Debug)]
pub enum StateAnswer {
    /// It is there.
    Live(WorkspaceState),
    /// Unknown or removed: the agent shuts down.
    Gone(WorkspaceState),
}

impl Workspaces {
    /// Every workspace that is not removed, by creation (LIFE §6).
    ///
    /// # Errors
    /// The query failed.
    pub async fn list(&self) -> Result<Vec<WorkspaceListItem>, StoreError> {
        let rows = self.inner.store.workspaces().await?;
        Ok(rows.into_iter().map(|row| self.list_item(row)).collect())
    }

    /// One workspace; private fields are left out whoever asks (LIFE-88).
    ///
    /// # Errors
    /// The query failed.
    pub async fn get(&self, id: WorkspaceId) -> Result<Seen, StoreError> {
        let Some(row) = self.inner.store.workspace(id).await? else {
            return Ok(Seen::Unknown);
        };
        let removed_at = (row.status == WorkspaceStatus::Removed).then_some(row.status_changed_at);
        let last_outbound_at = row.last_outbound_at;
        let mut view = self.view(&self.fresh(row));
        view.last_outbound_at = Some(last_outbound_at);
        let view = Box::new(view);
        Ok(match removed_at {
            Some(_) => Seen::Removed { view, removed_at },
            None => Seen::Live(view),
        })
    }

    /// A workspace's own state (LIFE-92).
    ///
    /// # Errors
    /// The query failed.
    pub async fn state(&self, id: WorkspaceId) -> Result<StateAnswer, StoreError> {
        let workspace_id = id.to_string();
        Ok(match self.inner.store.workspace(id).await? {
            None => StateAnswer::Gone(WorkspaceState {
                workspace_id,
                status: None,
                paused: None,
                deleted: true,
            }),
            Some(row) if row.status == WorkspaceStatus::Removed => StateAnswer::Gone(WorkspaceState {
                workspace_id,
                status: Some(row.status),
                paused: None,
                deleted: true,
            }),
            Some(row) => StateAnswer::Live(WorkspaceState {
                workspace_id,
                status: Some(row.status),
                paused: Some(row.status == WorkspaceStatus::Paused),
                deleted: false,
            }),
        })
    }

    /// The row with what has been heard since the last flush.
    fn fresh(&self, mut row: Workspace) -> Workspace {
        let heard = self.inner.pulses.latest(row.id);
        if let Some(pulse) = heard.filter(|pulse| row.last_beat_at.is_none_or(|at| pulse.last_beat_at > at)) {
            row.uptime_seconds = pulse.uptime_seconds;
            row.error_rate = pulse.error_rate;
            row.active_tasks = pulse.active_tasks;
            row.current_task = pulse.current_task;
            row.monthly_spend = pulse.monthly_spend.unwrap_or(row.monthly_spend);
            if row.status.is_alive() {
                row.sample_error = pulse.sample_error;
            }
        }
        row
    }

    fn list_item(&self, row: Workspace) -> WorkspaceListItem {
        let row = self.fresh(row);
        WorkspaceListItem {
            workspace: self.view(&row),
            budget_limit: row.budget_limit,
            monthly_spend: row.monthly_spend,
            current_task: row.current_task,
            last_sample_error: row.sample_error,
            workspace_dir: row.workspace_dir,
            restarts: row.generation,
        }
    }

    fn view(&self, row: &Workspace) -> WorkspaceView {
        let provisioner = &self.inner.provisioner;
        // As the sweep that ends starts reads it.
        let runtime = self.inner.allowlist.resolve(row.runtime.as_str()).runtime;
        let declared = provisioner.timeouts().declared(runtime);
        WorkspaceView {
            id: row.id,
            name: row.name.clone(),
            role: row.role.clone(),
            tier: row.tier,
            status: row.status,
            url: row.url.clone(),
            parent_id: row.parent_id,
            active_tasks: row.active_tasks,
            max_concurrent_tasks: row.max_concurrent_tasks,
            last_error_rate: row.error_rate,
            uptime_seconds: row.uptime_seconds,
            runtime: row.runtime.clone(),
            delivery_mode: row.delivery_mode,
            x: row.x,
            y: row.y,
            collapsed: row.collapsed,
            agent_card: row
                .agent_card
                .as_deref()
                .and_then(|card| serde_json::from_str(card).ok()),
            provision_timeout_ms: declared.and_then(|span| u64::try_from(span.as_millis()).ok()),
            last_outbound_at: None,
        }
    }
}
