//! What the operator decided, read once and handed in (D10).

use std::{path::PathBuf, time::Duration};

use molecule_core::{limits, netguard};
use secrecy::SecretString;

/// Who may call without a credential (D2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// Every route that reveals or changes something needs a credential.
    #[default]
    Required,
    /// Development: local requests are admin.
    Open,
}

/// Settings of the services.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may call without a credential.
    pub auth: AuthMode,
    /// The operator's bearer; always set, generated at first boot if need be.
    pub admin_token: SecretString,
    /// Where agents find the platform.
    pub platform_url: String,
    /// Base URL in what external agents are told; else derived from the request (LIFE-79).
    pub public_url: Option<String>,
    /// Relaxations of the agent-URL guard (SEC-170, A2A-62).
    pub netguard: netguard::Policy,
    /// `MOLECULE_ENV` is `prod` or `production`.
    pub production: bool,
    /// Host directory mounted when a workspace names none (PROV-27).
    pub workspace_dir: Option<PathBuf>,
    /// Operator's deadline for every start (LIFE-189).
    pub provision_timeout: Option<Duration>,
    /// Concurrent starts of one import (PROV-138).
    pub provision_concurrency: usize,
    /// Pause after each imported child (PROV-139).
    pub import_pause: Duration,
    /// Silence after which an external agent is lost (LIFE-183).
    pub remote_stale_after: Duration,
    /// Silence after which a call counts as busy (A2A-65).
    pub a2a_idle_timeout: Duration,
    /// Response-header timeout of reported endpoints (A2A-64).
    pub a2a_header_timeout: Duration,
    /// Calls to agents in flight at once (D33).
    pub a2a_in_flight: usize,
    /// The same to one agent.
    pub a2a_in_flight_per_agent: usize,
    /// Starts that run at once, over all workspaces.
    pub concurrent_starts: usize,
    /// Restarts of an agent that keeps ending, within an hour (D30).
    pub crash_restarts: usize,
    /// Age at which activity is deleted (ACT-13).
    pub activity_retention: Duration,
    /// How often activity is looked through for what is that old (ACT-13).
    pub activity_cleanup: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auth: AuthMode::Required,
            admin_token: SecretString::default(),
            platform_url: "http://127.0.0.1:8080".to_owned(),
            public_url: None,
            netguard: netguard::Policy::default(),
            production: false,
            workspace_dir: None,
            provision_timeout: None,
            provision_concurrency: limits::PROVISION_CONCURRENCY,
            import_pause: limits::IMPORT_CHILD_PAUSE,
            remote_stale_after: limits::REMOTE_STALE_AFTER,
            a2a_idle_timeout: limits::A2A_IDLE_TIMEOUT,
            a2a_header_timeout: limits::A2A_HEADER_TIMEOUT,
            a2a_in_flight: limits::A2A_IN_FLIGHT,
            a2a_in_flight_per_agent: limits::A2A_IN_FLIGHT_PER_AGENT,
            concurrent_starts: limits::CONCURRENT_STARTS,
            crash_restarts: limits::CRASH_RESTARTS,
            activity_retention: limits::ACTIVITY_RETENTION,
            activity_cleanup: limits::ACTIVITY_CLEANUP_PERIOD,
        }
    }
}
