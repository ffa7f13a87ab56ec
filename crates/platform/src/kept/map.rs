use std::{collections::HashMap, fmt, sync::Arc};

use molecule_core::WorkspaceId;
use molecule_store::changes::{Changes, Follower};
use parking_lot::{Mutex, MutexGuard};

/// Something by workspace, forgotten when the workspace is removed. Cheap to clone.
pub(crate) struct PerWorkspace<T>(Arc<Map<T>>);

struct Map<T>(Mutex<HashMap<WorkspaceId, T>>);

impl<T> Clone for PerWorkspace<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for PerWorkspace<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerWorkspace").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> PerWorkspace<T> {
    /// An empty map that follows `changes`.
    pub(crate) fn new(changes: &Changes) -> Self {
        let map = Arc::new(Map(Mutex::default()));
        changes.follow(&map);
        Self(map)
    }

    /// The map. Not to be held while anything waits.
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, T>> {
        self.0.0.lock()
    }
}

impl<T: Send> Follower for Map<T> {
    fn gone(&self, workspace: WorkspaceId) {
        self.0.lock().remove(&workspace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_gone_is_forgotten() {
        // LIFE-106
        let changes = Changes::default();
        let map = PerWorkspace::new(&changes);
        let (gone, stays) = (WorkspaceId::random(), WorkspaceId::random());
        map.lock().extend([(gone, 1), (stays, 2)]);
        changes.changed(gone);
        assert_eq!(map.lock().len(), 2);
        changes.gone(gone);
        assert_eq!(map.lock().iter().collect::<Vec<_>>(), [(&stays, &2)]);
    }
}
