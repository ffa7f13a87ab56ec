//! Calls in flight: bounded for each agent and for all together, so that an agent that answers nothing, or callers that
//! ask everybody, do not use the server up (D33).

use std::{collections::HashMap, fmt, sync::Arc};

use molecule_core::WorkspaceId;
use parking_lot::Mutex;

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) all: usize,
    pub(super) per_agent: usize,
}

/// Which bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// This agent has as many calls as one may have.
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

/// The calls in flight. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Flights {
    bounds: Bounds,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_agent: HashMap<WorkspaceId, usize>,
}

/// A call in flight. Dropped when it has ended.
#[derive(Debug)]
pub(super) struct Flight {
    agent: WorkspaceId,
    counts: Arc<Mutex<Counts>>,
}

impl Flights {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            counts: Arc::default(),
        }
    }

    /// One more, unless there are as many as there may be.
    pub(super) fn begin(&self, agent: WorkspaceId) -> Result<Flight, Crowded> {
        let mut counts = self.counts.lock();
        if counts.all >= self.bounds.all {
            return Err(Crowded::Server);
        }
        let of_agent = counts.by_agent.entry(agent).or_default();
        if *of_agent >= self.bounds.per_agent {
            return Err(Crowded::Agent);
        }
        *of_agent += 1;
        counts.all += 1;
        Ok(Flight {
            agent,
            counts: self.counts.clone(),
        })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.all -= 1;
        if let Some(of_agent) = counts.by_agent.get_mut(&self.agent) {
            *of_agent -= 1;
            if *of_agent == 0 {
                counts.by_agent.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_for_each_and_for_all() {
        // D33
        let flights = Flights::new(Bounds { all: 3, per_agent: 2 });
        let [greedy, other] = [WorkspaceId::random(), WorkspaceId::random()];
        let first = flights.begin(greedy).unwrap();
        let second = flights.begin(greedy).unwrap();
        assert_eq!(flights.begin(greedy).unwrap_err(), Crowded::Agent);
        let third = flights.begin(other).unwrap();
        assert_eq!(flights.begin(other).unwrap_err(), Crowded::Server);
        drop(first);
        assert!(flights.begin(greedy).is_ok(), "given back at once: nobody holds it");
        drop((second, third));
        let counts = flights.counts.lock();
        assert_eq!(counts.all, 0);
        assert!(counts.by_agent.is_empty(), "agents without a call are forgotten");
    }
}
