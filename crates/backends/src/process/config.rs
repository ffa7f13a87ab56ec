//! What an operator can set on the process backend.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use molecule_core::{
    Runtime,
    contract::{Allowance, Sandbox},
    limits,
};

/// How long a start may take.
pub const START_DEADLINE: Duration = limits::PROVISION_DEADLINE;
/// Time between SIGTERM and SIGKILL.
pub const STOP_GRACE: Duration = limits::AGENT_STOP_GRACE;
/// What a tier without a number of its own is.
const PLAIN_TIER: i32 = 2;
/// Bytes of one instance log before it is rotated; one older generation of the same size is kept.
pub const LOG_LIMIT: u64 = 8 << 20;

/// Variables of the server that agents may see. Everything else of the server's environment stays with the server:
/// it holds the platform's credentials, and proxies are the platform's business (D13, D18).
pub const INHERITED: [&str; 7] = [
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What the agents of a tier may use, each of them with everything that it starts (PROV-63).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TierLimits {
    /// Memory, MiB.
    pub memory_mb: Option<u32>,
    /// Processor time; 1024 is one processor.
    pub cpu_shares: Option<u32>,
}

/// Configuration of a [`ProcessBackend`](super::ProcessBackend).
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// Data directory of the installation; the caller holds its lock (D19).
    pub data_dir: PathBuf,
    /// The program that runs an agent. Configuration, not `current_exe`: an upgrade replaces the latter under a
    /// running server (D19).
    pub agent_binary: PathBuf,
    /// Its arguments.
    pub agent_args: Vec<OsString>,
    /// Directories put before the fixed system ones in the agents' `PATH`.
    pub path: Vec<PathBuf>,
    /// Variables handed to every agent; see [`ProcessConfig::inherit`].
    pub inherited_env: BTreeMap<String, OsString>,
    /// `MOLECULE_SANDBOX` of the agents.
    pub sandbox: Sandbox,
    /// Files of the server outside the data directory, which agents must not read either: its configuration, its
    /// database (D32).
    pub withheld: Vec<PathBuf>,
    /// What the sandbox leaves to the agents of a runtime. Nothing to those that are not named.
    pub allowances: BTreeMap<Runtime, BTreeSet<Allowance>>,
    /// Limits by tier; none for those that are not named.
    pub limits: BTreeMap<i32, TierLimits>,
    /// See [`START_DEADLINE`].
    pub start_deadline: Duration,
    /// See [`STOP_GRACE`].
    pub stop_grace: Duration,
    /// See [`LOG_LIMIT`].
    pub log_limit: u64,
}

impl ProcessConfig {
    /// Defaults: `<agent_binary> agent`, nothing inherited.
    pub fn new(data_dir: impl Into<PathBuf>, agent_binary: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            agent_binary: agent_binary.into(),
            agent_args: vec![OsString::from("agent")],
            path: Vec::new(),
            inherited_env: BTreeMap::new(),
            sandbox: Sandbox::default(),
            withheld: Vec::new(),
            allowances: BTreeMap::new(),
            limits: BTreeMap::new(),
            start_deadline: START_DEADLINE,
            stop_grace: STOP_GRACE,
            log_limit: LOG_LIMIT,
        }
    }

    /// Time the agent has to become ready: the rest of the deadline is for clearing away one that does not.
    pub(super) fn ready_timeout(&self) -> Duration {
        self.start_deadline * 9 / 10
    }

    /// The limits of a tier. One that is unknown is the plain one, as everywhere (PROV-63).
    pub(super) fn limits_of(&self, tier: i32) -> Option<TierLimits> {
        let tier = if matches!(tier, 1..=4) { tier } else { PLAIN_TIER };
        self.limits.get(&tier).copied()
    }

    /// Everything that is the server's own, the data directory first.
    pub(super) fn kept_from_agents(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.data_dir)
            .chain(&self.withheld)
            .map(PathBuf::as_path)
    }

    /// Takes what agents may see ([`INHERITED`]) out of an environment, usually `std::env::vars_os()`.
    #[must_use]
    pub fn inherit(mut self, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        for (key, value) in environment {
            if let Some(name) = INHERITED.into_iter().find(|name| key == OsStr::new(name)) {
                self.inherited_env.insert(name.to_owned(), value);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_tiers_are_plain() {
        // PROV-63
        let limits = TierLimits {
            memory_mb: Some(1),
            cpu_shares: None,
        };
        let mut config = ProcessConfig::new("/data", "/bin/agent");
        config.limits.insert(2, limits);
        let of = |tier| config.limits_of(tier);
        assert_eq!((of(0), of(2), of(7)), (Some(limits), Some(limits), Some(limits)));
        assert_eq!((of(1), of(3)), (None, None));
    }

    #[test]
    fn inherits_the_allow_list_only() {
        // D18
        let environment = ["LANG", "ADMIN_TOKEN", "https_proxy", "TZ", "PATH"].map(|k| (k.into(), "v".into()));
        let config = ProcessConfig::new("/data", "/bin/agent").inherit(environment);
        assert_eq!(config.inherited_env.keys().collect::<Vec<_>>(), ["LANG", "TZ"]);
    }

    #[test]
    fn sandbox_spellings() {
        for mode in Sandbox::ALL {
            assert_eq!(Sandbox::parse(mode.as_str()), Some(mode));
        }
        assert_eq!(Sandbox::parse("on"), None);
    }
}
