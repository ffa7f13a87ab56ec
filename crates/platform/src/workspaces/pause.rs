use std::collections::HashSet;

use molecule_core::{WorkspaceId, WorkspaceStatus, limits};
use molecule_store::{StoreError, workspaces::ChildRow};
use molecule_wire::workspaces::{PausedWorkspace, ResumedWorkspace};

use super::Workspaces;

/// Why a workspace was not paused (LIFE-152). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    /// Unknown, removed, or paused already.
    #[error("workspace not found or already paused")]
    NotFound,
    /// The store failed; repeating the request goes on where it ended.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

/// Why a workspace was not resumed (LIFE-155, LIFE-156). `Display` is the wire's text.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Unknown, removed, or not paused.
    #[error("workspace not found or not paused")]
    NotFound,
    /// An ancestor is paused.
    #[error("parent workspace \"{0}\" is paused — resume it first")]
    PausedParent(String),
    /// Nothing can be started; nothing changed.
    #[error("provisioner not available")]
    NoBackend,
    /// The store failed; repeating the request goes on where it ended.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

impl Workspaces {
    /// Pauses a workspace and everything below it that is not paused (LIFE-151, OP-9): first marked, so that nothing starts
    /// them again, then stopped. Stops that take long go on after the answer.
    ///
    /// # Errors
    /// [`PauseError`].
    pub async fn pause(&self, id: WorkspaceId) -> Result<PausedWorkspace, PauseError> {
        let root = self.inner.store.workspace(id).await?;
        root.filter(|row| !matches!(row.status, WorkspaceStatus::Paused | WorkspaceStatus::Removed))
            .ok_or(PauseError::NotFound)?;
        let below = self.inner.store.descendants(id, false).await?;
        // The root comes last: until then the request can be repeated.
        let order = below
            .iter()
            .rev()
            .filter(|row| row.status != WorkspaceStatus::Paused)
            .map(|row| row.id)
            .chain([id]);
        let mut paused = Vec::new();
        for id in order {
            if let Some(generation) = self.inner.provisioner.pause(id).await? {
                paused.push((id, generation));
            }
        }
        if paused.last().is_none_or(|(last, _)| *last != id) {
            return Err(PauseError::NotFound);
        }
        let paused_count = paused.len();
        self.stop_paused(paused).await;
        Ok(PausedWorkspace {
            status: WorkspaceStatus::Paused.as_str().to_owned(),
            paused_count,
        })
    }

    async fn stop_paused(&self, paused: Vec<(WorkspaceId, i64)>) {
        let count = paused.len();
        let stops = paused.into_iter().map(|(id, generation)| {
            let provisioner = self.inner.provisioner.clone();
            async move { provisioner.end_paused(id, generation).await }
        });
        if self.side_by_side(limits::PAUSE_STOP_WAIT, stops).await.len() < count {
            tracing::warn!("a pause answers before everything has stopped");
        }
    }

    /// Ends the pause of a workspace and of what is paused below it, as far as paused workspaces reach (LIFE-154).
    ///
    /// # Errors
    /// [`ResumeError`].
    pub async fn resume(&self, id: WorkspaceId) -> Result<ResumedWorkspace, ResumeError> {
        let root = self.inner.store.workspace(id).await?;
        root.filter(|row| row.status == WorkspaceStatus::Paused)
            .ok_or(ResumeError::NotFound)?;
        let provisioner = &self.inner.provisioner;
        if let Some(name) = provisioner.paused_ancestor(id).await? {
            return Err(ResumeError::PausedParent(name));
        }
        let mut scope = Vec::new();
        for id in reachable(id, &self.inner.store.descendants(id, false).await?) {
            scope.extend(self.inner.directory.route(id).await?);
        }
        if !provisioner.has_backend() && scope.iter().any(|route| !route.is_external()) {
            return Err(ResumeError::NoBackend);
        }
        let (mut resumed_count, mut root_resumed) = (0, false);
        // The root comes last here, too.
        for route in scope.into_iter().rev() {
            root_resumed = provisioner.resume(route.id, route.is_external()).await?;
            resumed_count += usize::from(root_resumed);
        }
        if !root_resumed {
            return Err(ResumeError::NotFound);
        }
        Ok(ResumedWorkspace {
            status: WorkspaceStatus::Provisioning.as_str().to_owned(),
            resumed_count,
        })
    }
}

/// The root and what is paused below it through paused ones; `below` has the nearest level first.
fn reachable(root: WorkspaceId, below: &[ChildRow]) -> Vec<WorkspaceId> {
    let mut reached = HashSet::from([root]);
    let mut order = vec![root];
    for row in below.iter().filter(|row| row.status == WorkspaceStatus::Paused) {
        if row.parent_id.is_some_and(|parent| reached.contains(&parent)) {
            reached.insert(row.id);
            order.push(row.id);
        }
    }
    order
}
