//! Pure domain rules of Molecule: ids, the status machine, hierarchy and reachability, delivery mode, runtimes,
//! provider derivation, agent-URL classification, redaction, validation and limits.
//!
//! Nothing here is async, does I/O or reads a clock, so every rule is a table or property test.

pub mod activity;
pub mod contract;
pub mod credential;
pub mod delivery;
pub mod event;
pub mod hierarchy;
pub mod hmac;
pub mod ids;
pub mod limits;
pub mod model;
pub mod netguard;
pub mod redact;
pub mod runtime;
pub mod status;
pub mod text;
pub mod timestamp;
pub mod trace;
pub mod validate;
pub mod vocabulary;

pub use delivery::DeliveryMode;
pub use event::EventType;
pub use hierarchy::Lineage;
pub use ids::{ActivityId, AgentId, AuditId, EventId, OrgTokenId, SessionId, TokenId, WorkspaceId};
pub use runtime::Runtime;
pub use status::{Facts, Trigger, WorkspaceStatus};
pub use timestamp::Timestamp;
pub use vocabulary::Word;
