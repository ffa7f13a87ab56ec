//! The registry: who is there. Register, heartbeat, cards, discovery, and what is noticed when somebody falls silent.

mod discover;
mod gate;
mod heartbeat;
mod register;
mod sweep;

pub use discover::{DiscoverError, PeerList};
pub use heartbeat::{HeartbeatError, HeartbeatReply};
pub use register::{RegisterError, RegisterReply};
pub use sweep::{Swept, Watch};

use std::{ops::Deref, sync::Arc};

use crate::{
    credentials::{Credentials, InboundSecrets},
    ground::Ground,
    lifecycle::Lifecycle,
    provisioning::Provisioner,
    pulses::{Overrides, Pulses},
};

/// The registry service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Parts>,
}

/// What the registry is made of.
#[derive(Debug)]
#[allow(missing_docs, reason = "one field per service it uses")]
pub struct Parts {
    pub ground: Ground,
    pub lifecycle: Lifecycle,
    pub credentials: Credentials,
    pub inbound: InboundSecrets,
    pub provisioner: Provisioner,
    pub pulses: Pulses,
    pub overrides: Overrides,
}

impl Deref for Parts {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Registry {
    /// Puts the registry together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }
}
