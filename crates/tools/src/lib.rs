#![doc = include_str!("../README.md")]

mod arguments;
mod definition;
mod host;
mod outcome;

pub use arguments::{ArgumentError, Arguments};
pub use definition::Definition;
pub use host::{Caller, Tool, ToolHost, Toolbox};
pub use outcome::{DelegationError, Output, ToolError, shown};
