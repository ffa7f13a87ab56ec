//! What goes into the sending core, and what comes out of it.

use std::time::Duration;

use bytes::Bytes;
use molecule_core::WorkspaceId;

use super::{Caller, FrameStream};

/// A message with everything decided that only its sender knows. Whoever sends within the server hands one in: the API,
/// and whatever speaks for a person, a workspace or the server itself (A2A-12).
#[derive(Debug, Clone)]
pub struct Envelope {
    /// To whom.
    pub target: WorkspaceId,
    /// On whose behalf; proven, or a claim that was examined.
    pub caller: Caller,
    /// What.
    pub message: Payload,
    /// The longest that the call may take; `None` is no limit.
    pub ceiling: Option<Duration>,
    /// Leave a row of the call and tell the canvas of the reply. What waits for a polling agent is always recorded: there
    /// the row is the delivery (A2A-42).
    pub record: bool,
}

impl Envelope {
    /// With the ceiling of its caller (A2A-66), and recorded.
    #[must_use]
    pub fn new(target: WorkspaceId, caller: Caller, message: Payload) -> Self {
        Self {
            target,
            caller,
            message,
            ceiling: caller.ceiling(),
            record: true,
        }
    }
}

/// An A2A request as somebody wrote it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// JSON, of any version; not looked at yet.
    pub body: Bytes,
    /// `A2A-Version`, if it was said.
    pub version: Option<String>,
}

/// How a message was delivered.
#[derive(Debug)]
pub enum Delivered {
    /// The agent's reply, in the caller's version.
    Reply {
        /// The agent's 2xx status.
        status: u16,
        /// JSON.
        body: Bytes,
    },
    /// The agent's event stream, relayed frame by frame (D15).
    Stream(FrameStream),
    /// Durable in the feed of a poll-mode target (A2A-40).
    Polled {
        /// Method of the message.
        method: String,
    },
}
