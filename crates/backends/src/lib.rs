//! Where workspaces run: the [`Backend`] trait, the process backend and the conformance suite that every backend passes.
//!
//! A backend knows nothing of the store, of HTTP routes or of statuses: it starts, stops and watches instances.

mod backend;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod process;

pub use backend::{Backend, BackendError, Exit, Instance, LogTail, Running, Started, WorkspaceSpec};
