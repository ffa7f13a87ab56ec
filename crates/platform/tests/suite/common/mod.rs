//! What the tests share: a real platform over a temporary store, a scripted backend, and agents that speak real HTTP.

mod agent;
mod harness;
mod log;

pub(crate) use agent::{Agent, RawAgent, Reply};
pub(crate) use harness::{Harness, Options, admin, anonymous, eventually, message, nobody, text_message};

pub(crate) use log::until_logged;

pub(crate) use molecule_core::{DeliveryMode, WorkspaceId, WorkspaceStatus};
pub(crate) use molecule_testkit::backend::{Answer, Call, Gate, Start, Stop};
pub(crate) use molecule_wire::{
    registry::{Heartbeat, Register},
    workspaces::CreateWorkspace,
};
pub(crate) use serde_json::{Value, json};
