//! The figures, one module per subject.

pub(crate) mod a2a;
pub(crate) mod boot;
pub(crate) mod heartbeats;
mod looks;
pub(crate) mod memory;
pub(crate) mod sockets;

use std::time::Duration;

/// How much work goes into a figure.
pub(crate) struct Scale {
    /// Interleaved rounds of a comparison.
    pub(crate) rounds: usize,
    /// Length of one load.
    pub(crate) load: Duration,
    /// Workspaces that beat.
    pub(crate) beating: usize,
    /// Event sockets that are open.
    pub(crate) sockets: usize,
    /// Boots of a data directory.
    pub(crate) boots: usize,
    /// Workspaces of the large store.
    pub(crate) stored: usize,
}

impl Scale {
    /// For quoting.
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        load: Duration::from_millis(1_500),
        beating: 2_000,
        sockets: 1_000,
        boots: 3,
        stored: 10_000,
    };
    /// For trying a change.
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        load: Duration::from_millis(500),
        beating: 200,
        sockets: 100,
        boots: 2,
        stored: 1_000,
    };
}

/// Connections of a throughput load.
const CONNECTIONS: usize = 64;
