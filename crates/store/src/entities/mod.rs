//! SeaORM entities: what is stored, in storage types. Domain types are made of them in the query modules.
#![allow(
    missing_docs,
    reason = "the columns are documented by the specification and the first migration"
)]

pub(crate) mod activity;
pub(crate) mod agent;
pub(crate) mod allowed_plugin;
pub(crate) mod audit;
pub(crate) mod auth_token;
pub(crate) mod config;
pub(crate) mod event;
pub(crate) mod global_secret;
pub(crate) mod layout;
pub(crate) mod org_token;
pub(crate) mod pulse;
pub(crate) mod session;
pub(crate) mod viewport;
pub(crate) mod workspace;
pub(crate) mod workspace_secret;
