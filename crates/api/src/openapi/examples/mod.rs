//! One example of every operation: what is asked and what is answered, made from the values that the server itself
//! reads and writes. A test holds each against its schema.

mod control;
mod house;
mod keys;
mod lifecycle;
mod talk;
mod workspaces;

use molecule_core::{ActivityId, EventId, OrgTokenId, Timestamp, TokenId, WorkspaceId};
use serde::Serialize;
use serde_json::Value;

/// The workspace that most examples are about.
const LEAD: WorkspaceId = WorkspaceId::from_u128(0x6fa4_59ea_ee8a_4ca4_894e_db77_e160_355e);
/// One below it.
const SCOUT: WorkspaceId = WorkspaceId::from_u128(0x9b1d_eb4d_3b7d_4bad_9bdd_2b0d_7b3d_cb6d);
const TOKEN: TokenId = TokenId::from_u128(0x1b4e_28ba_2fa1_41d2_883f_0016_d3cc_a427);
const ORG_TOKEN: OrgTokenId = OrgTokenId::from_u128(0x7d44_4840_9dc0_41d1_b245_5ffd_ce74_fad2);
const ROW: ActivityId = ActivityId::from_u128(0x0198_c0de_9dc0_71d1_b245_5ffd_ce74_fad2);
const EVENT: EventId = EventId::from_u128(0x0198_c0de_9dc0_72d1_b245_5ffd_ce74_fad2);
const NOW: Timestamp = Timestamp::from_micros(1_796_083_200_000_000);
const LATER: Timestamp = Timestamp::from_micros(1_796_083_800_000_000);
/// Shows what a bearer looks like, and is none.
const BEARER: &str = "mol_example-and-no-credential";

/// What an operation is asked and what it answers.
pub(super) struct Example {
    pub(super) operation: &'static str,
    pub(super) request: Option<Value>,
    /// Status, media type, body.
    pub(super) answers: Vec<(&'static str, &'static str, Value)>,
}

impl Example {
    const fn of(operation: &'static str) -> Self {
        Self {
            operation,
            request: None,
            answers: Vec::new(),
        }
    }

    fn asks(mut self, body: impl Serialize) -> Self {
        self.request = Some(json(body));
        self
    }

    fn gives(self, status: &'static str, body: impl Serialize) -> Self {
        self.gives_as(status, "application/json", json(body))
    }

    fn gives_as(mut self, status: &'static str, media: &'static str, body: impl Into<Value>) -> Self {
        self.answers.push((status, media, body.into()));
        self
    }
}

/// What cannot be written is null, which fits no schema: the test of the examples would tell.
fn json(body: impl Serialize) -> Value {
    serde_json::to_value(body).unwrap_or_default()
}

/// All of them.
pub(super) fn all() -> Vec<Example> {
    [
        workspaces::examples(),
        talk::examples(),
        keys::examples(),
        house::examples(),
        lifecycle::examples(),
        control::examples(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Example of a parameter, by its name.
pub(super) fn parameter(name: &str) -> Option<Value> {
    Some(match name {
        "id" | "workspaceId" | "workspace_id" | "peer_id" => json(LEAD),
        "X-Workspace-ID" => json(SCOUT),
        "tokenId" => json(TOKEN),
        "sessionId" => json(control::SESSION),
        "actor" => json("admin"),
        "action" => json("workspace.delete"),
        "before" => json(43),
        "since_id" => json(ROW),
        "key" => json("OPENAI_API_KEY"),
        "path" => json("main.js"),
        "ticket" => json("single-use-ticket"),
        "before_ts" | "from" | "to" => json(NOW),
        "since_secs" => json(3_600),
        "limit" => json(50),
        "offset" => json(0),
        "bytes" => json(65_536),
        "type" => json("a2a_receive"),
        "source" => json("canvas"),
        "q" => json("research"),
        "confirm" | "purge" | "include_removed" | "reset" | "force" => json(true),
        "A2A-Version" => json("0.3"),
        "X-Timeout" => json(120),
        "traceparent" => json("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        _ => return None,
    })
}
