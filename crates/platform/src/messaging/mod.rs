//! Messages between workspaces: who may send, in which form, by which way, and what is recorded of it.

mod call;
mod caller;
mod deliver;
mod envelope;
mod failure;
mod frames;
mod memory;
mod outcome;
mod push;
mod record;
mod relay;
mod reply;
mod restarted;
mod send;

pub use caller::{Caller, CallerRefusal};
pub use deliver::Message;
pub use envelope::{Delivered, Envelope, Payload};
pub use failure::{BodyFailure, PushFailure};
pub use frames::{FrameStream, ReaderTooSlow};

use std::{fmt, ops::Deref, sync::Arc};

use molecule_a2a::NormaliseError;
use molecule_core::{Timestamp, WorkspaceStatus, limits};
use molecule_store::{StoreError, activity::ActivityWriter};

pub use crate::pulses::Crowded;

use self::memory::ReplyMemory;
use crate::{
    activity::ActivityLog,
    credentials::{Credentials, InboundSecrets},
    dial::{Dialer, LiveInstances, NotLive},
    ground::Ground,
    kept::PerWorkspace,
    provisioning::Provisioner,
    pulses::{Overrides, Pulses},
};

/// Why a message was not delivered. Each maps to one answer of the API (A2A §8–12).
#[derive(Debug, thiserror::Error)]
pub enum MessagingError {
    /// Who the caller is (A2A-3, A2A-7).
    #[error(transparent)]
    Caller(#[from] CallerRefusal),
    /// The hierarchy (A2A-10).
    #[error("access denied: workspaces cannot communicate per hierarchy rules")]
    AccessDenied,
    /// The budget (A2A-11).
    #[error("workspace budget limit exceeded")]
    OverBudget,
    /// The body (A2A-20…30).
    #[error(transparent)]
    Invalid(#[from] NormaliseError),
    /// No such target (A2A-60).
    #[error("workspace not found")]
    NotFound,
    /// The target has nowhere to send to.
    #[error("workspace has no URL")]
    NoUrl {
        /// Its status, for the answer.
        status: WorkspaceStatus,
    },
    /// The guard (A2A-62).
    #[error("workspace URL is not publicly routable")]
    NotRoutable,
    /// The address is assigned, and its instance is not known to live: it has just ended, or the server has just begun
    /// and not settled yet what runs (D32). Nothing was sent.
    #[error("workspace agent is not known to be running; try again in a moment")]
    NotLive(#[from] NotLive),
    /// The agent sleeps; it is being woken (A2A-61, LIFE-162).
    #[error("workspace is hibernated; it is being woken")]
    Waking,
    /// The agent does not run; a restart has begun (A2A-81).
    #[error("workspace agent is not running; it is being restarted")]
    Restarting,
    /// As many calls are in flight as may be; nothing was sent (D33).
    #[error("{0}; try again in a moment")]
    Crowded(Crowded),
    /// Busy, and it queues by itself (A2A-88).
    #[error("workspace agent is busy")]
    BusyNativeSession,
    /// Busy; the message was not stored (A2A-90).
    #[error("workspace agent is busy; the message was not queued")]
    Busy,
    /// Not reachable for another reason (A2A-87).
    #[error("failed to reach workspace agent")]
    Unreachable,
    /// The agent's own status, ≥ 300 (A2A-86).
    #[error("{text}")]
    Upstream {
        /// Its HTTP status.
        status: u16,
        /// What the caller is told.
        text: String,
    },
    /// Headers came, the body did not (A2A-71).
    #[error("failed to read agent response")]
    UnreadableReply {
        /// The agent is known to have received the message.
        delivery_confirmed: bool,
        /// Why, in a few words.
        detail: &'static str,
    },
    /// A poll message could not be made durable: it was not accepted (ACT-39).
    #[error("message could not be stored, try again")]
    NotStored(#[source] StoreError),
    /// The lookup failed.
    #[error("lookup failed")]
    Store(#[from] StoreError),
}

/// The messaging service. Cheap to clone.
#[derive(Clone)]
pub struct Messenger {
    inner: Arc<Inner>,
}

impl fmt::Debug for Messenger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messenger").finish_non_exhaustive()
    }
}

struct Inner {
    parts: Parts,
    log: ActivityLog,
    dialer: Dialer,
    /// When workspaces last reached another one, flushed with the pulses.
    outbound: PerWorkspace<Timestamp>,
    /// Holds the replies that are in memory at once to a limit (D15).
    memory: ReplyMemory,
}

impl Deref for Inner {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// What the messenger is made of.
#[derive(Debug)]
#[allow(missing_docs, reason = "one field per service it uses")]
pub struct Parts {
    pub ground: Ground,
    pub writer: ActivityWriter,
    pub credentials: Credentials,
    pub inbound: InboundSecrets,
    pub provisioner: Provisioner,
    pub instances: LiveInstances,
    pub pulses: Pulses,
    pub overrides: Overrides,
}

impl Deref for Parts {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.ground
    }
}

impl Messenger {
    /// Puts the messenger together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let inner = Inner {
            log: ActivityLog::new(&parts.ground, parts.writer.clone()),
            dialer: Dialer::new(parts.config.netguard, parts.instances.clone()),
            outbound: PerWorkspace::new(parts.ground.changes()),
            memory: ReplyMemory::new(limits::A2A_BUFFERED_BYTES),
            parts,
        };
        Self { inner: Arc::new(inner) }
    }
}
