use std::time::Duration;

use molecule_core::WorkspaceId;
use molecule_store::changes::Changes;
use molecule_wire::registry::RuntimeMetadata;

use crate::kept::PerWorkspace;

/// What an adapter declared about itself (REG-5, REG-57).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeOverrides {
    /// It queues by itself: the platform does not (A2A-88).
    pub session: bool,
    /// It manages its own status: none is inferred from the error rate (REG-68).
    pub status_mgmt: bool,
    /// Silence the proxy tolerates.
    pub idle_timeout: Option<Duration>,
}

/// Overrides by workspace: in memory, empty after a restart. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Overrides {
    by_workspace: PerWorkspace<RuntimeOverrides>,
}

impl Overrides {
    /// Nothing declared yet.
    #[must_use]
    pub fn new(changes: &Changes) -> Self {
        Self {
            by_workspace: PerWorkspace::new(changes),
        }
    }

    /// What a workspace declared; nothing by default.
    #[must_use]
    pub fn of(&self, workspace: WorkspaceId) -> RuntimeOverrides {
        self.by_workspace.lock().get(&workspace).cloned().unwrap_or_default()
    }

    /// Takes a declaration over. An empty one clears.
    pub fn declare(&self, workspace: WorkspaceId, metadata: &RuntimeMetadata) {
        let capability = |name: &str| metadata.capabilities.get(name).copied().unwrap_or_default();
        let idle_timeout = metadata
            .idle_timeout_seconds
            .and_then(|secs| u64::try_from(secs).ok())
            .filter(|secs| *secs > 0)
            .map(Duration::from_secs);
        let declared = RuntimeOverrides {
            session: capability("session"),
            status_mgmt: capability("status_mgmt"),
            idle_timeout,
        };
        let mut all = self.by_workspace.lock();
        if declared == RuntimeOverrides::default() {
            all.remove(&workspace);
        } else {
            all.insert(workspace, declared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_and_cleared() {
        // REG-57
        let overrides = Overrides::new(&Changes::default());
        let id = WorkspaceId::random();
        let mut metadata = RuntimeMetadata {
            capabilities: [("session".to_owned(), true)].into(),
            idle_timeout_seconds: Some(-1),
        };
        overrides.declare(id, &metadata);
        assert!(overrides.of(id).session);
        assert_eq!(overrides.of(id).idle_timeout, None);
        metadata.idle_timeout_seconds = Some(9);
        overrides.declare(id, &metadata);
        assert_eq!(overrides.of(id).idle_timeout, Some(Duration::from_secs(9)));
        overrides.declare(id, &RuntimeMetadata::default());
        assert_eq!(overrides.of(id), RuntimeOverrides::default());
    }
}
