//! The workspace runtime, run as `molecule agent`: A2A server, heartbeat, prompts and the engines that answer.
//!
//! [`main`] boots from the environment in this order: sandbox, configuration, preflight, engine, listener, endpoint
//! file, registration and heartbeat, initial prompt, idle loop. [`run`] is the same without process matters, for tests.
//!
//! - [`env`], [`config`], [`preflight`], [`sandbox`], [`state`]: what the agent is given and what it leaves behind.
//! - [`prompt`], [`skills`], [`plugins`]: what the engine is told about itself before each turn.
//! - [`server`], [`turns`], [`journal`]: messages come in; each runs once (D14), one at a time within its conversation.
//! - [`engine`]: the contract of what answers them; [`runtimes`]: `echo`, `exec` and `native`; [`tools`]: what these can do.
//! - [`platform`], [`pulse`], [`heartbeat`], [`peers`], [`delegation`], [`selfprompt`]: the way to the platform.

pub mod agents_md;
mod boot;
pub mod config;
pub mod credentials;
pub mod delegation;
pub mod engine;
pub mod env;
pub mod fsio;
pub mod heartbeat;
pub mod journal;
pub mod model;
pub mod peers;
pub mod platform;
pub mod plugins;
pub mod preflight;
pub mod process;
pub mod prompt;
pub mod pulse;
pub mod runtimes;
pub mod sandbox;
pub mod selfprompt;
pub mod server;
pub mod skills;
pub mod state;
pub mod tools;
pub mod turns;

pub use boot::{Tuning, main, run};
