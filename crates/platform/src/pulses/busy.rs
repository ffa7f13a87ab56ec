//! Messages under way: bounded for each agent and for all together, so that an agent that answers nothing, or callers that
//! ask everybody, do not use the server up (D33); and when workspaces were last busy, for whoever looks for idle ones
//! (OP-6).

use std::{fmt, sync::Arc};

use molecule_core::{Timestamp, WorkspaceId};

use super::{Pulses, Shared};

/// How many messages may be under way.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// To all agents together.
    pub all: usize,
    /// To one of them.
    pub per_agent: usize,
}

/// Which bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// This agent has as many messages as one may have.
    Agent,
    /// The server has as many as it takes.
    Server,
}

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "too many messages to this agent are being answered",
            Self::Server => "the platform has too many messages in flight",
        })
    }
}

/// A message to an agent is under way. Dropped when it has ended, whatever way.
#[derive(Debug)]
pub struct Busy {
    shared: Arc<Shared>,
    workspace: WorkspaceId,
}

impl Pulses {
    /// A message to the agent begins, unless as many are under way as there may be.
    ///
    /// # Errors
    /// Which bound was reached.
    pub fn busy(&self, workspace: WorkspaceId, bounds: Bounds) -> Result<Busy, Crowded> {
        let mut state = self.state.state.lock();
        if state.all_calls >= bounds.all {
            return Err(Crowded::Server);
        }
        let of_agent = state.calls.get(&workspace).copied().unwrap_or_default();
        if of_agent >= bounds.per_agent {
            return Err(Crowded::Agent);
        }
        state.calls.insert(workspace, of_agent + 1);
        state.all_calls += 1;
        Ok(Busy {
            shared: self.state.clone(),
            workspace,
        })
    }

    /// The workspace did something, or something was asked of it.
    pub fn touch(&self, workspace: WorkspaceId) {
        let at = self.state.clock.now();
        self.state.state.lock().active.insert(workspace, at);
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

impl Drop for Busy {
    fn drop(&mut self) {
        let at = self.shared.clock.now();
        let mut state = self.shared.state.lock();
        state.active.insert(self.workspace, at);
        state.all_calls -= 1;
        let left = state.calls.get(&self.workspace).map_or(0, |calls| calls - 1);
        if left > 0 {
            state.calls.insert(self.workspace, left);
            return;
        }
        state.calls.remove(&self.workspace);
        drop(state);
        self.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use molecule_store::Store;

    use super::*;

    const MANY: Bounds = Bounds {
        all: 100,
        per_agent: 100,
    };

    #[tokio::test]
    async fn bounded_for_each_and_for_all() {
        // D33
        let database = molecule_testkit::sqlite::database();
        let pulses = Pulses::new(Store::open(database.url()).await.unwrap());
        let begin = |agent| pulses.busy(agent, Bounds { all: 3, per_agent: 2 });
        let [greedy, other] = [WorkspaceId::random(), WorkspaceId::random()];
        let first = begin(greedy).unwrap();
        let second = begin(greedy).unwrap();
        assert_eq!(begin(greedy).unwrap_err(), Crowded::Agent);
        let third = begin(other).unwrap();
        assert_eq!(begin(other).unwrap_err(), Crowded::Server);
        drop(first);
        assert!(begin(greedy).is_ok(), "given back at once: nobody holds it");
        drop((second, third));
        let state = pulses.state.state.lock();
        assert_eq!(state.all_calls, 0);
        assert!(state.calls.is_empty(), "agents without a call are forgotten");
    }

    #[tokio::test]
    async fn messages_are_counted_and_their_end_is_noted() {
        // OP-6, OP-7
        let database = molecule_testkit::sqlite::database();
        let store = Store::open(database.url()).await.unwrap();
        let pulses = Pulses::new(store.clone());
        let id = WorkspaceId::random();
        assert_eq!((pulses.calls(id), pulses.last_active(id)), (0, None));
        let (first, second) = (pulses.busy(id, MANY).unwrap(), pulses.busy(id, MANY).unwrap());
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
