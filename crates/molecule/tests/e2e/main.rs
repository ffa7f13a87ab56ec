//! The real binary with real agents: what a newcomer sees, and what an operator relies on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod attacks;
mod backup;
mod crash;
mod environment;
mod faults;
mod keys;
mod logs;
mod memory;
mod native;
mod operations;
mod power;
mod server;
mod shell;
mod starter;
mod stranger;
