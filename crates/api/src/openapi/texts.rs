//! What the description says for people: of the API as a whole, of its groups, of who may call. Comments in the code
//! name requirements; people who read the description get none of them.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use utoipa::openapi::tag::{Tag, TagBuilder};

use crate::route::Class;

/// The whole API in words. Paragraphs; backticks are all the markup that the reference shows.
const INTRODUCTION: &str = "Runs organisations of AI agents: workspaces with a place in an org chart, a runtime, secrets and an A2A address.\n\n\
     Requests and answers are JSON in UTF-8. Unknown members of a request are ignored; `null` in an optional member is \
     as leaving it out, except where `PATCH` clears with it. An empty query parameter is an absent one, and of one that \
     comes twice the first counts. Limits in bytes are of UTF-8: `maxLength` counts characters, and is exact for ASCII.\n\n\
     Every error has `error`, a text for people; `code`, where it is there, is stable (`ErrorCode`). Which codes a status \
     may have is in `x-error-codes`. A refused request has changed nothing. 429 and 503 say in `retry_after` or in the \
     header `Retry-After` when to come back.\n\n\
     Credentials are bearers: `Authorization: Bearer …`. `x-auth-class` of an operation says who may call it:";

/// Groups of operations, in the order of the reference.
const TAGS: [(&str, &str); 16] = [
    (
        "workspaces",
        "Roles in the org chart: created, changed, restarted, removed.",
    ),
    (
        "messages",
        "Talking to agents, by A2A: people and other workspaces send to a workspace's address.",
    ),
    (
        "activity",
        "What happened in a workspace. For an agent that polls, the feed is the queue of its messages.",
    ),
    ("agents", "Which model a workspace is on record for."),
    ("events", "What happens in the organisation, recorded and live."),
    (
        "orgs",
        "Whole organisations from a template: a tree of workspaces at once.",
    ),
    ("templates", "What workspaces are made from."),
    (
        "secrets",
        "Environment variables of agents, stored encrypted. A change restarts who has it.",
    ),
    ("settings", "Model and provider of a workspace."),
    (
        "registry",
        "For agents: where they are, that they live, whom they may talk to.",
    ),
    (
        "tokens",
        "Bearers of workspaces, and of tools that manage the organisation.",
    ),
    (
        "auth",
        "Signing in with a browser, and tickets for what cannot carry a bearer.",
    ),
    (
        "audit",
        "Who changed what, sealed so that nobody can change the record.",
    ),
    ("plugins", "Which plugins an organisation allows."),
    (
        "canvas",
        "What the web UI keeps on the server, for everybody who opens it.",
    ),
    (
        "operations",
        "For operators and probes: health, numbers, loops, the log, this description.",
    ),
];

/// The pages have no entry of their own beside the others: they are not for programs.
const PAGES: (&str, &str) = ("pages", "The web UI and its files.");

pub(super) fn tags() -> Vec<Tag> {
    let described = TAGS.iter().chain([&PAGES]);
    described
        .map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build())
        .collect()
}

/// Who that is.
pub(super) const fn who(class: Class) -> &'static str {
    match class {
        Class::Public => "Everybody; no credential is looked at.",
        Class::Registry => "The workspace that the body names, with its own token.",
        Class::Message => {
            "Any valid credential. With `X-Workspace-ID` the message is of that workspace, whose token it needs."
        }
        Class::Peer => "The workspace that asks, with its own token; or a signed-in browser.",
        Class::Topology => "Any valid credential.",
        Class::Workspace => "The workspace in the path, with its own token; or whoever may call `admin`.",
        Class::WorkspaceOnly => "The workspace in the path, with its own token; others only while it has none.",
        Class::Admin => "The operator's token, an org token, or a signed-in browser.",
        Class::Operator => "The operator's own token: what it opens are the server's own keys.",
        Class::Signed => "Whoever signed the request as the receiver expects.",
        Class::Queue => {
            "The sender or the receiver of the message, or whoever may call `admin`; to others it is not there."
        }
        Class::Proxied => "Whom the server behind lets in; the request is handed on.",
        Class::Socket => "A ticket for `events`, whoever may call `admin`, or a workspace with its own token.",
        Class::TestToken => "The operator's token, where test tokens are on.",
        Class::Metrics => "Whoever may call `admin`; everybody, where the operator made the numbers public.",
    }
}

/// The description of the API.
pub(super) fn introduction() -> String {
    let classes: Vec<_> = Class::all()
        .map(|class| format!("`{}`: {}", class.as_str(), who(class)))
        .collect();
    let open = "On a server in open mode (`MOLECULE_AUTH=open`, which listens on this machine only) a local request \
                without a bearer passes as `admin`.";
    format!("{INTRODUCTION}\n\n{}\n\n{open}", classes.join("\n\n"))
}

/// What is in parentheses because it names requirements or decisions.
static IDS: LazyLock<Regex> = LazyLock::new(|| {
    let id = r"\b[A-Z][A-Z0-9]{1,4}-[A-Z]?\d|\bD\d{1,2}\b|\bOP-\d|§";
    Regex::new(&format!(r"\s*\([^()]*(?:{id})[^()]*\)")).expect("the pattern is fixed and tested")
});

/// A text without the ids that its comment names.
pub(super) fn without_ids(text: &str) -> String {
    IDS.replace_all(text, "").into_owned()
}

/// Rids every description and summary of ids, those of schemas included.
pub(super) fn rid_of_ids(document: &mut Value) {
    match document {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if matches!(name.as_str(), "description" | "summary") => {
                        *text = without_ids(text);
                    }
                    other => rid_of_ids(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rid_of_ids),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    #[test]
    fn ids_go_and_words_stay() {
        for (text, expected) in [
            ("`POST /workspaces` (LIFE §5).", "`POST /workspaces`."),
            ("201 of it (LIFE-71…74).", "201 of it."),
            ("Admin only (D4).", "Admin only."),
            ("What is needed (LIFE-77, LIFE-78).", "What is needed."),
            ("`push`, `poll` or null (LIFE OP-18).", "`push`, `poll` or null."),
            ("One row (ACT §1.2).", "One row."),
            ("At once (LIFE-125; external: OP-13).", "At once."),
            ("`canvas` (people) or `agent`.", "`canvas` (people) or `agent`."),
            ("One id (UUIDv4), base64 (D5).", "One id (UUIDv4), base64."),
        ] {
            assert_eq!(without_ids(text), expected);
        }
    }

    #[test]
    fn every_class_and_every_group_is_explained() {
        let introduction = introduction();
        for route in ROUTES {
            assert!(introduction.contains(&format!("`{}`: ", route.class.as_str())));
        }
    }
}
