//! The services on both engines, against a scripted backend and agents that speak real HTTP.

#![allow(clippy::unwrap_used, reason = "everything here is a test")]

mod agents;
mod changes;
mod common;
mod create;
mod delete;
mod events;
mod messaging;
mod orgs;
mod patch;
mod plan;
mod recover;
mod registry;
mod rest;
mod restart;
mod restored;
mod secrets;
mod sending;
mod start;
mod stranger;
mod sweep;
mod team;
mod third;
mod told;
mod upstream;
mod watch;
