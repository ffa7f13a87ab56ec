//! The store on both engines. Every test of `both_engines!` runs on a fresh SQLite file and on a fresh PostgreSQL
//! database.

#![allow(clippy::unwrap_used, reason = "everything here is a test")]

mod activity_feed;
mod activity_log;
mod activity_writer;
mod audit;
mod cost;
mod crash;
mod credentials;
mod events;
mod patch;
mod pulse;
mod removal;
mod reseal;
mod schema;
mod secrets;
mod support;
mod together;
mod tokens;
mod transitions;
mod tree;
mod upgrade;
mod workspaces;
