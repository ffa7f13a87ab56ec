//! When workspaces were last busy, for whoever looks for idle ones (OP-6).

use std::sync::Arc;

use molecule_core::{Timestamp, WorkspaceId};

use super::{Pulses, Shared};

/// A message to an agent is under way. Dropped when it has ended, whatever way.
#[derive(Debug)]
pub struct Busy {
    shared: Arc<Shared>,
    workspace: WorkspaceId,
}

impl Pulses {
    /// A message to the agent begins.
    #[must_use]
    pub fn busy(&self, workspace: WorkspaceId) -> Busy {
        *self.state.state.lock().calls.entry(workspace).or_default() += 1;
        Busy {
            shared: self.state.clone(),
            workspace,
        }
    }

    /// The workspace did something, or something was asked of it.
    pub fn touch(&self, workspace: WorkspaceId) {
        self.state.touch(workspace);
    }

    /// When it was last busy, as far as this server saw.
    #[must_use]
    pub fn last_active(&self, workspace: WorkspaceId) -> Option<Timestamp> {
        self.state.state.lock().active.get(&workspace).copied()
    }

    /// Messages to the agent that are under way.
    #[must_use]
    pub fn calls(&self, workspace: WorkspaceId) -> usize {
        self.state
            .state
            .lock()
            .calls
            .get(&workspace)
            .copied()
            .unwrap_or_default()
    }

    /// Waits until no message to the agent is under way.
    pub async fn quiet(&self, workspace: WorkspaceId) {
        loop {
            let ended = self.state.ended.notified();
            tokio::pin!(ended);
            // Listening before looking, so that no end is missed.
            ended.as_mut().enable();
            if self.calls(workspace) == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Shared {
    fn touch(&self, workspace: WorkspaceId) {
        let at = self.clock.now();
        self.state.lock().active.insert(workspace, at);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.shared.touch(self.workspace);
        let mut state = self.shared.state.lock();
        if let Some(calls) = state.calls.get_mut(&self.workspace) {
            *calls -= 1;
            if *calls == 0 {
                state.calls.remove(&self.workspace);
            }
        }
        drop(state);
        self.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use molecule_store::Store;

    use super::*;

    #[tokio::test]
    async fn messages_are_counted_and_their_end_is_noted() {
        // OP-6, OP-7
        let database = molecule_testkit::sqlite::database();
        let store = Store::open(database.url()).await.unwrap();
        let pulses = Pulses::new(store.clone());
        let id = WorkspaceId::random();
        assert_eq!((pulses.calls(id), pulses.last_active(id)), (0, None));
        let (first, second) = (pulses.busy(id), pulses.busy(id));
        assert_eq!(pulses.calls(id), 2);
        let begun = store.clock().now();
        store.clock().advance(Duration::from_secs(60));
        let waiting = pulses.clone();
        let quiet = tokio::spawn(async move { waiting.quiet(id).await });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!quiet.is_finished());
        drop(second);
        quiet.await.unwrap();
        let ended = pulses.last_active(id).unwrap();
        assert!(ended.since(begun) >= Duration::from_secs(60), "it counts from its end");
        assert!(pulses.state.state.lock().calls.is_empty());
    }
}
