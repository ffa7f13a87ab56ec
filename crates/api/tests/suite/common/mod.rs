//! What the tests share: a server over a temporary store, callers with every kind of credential, and an agent.

mod agent;
mod call;
mod control_plane;
mod server;

pub(crate) use agent::Agent;
pub(crate) use call::{Call, Reply};
pub(crate) use control_plane::ControlPlane;
pub(crate) use server::{ADMIN, Options, Server, Workspace, eventually, open_mode};

pub(crate) use http::{Method, StatusCode};
pub(crate) use serde_json::{Value, json};
