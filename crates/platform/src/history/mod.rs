//! Recorded events, newest first (ACT-69).

use molecule_core::{WorkspaceId, limits};
use molecule_store::{Store, StoreError};
use molecule_wire::events::EventRow;

/// Reads recorded events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventHistory {
    store: Store,
}

impl EventHistory {
    /// Over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The newest events, of one workspace or of all.
    ///
    /// # Errors
    /// The query failed.
    pub async fn newest(&self, workspace: Option<WorkspaceId>) -> Result<Vec<EventRow>, StoreError> {
        let events = self.store.newest_events(workspace, limits::EVENTS_PAGE).await?;
        Ok(events
            .into_iter()
            .map(|event| EventRow {
                id: event.id,
                event_type: event.event,
                workspace_id: event.workspace_id,
                payload: serde_json::from_str(&event.payload).unwrap_or_default(),
                created_at: event.created_at,
            })
            .collect())
    }
}
