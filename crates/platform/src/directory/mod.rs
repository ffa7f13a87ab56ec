//! What messages need to know of workspaces, cached: routes and the org chart.

use std::sync::Arc;

use molecule_a2a::AnnouncedVersions;
use molecule_core::{DeliveryMode, Lineage, Runtime, WorkspaceId, WorkspaceStatus, hierarchy::LineageError, limits};
use molecule_store::{Store, StoreError, pulse::Pulse, secrets::Sealed, workspaces::RouteRow};

use crate::kept::Cache;

/// A workspace as the router sees it.
#[derive(Debug, Clone)]
pub struct Route {
    /// The workspace.
    pub id: WorkspaceId,
    /// Its name.
    pub name: Arc<str>,
    /// Engine; `None` for a name that is not on the allowlist any more.
    pub runtime: Option<Runtime>,
    /// State.
    pub status: WorkspaceStatus,
    /// Parent.
    pub parent: Option<WorkspaceId>,
    /// Address, `""` for none.
    pub url: Arc<str>,
    /// The address was given by the backend (D13).
    pub url_assigned: bool,
    /// How messages reach it.
    pub delivery_mode: Option<DeliveryMode>,
    /// Versions its card announces (D7).
    pub announced: AnnouncedVersions,
    /// What the platform presents to it, sealed.
    pub inbound_secret: Option<Sealed>,
    /// USD cents.
    pub budget_limit: Option<i64>,
    /// USD cents, as of the last flush.
    pub monthly_spend: i64,
    /// As of the last flush.
    pub active_tasks: i64,
    /// As of the last flush.
    pub current_task: Arc<str>,
    /// Tasks at once.
    pub max_concurrent_tasks: i32,
    /// Incarnation.
    pub generation: i64,
}

impl Route {
    /// Nothing is provisioned for it.
    #[must_use]
    pub fn is_external(&self) -> bool {
        self.runtime == Some(Runtime::External)
    }

    /// Its agent fetches its messages.
    #[must_use]
    pub fn polls(&self) -> bool {
        self.delivery_mode == Some(DeliveryMode::Poll)
    }

    /// USD cents; what was heard since the last flush counts.
    #[must_use]
    pub fn spent(&self, heard: Option<&Pulse>) -> i64 {
        let heard = heard.and_then(|pulse| pulse.monthly_spend);
        heard.unwrap_or(self.monthly_spend).max(self.monthly_spend)
    }
}

impl From<RouteRow> for Route {
    fn from(row: RouteRow) -> Self {
        Self {
            id: row.id,
            name: row.name.into(),
            runtime: row.runtime.known(),
            status: row.status,
            parent: row.parent_id,
            url: row.url.into(),
            url_assigned: row.url_assigned,
            delivery_mode: row.delivery_mode,
            announced: row
                .agent_card
                .as_deref()
                .map(AnnouncedVersions::of_card)
                .unwrap_or_default(),
            inbound_secret: row.inbound_secret,
            budget_limit: row.budget_limit,
            monthly_spend: row.monthly_spend,
            active_tasks: row.active_tasks,
            current_task: row.current_task.into(),
            max_concurrent_tasks: row.max_concurrent_tasks,
            generation: row.generation,
        }
    }
}

/// The cache of routes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    store: Store,
    routes: Cache<WorkspaceId, Arc<Route>>,
}

impl Directory {
    /// An empty cache over the store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let routes = Cache::new(store.changes());
        Self { store, routes }
    }

    /// The route of a workspace, removed ones included; `None` for an unknown id.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn route(&self, id: WorkspaceId) -> Result<Option<Arc<Route>>, StoreError> {
        let read = async {
            let row = self.store.route(id).await?;
            Ok(row.map(|row| (id.into(), Arc::new(Route::from(row)))))
        };
        self.routes.get_or_read(id, read).await
    }

    /// Tells what a workspace is called, if it was looked up lately; it may have been renamed since.
    pub fn names(&self) -> impl Fn(WorkspaceId) -> Option<Arc<str>> + Send + Sync + use<> {
        let routes = self.routes.clone();
        move |id| routes.last(&id).map(|route| route.name.clone())
    }

    /// May the two talk? (REG-80, SEC-97) Any error, unknown id or overlong walk means no.
    pub async fn can_communicate(&self, caller: WorkspaceId, target: WorkspaceId) -> bool {
        if caller == target {
            return true;
        }
        match (self.lineage(caller).await, self.lineage(target).await) {
            (Ok(caller), Ok(target)) => caller.can_communicate(&target),
            (caller, target) => {
                for error in [caller.err(), target.err()].into_iter().flatten() {
                    tracing::warn!(%error, "access denied: the org chart could not be walked");
                }
                false
            }
        }
    }

    /// Is `id` the workspace `top`, or below it? `top` must be there; whether `id` is does not matter. An unknown id or an
    /// overlong walk means no.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn is_within(&self, top: WorkspaceId, id: WorkspaceId) -> Result<bool, StoreError> {
        let stands = self.route(top).await?;
        if stands.is_none_or(|top| top.status == WorkspaceStatus::Removed) {
            return Ok(false);
        }
        match self.lineage(id).await {
            Ok(lineage) => Ok(lineage.id() == top || lineage.ancestors().contains(&top)),
            Err(WalkError::Store(error)) => Err(error),
            Err(WalkError::Lineage(error)) => {
                tracing::debug!(%error, "the org chart could not be walked");
                Ok(false)
            }
        }
    }

    async fn lineage(&self, id: WorkspaceId) -> Result<Lineage, WalkError> {
        // The walk itself is pure; this fetches the chain that it needs.
        let mut chain: Vec<(WorkspaceId, Option<WorkspaceId>)> = Vec::with_capacity(4);
        let mut current = Some(id);
        while let Some(at) = current {
            let Some(route) = self.route(at).await? else { break };
            chain.push((at, route.parent));
            current = route
                .parent
                .filter(|_| chain.len() <= limits::COMMUNICATION_WALK_HOPS + 1);
        }
        let parent_of = |id| chain.iter().find(|(at, _)| *at == id).map(|(_, parent)| *parent);
        Ok(Lineage::walk(id, parent_of)?)
    }
}

#[derive(Debug, thiserror::Error)]
enum WalkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lineage(#[from] LineageError),
}
