//! What the server and the agents it starts have agreed on: names of the environment, files, and what is in them.
//!
//! The backend writes one half and reads the other, the agent the other way round. A name that only one of them knows
//! does not belong here.

use std::{collections::BTreeSet, num::NonZeroU16};

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;

/// Variables that a backend sets for an agent.
pub mod env {
    /// Id of the workspace (RUN-1).
    pub const WORKSPACE_ID: &str = "WORKSPACE_ID";
    /// Base URL of the platform (RUN-1).
    pub const PLATFORM_URL: &str = "PLATFORM_URL";
    /// The same, by the name that older images read.
    pub const MOLECULE_URL: &str = "MOLECULE_URL";
    /// Directory of [`CONFIG`](super::file::CONFIG) and the prompt files (RUN-2).
    pub const CONFIG_DIR: &str = "WORKSPACE_CONFIG_PATH";
    /// Directory of the credential files (RUN-2).
    pub const CREDENTIALS_DIR: &str = "CONFIGS_DIR";
    /// Plugins for every workspace that sees this directory (RUN-36).
    pub const PLUGINS_DIR: &str = "PLUGINS_DIR";
    /// Directory the agent works in.
    pub const WORK_DIR: &str = "MOLECULE_WORKSPACE_DIR";
    /// What it may do there, as [`WorkspaceAccess`](crate::validate::WorkspaceAccess) spells it.
    pub const WORK_ACCESS: &str = "MOLECULE_WORKSPACE_ACCESS";
    /// Directory of [`ENDPOINT`](super::file::ENDPOINT) and [`EXIT`](super::file::EXIT).
    pub const STATE_DIR: &str = "MOLECULE_STATE_DIR";
    /// Address to listen on; port 0 means any, which the endpoint file then names (D13).
    pub const BIND: &str = "MOLECULE_BIND";
    /// Names the instance; by it its processes are found again (D19).
    pub const INSTANCE: &str = "MOLECULE_INSTANCE";
    /// Which incarnation of the workspace this is (D17).
    pub const GENERATION: &str = "MOLECULE_GENERATION";
    /// A [`Sandbox`](super::Sandbox) (D18).
    pub const SANDBOX: &str = "MOLECULE_SANDBOX";
    /// JSON list of paths that no tree the sandbox opens may contain (D32).
    pub const SANDBOX_WITHHELD: &str = "MOLECULE_SANDBOX_WITHHELD";
    /// List of [`Allowance`](super::Allowance)s (D32).
    pub const SANDBOX_ALLOW: &str = "MOLECULE_SANDBOX_ALLOW";
    /// Name of the runtime (RUN-15).
    pub const RUNTIME: &str = "MOLECULE_AGENT_RUNTIME";
    /// How many turns may run at once, each of another conversation (D22).
    pub const MAX_CONCURRENT_TASKS: &str = "MOLECULE_MAX_CONCURRENT_TASKS";
    /// Privilege and size class.
    pub const TIER: &str = "TIER";
    /// Model slug (RUN-6).
    pub const MODEL: &str = "MODEL";
    /// The same, by its older name (RUN-7).
    pub const OLDER_MODEL: &str = "MODEL_PROVIDER";
    /// Id of the parent workspace, where there is one.
    pub const PARENT_ID: &str = "PARENT_ID";
    /// The agent's address, where it cannot know it itself.
    pub const AGENT_URL: &str = "AGENT_URL";
    /// The workspace's token where no file can carry it (D3).
    pub const TOKEN: &str = "MOLECULE_WORKSPACE_TOKEN";
    /// The same, by the name that older images read.
    pub const OLDER_TOKEN: &str = "WORKSPACE_AUTH_TOKEN";
}

/// Names of files.
pub mod file {
    /// The agent's configuration, in the configuration directory.
    pub const CONFIG: &str = "config.yaml";
    /// The workspace's own token, in the credentials directory (PROV-53, RUN-3).
    pub const AUTH_TOKEN: &str = ".auth_token";
    /// What the platform presents to the agent, in the credentials directory (PROV-54, RUN-5).
    pub const INBOUND_SECRET: &str = ".platform_inbound_secret";
    /// An [`Endpoint`](super::Endpoint), in the state directory: written by the agent, by rename, once it listens.
    pub const ENDPOINT: &str = "endpoint.json";
    /// An [`Exit`](super::Exit), in the state directory: written by the agent before it leaves, if it can.
    pub const EXIT: &str = "exit.json";
}

/// Value of [`env::BIND`] for agents on the server's own machine.
pub const LOOPBACK_BIND: &str = "127.0.0.1:0";

/// Where an agent listens: content of [`file::ENDPOINT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its port.
    pub port: NonZeroU16,
    /// Its process, as it sees itself.
    #[serde(default)]
    pub pid: u32,
}

impl Endpoint {
    /// The address of an agent that was bound to [`LOOPBACK_BIND`].
    #[must_use]
    pub fn loopback_url(self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// An end that the agent decided on, with what the operator reads about it: content of [`file::EXIT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Process exit code.
    pub code: u8,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
}

impl Exit {
    /// Asked to stop.
    #[must_use]
    pub fn stopped(reason: impl Into<String>) -> Self {
        Self::new(0, reason)
    }

    /// A configuration or start problem.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::new(1, reason)
    }

    /// The platform no longer knows this workspace.
    #[must_use]
    pub fn disowned(reason: impl Into<String>) -> Self {
        Self::new(2, reason)
    }

    fn new(code: u8, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// How much confinement the operator demands (D18). The agent applies it; the backend only hands the choice over.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Sandbox {
    /// The agent refuses to run without it.
    Required,
    /// Used where the kernel has it, said where it has not.
    #[default]
    BestEffort,
    /// Not used.
    Off,
}

vocabulary!(Sandbox);

impl Sandbox {
    /// Every spelling of [`env::SANDBOX`], in the order of [`Sandbox::ALL`].
    pub const NAMES: &'static [&'static str] = <Self as strum::VariantNames>::VARIANTS;
}

/// What an operator may leave to the agents of a runtime that needs it, though the sandbox would take it (D32).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Allowance {
    /// Unix sockets of other programs.
    UnixSockets,
    /// Pseudo-terminals, of its own.
    Terminals,
}

vocabulary!(Allowance);

impl Allowance {
    /// The value of [`env::SANDBOX_ALLOW`].
    #[must_use]
    pub fn list(allowed: &BTreeSet<Self>) -> String {
        let names: Vec<&str> = allowed.iter().map(|allowance| allowance.as_str()).collect();
        names.join(",")
    }

    /// Reads [`Allowance::list`]. `None` for a word that is none of them.
    #[must_use]
    pub fn parse_list(text: &str) -> Option<BTreeSet<Self>> {
        text.split(',')
            .filter(|name| !name.is_empty())
            .map(Self::parse)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        // D13
        let endpoint = Endpoint {
            port: NonZeroU16::new(4711).unwrap(),
            pid: 7,
        };
        let text = serde_json::to_string(&endpoint).unwrap();
        assert_eq!(text, r#"{"port":4711,"pid":7}"#);
        assert_eq!(serde_json::from_str::<Endpoint>(&text).unwrap(), endpoint);
        assert_eq!(endpoint.loopback_url(), "http://127.0.0.1:4711");
        for bad in [r#"{"port":0}"#, r#"{"port":65536}"#, r#"{"port":"1"}"#, "", "{}"] {
            assert!(serde_json::from_str::<Endpoint>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn exits() {
        // D19
        for (exit, text) in [
            (Exit::stopped("a"), r#"{"code":0,"reason":"a"}"#),
            (Exit::failed("b"), r#"{"code":1,"reason":"b"}"#),
            (Exit::disowned("c"), r#"{"code":2,"reason":"c"}"#),
        ] {
            assert_eq!(serde_json::to_string(&exit).unwrap(), text);
            assert_eq!(serde_json::from_str::<Exit>(text).unwrap(), exit);
        }
        assert_eq!(serde_json::from_str::<Exit>(r#"{"code":3}"#).unwrap().reason, "");
    }

    #[test]
    fn sandbox_modes() {
        // D18
        assert_eq!(Sandbox::NAMES, Sandbox::ALL.map(Sandbox::as_str));
        assert_eq!(Sandbox::parse("maybe"), None);
    }

    #[test]
    fn allowances() {
        // D32
        let all = BTreeSet::from(Allowance::ALL);
        for allowed in [BTreeSet::new(), BTreeSet::from([Allowance::Terminals]), all] {
            assert_eq!(Allowance::parse_list(&Allowance::list(&allowed)), Some(allowed));
        }
        assert_eq!(Allowance::parse_list("terminals,all"), None);
    }
}
