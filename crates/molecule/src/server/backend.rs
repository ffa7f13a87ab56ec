//! Which backend runs the workspaces (D12). One choice, made and logged at boot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use molecule_backends::{
    Backend,
    process::{ProcessBackend, ProcessConfig},
};
use molecule_core::{
    Runtime,
    contract::{Allowance, Sandbox},
};

use crate::{
    boot::DataDir,
    config::{BackendChoice, ServerConfig},
};

/// Which backend it will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Children of the server.
    Process,
    /// Nothing: only external agents.
    None,
}

/// Decides without touching anything.
pub(super) fn choose(config: &ServerConfig) -> Result<Choice> {
    match config.backend {
        BackendChoice::None => Ok(Choice::None),
        BackendChoice::Auto if config.org_id.is_some() => {
            // Never another backend where a control plane is meant (LIFE-51): its VMs would be duplicated here.
            tracing::error!(
                "MOLECULE_ORG_ID is set, but this build has no control-plane backend: no workspace can start"
            );
            Ok(Choice::None)
        }
        BackendChoice::Auto if in_kubernetes() => {
            bail!(
                "this server runs inside a Kubernetes pod, and this build has no Kubernetes backend; \
                 set MOLECULE_BACKEND=process or none"
            )
        }
        BackendChoice::Auto | BackendChoice::Process => {
            refuse_unguardable(config)?;
            Ok(Choice::Process)
        }
        BackendChoice::Docker => bail!(unavailable("docker")),
        BackendChoice::Kubernetes => bail!(unavailable("kubernetes")),
        BackendChoice::ControlPlane => {
            tracing::error!("{}", unavailable("control-plane"));
            Ok(Choice::None)
        }
    }
}

/// The chosen backend over a data directory.
pub(super) fn open(choice: Choice, config: &ServerConfig, dir: &DataDir) -> Result<Option<Arc<dyn Backend>>> {
    match choice {
        Choice::Process => Ok(Some(Arc::new(processes(config, dir)?))),
        Choice::None => Ok(None),
    }
}

fn unavailable(name: &str) -> String {
    format!("MOLECULE_BACKEND={name}: this build has no {name} backend; available are process and none")
}

fn in_kubernetes() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        && std::path::Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
}

/// A place that every agent reads cannot be kept from them (D32).
fn refuse_unguardable(config: &ServerConfig) -> Result<()> {
    if config.sandbox != Sandbox::Off && molecule_agent::sandbox::holds_system(&config.data_dir) {
        bail!(
            "the data directory {} holds programs that every agent must be able to read, so it cannot be kept from \
             them; choose another with --data-dir or MOLECULE_DATA_DIR",
            config.data_dir.display()
        );
    }
    Ok(())
}

fn allowances(config: &ServerConfig) -> BTreeMap<Runtime, BTreeSet<Allowance>> {
    let mut allowances: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (runtimes, allowance) in [
        (&config.sandbox_unix_sockets, Allowance::UnixSockets),
        (&config.sandbox_terminals, Allowance::Terminals),
    ] {
        for runtime in runtimes {
            allowances.entry(*runtime).or_default().insert(allowance);
        }
    }
    allowances
}

fn processes(config: &ServerConfig, dir: &DataDir) -> Result<ProcessBackend> {
    let mut process = ProcessConfig::new(dir.root(), &config.agent_binary).inherit(std::env::vars_os());
    process.sandbox = config.sandbox;
    process.withheld = config.own_files();
    process.allowances = allowances(config);
    process.limits = config.tier_limits.clone();
    ProcessBackend::new(process).context("the process backend cannot be used")
}
