//! The A2A wire: JSON-RPC envelope, message versions, normalisation, agent cards, SSE frames.
//!
//! Pure: no sockets, no clock. The platform's proxy and the agent's server bring the HTTP; this crate says what the
//! bytes mean. Bodies are handled as slices of the original text ([`serde_json::value::RawValue`] underneath), never as
//! a tree of values, so that big integers, member order, escapes and unknown members reach the other side byte for byte
//! (A2A-32, D15).
//!
//! - [`normalise`](mod@normalise): what a caller sent, brought to one form or refused (A2A-20…32).
//! - [`version`], [`translate`]: v0.2, v0.3 and v1.0 and the way between them (D7).
//! - [`reply`]: what the platform reads in an agent's answer (A2A-86, 104, 170).
//! - [`jsonrpc`]: typed envelopes and messages, for an agent that serves A2A itself (RUN-51…53).
//! - [`assemble`]: what a stream of events amounts to.
//! - [`sse`], [`card`], [`upstream`]: event frames, where cards are served, judging a failed call.

pub mod assemble;
pub mod card;
pub mod jsonrpc;
mod method;
pub mod normalise;
mod raw;
pub mod reply;
pub mod sse;
pub mod translate;
pub mod upstream;
pub mod version;

pub use method::Method;
pub use normalise::{NormaliseError, Normalised, Normaliser, normalise};
pub use translate::ReplyTranslator;
pub use version::{AnnouncedVersions, ProtocolVersion, VERSION_HEADER};
