//! What is known of a route, whoever asks: its guard, the description of the API, and tests. The table itself is in
//! `routes`.

use axum::routing::{MethodFilter, MethodRouter};
use molecule_core::limits;
use molecule_wire::auth::TicketPurpose;

use crate::state::ApiState;

/// Who may call a route. Beside each class: what it asks for in required mode. In open mode a local request without a
/// bearer passes every gate (D2); a bearer that proves nothing is refused in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing.
    Public,
    /// Its handler decides: the token of the workspace in the body.
    Registry,
    /// Its handler decides: any credential, or the token of the workspace in `X-Workspace-ID`.
    Message,
    /// The token of the asking workspace, or a session.
    Peer,
    /// Any valid credential.
    Topology,
    /// Admin class, or the workspace's own token.
    Workspace,
    /// The workspace's own token; as [`Class::Workspace`] while it has none.
    WorkspaceOnly,
    /// Operator, org token or session.
    Admin,
    /// The operator's own token: what it opens are the server's own keys.
    Operator,
    /// Its handler decides: the signature of whoever sends it.
    Signed,
    /// Its handler decides: a workspace that sent or gets the message, or admin class; all others get the same 404.
    Queue,
    /// Whoever it is handed on to decides.
    Proxied,
    /// Its handler decides: a ticket, admin class, or a workspace's own token.
    Socket,
    /// The operator's own token, where test tokens are on.
    TestToken,
    /// Nothing if so configured, else admin class.
    Metrics,
}

impl Class {
    /// As `x-auth-class` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Registry => "registry",
            Self::Message => "message",
            Self::Peer => "peer",
            Self::Topology => "topology",
            Self::Workspace => "workspace",
            Self::WorkspaceOnly => "workspace-only",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Signed => "signed",
            Self::Queue => "queue",
            Self::Proxied => "proxied",
            Self::Socket => "socket",
            Self::TestToken => "test-token",
            Self::Metrics => "metrics",
        }
    }
}

/// Method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// As requests spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    pub(crate) const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// How much of the org a route is about, where its path does not name the workspace: it decides what org tokens get that
/// reach a part of it only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The whole org: not for them.
    Whole,
    /// Its handler keeps each of them to its part.
    Part,
    /// No part of the org: what the server or the caller itself is.
    Nothing,
    /// Its path names an org, and only tokens that are anchored there will do (SEC-150).
    Exactly,
}

/// How a row's change is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audited {
    /// What is done, such as `workspace.delete`.
    pub action: &'static str,
    /// What is shown of it before and after.
    pub thing: Thing,
}

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// The workspace in the path: what an operator decides about it.
    Workspace,
    /// Names of the workspace's own secrets, and when each was stored.
    WorkspaceSecrets,
    /// Names of the secrets of all workspaces, likewise.
    GlobalSecrets,
    /// Model and provider of the workspace.
    Settings,
    /// What the workspace may spend.
    Budget,
    /// Its live tokens, by id.
    Tokens,
    /// Live org tokens, by id, and what they are good for.
    OrgTokens,
    /// Signed-in browsers.
    Sessions,
    /// What the server writes into its log.
    Log,
    /// Plugins that an org allows.
    Allowlist,
    /// Nothing that could be shown: the action and its target say it.
    Opaque,
}

impl Audited {
    pub(crate) const fn of(action: &'static str, thing: Thing) -> Self {
        Self { action, thing }
    }
}

/// One row of the table. `{id}` in a path is always a workspace.
#[derive(Debug)]
pub struct Route {
    /// Method.
    pub verb: Verb,
    /// Pattern, in axum's spelling.
    pub path: &'static str,
    /// Who may call it.
    pub class: Class,
    /// Does not count against its credential's rate (D2).
    pub unmetered: bool,
    /// Answers from the binary alone, and counts nowhere: nobody can lock others out of the page.
    pub built_in: bool,
    /// Only what is refused counts, in a bucket of its own: nobody's wrong codes keep out who has the right one.
    pub counts_refusals: bool,
    /// A page or a file of one: its policy lets it run our scripts (SEC-201).
    pub page: bool,
    /// The web UI: where somebody else serves that, it is theirs (SEC-85).
    pub web_ui: bool,
    /// Answers whichever org a hosted server is asked for (SEC-55).
    pub any_org: bool,
    /// Tells a withdrawn bearer of the workspace in the path that it is gone (LIFE-89a, OP-17).
    pub tells_departed: bool,
    /// Asked on behalf of the workspace in `X-Workspace-ID`, not of that in the path (SEC-75).
    pub asked_in_header: bool,
    /// A GET that leaves something behind; pages of other origins cannot make one.
    pub mints: bool,
    /// Sees to it itself that what it began is ended when the client has left; other changes are run to their end.
    pub own_task: bool,
    /// Asks by POST, and leaves nothing behind; or ends what asks, as signing out does, which no token is too limited for.
    pub reads: bool,
    /// Its body is handed on as it comes, and its answer handed back.
    pub streams: bool,
    /// Not built yet: whoever its class lets in gets 404.
    pub later: bool,
    /// How much of the org it is about, where its path names no workspace.
    pub reach: Reach,
    /// How a change is recorded in the audit.
    pub audit: Option<Audited>,
    /// Opened by a ticket for this, too (D2).
    pub ticket: Option<TicketPurpose>,
    /// Bytes of a request body; 0 if none is read.
    pub body: usize,
    pub(crate) handler: fn(Verb) -> MethodRouter<ApiState>,
}

impl Route {
    /// A row without special facts.
    pub(crate) const fn plain(verb: Verb, path: &'static str, class: Class) -> Self {
        Self {
            verb,
            path,
            class,
            unmetered: false,
            built_in: false,
            counts_refusals: false,
            page: false,
            web_ui: false,
            any_org: false,
            tells_departed: false,
            asked_in_header: false,
            mints: false,
            own_task: false,
            reads: false,
            streams: false,
            later: false,
            reach: Reach::Whole,
            audit: None,
            ticket: None,
            body: body_of(verb, class),
            handler: |_| MethodRouter::new(),
        }
    }

    /// Does the path name a workspace?
    #[must_use]
    pub fn names_workspace(&self) -> bool {
        self.path.contains("{id}")
    }

    /// Does it change something?
    #[must_use]
    pub fn changes(&self) -> bool {
        (self.verb != Verb::Get && !self.reads) || self.mints
    }

    /// Is an `{id}` that is none answered with 400 (SEC-106)? Who asks in a header gets 403, for a test token 404.
    #[must_use]
    pub fn refuses_malformed_id(&self) -> bool {
        self.names_workspace() && !self.asked_in_header && self.class != Class::TestToken
    }

    /// Is the handler run to its end though the client hangs up? Whatever changes something is.
    #[must_use]
    pub fn outlives_its_client(&self) -> bool {
        (self.verb != Verb::Get || self.mints) && !self.own_task && !self.later
    }

    /// The first segment of the path.
    pub(crate) fn segment(&self) -> &'static str {
        first_segment(self.path)
    }
}

/// The first segment of a path.
pub(crate) fn first_segment(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// Bytes that bodies have where a row says nothing else (SEC-190, A2A-2). What agents send stays small (D33).
const fn body_of(verb: Verb, class: Class) -> usize {
    match (verb, class) {
        (Verb::Get | Verb::Delete, _) => 0,
        (_, Class::Admin) => limits::JSON_BODY_BYTES,
        (_, Class::Message) => limits::A2A_REQUEST_BYTES,
        _ => limits::WORKSPACE_BODY_BYTES,
    }
}
