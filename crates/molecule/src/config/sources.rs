//! Where values come from.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use super::{file::ConfigFile, problem::Problem, settings};

/// Values of the command line, by setting key.
#[derive(Debug, Clone, Default)]
pub struct Flags(BTreeMap<&'static str, String>);

impl Flags {
    /// Sets the flag of a setting, if it was given.
    pub fn set(&mut self, setting: &settings::Setting, value: Option<impl Into<String>>) -> &mut Self {
        if let Some(value) = value {
            self.0.insert(setting.key, value.into());
        }
        self
    }
}

/// All sources together. Tests build their own; the process' are read by [`Sources::of_process`].
#[derive(Default)]
pub struct Sources {
    pub(super) flags: Flags,
    pub(super) env: BTreeMap<String, String>,
    pub(super) file: Option<ConfigFile>,
    /// Where relative paths of flags and environment start.
    pub(super) working_dir: PathBuf,
    pub(super) problems: Vec<Problem>,
}

impl Sources {
    /// The process' environment and working directory, these flags, and the file named by `config` or, without one,
    /// by `MOLECULE_CONFIG`. Problems of the file are kept for the report.
    #[must_use]
    pub fn of_process(flags: Flags, config: Option<&Path>) -> Self {
        let mut problems = Vec::new();
        let mut variables = BTreeMap::new();
        for (name, value) in env::vars_os() {
            // Only names that mean something here can be a problem.
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    variables.insert(name, value);
                }
                Err(_) if settings::by_env(&name).is_some() => {
                    problems.push(Problem::new(name, "the value is not UTF-8".to_owned()));
                }
                Err(_) => {}
            }
        }
        let working_dir = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let mut sources = Self {
            flags,
            env: variables,
            file: None,
            working_dir,
            problems,
        };
        let named = sources.variable("MOLECULE_CONFIG").map(PathBuf::from);
        if let Some(path) = config.map(Path::to_owned).or(named) {
            sources = sources.with_file(&path);
        }
        sources
    }

    /// Sources without a process: for tests.
    #[must_use]
    pub fn of(flags: Flags, env: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let env = env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            flags,
            env,
            file: None,
            working_dir: PathBuf::from("/cwd"),
            problems: Vec::new(),
        }
    }

    /// Adds a configuration file; its problems are reported with all others.
    #[must_use]
    pub fn with_file(mut self, path: &Path) -> Self {
        let (file, problems) = ConfigFile::read(&self.working_dir.join(path));
        self.file = Some(file);
        self.problems.extend(problems);
        self
    }

    /// Adds the text of a configuration file.
    #[must_use]
    pub fn with_file_text(mut self, path: &Path, text: &str) -> Self {
        let (file, problems) = ConfigFile::parse(path, text);
        self.file = Some(file);
        self.problems.extend(problems);
        self
    }

    /// A variable, trimmed; empty is unset (SEC-220).
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    pub(super) fn flag(&self, key: &str) -> Option<&str> {
        self.flags.0.get(key).map(String::as_str)
    }
}

/// `$XDG_DATA_HOME/molecule`, else `~/.local/share/molecule`. A relative `XDG_DATA_HOME` counts as unset, as its
/// specification says.
#[must_use]
pub fn default_data_dir<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Option<PathBuf> {
    let xdg = variable("XDG_DATA_HOME")
        .map(Path::new)
        .filter(|path| path.is_absolute());
    let base = xdg
        .map(Path::to_owned)
        .or_else(|| variable("HOME").map(|home| Path::new(home).join(".local/share")))?;
    Some(base.join("molecule"))
}
