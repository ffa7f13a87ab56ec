//! Typed envelopes and messages of A2A v0.3, for an agent that serves it (RUN-51…53, A2A-190, A2A-191).
//!
//! Reading is lenient where peers differ (parts tagged by `kind` or `type`, absent roles); writing is strict v0.3. Where
//! bodies must pass unchanged, [`normalise`](mod@crate::normalise) and raw slices are the tool, not these types.

mod card;
mod envelope;
mod error;
mod message;
mod task;

pub use card::{AgentCapabilities, AgentCard, AgentProvider, AgentSkill};
pub use envelope::{
    Call, CallError, ListParams, MessageSendConfiguration, Request, RequestId, Response, SendParams, TaskList,
    TaskParams,
};
pub use error::{RpcError, code};
pub use message::{FileContent, Message, MessageTag, Part, Role};
pub use task::{
    Artifact, ArtifactUpdateTag, Event, StatusUpdateTag, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus,
    TaskStatusUpdateEvent, TaskTag,
};

pub use self::message::Usage;

/// A JSON object of metadata.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// Defines the `kind` member of one type: always written, ignored when read (the place says what is expected there).
macro_rules! kind_tag {
    ($(#[$doc:meta])* $name:ident = $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name;

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
            }
        }
    };
}
pub(crate) use kind_tag;
