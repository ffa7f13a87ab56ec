//! The HTTP surface on both engines: a real platform behind a real listener, spoken to over real connections.

#![allow(clippy::unwrap_used, reason = "everything here is a test")]

mod audit;
mod bad_input;
mod budget;
mod canary;
mod classes;
mod common;
mod described;
mod hardening;
mod lifecycle;
mod messages;
mod rates;
mod resources;
mod scopes;
mod served;
mod sign_in;
mod snippets;
mod sockets;
mod stopping;
mod tls;
mod upstreams;
