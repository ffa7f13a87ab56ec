#![doc = include_str!("../README.md")]

mod backend;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod process;

pub use backend::{
    Backend, BackendError, ConfigFile, Console, Exit, Instance, LogTail, Running, Started, StopAll, WorkspaceSpec,
};
