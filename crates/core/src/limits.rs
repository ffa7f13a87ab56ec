//! Every fixed limit, in one place, with its unit and the requirement that sets it.

use std::time::Duration;

/// Characters of a workspace name (D31).
pub const NAME_CHARS: usize = 255;
/// Bytes of a workspace role (LIFE-1).
pub const ROLE_BYTES: usize = 1_000;
/// Bytes of the role of an imported workspace.
pub const IMPORTED_ROLE_BYTES: usize = 64 << 10;
/// Privilege and size class of a workspace that asks for none (D20).
pub const DEFAULT_TIER: i32 = 2;
/// Bytes of a model id (SEC-191).
pub const MODEL_BYTES: usize = 100;
/// Bytes of a provider's name.
pub const PROVIDER_BYTES: usize = 100;
/// Bytes of a secret's key and value together, with `=` and the closing NUL: one variable of a Linux process
/// (`MAX_ARG_STRLEN`).
pub const VARIABLE_BYTES: usize = 128 << 10;
/// Bytes of a runtime name (SEC-191).
pub const RUNTIME_BYTES: usize = 100;
/// Bytes of an A2A request body (A2A-2).
pub const A2A_REQUEST_BYTES: usize = 1 << 20;
/// Bytes of an agent's reply (A2A-70).
pub const A2A_REPLY_BYTES: usize = 10 << 20;
/// Bytes of a sign-in's body: read before anything is proven, like the two below (SEC-190).
pub const LOGIN_BODY_BYTES: usize = 4 << 10;
/// Bytes of a heartbeat.
pub const HEARTBEAT_BODY_BYTES: usize = 64 << 10;
/// Bytes of a body that carries an agent's card: a registration, or a new card.
pub const CARD_BODY_BYTES: usize = 1 << 20;
/// Bytes of any other JSON body (SEC-190).
pub const JSON_BODY_BYTES: usize = 32 << 20;
/// Bytes of a JSON body on a route that workspaces or strangers may call (D33).
pub const WORKSPACE_BODY_BYTES: usize = 2 << 20;
/// Bytes of request bodies that the server holds at once; default of `MOLECULE_BODIES_MEMORY_MB` (D33).
pub const BODIES_BYTES: usize = 96 << 20;
/// Of those, what one admin credential may take up: room for the longest body and half of another. Default of
/// `MOLECULE_ADMIN_BODIES_MEMORY_MB`.
pub const ADMIN_BODIES_BYTES: usize = 48 << 20;
/// Of those, what agents and strangers may take up together; one of them gets a quarter of it. Default of
/// `MOLECULE_GUEST_BODIES_MEMORY_MB`.
pub const GUEST_BODIES_BYTES: usize = 64 << 20;
/// Hops of an ancestor walk that decides communication (LIFE-40).
pub const COMMUNICATION_WALK_HOPS: usize = 32;
/// Live tokens a workspace may mint over the API (SEC-15).
pub const TOKENS_PER_WORKSPACE: u64 = 50;
/// Live org tokens listed (SEC-17).
pub const ORG_TOKENS_LISTED: u64 = 500;
/// Live org tokens there may be.
pub const ORG_TOKENS: u64 = 500;
/// Longest life that an org token can be given, seconds; without one it lives until it is revoked.
pub const ORG_TOKEN_LIFE_SECS: u64 = 10 * 365 * 24 * 3_600;
/// Browser sessions listed.
pub const SESSIONS_LISTED: u64 = 500;
/// Characters of what a browser calls itself that are kept with its session.
pub const USER_AGENT_CHARS: usize = 200;
/// Bytes of an org token's name (SEC-18).
pub const ORG_TOKEN_NAME_BYTES: usize = 100;
/// Global secrets read by an import's preflight (PROV-135).
pub const PREFLIGHT_SECRETS: u64 = 10_000;
/// Largest page of the activity feed; also where larger requests are clamped (ACT-14).
pub const ACTIVITY_PAGE: u64 = 500;
/// Page of the activity feed when none is asked for.
pub const ACTIVITY_PAGE_DEFAULT: u64 = 100;
/// Bytes of rows after which a page of the activity feed ends; it has at least one.
pub const ACTIVITY_PAGE_BYTES: i64 = 8 << 20;
/// Longest `since_secs` of the activity feed, seconds (ACT-18).
pub const ACTIVITY_SINCE_SECS: i64 = 2_592_000;
/// Bytes of the name of a plugin (SEC-153).
pub const PLUGIN_NAME_BYTES: usize = 255;
/// Time a client has for its TLS handshake.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connect timeout towards a server behind this one: control plane, web UI.
pub const UPSTREAM_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time such a server has for its response headers.
pub const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(60);
/// Time the control plane has to say whose a session is (SEC-31).
pub const SESSION_CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest page of the audit; also where larger requests are clamped.
pub const AUDIT_PAGE: u64 = 500;
/// Page of the audit when none is asked for.
pub const AUDIT_PAGE_DEFAULT: u64 = 100;
/// Bytes of a state that the audit keeps; of a longer one it keeps the length.
pub const AUDIT_STATE_BYTES: usize = 64 << 10;
/// Events returned by `GET /events` (ACT-69).
pub const EVENTS_PAGE: u64 = 100;
/// Events buffered for one socket before the oldest are dropped for it (ACT-73).
pub const SOCKET_BUFFER: usize = 4_096;
/// Bytes of events buffered likewise (ACT-73).
pub const SOCKET_BUFFER_BYTES: usize = 8 << 20;
/// Bytes of a body or tool trace that an event carries; a longer one is left out, for the feed has it (ACT-104, ACT-105).
pub const EVENT_BODY_BYTES: usize = 256 << 10;
/// Characters of a method, status or summary that an event carries (ACT-104).
pub const EVENT_TEXT_CHARS: usize = 500;
/// Bytes of a message to the user (ACT-50).
pub const NOTIFY_MESSAGE_BYTES: usize = 256 << 10;
/// Attachments of a message to the user (ACT-51).
pub const NOTIFY_ATTACHMENTS: usize = 100;
/// Bytes of an attachment's uri, name or media type (ACT-51).
pub const ATTACHMENT_FIELD_BYTES: usize = 4 << 10;
/// Bytes of a reported method or status (ACT-44).
pub const REPORT_WORD_BYTES: usize = 255;
/// Bytes of a reported summary or error (ACT-44).
pub const REPORT_TEXT_BYTES: usize = 64 << 10;
/// Largest stored monthly spend, USD cents (record table of `lifecycle.md`).
pub const MONTHLY_SPEND_CENTS: i64 = 1_000_000_000_000;
/// Nesting of `!include` in org templates (PROV-127).
pub const INCLUDE_DEPTH: usize = 16;
/// Files of an imported template (PROV-105).
pub const TEMPLATE_FILES: usize = 200;

/// An agent silent for longer is lost (REG-3).
pub const LIVENESS_WINDOW: Duration = Duration::from_secs(180);
/// How often the platform looks at liveness (LIFE §15).
pub const HEALTH_SWEEP_PERIOD: Duration = Duration::from_secs(15);
/// How often workspaces are counted for the metrics.
pub const CENSUS_PERIOD: Duration = Duration::from_secs(5);
/// A server whose own work begins so late is behind: silence of others proves nothing (D34).
pub const SERVER_BEHIND: Duration = Duration::from_secs(1);
/// An external agent silent for longer awaits its agent again; default of `REMOTE_LIVENESS_STALE_AFTER` (LIFE-183).
pub const REMOTE_STALE_AFTER: Duration = Duration::from_secs(90);
/// How often slow starts are looked for (LIFE §15).
pub const PROVISION_SWEEP_PERIOD: Duration = Duration::from_secs(30);
/// A start that took longer has failed, unless template or operator say otherwise (LIFE-189).
pub const PROVISION_TIMEOUT: Duration = Duration::from_secs(600);
/// The same for hermes: control-plane watcher of 25 min plus slack (PROV-95a).
pub const PROVISION_TIMEOUT_HERMES: Duration = Duration::from_secs(1_800);
/// One deadline over the whole start pipeline (PROV-12, LIFE-58).
pub const PROVISION_DEADLINE: Duration = Duration::from_secs(180);
/// Time a failed start has to record itself, apart from the pipeline's deadline (PROV-31).
pub const FAILURE_RECORD_DEADLINE: Duration = Duration::from_secs(10);
/// Starts that run at once, over all workspaces; default of `MOLECULE_CONCURRENT_STARTS`. Further ones wait their turn.
pub const CONCURRENT_STARTS: usize = 8;
/// Concurrent starts of one import (PROV-138).
pub const PROVISION_CONCURRENCY: usize = 3;
/// What stands for "no cap on concurrent starts": a semaphore needs a number (PROV-138).
pub const PROVISION_CONCURRENCY_UNLIMITED: usize = 1_048_576;
/// Pause after each imported child (PROV-139).
pub const IMPORT_CHILD_PAUSE: Duration = Duration::from_secs(2);
/// Settings writes within this span lead to one restart (PROV-112a).
pub const RESTART_DEBOUNCE: Duration = Duration::from_millis(500);
/// Attempts at a stop that something waits for (LIFE-136).
pub const STOP_ATTEMPTS: u32 = 3;
/// Pause after the first of them; doubles with each (LIFE-136, OP-14).
pub const STOP_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long a pause or collapse waits for its stops before it answers; they go on.
pub const PAUSE_STOP_WAIT: Duration = Duration::from_secs(30);
/// How often idle workspaces are looked for (LIFE §15).
pub const HIBERNATION_PERIOD: Duration = Duration::from_secs(120);
/// A hibernation that was claimed so long ago is finished by the next look (OP-7).
pub const HIBERNATING_STUCK: Duration = Duration::from_secs(300);
/// How long a hibernation waits for messages that were under way when it was claimed.
pub const HIBERNATION_DRAIN: Duration = Duration::from_secs(30);
/// How long a restarted agent has to come online to be told of its restart (LIFE-148).
pub const RESTART_CONTEXT_WAIT: Duration = Duration::from_secs(30);
/// How often that is looked at (LIFE-148).
pub const RESTART_CONTEXT_POLL: Duration = Duration::from_millis(500);
/// Longest that telling it may take in all (LIFE-148).
pub const RESTART_CONTEXT_DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of the end of a log that comes with a report of a failed boot (LIFE-173).
pub const BOOTSTRAP_LOG_BYTES: usize = 8 << 10;
/// Time delete has for all stops together (LIFE-104).
pub const DELETE_STOP_DEADLINE: Duration = Duration::from_secs(30);
/// Age at which activity is deleted; default of `ACTIVITY_RETENTION_DAYS` (ACT-13).
pub const ACTIVITY_RETENTION: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How often that is looked at (ACT-13).
pub const ACTIVITY_CLEANUP_PERIOD: Duration = Duration::from_secs(6 * 3_600);
/// Connect timeout of the A2A client (A2A-64).
pub const A2A_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshake timeout of the A2A client (A2A-64).
pub const A2A_TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Response-header timeout of the A2A client for reported endpoints (A2A-64, D13).
pub const A2A_HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Silence after which a call counts as busy (A2A-65).
pub const A2A_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Ceiling of a call between workspaces (A2A-66).
pub const A2A_CALLER_CEILING: Duration = Duration::from_secs(1_800);
/// Longest idle timeout and ceiling that a call can be given; longer ones count as this (A2A-65, A2A-67).
pub const A2A_LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3_600);
/// Restarts of an agent that keeps ending, within [`CRASH_WINDOW`]; default of `MOLECULE_CRASH_RESTARTS` (D30).
pub const CRASH_RESTARTS: usize = 10;
/// The time in which they are counted (D30).
pub const CRASH_WINDOW: Duration = Duration::from_secs(3_600);
/// An agent that held out for so long begins anew (D30).
pub const CRASH_QUIET: Duration = Duration::from_secs(600);
/// Pause before the second restart in a row; doubles with each, up to [`CRASH_PAUSE_MAX`].
pub const CRASH_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between restarts of an agent that keeps ending.
pub const CRASH_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Calls to agents in flight at once; default of `MOLECULE_A2A_IN_FLIGHT` (D33).
pub const A2A_IN_FLIGHT: usize = 4_096;
/// The same to one agent; default of `MOLECULE_A2A_IN_FLIGHT_PER_AGENT` (D33).
pub const A2A_IN_FLIGHT_PER_AGENT: usize = 512;
/// Reply bytes of all calls together that may be buffered at once (D15).
pub const A2A_BUFFERED_BYTES: usize = 256 << 20;
/// How long a reply waits for a part of that memory; after that it is not read to its end (A2A-71).
pub const A2A_MEMORY_WAIT: Duration = Duration::from_secs(60);
/// Lifetime of the one-time login code (D2).
pub const LOGIN_CODE_TTL: Duration = Duration::from_secs(600);
/// Lifetime of a browser session, renewed by use.
pub const SESSION_TTL: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Lifetime of a single-use ticket for sockets and downloads (D2).
pub const TICKET_TTL: Duration = Duration::from_secs(30);
/// Requests per minute of one valid credential (D2).
pub const CREDENTIAL_RATE: u32 = 6_000;
/// Anonymous requests and failed authentications per minute of one address; default of `RATE_LIMIT` (SEC-205).
pub const ADDRESS_RATE: u32 = 600;
/// Event sockets that one credential may hold open at once (D10).
pub const SOCKETS_PER_CREDENTIAL: u32 = 64;
/// Org tokens minted per hour from one address (SEC-206).
pub const ORG_TOKEN_MINT_RATE: u32 = 10;
/// Window of the rate limits.
pub const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Time between asking a local agent to stop and killing it (D19).
pub const AGENT_STOP_GRACE: Duration = Duration::from_secs(5);
/// Of that, what the running turn gets to end in.
pub const AGENT_TURN_GRACE: Duration = Duration::from_secs(3);
/// Of that, what answers under way get to leave in.
pub const AGENT_ANSWER_GRACE: Duration = Duration::from_secs(1);
// The rest is for the exit file, without which an orderly stop looks like a crash.
const _: () = assert!(
    AGENT_TURN_GRACE.as_millis() + AGENT_ANSWER_GRACE.as_millis() + 500 < AGENT_STOP_GRACE.as_millis(),
    "an agent must be able to leave before it is killed"
);
/// Time a shutdown waits for work in flight (SEC-218).
pub const SHUTDOWN_DRAIN: Duration = Duration::from_secs(30);
/// How long cached inbound secrets, routes and URLs live (REG-56, REG-3).
pub const CACHE_TTL: Duration = Duration::from_secs(300);
