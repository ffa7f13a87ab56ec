//! Configuration: flag, then environment, then `molecule.toml`, then default (D10).
//!
//! [`settings::ALL`] lists every setting. [`load`] reads them all, reports every problem at once and returns the typed
//! [`ServerConfig`] with the origin of each value.

mod bounds;
mod file;
mod parse;
mod problem;
mod reader;
mod server;
pub mod settings;
mod sources;
mod words;

pub(crate) use parse::secrets_key;

pub use file::ConfigFile;
pub use problem::{ConfigErrors, Problem};
pub use reader::{Entry, Origin};
pub use server::{LlmConfig, Loaded, LogConfig, ServerConfig, load};
pub use settings::{Kind, Setting};
pub use sources::{Flags, Sources, default_data_dir};
pub use words::{AuthMode, BackendChoice, LogFormat};

/// The commented example of `molecule.toml`; every line that sets something is commented out.
pub const EXAMPLE: &str = include_str!("../../molecule.example.toml");
