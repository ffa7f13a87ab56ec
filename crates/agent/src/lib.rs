#![doc = include_str!("../README.md")]

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
