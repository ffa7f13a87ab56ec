//! Connections and transactions on both engines.

#![allow(clippy::unwrap_used, reason = "everything here is a test")]

mod connections;
mod migrations;
mod support;
mod transactions;
mod wal;
