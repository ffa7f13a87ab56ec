//! Every setting there is: its names, its form, its default and what it means.

use molecule_core::contract::Sandbox;

/// Form of a value; decides the type that `molecule.toml` demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A path; `~/` is the home directory, relative paths start at the working directory or the file's directory.
    Path,
    /// An address; a password in it is never shown.
    Url,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Bool,
    /// Texts, separated by commas outside `molecule.toml`.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name in `molecule.toml`.
    pub key: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// What it was called in `molecule.toml` and in the environment of older versions.
    pub old: Option<(&'static str, &'static str)>,
    /// Whether `up` and `server` take it as a flag: the key with dashes.
    pub flag: bool,
    /// Form of its value.
    pub kind: Kind,
    /// A bad value of the environment warns and counts as unset, because the specification says so (SEC-220). Flags
    /// and `molecule.toml` are always strict.
    pub lenient: bool,
    /// Default, as it would be written; empty when there is none.
    pub default: &'static str,
    /// What it means, with its unit.
    pub help: &'static str,
}

impl Setting {
    const fn new(key: &'static str, env: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Self {
        Self {
            key,
            env,
            old: None,
            flag: false,
            kind,
            lenient: false,
            default,
            help,
        }
    }

    const fn flag(mut self) -> Self {
        self.flag = true;
        self
    }

    const fn was(mut self, key: &'static str, env: &'static str) -> Self {
        self.old = Some((key, env));
        self
    }

    const fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Never shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Secret)
    }

    /// The flag, if it has one.
    #[must_use]
    pub fn flag_name(&self) -> Option<String> {
        self.flag.then(|| format!("--{}", self.key.replace('_', "-")))
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident = $setting:expr;)+) => {
        $($(#[$doc])* pub static $name: Setting = $setting;)+

        /// Every setting, in the order in which they are listed.
        pub static ALL: &[&Setting] = &[$(&$name),+];
    };
}

use Kind::{Bool, Choice, Integer, List, Path, Secret, Text, Url};

settings! {
    /// Where everything lives.
    DATA_DIR = Setting::new("data_dir", "MOLECULE_DATA_DIR", Path, "", "Data directory: database, keys, workspaces").flag();
    /// Listen address.
    HOST = Setting::new("host", "MOLECULE_HOST", Text, "127.0.0.1", "IP address to listen on").flag();
    /// Listen port.
    PORT = Setting::new("port", "PORT", Integer, "8080", "TCP port to listen on; 0 takes any free one").flag().lenient();
    /// Certificate.
    TLS_CERT = Setting::new("tls_cert", "MOLECULE_TLS_CERT", Path, "", "Certificate chain, PEM: the server speaks TLS; read again when it is replaced");
    /// Its key.
    TLS_KEY = Setting::new("tls_key", "MOLECULE_TLS_KEY", Path, "", "Private key of tls_cert, PEM");
    /// Database.
    DATABASE_URL = Setting::new("database_url", "DATABASE_URL", Url, "", "sqlite:///path/file.db or postgres://user:password@host/name").flag();
    /// Authentication mode (D2).
    AUTH = Setting::new("auth", "MOLECULE_AUTH", Choice(&["required", "open"]), "required", "Whether every caller needs a credential; open is for development and only on a loopback address").flag();
    /// Admin bearer (SEC-220).
    ADMIN_TOKEN = Setting::new("admin_token", "ADMIN_TOKEN", Secret, "", "Admin bearer; generated into the data directory when unset");
    /// Key of stored secrets (SEC-130, D5).
    SECRETS_ENCRYPTION_KEY = Setting::new("secrets_encryption_key", "SECRETS_ENCRYPTION_KEY", Secret, "", "Key of stored secrets: base64 of 32 bytes, or 32 characters; generated into the data directory when unset");
    /// Keys that stored secrets were sealed with before (D5).
    SECRETS_RETIRED_KEYS = Setting::new("secrets_retired_keys", "SECRETS_RETIRED_KEYS", Secret, "", "Earlier values of secrets_encryption_key, separated by spaces or commas; they open what they once sealed and seal nothing");
    /// Key of the audit.
    AUDIT_KEY = Setting::new("audit_key", "MOLECULE_AUDIT_KEY", Secret, "", "Key that seals the audit of changes: base64 of 32 bytes, or 32 characters; generated into the data directory when unset");
    /// Which backend runs workspaces (D12).
    BACKEND = Setting::new("backend", "MOLECULE_BACKEND", Choice(&["auto", "control-plane", "kubernetes", "docker", "process", "none"]), "auto", "What runs the workspaces").flag();
    /// Sandbox of process agents (D18).
    SANDBOX = Setting::new("sandbox", "MOLECULE_SANDBOX", Choice(Sandbox::NAMES), "best-effort", "Sandbox of process agents: refuse to start without one, use it where the kernel has it, or none").flag();
    /// Unix sockets in the sandbox (D32).
    SANDBOX_UNIX_SOCKETS = Setting::new("sandbox_unix_sockets", "MOLECULE_SANDBOX_UNIX_SOCKETS", List, "", "Runtimes whose sandboxed agents may connect to Unix sockets of other programs, such as exec; those lead out of the sandbox");
    /// Terminals in the sandbox (D32).
    SANDBOX_TERMINALS = Setting::new("sandbox_terminals", "MOLECULE_SANDBOX_TERMINALS", List, "", "Runtimes whose sandboxed agents get pseudo-terminals of their own where the system allows it, such as exec");
    /// Memory of tier 2 (PROV-63).
    TIER2_MEMORY_MB = Setting::new("tier2_memory_mb", "TIER2_MEMORY_MB", Integer, "", "Memory of each agent of tier 2, MiB; unset, no limit on the process backend").lenient();
    /// Processor time of tier 2 (PROV-63).
    TIER2_CPU_SHARES = Setting::new("tier2_cpu_shares", "TIER2_CPU_SHARES", Integer, "", "Processor time of each agent of tier 2, 1024 is one processor; unset, no limit on the process backend").lenient();
    /// Memory of tier 3 (PROV-63).
    TIER3_MEMORY_MB = Setting::new("tier3_memory_mb", "TIER3_MEMORY_MB", Integer, "", "Memory of each agent of tier 3, MiB; unset, no limit on the process backend").lenient();
    /// Processor time of tier 3 (PROV-63).
    TIER3_CPU_SHARES = Setting::new("tier3_cpu_shares", "TIER3_CPU_SHARES", Integer, "", "Processor time of each agent of tier 3, 1024 is one processor; unset, no limit on the process backend").lenient();
    /// Memory of tier 4 (PROV-63).
    TIER4_MEMORY_MB = Setting::new("tier4_memory_mb", "TIER4_MEMORY_MB", Integer, "", "Memory of each agent of tier 4, MiB; unset, no limit on the process backend").lenient();
    /// Processor time of tier 4 (PROV-63).
    TIER4_CPU_SHARES = Setting::new("tier4_cpu_shares", "TIER4_CPU_SHARES", Integer, "", "Processor time of each agent of tier 4, 1024 is one processor; unset, no limit on the process backend").lenient();
    /// Class of the installation.
    ENVIRONMENT = Setting::new("environment", "MOLECULE_ENV", Text, "", "Class of the installation: production or development; empty is neither");
    /// Hosted or self-hosted (SEC-170).
    DEPLOY_MODE = Setting::new("deploy_mode", "MOLECULE_DEPLOY_MODE", Choice(&["saas", "self-hosted", "selfhosted", "standalone"]), "", "Hosted (saas) or self-hosted; unset, it follows org_id").lenient();
    /// Tenant.
    ORG_ID = Setting::new("org_id", "MOLECULE_ORG_ID", Text, "", "Tenant id; selects the control-plane backend");
    /// Slug of the tenant (SEC-31).
    ORG_SLUG = Setting::new("org_slug", "MOLECULE_ORG_SLUG", Text, "", "Tenant's name at the control plane: its members are admins here; needs cp_upstream_url");
    /// The control plane behind (SEC-31, SEC-180).
    CP_UPSTREAM_URL = Setting::new("cp_upstream_url", "CP_UPSTREAM_URL", Url, "", "Control plane that /cp requests of browsers are handed on to, and that knows who is a member");
    /// The web UI behind (SEC-183).
    CANVAS_PROXY_URL = Setting::new("canvas_proxy_url", "CANVAS_PROXY_URL", Url, "", "Server of another web UI: what no route matches is handed on to it");
    /// Address given to workspaces.
    PLATFORM_URL = Setting::new("platform_url", "PLATFORM_URL", Url, "", "Address of this server as workspaces see it; unset, it follows the backend");
    /// Address that is handed out (D28).
    PUBLIC_URL = Setting::new("public_url", "MOLECULE_PUBLIC_URL", Url, "", "Address of this server as browsers and agents elsewhere see it, with the path below which a proxy serves it: login links, connection blocks and addresses of agents begin with it; unset, it follows the request (EXTERNAL_PLATFORM_URL is its old name)").was("external_platform_url", "EXTERNAL_PLATFORM_URL");
    /// Workspace templates.
    CONFIGS_DIR = Setting::new("configs_dir", "CONFIGS_DIR", Path, "", "Directory of workspace templates, beside those that ship in the binary; org templates are in `orgs` below it, or in `org-templates` beside it");
    /// Runtime allowlist.
    MANIFEST_PATH = Setting::new("workspace_manifest_path", "WORKSPACE_MANIFEST_PATH", Path, "", "Manifest that limits the runtimes; unset, /app/manifest.json or a manifest.json in the working directory or up to two above it is read, else all are allowed");
    /// Shared working directory.
    WORKSPACE_DIR = Setting::new("workspace_dir", "WORKSPACE_DIR", Path, "", "Host directory that workspaces work in unless they name their own");
    /// Foreign origins.
    CORS_ORIGINS = Setting::new("cors_origins", "CORS_ORIGINS", List, "", "Origins besides the server's own that browsers may call from");
    /// Proxies in front (D28).
    TRUSTED_PROXIES = Setting::new("trusted_proxies", "MOLECULE_TRUSTED_PROXIES", List, "", "Addresses or networks of the proxies whose word counts on who calls and which address was asked for");
    /// Rate per address (SEC-205).
    RATE_LIMIT = Setting::new("rate_limit", "RATE_LIMIT", Integer, "600", "Anonymous requests and failed authentications per minute of one address").lenient();
    /// Rate per credential (D2).
    CREDENTIAL_RATE = Setting::new("credential_rate", "MOLECULE_CREDENTIAL_RATE", Integer, "6000", "Requests per minute of one valid credential; 0 is no limit");
    /// Sockets per credential (D10).
    SOCKETS_PER_CREDENTIAL = Setting::new("sockets_per_credential", "MOLECULE_SOCKETS_PER_CREDENTIAL", Integer, "64", "Event sockets that one credential may hold open at once; 0 is no limit");
    /// Memory for request bodies (D33).
    BODIES_MEMORY_MB = Setting::new("bodies_memory_mb", "MOLECULE_BODIES_MEMORY_MB", Integer, "96", "Memory for request bodies that are being read or worked on, all together, MiB; at least 32. What finds no room within 10 s is answered with 503");
    /// Memory for the request bodies of one admin credential (D33).
    ADMIN_BODIES_MEMORY_MB = Setting::new("admin_bodies_memory_mb", "MOLECULE_ADMIN_BODIES_MEMORY_MB", Integer, "48", "Of bodies_memory_mb, what one admin credential may take up, MiB; at least 32, the longest body");
    /// Memory for the request bodies of agents and strangers (D33).
    GUEST_BODIES_MEMORY_MB = Setting::new("guest_bodies_memory_mb", "MOLECULE_GUEST_BODIES_MEMORY_MB", Integer, "64", "Of bodies_memory_mb, what agents and strangers may take up together, MiB; at least 8. One of them gets a quarter of it");
    /// Silence limit (A2A-65).
    A2A_IDLE_TIMEOUT = Setting::new("a2a_idle_timeout_seconds", "A2A_IDLE_TIMEOUT_SECONDS", Integer, "300", "Silence after which a message counts as met by a busy agent, seconds").lenient();
    /// Header limit (A2A-64, D13).
    A2A_HEADER_TIMEOUT = Setting::new("a2a_header_timeout_seconds", "MOLECULE_A2A_HEADER_TIMEOUT_SECONDS", Integer, "60", "Time an external agent has for its response headers, seconds");
    /// Calls in flight (D33).
    A2A_IN_FLIGHT = Setting::new("a2a_in_flight", "MOLECULE_A2A_IN_FLIGHT", Integer, "4096", "Messages to agents that may be under way at once; further ones are refused with 503; 0 is no limit");
    /// Calls in flight to one agent (D33).
    A2A_IN_FLIGHT_PER_AGENT = Setting::new("a2a_in_flight_per_agent", "MOLECULE_A2A_IN_FLIGHT_PER_AGENT", Integer, "512", "Messages to one agent that may be under way at once; further ones are refused with 503; 0 is no limit");
    /// Starts at once.
    CONCURRENT_STARTS = Setting::new("concurrent_starts", "MOLECULE_CONCURRENT_STARTS", Integer, "8", "Workspaces that are started at once; further ones wait their turn; 0 is no limit");
    /// Crash loops (D30).
    CRASH_RESTARTS = Setting::new("crash_restarts", "MOLECULE_CRASH_RESTARTS", Integer, "10", "Restarts of an agent that keeps ending, within an hour; after that its workspace has failed until somebody restarts it; 0 is no limit");
    /// Start limit (LIFE-189).
    PROVISION_TIMEOUT = Setting::new("provision_timeout_seconds", "PROVISION_TIMEOUT_SECONDS", Integer, "", "Time a start may take, seconds; unset, the template's or 600 (hermes 1800)").lenient();
    /// Staleness of external agents (LIFE-183).
    REMOTE_STALE_AFTER = Setting::new("remote_liveness_stale_after", "REMOTE_LIVENESS_STALE_AFTER", Integer, "90", "Silence after which an external agent counts as away, seconds").lenient();
    /// Concurrent starts of an import (PROV-138).
    PROVISION_CONCURRENCY = Setting::new("provision_concurrency", "MOLECULE_PROVISION_CONCURRENCY", Integer, "3", "Concurrent starts of one org import; 0 is unlimited").lenient();
    /// Pause of an import (PROV-139).
    IMPORT_PAUSE = Setting::new("import_pause_ms", "MOLECULE_IMPORT_PAUSE_MS", Integer, "2000", "Pause after each workspace of an org import, milliseconds");
    /// Test tokens (SEC §9).
    TEST_TOKENS = Setting::new("enable_test_tokens", "MOLECULE_ENABLE_TEST_TOKENS", Bool, "false", "Offer the test-token route (1 in the environment)").lenient();
    /// Open metrics (D2).
    METRICS_PUBLIC = Setting::new("metrics_public", "MOLECULE_METRICS_PUBLIC", Bool, "true", "Whether /metrics answers without a credential");
    /// The agent's program (D19).
    AGENT_BINARY = Setting::new("agent_binary", "MOLECULE_AGENT_BINARY", Path, "", "Program that the process backend starts as the agent");
    /// Log filter.
    LOG = Setting::new("log", "MOLECULE_LOG", Text, "info", "Log filter, such as info or info,molecule_platform=debug").flag();
    /// Log form.
    LOG_FORMAT = Setting::new("log_format", "MOLECULE_LOG_FORMAT", Choice(&["pretty", "json"]), "pretty", "Form of the log on standard error").flag();
    /// Retention of activity (ACT-13).
    ACTIVITY_RETENTION = Setting::new("activity_retention_days", "ACTIVITY_RETENTION_DAYS", Integer, "7", "Age at which activity is deleted, days").lenient();
    /// Pause between two clean-ups of activity (ACT-13).
    ACTIVITY_CLEANUP = Setting::new("activity_cleanup_interval_hours", "ACTIVITY_CLEANUP_INTERVAL_HOURS", Integer, "6", "Pause between two deletions of old activity, hours").lenient();
    /// Model endpoint.
    LLM_BASE_URL = Setting::new("llm_base_url", "MOLECULE_LLM_BASE_URL", Url, "", "OpenAI-compatible endpoint of the native runtime, such as http://127.0.0.1:11434/v1");
    /// Anthropic key.
    ANTHROPIC_API_KEY = Setting::new("anthropic_api_key", "ANTHROPIC_API_KEY", Secret, "", "Key for Anthropic models");
    /// Claude subscription.
    CLAUDE_CODE_OAUTH_TOKEN = Setting::new("claude_code_oauth_token", "CLAUDE_CODE_OAUTH_TOKEN", Secret, "", "Subscription token of the Claude Code CLI (claude setup-token)");
    /// OpenAI key.
    OPENAI_API_KEY = Setting::new("openai_api_key", "OPENAI_API_KEY", Secret, "", "Key for OpenAI models");
    /// OpenRouter key.
    OPENROUTER_API_KEY = Setting::new("openrouter_api_key", "OPENROUTER_API_KEY", Secret, "", "Key for OpenRouter");
    /// Gemini key.
    GEMINI_API_KEY = Setting::new("gemini_api_key", "GEMINI_API_KEY", Secret, "", "Key for Google models");
}

/// Variables that deployments of the older product set, and that do nothing here: name, and why (SEC-220, D8).
pub static WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("REDIS_URL", "nothing is kept in Redis"),
    (
        "HIBERNATION_IDLE_MINUTES",
        "each workspace says after how much idleness it hibernates",
    ),
    ("PLUGINS_DIR", "plugins belong to templates"),
    ("CONFIGS_HOST_DIR", "templates reach a backend as content"),
    ("PLUGINS_HOST_DIR", "templates reach a backend as content"),
    ("CONTAINER_BACKEND", "MOLECULE_BACKEND says what runs the workspaces"),
    ("LANGFUSE_HOST", "traces are the platform's own"),
    ("LANGFUSE_PUBLIC_KEY", "traces are the platform's own"),
    ("LANGFUSE_SECRET_KEY", "traces are the platform's own"),
    ("CF_ARTIFACTS_API_TOKEN", "artifacts are not offered"),
    ("CF_ARTIFACTS_NAMESPACE", "artifacts are not offered"),
];

/// Variables of services that this version does not have yet. Whoever sets one expects something to happen.
pub static NOT_YET: &[&str] = &[
    "AUDIT_LEDGER_SALT",
    "AWARENESS_URL",
    "AWS_REGION",
    "CP_ADMIN_API_TOKEN",
    "CP_PROVISION_URL",
    "DISCORD_APP_PUBLIC_KEY",
    "GHCR_TOKEN",
    "GHCR_USER",
    "GITHUB_APP_ID",
    "GITHUB_APP_INSTALLATION_ID",
    "GITHUB_APP_PRIVATE_KEY_FILE",
    "GITHUB_WEBHOOK_SECRET",
    "IMAGE_AUTO_REFRESH",
    "MEMORY_PLUGIN_URL",
    "MEMORY_V2_CUTOVER",
    "MOLECULE_CP_SHARED_SECRET",
    "MOLECULE_CP_URL",
    "MOLECULE_GH_IDENTITY_CONFIG_FILE",
    "MOLECULE_IMAGE_PLATFORM",
    "MOLECULE_IN_DOCKER",
    "MOLECULE_MCP_ALLOW_SEND_MESSAGE",
    "PLUGIN_ALLOW_UNPINNED",
    "PLUGIN_INSTALL_BODY_MAX_BYTES",
    "PLUGIN_INSTALL_FETCH_TIMEOUT",
    "PLUGIN_INSTALL_MAX_DIR_BYTES",
    "PROVISION_SHARED_SECRET",
    "WORKSPACE_EC2_OS_USER",
    "WORKSPACE_IMAGE_LOCAL_OVERRIDE",
];

/// Settings that hold a key of a model provider.
pub static PROVIDER_KEYS: &[&Setting] = &[
    &ANTHROPIC_API_KEY,
    &CLAUDE_CODE_OAUTH_TOKEN,
    &OPENAI_API_KEY,
    &OPENROUTER_API_KEY,
    &GEMINI_API_KEY,
];

/// The setting with this key.
#[must_use]
pub fn by_key(key: &str) -> Option<&'static Setting> {
    let is = |setting: &&Setting| setting.key == key || setting.old.is_some_and(|(old, _)| old == key);
    ALL.iter().copied().find(is)
}

/// The setting that this variable sets.
#[must_use]
pub fn by_env(name: &str) -> Option<&'static Setting> {
    let is = |setting: &&Setting| setting.env == name || setting.old.is_some_and(|(_, old)| old == name);
    ALL.iter().copied().find(is)
}

/// The key that was probably meant by an unknown one.
#[must_use]
pub fn similar_key(unknown: &str) -> Option<&'static str> {
    let lower = unknown.to_ascii_lowercase().replace('-', "_");
    // The environment's name used in the file is the commonest mistake.
    if let Some(setting) = ALL
        .iter()
        .find(|setting| setting.env.to_ascii_lowercase() == lower || setting.key == lower)
    {
        return Some(setting.key);
    }
    closest(&lower, ALL.iter().map(|setting| setting.key))
}

/// The variable that was probably meant by an unknown `MOLECULE_…` one.
#[must_use]
pub fn similar_env(unknown: &str) -> Option<&'static str> {
    closest(unknown, ALL.iter().map(|setting| setting.env))
}

fn closest(unknown: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    known
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        // Two slips in a long name, one in a short one.
        .filter(|(distance, name)| *distance <= if name.len() > 5 { 2 } else { 1 })
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let keys: BTreeSet<_> = ALL.iter().map(|setting| setting.key).collect();
        let envs: BTreeSet<_> = ALL.iter().map(|setting| setting.env).collect();
        assert_eq!((keys.len(), envs.len()), (ALL.len(), ALL.len()));
    }

    #[test]
    fn suggestions() {
        assert_eq!(similar_key("prot"), Some("port"));
        assert_eq!(similar_key("MOLECULE_SANDBOX"), Some("sandbox"));
        assert_eq!(similar_key("rate-limit"), Some("rate_limit"));
        assert_eq!(similar_key("colour"), None);
        assert_eq!(similar_env("MOLECULE_SANBOX"), Some("MOLECULE_SANDBOX"));
        assert_eq!(similar_env("MOLECULE_TOKEN"), None);
    }
}
