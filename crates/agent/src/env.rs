//! What the environment tells the agent (RUN-1, RUN-2, RUN-88 and the process backend's contract).

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use molecule_core::{
    WorkspaceId,
    contract::{Sandbox, env},
    validate::WorkspaceAccess,
};
use secrecy::SecretString;

/// The environment's variables, read once. Empty values count as absent. Values may be secrets, so `Debug` prints
/// names only.
#[derive(Clone, Default)]
pub struct Vars(BTreeMap<String, String>);

impl Vars {
    /// The variables of this process. Those that are not UTF-8 are left out.
    #[must_use]
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of `name`, unless it is blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// The value of `name` as a secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }

    /// Sets a variable that the environment left open.
    pub fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// Every variable, for building a child's environment.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Vars {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The environment cannot be used; the process must not start.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// RUN-1
    #[error("WORKSPACE_ID is not set; the agent runs only inside a workspace")]
    NoWorkspaceId,
    /// The id is not a UUID.
    #[error("WORKSPACE_ID is not a workspace id (a UUID is expected)")]
    BadWorkspaceId,
    /// A variable has a value it cannot have.
    #[error("{name} must be one of {expected}")]
    BadChoice {
        /// The variable.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
}

/// The parsed environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who this agent is.
    pub workspace_id: WorkspaceId,
    /// Base URL of the platform, without a trailing `/`.
    pub platform_url: String,
    /// Directory of `config.yaml` and the prompt files.
    pub config_dir: PathBuf,
    /// Directory of `.auth_token` and `.platform_inbound_secret` (RUN-2).
    pub credentials_dir: PathBuf,
    /// Where the agent works; `/workspace` in containers.
    pub work_dir: PathBuf,
    /// What the agent may do with it.
    pub work_access: WorkspaceAccess,
    /// Endpoint file, exit file, journal and sessions.
    pub state_dir: PathBuf,
    /// Plugins for every workspace that sees this directory, after the workspace's own (RUN-36).
    pub plugins_dir: PathBuf,
    /// Address to listen on; `None` means `0.0.0.0:<a2a.port>` (RUN-51).
    pub bind: Option<String>,
    /// Turns at once, each of another conversation (D22).
    pub max_concurrent_tasks: usize,
    /// Confinement.
    pub sandbox: Sandbox,
    /// Engine chosen by the platform; wins over `config.yaml` (RUN-15).
    pub runtime: Option<String>,
    /// The parent workspace, if any.
    pub parent_id: Option<String>,
    /// Everything else, credentials of model providers included.
    pub vars: Vars,
}

impl Settings {
    /// Parses the variables.
    ///
    /// # Errors
    /// See [`EnvError`].
    pub fn from_vars(vars: Vars) -> Result<Self, EnvError> {
        let id = vars.get(env::WORKSPACE_ID).ok_or(EnvError::NoWorkspaceId)?;
        let workspace_id = id.parse().map_err(|_| EnvError::BadWorkspaceId)?;
        let platform_url = vars
            .get(env::PLATFORM_URL)
            .or_else(|| vars.get(env::MOLECULE_URL))
            .map_or_else(
                || default_platform_url(&vars).to_owned(),
                |url| url.trim_end_matches('/').to_owned(),
            );
        let path = |name: &str| vars.get(name).map(PathBuf::from);
        let credentials_dir = path(env::CREDENTIALS_DIR).unwrap_or_else(|| default_credentials_dir(&vars));
        Ok(Self {
            workspace_id,
            platform_url,
            config_dir: path(env::CONFIG_DIR).unwrap_or_else(|| "/configs".into()),
            work_dir: path(env::WORK_DIR).unwrap_or_else(|| "/workspace".into()),
            work_access: work_access(&vars)?,
            state_dir: path(env::STATE_DIR).unwrap_or_else(|| credentials_dir.join(".state")),
            plugins_dir: path(env::PLUGINS_DIR).unwrap_or_else(|| "/plugins".into()),
            credentials_dir,
            bind: vars.get(env::BIND).map(str::to_owned),
            max_concurrent_tasks: max_concurrent_tasks(&vars)?,
            sandbox: sandbox_mode(&vars)?,
            runtime: vars.get(env::RUNTIME).map(str::to_owned),
            parent_id: vars.get(env::PARENT_ID).map(str::to_owned),
            vars,
        })
    }

    /// May the agent change files in its working directory?
    #[must_use]
    pub fn may_write_work_dir(&self) -> bool {
        self.work_access != WorkspaceAccess::ReadOnly
    }

    /// Is the working directory somebody's project rather than the workspace's own?
    #[must_use]
    pub fn works_in_host_dir(&self) -> bool {
        self.work_access != WorkspaceAccess::None
    }
}

/// `none`, like no word at all, says that no *host* directory is mounted: the workspace has its own, which is writable.
fn work_access(vars: &Vars) -> Result<WorkspaceAccess, EnvError> {
    match vars.get(env::WORK_ACCESS) {
        None => Ok(WorkspaceAccess::None),
        Some(text) => WorkspaceAccess::parse(text).ok_or(EnvError::BadChoice {
            name: env::WORK_ACCESS,
            expected: "none, read_only, read_write",
        }),
    }
}

/// One, where nothing is said.
fn max_concurrent_tasks(vars: &Vars) -> Result<usize, EnvError> {
    let Some(text) = vars.get(env::MAX_CONCURRENT_TASKS) else {
        return Ok(1);
    };
    text.parse().ok().filter(|tasks| *tasks > 0).ok_or(EnvError::BadChoice {
        name: env::MAX_CONCURRENT_TASKS,
        expected: "1, 2, 3 and so on",
    })
}

fn sandbox_mode(vars: &Vars) -> Result<Sandbox, EnvError> {
    match vars.get(env::SANDBOX) {
        None => Ok(Sandbox::default()),
        Some(text) => Sandbox::parse(text).ok_or(EnvError::BadChoice {
            name: env::SANDBOX,
            expected: "required, best-effort, off",
        }),
    }
}

/// RUN-1: inside a container the platform is on the host.
fn default_platform_url(vars: &Vars) -> &'static str {
    if Path::new("/.dockerenv").exists() || vars.get("DOCKER_VERSION").is_some() {
        "http://host.docker.internal:8080"
    } else {
        "http://localhost:8080"
    }
}

/// RUN-2: `/configs` if it can be written, else a directory in the home.
fn default_credentials_dir(vars: &Vars) -> PathBuf {
    let configs = Path::new("/configs");
    if configs.is_dir() && rustix::fs::access(configs, rustix::fs::Access::WRITE_OK).is_ok() {
        return configs.to_owned();
    }
    Path::new(vars.get("HOME").unwrap_or("/")).join(".molecule-workspace")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    const ID: (&str, &str) = ("WORKSPACE_ID", "6fa459ea-ee8a-4ca4-894e-db77e160355e");

    #[test]
    fn identity_is_required() {
        // RUN-1
        assert!(matches!(
            Settings::from_vars(Vars::default()),
            Err(EnvError::NoWorkspaceId)
        ));
        assert!(matches!(
            Settings::from_vars(vars(&[("WORKSPACE_ID", " ")])),
            Err(EnvError::NoWorkspaceId)
        ));
        assert!(matches!(
            Settings::from_vars(vars(&[("WORKSPACE_ID", "../x")])),
            Err(EnvError::BadWorkspaceId)
        ));
    }

    #[test]
    fn directories_and_addresses() {
        // RUN-2, RUN-88
        let settings = Settings::from_vars(vars(&[
            ID,
            ("PLATFORM_URL", "http://p:1/"),
            ("CONFIGS_DIR", "/c"),
            ("WORKSPACE_CONFIG_PATH", "/w"),
            ("PLUGINS_DIR", "/p"),
            ("MOLECULE_SANDBOX", "required"),
            ("MOLECULE_WORKSPACE_ACCESS", "read_only"),
            ("MOLECULE_AGENT_RUNTIME", " echo "),
            ("MOLECULE_MAX_CONCURRENT_TASKS", "3"),
        ]))
        .unwrap();
        assert_eq!(settings.max_concurrent_tasks, 3);
        assert_eq!(settings.platform_url, "http://p:1");
        assert_eq!(settings.credentials_dir, Path::new("/c"));
        assert_eq!(settings.config_dir, Path::new("/w"));
        assert_eq!(settings.plugins_dir, Path::new("/p"));
        assert_eq!(settings.work_dir, Path::new("/workspace"));
        assert_eq!(settings.state_dir, Path::new("/c/.state"));
        assert_eq!(settings.sandbox, Sandbox::Required);
        assert_eq!(settings.runtime.as_deref(), Some("echo"));
        assert!(!settings.may_write_work_dir());
    }

    #[test]
    fn own_and_host_directories() {
        // PROV-60
        for (access, writable, host) in [
            (None, true, false),
            (Some("none"), true, false),
            (Some("read_write"), true, true),
            (Some("read_only"), false, true),
        ] {
            let mut pairs = vec![ID];
            pairs.extend(access.map(|access| ("MOLECULE_WORKSPACE_ACCESS", access)));
            let settings = Settings::from_vars(vars(&pairs)).unwrap();
            assert_eq!(
                (settings.may_write_work_dir(), settings.works_in_host_dir()),
                (writable, host),
                "{access:?}"
            );
        }
    }

    #[test]
    fn wrong_choices_are_named() {
        for name in [env::SANDBOX, env::WORK_ACCESS, env::MAX_CONCURRENT_TASKS] {
            let error = Settings::from_vars(vars(&[ID, (name, "maybe")])).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_values() {
        // SEC: secrets arrive in the environment
        let settings = Settings::from_vars(vars(&[ID, ("OPENAI_API_KEY", "sk-verysecret")])).unwrap();
        assert!(!format!("{settings:?}").contains("verysecret"));
    }
}
