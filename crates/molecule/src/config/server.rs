//! The typed configuration of a server.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use molecule_api::{Bodies, IpNet};
use molecule_backends::process::TierLimits;
use molecule_core::{Runtime, contract::Sandbox};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use url::Url;

use super::{
    bounds::{bodies, tier_limits, unlimited_if_zero},
    parse,
    problem::ConfigErrors,
    reader::{Entry, Origin, Reader},
    settings::{self as s, Setting},
    sources::{Sources, default_data_dir},
    words::{AuthMode, BackendChoice, LogFormat, auth, backend, log_filter, log_format, sandbox, secret, text},
};

/// Log on standard error.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Filter in the syntax of `tracing-subscriber`.
    pub filter: String,
    /// Form.
    pub format: LogFormat,
}

/// What models can be reached with.
#[derive(Debug, Clone, Default)]
pub struct LlmConfig {
    /// OpenAI-compatible endpoint.
    pub base_url: Option<Url>,
    /// Keys of providers that are set, by environment name.
    pub keys: BTreeMap<&'static str, SecretString>,
}

/// Everything the server needs to know, parsed and checked.
#[derive(Debug)]
pub struct ServerConfig {
    /// The configuration file that was read, if one was.
    pub file: Option<PathBuf>,
    /// Data directory; absolute.
    pub data_dir: PathBuf,
    /// Listen address.
    pub host: IpAddr,
    /// Listen port; 0 takes any free one.
    pub port: u16,
    /// Certificate and key; the server speaks TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// `sqlite:///…` or `postgres://…`; may carry a password.
    pub database_url: SecretString,
    /// Authentication mode.
    pub auth: AuthMode,
    /// Admin bearer, if configured.
    pub admin_token: Option<SecretString>,
    /// Key of stored secrets, if configured.
    pub secrets_key: Option<SecretBox<[u8; 32]>>,
    /// Keys that only open what they once sealed.
    pub retired_secrets_keys: Vec<SecretBox<[u8; 32]>>,
    /// Key that seals the audit, if configured.
    pub audit_key: Option<SecretBox<[u8; 32]>>,
    /// Backend.
    pub backend: BackendChoice,
    /// Sandbox of process agents.
    pub sandbox: Sandbox,
    /// Runtimes to whose agents the sandbox leaves Unix sockets.
    pub sandbox_unix_sockets: BTreeSet<Runtime>,
    /// Runtimes whose agents get terminals of their own in the sandbox.
    pub sandbox_terminals: BTreeSet<Runtime>,
    /// What agents of a tier may use on the process backend.
    pub tier_limits: BTreeMap<i32, TierLimits>,
    /// `MOLECULE_ENV`, lower case; see [`ServerConfig::is_production`].
    pub environment: String,
    /// Hosted by a control plane (SEC-170).
    pub saas: bool,
    /// Tenant.
    pub org_id: Option<String>,
    /// The tenant's name at the control plane.
    pub org_slug: Option<String>,
    /// The control plane behind this server.
    pub cp_upstream_url: Option<Url>,
    /// Who serves what no route matches.
    pub canvas_proxy_url: Option<Url>,
    /// This server as workspaces see it.
    pub platform_url: Option<Url>,
    /// This server as agents elsewhere see it.
    pub public_url: Option<Url>,
    /// Workspace templates on disk.
    pub configs_dir: Option<PathBuf>,
    /// Runtime allowlist.
    pub manifest_path: Option<PathBuf>,
    /// Shared working directory of workspaces.
    pub workspace_dir: Option<PathBuf>,
    /// `CORS_ORIGINS`; `None` when it is not set, which is not the same as an empty list (SEC-202, ACT-79).
    pub cors_origins: Option<Vec<String>>,
    /// Proxies whose word counts (D28).
    pub trusted_proxies: Vec<IpNet>,
    /// Anonymous requests per minute and address.
    pub rate_limit: u32,
    /// Requests per minute and credential.
    pub credential_rate: u32,
    /// Open event sockets per credential.
    pub sockets_per_credential: u32,
    /// Memory for request bodies.
    pub bodies: Bodies,
    /// Silence limit of a message.
    pub a2a_idle_timeout: Duration,
    /// Header limit of external agents.
    pub a2a_header_timeout: Duration,
    /// Messages to agents that may be under way at once (D33).
    pub a2a_in_flight: usize,
    /// The same to one agent.
    pub a2a_in_flight_per_agent: usize,
    /// Workspaces that are started at once.
    pub concurrent_starts: usize,
    /// Restarts of an agent that keeps ending, within an hour (D30).
    pub crash_restarts: usize,
    /// Start limit, if the operator sets one.
    pub provision_timeout: Option<Duration>,
    /// Silence after which an external agent is away.
    pub remote_stale_after: Duration,
    /// Concurrent starts of one import; `None` is unlimited.
    pub provision_concurrency: Option<NonZeroU32>,
    /// Pause after each imported workspace.
    pub import_pause: Duration,
    /// Test tokens are forced on.
    pub test_tokens: bool,
    /// `/metrics` needs no credential.
    pub metrics_public: bool,
    /// The agent's program.
    pub agent_binary: PathBuf,
    /// Log.
    pub log: LogConfig,
    /// Age at which activity is deleted.
    pub activity_retention: Duration,
    /// How often it is deleted (ACT-13).
    pub activity_cleanup: Duration,
    /// Models.
    pub llm: LlmConfig,
}

impl ServerConfig {
    /// Prod env of the specifications: `prod` or `production`.
    #[must_use]
    pub fn is_production(&self) -> bool {
        matches!(self.environment.as_str(), "prod" | "production")
    }

    /// Dev env of the specifications: `dev` or `development`.
    #[must_use]
    pub fn is_development(&self) -> bool {
        matches!(self.environment.as_str(), "dev" | "development")
    }

    /// Files of the server that may lie outside the data directory, and are no more for agents than it is (D32).
    #[must_use]
    pub fn own_files(&self) -> Vec<PathBuf> {
        let tls_key = self.tls.iter().map(|(_, key)| key.clone());
        self.file
            .iter()
            .cloned()
            .chain(self.database_file())
            .chain(tls_key)
            .collect()
    }

    /// The database, where it is a file.
    #[must_use]
    pub fn database_file(&self) -> Option<PathBuf> {
        let path = self.database_url.expose_secret().strip_prefix("sqlite://")?;
        Some(path.split('?').next().unwrap_or(path).into())
    }

    /// Where to listen.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// A configuration without problems.
#[derive(Debug)]
pub struct Loaded {
    /// The values.
    pub config: ServerConfig,
    /// Every setting with its value and origin, in the table's order.
    pub entries: Vec<Entry>,
    /// What should be said in the log before anything else.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// Nobody set it.
    #[must_use]
    pub fn is_default(&self, setting: &Setting) -> bool {
        let origin = Origin::Default.to_string();
        self.entries
            .iter()
            .any(|entry| entry.key == setting.key && entry.origin == origin)
    }
}

/// Reads every setting.
///
/// # Errors
/// Every problem, one line each; then nothing may start (D10).
// house: a table
pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let mut read = Reader::new(sources);
    let data_dir = data_dir(&mut read);
    let org_id = read.optional(&s::ORG_ID, text);
    let config = ServerConfig {
        file: sources.file.as_ref().map(|file| file.path().to_owned()),
        host: read.value(&s::HOST, parse::ip),
        port: read.value(&s::PORT, parse::port),
        tls: tls(&mut read),
        database_url: database_url(&mut read, &data_dir),
        auth: read.value(&s::AUTH, auth),
        admin_token: read.optional(&s::ADMIN_TOKEN, secret),
        secrets_key: read.optional(&s::SECRETS_ENCRYPTION_KEY, |text| parse::secrets_key(text).map(boxed)),
        retired_secrets_keys: read
            .optional(&s::SECRETS_RETIRED_KEYS, parse::secrets_keys)
            .unwrap_or_default()
            .into_iter()
            .map(boxed)
            .collect(),
        audit_key: read.optional(&s::AUDIT_KEY, |text| parse::secrets_key(text).map(boxed)),
        backend: read.value(&s::BACKEND, backend),
        sandbox: read.value(&s::SANDBOX, sandbox),
        sandbox_unix_sockets: read
            .optional(&s::SANDBOX_UNIX_SOCKETS, parse::runtimes)
            .unwrap_or_default(),
        sandbox_terminals: read
            .optional(&s::SANDBOX_TERMINALS, parse::runtimes)
            .unwrap_or_default(),
        tier_limits: tier_limits(&mut read),
        environment: read
            .optional(&s::ENVIRONMENT, text)
            .unwrap_or_default()
            .to_ascii_lowercase(),
        saas: saas(&mut read, org_id.is_some()),
        org_id,
        org_slug: read.optional(&s::ORG_SLUG, text),
        cp_upstream_url: read.optional(&s::CP_UPSTREAM_URL, parse::http_url),
        canvas_proxy_url: read.optional(&s::CANVAS_PROXY_URL, parse::http_url),
        platform_url: read.optional(&s::PLATFORM_URL, parse::http_url),
        public_url: read.optional(&s::PUBLIC_URL, parse::http_url),
        configs_dir: read.path(&s::CONFIGS_DIR),
        manifest_path: read.path(&s::MANIFEST_PATH),
        workspace_dir: read.path(&s::WORKSPACE_DIR),
        cors_origins: read.optional(&s::CORS_ORIGINS, parse::origins),
        trusted_proxies: read.optional(&s::TRUSTED_PROXIES, parse::networks).unwrap_or_default(),
        rate_limit: read.value(&s::RATE_LIMIT, parse::positive),
        credential_rate: read.value(&s::CREDENTIAL_RATE, parse::whole),
        sockets_per_credential: read.value(&s::SOCKETS_PER_CREDENTIAL, parse::whole),
        bodies: bodies(&mut read),
        a2a_idle_timeout: read.value(&s::A2A_IDLE_TIMEOUT, parse::seconds),
        a2a_header_timeout: read.value(&s::A2A_HEADER_TIMEOUT, parse::seconds),
        a2a_in_flight: unlimited_if_zero(read.value(&s::A2A_IN_FLIGHT, parse::whole)),
        a2a_in_flight_per_agent: unlimited_if_zero(read.value(&s::A2A_IN_FLIGHT_PER_AGENT, parse::whole)),
        concurrent_starts: unlimited_if_zero(read.value(&s::CONCURRENT_STARTS, parse::whole)),
        crash_restarts: unlimited_if_zero(read.value(&s::CRASH_RESTARTS, parse::whole)),
        provision_timeout: read.optional(&s::PROVISION_TIMEOUT, parse::seconds),
        remote_stale_after: read.value(&s::REMOTE_STALE_AFTER, parse::seconds),
        provision_concurrency: NonZeroU32::new(read.value(&s::PROVISION_CONCURRENCY, parse::whole)),
        import_pause: read.value(&s::IMPORT_PAUSE, parse::milliseconds),
        test_tokens: read.value(&s::TEST_TOKENS, parse::boolean),
        metrics_public: read.value(&s::METRICS_PUBLIC, parse::boolean),
        agent_binary: agent_binary(&mut read),
        log: LogConfig {
            filter: read.value(&s::LOG, log_filter),
            format: read.value(&s::LOG_FORMAT, log_format),
        },
        activity_retention: read.value(&s::ACTIVITY_RETENTION, parse::days),
        activity_cleanup: read.value(&s::ACTIVITY_CLEANUP, parse::hours),
        llm: llm(&mut read),
        data_dir,
    };
    check_together(&mut read, &config);
    let (entries, warnings) = read.finish()?;
    Ok(Loaded {
        config,
        entries,
        warnings,
    })
}

fn boxed(key: [u8; 32]) -> SecretBox<[u8; 32]> {
    SecretBox::new(Box::new(key))
}

fn data_dir(read: &mut Reader<'_>) -> PathBuf {
    if let Some(path) = read.path(&s::DATA_DIR) {
        return path;
    }
    let default = default_data_dir(|name| read.variable(name));
    if default.is_none() {
        read.problem(
            &s::DATA_DIR,
            "neither HOME nor XDG_DATA_HOME is set; give --data-dir or MOLECULE_DATA_DIR".into(),
        );
    }
    let path = default.unwrap_or_default();
    read.show(&s::DATA_DIR, path.display().to_string());
    path
}

fn database_url(read: &mut Reader<'_>, data_dir: &std::path::Path) -> SecretString {
    let given = read.optional(&s::DATABASE_URL, parse::database_url);
    given.map_or_else(
        || {
            let url = format!("sqlite://{}", data_dir.join("server").join("molecule.db").display());
            read.show(&s::DATABASE_URL, url.clone());
            url.into()
        },
        SecretString::from,
    )
}

fn tls(read: &mut Reader<'_>) -> Option<(PathBuf, PathBuf)> {
    match (read.path(&s::TLS_CERT), read.path(&s::TLS_KEY)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(_), None) => {
            read.problem(&s::TLS_CERT, "tls_key is missing: a certificate needs its key".into());
            None
        }
        (None, Some(_)) => {
            read.problem(&s::TLS_KEY, "tls_cert is missing: a key needs its certificate".into());
            None
        }
        (None, None) => None,
    }
}

fn agent_binary(read: &mut Reader<'_>) -> PathBuf {
    if let Some(path) = read.path(&s::AGENT_BINARY) {
        return path;
    }
    match env::current_exe() {
        Ok(path) => {
            read.show(&s::AGENT_BINARY, path.display().to_string());
            path
        }
        Err(error) => {
            read.problem(
                &s::AGENT_BINARY,
                format!("this program's own path is not known ({error}); set it"),
            );
            PathBuf::new()
        }
    }
}

/// SEC-170. A word that is not known must not relax anything: it counts as `self-hosted`, whatever `org_id` is.
fn saas(read: &mut Reader<'_>, has_org: bool) -> bool {
    let given = read.variable(s::DEPLOY_MODE.env).is_some();
    match read.optional(&s::DEPLOY_MODE, text) {
        Some(mode) => mode.eq_ignore_ascii_case("saas"),
        None if given => false,
        None => has_org,
    }
}

fn llm(read: &mut Reader<'_>) -> LlmConfig {
    let base_url = read.optional(&s::LLM_BASE_URL, parse::http_url);
    let mut key = |setting: &'static Setting| Some((setting.env, read.optional(setting, secret)?));
    LlmConfig {
        base_url,
        keys: s::PROVIDER_KEYS.iter().filter_map(|setting| key(setting)).collect(),
    }
}

fn check_together(read: &mut Reader<'_>, config: &ServerConfig) {
    if config.auth == AuthMode::Open && !config.host.is_loopback() {
        // D2
        let text = format!(
            "open needs a loopback address, not {}; use required, or host 127.0.0.1",
            config.host
        );
        read.problem(&s::AUTH, text);
    }
    if config.org_slug.is_some() && config.cp_upstream_url.is_none() {
        let text = "MOLECULE_ORG_SLUG does nothing without CP_UPSTREAM_URL: nobody can be asked about members";
        read.warn(text.into());
    }
    if config.auth == AuthMode::Open {
        read.warn("MOLECULE_AUTH=open: everybody on this machine, agents included, is admin".into());
    }
}
