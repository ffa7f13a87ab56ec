//! The environment of an agent: cleared, then ours, then what was assembled for the workspace (PROV-61, D18).

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use molecule_core::{
    contract::{Allowance, LOOPBACK_BIND, env},
    text::Quoted,
    validate::{self, WorkspaceAccess},
};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{config::ProcessConfig, layout::Volume};
use crate::{BackendError, WorkspaceSpec};

/// What an assembled environment cannot change: by these the backend finds and reaches its processes, the agent finds
/// its credentials, and the sandbox knows its limits.
const RESERVED: [&str; 15] = [
    env::INSTANCE,
    env::STATE_DIR,
    env::GENERATION,
    env::BIND,
    env::SANDBOX,
    env::SANDBOX_WITHHELD,
    env::SANDBOX_ALLOW,
    env::WORK_DIR,
    env::WORK_ACCESS,
    env::WORKSPACE_ID,
    env::CONFIG_DIR,
    env::CREDENTIALS_DIR,
    "HOME",
    "TMPDIR",
    "GLIBC_TUNABLES",
];
/// The dynamic loader acts on these before the agent's first instruction, that is, before it is sandboxed.
const RESERVED_PREFIX: &str = "LD_";

const SYSTEM_PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];
/// Tier whose agents get no working directory of the host (PROV-63).
const CONFINED_TIER: i32 = 1;

/// The directory an agent works in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkDir {
    pub(super) path: PathBuf,
    access: WorkspaceAccess,
}

impl WorkDir {
    /// Its own `work` directory, or the host's if one was given to be used (PROV-60).
    ///
    /// # Errors
    /// The host's is missing, not a directory, a system directory (links resolved, PROV-O8), or overlaps the data
    /// directory or another file of the server, through which an agent would reach the platform's credentials.
    pub(super) fn resolve(config: &ProcessConfig, spec: &WorkspaceSpec, volume: &Volume) -> Result<Self, BackendError> {
        let own = Self {
            path: volume.work(),
            access: WorkspaceAccess::None,
        };
        if spec.workspace_access == WorkspaceAccess::None || spec.tier == CONFINED_TIER {
            return Ok(own);
        }
        let invalid = |what: &str| BackendError::InvalidSpec(format!("workspace_dir {what}"));
        let given = spec
            .workspace_dir
            .as_deref()
            .ok_or_else(|| invalid("is missing, but access to it is given"))?;
        let real = given
            .canonicalize()
            .map_err(|error| invalid(&format!("cannot be resolved: {error}")))?;
        let lexical = |path: &std::path::Path| path.to_str().and_then(validate::workspace_dir);
        let path = lexical(given)
            .and(lexical(&real))
            .ok_or_else(|| invalid("is not a directory that may be used"))?;
        if !path.is_dir() {
            return Err(invalid("is not a directory"));
        }
        if let Some(kept) = config
            .kept_from_agents()
            .find(|kept| path.starts_with(kept) || kept.starts_with(&path))
        {
            let what = format!("overlaps what is the server's own: {}", kept.display());
            return Err(invalid(&what));
        }
        Ok(Self {
            path,
            access: spec.workspace_access,
        })
    }
}

/// All variables of one instance. No `Debug`: the values are secrets.
pub(super) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// # Errors
    /// A name or value that cannot be in an environment.
    pub(super) fn assemble(
        config: &ProcessConfig,
        spec: &WorkspaceSpec,
        volume: &Volume,
        work: &WorkDir,
        instance: Uuid,
    ) -> Result<Self, BackendError> {
        let mut variables = base(config, spec, volume, work, instance)?;
        for (key, value) in &spec.env {
            let value = value.expose_secret();
            if !validate::is_secret_key(key) || !validate::is_secret_value(key, value) {
                return Err(BackendError::InvalidSpec(format!(
                    "{} cannot be in an environment",
                    Quoted(key)
                )));
            }
            if !is_reserved(key) {
                variables.insert(key.clone(), value.into());
            } else if variables.get(key).map(OsString::as_os_str) != Some(OsStr::new(value)) {
                tracing::warn!(workspace = %spec.id, %key, "variable is the backend's own; the workspace's value is ignored");
            }
        }
        Ok(Self(variables))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &OsString)> {
        self.0.iter()
    }
}

fn is_reserved(key: &str) -> bool {
    RESERVED.contains(&key) || key.starts_with(RESERVED_PREFIX)
}

fn base(
    config: &ProcessConfig,
    spec: &WorkspaceSpec,
    volume: &Volume,
    work: &WorkDir,
    instance: Uuid,
) -> Result<BTreeMap<String, OsString>, BackendError> {
    let system = SYSTEM_PATH.into_iter().map(PathBuf::from);
    let path = std::env::join_paths(config.path.iter().cloned().chain(system))
        .map_err(|error| BackendError::InvalidSpec(format!("PATH of the agents: {error}")))?;
    let configs: OsString = volume.configs().into();
    let allowed = config
        .allowances
        .get(&spec.runtime)
        .map(Allowance::list)
        .unwrap_or_default();
    let mut variables = config.inherited_env.clone();
    variables.extend(
        [
            ("PATH", path),
            ("HOME", volume.home().into()),
            ("TMPDIR", volume.tmp().into()),
            (env::WORKSPACE_ID, spec.id.to_string().into()),
            (env::CONFIG_DIR, configs.clone()),
            (env::CREDENTIALS_DIR, configs),
            (env::PLUGINS_DIR, volume.configs().join("plugins").into()),
            (env::PLATFORM_URL, spec.platform_url.clone().into()),
            (env::MOLECULE_URL, spec.platform_url.clone().into()),
            (env::TIER, spec.tier.to_string().into()),
            (env::RUNTIME, spec.runtime.as_str().into()),
            (env::WORK_DIR, work.path.clone().into()),
            (env::WORK_ACCESS, work.access.as_str().into()),
            (env::STATE_DIR, volume.state().into()),
            (env::BIND, LOOPBACK_BIND.into()),
            (env::INSTANCE, instance.to_string().into()),
            (env::GENERATION, spec.generation.to_string().into()),
            (env::SANDBOX, config.sandbox.as_str().into()),
            (env::SANDBOX_WITHHELD, withheld(config)?.into()),
            (env::SANDBOX_ALLOW, allowed.into()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    Ok(variables)
}

/// # Errors
/// A path that is not UTF-8, which no agent could be told of.
fn withheld(config: &ProcessConfig) -> Result<String, BackendError> {
    let paths: Vec<&std::path::Path> = config.kept_from_agents().collect();
    serde_json::to_string(&paths)
        .map_err(|error| BackendError::InvalidSpec(format!("a path of the server cannot be withheld: {error}")))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use molecule_core::WorkspaceId;

    use super::*;
    use crate::process::tests::spec;

    fn environment(spec: &WorkspaceSpec) -> Result<Environment, BackendError> {
        let config = ProcessConfig::new("/data", "/bin/agent");
        let volume = Volume::new(Path::new("/data"), spec.id);
        let work = WorkDir::resolve(&config, spec, &volume).unwrap();
        Environment::assemble(&config, spec, &volume, &work, Uuid::nil())
    }

    #[test]
    fn the_assembled_environment_wins_except_over_the_backends_own() {
        // PROV-61
        let mut spec = spec(WorkspaceId::random());
        for key in [
            "PATH",
            "TIER",
            "EXTRA",
            "MOLECULE_INSTANCE",
            "HOME",
            "LD_PRELOAD",
            "MOLECULE_SANDBOX",
        ] {
            spec.env.insert(key.into(), "mine".into());
        }
        let environment = environment(&spec).unwrap();
        for (key, value) in [
            ("PATH", "mine"),
            ("TIER", "mine"),
            ("EXTRA", "mine"),
            ("MOLECULE_SANDBOX", "best-effort"),
        ] {
            assert_eq!(environment.0[key], value, "{key}");
        }
        assert_eq!(
            environment.0["HOME"],
            format!("/data/workspaces/{}/home", spec.id).as_str()
        );
        assert_eq!(environment.0["MOLECULE_INSTANCE"], Uuid::nil().to_string().as_str());
        assert!(!environment.0.contains_key("LD_PRELOAD"));
    }

    #[test]
    fn impossible_variables_are_refused_without_their_value() {
        for (key, value) in [("A=B", "secret"), ("", "secret"), ("A", "sec\0ret")] {
            let mut spec = spec(WorkspaceId::random());
            spec.env.insert(key.into(), value.into());
            let error = environment(&spec).err().unwrap().to_string();
            assert!(!error.contains("sec"), "{error}");
        }
    }

    #[test]
    fn host_directories() {
        // PROV-60, PROV-O8
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (data, project) = (root.join("data"), root.join("project"));
        let mut config = ProcessConfig::new(&data, "/bin/agent");
        config.withheld = vec![root.join("with-config/molecule.toml")];
        for dir in [&data.join("server"), &project, &root.join("with-config")] {
            fs::create_dir_all(dir).unwrap();
        }
        symlink("/etc", root.join("etc")).unwrap();
        symlink(&project, root.join("alias")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        let mut spec = spec(WorkspaceId::random());
        let volume = Volume::new(&data, spec.id);
        let mut resolve = |dir: Option<PathBuf>, access| {
            spec.workspace_dir = dir;
            spec.workspace_access = access;
            WorkDir::resolve(&config, &spec, &volume)
        };
        let own = WorkDir {
            path: volume.work(),
            access: WorkspaceAccess::None,
        };
        assert_eq!(resolve(Some(project.clone()), WorkspaceAccess::None).unwrap(), own);
        let mounted = resolve(Some(root.join("alias")), WorkspaceAccess::ReadOnly).unwrap();
        assert_eq!(
            mounted,
            WorkDir {
                path: project.clone(),
                access: WorkspaceAccess::ReadOnly
            }
        );
        for bad in ["data", "data/server", ".", "etc", "absent", "file", "with-config"] {
            let result = resolve(Some(root.join(bad)), WorkspaceAccess::ReadWrite);
            assert!(matches!(result, Err(BackendError::InvalidSpec(_))), "{bad}: {result:?}");
        }
        assert!(resolve(None, WorkspaceAccess::ReadWrite).is_err());
        // PROV-63
        spec.tier = 1;
        spec.workspace_dir = Some(project);
        assert_eq!(WorkDir::resolve(&config, &spec, &volume).unwrap(), own);
    }
}
