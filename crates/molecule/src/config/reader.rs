//! Reads settings one by one, and remembers where each value came from and what was wrong with it.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use url::Url;

use super::{
    parse,
    problem::{ConfigErrors, Problem},
    settings::{self, Kind, Setting},
    sources::Sources,
};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag(String),
    /// The environment.
    Env(&'static str),
    /// Line of `molecule.toml`.
    File(PathBuf, usize),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Env(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One line of `molecule config`.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Name in `molecule.toml`.
    pub key: &'static str,
    /// Environment variable.
    pub env: &'static str,
    /// Value in force; `set` for secrets, empty when unset.
    pub value: String,
    /// Where it came from.
    pub origin: String,
    /// What it means.
    pub help: &'static str,
}

/// A value as it was given.
pub(super) struct Raw {
    pub(super) text: String,
    origin: Origin,
}

pub(super) struct Reader<'a> {
    sources: &'a Sources,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    entries: Vec<Entry>,
    read: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        let mut reader = Self {
            sources,
            problems: sources.problems.clone(),
            warnings: Vec::new(),
            entries: Vec::new(),
            read: BTreeSet::new(),
        };
        reader.warn_of_typos();
        reader.warn_of_what_does_nothing();
        if let Some(file) = sources.file.as_ref().filter(|file| file.is_exposed()) {
            reader.warnings.push(format!(
                "{} holds secrets and others may read it; run: chmod 600 {0}",
                file.path().display()
            ));
        }
        reader
    }

    /// A value that may be absent. A bad one counts as absent, after it was reported.
    pub(super) fn optional<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.optional_raw(setting, |raw| parse(&raw.text))
    }

    /// A value with a default in the table.
    pub(super) fn value<T>(&mut self, setting: &'static Setting, parse: impl Fn(&str) -> Result<T, String>) -> T {
        match self.optional(setting, &parse) {
            Some(value) => value,
            // A test reads every setting without any source, so that no default can fail here.
            None => parse(setting.default).expect("the default of a setting is a good value"),
        }
    }

    /// A path, resolved against where it was written.
    pub(super) fn path(&mut self, setting: &'static Setting) -> Option<PathBuf> {
        let sources = self.sources;
        let path = self.optional_raw(setting, |raw| {
            let base = match &raw.origin {
                Origin::File(path, _) => path.parent().unwrap_or(Path::new("/")),
                _ => &sources.working_dir,
            };
            parse::path(&raw.text, &sources.working_dir.join(base), sources.variable("HOME"))
        });
        if let Some(path) = &path {
            self.show(setting, path.display().to_string());
        }
        path
    }

    fn optional_raw<T>(&mut self, setting: &'static Setting, parse: impl Fn(&Raw) -> Result<T, String>) -> Option<T> {
        self.read.insert(setting.key);
        let raw = self.find(setting);
        let parsed = raw.and_then(
            |raw| match check_choice(setting, &raw.text).and_then(|()| parse(&raw)) {
                Ok(value) => Some((raw, value)),
                Err(reason) => {
                    self.complain(setting, &raw, &reason);
                    None
                }
            },
        );
        let (value, origin) = match &parsed {
            Some((raw, _)) => (shown(setting, &raw.text), raw.origin.to_string()),
            None => (setting.default.to_owned(), Origin::Default.to_string()),
        };
        self.entries.push(Entry {
            key: setting.key,
            env: setting.env,
            value,
            origin,
            help: setting.help,
        });
        parsed.map(|(_, value)| value)
    }

    /// Overrides what is shown for a setting, for defaults that are computed.
    pub(super) fn show(&mut self, setting: &'static Setting, value: String) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == setting.key) {
            entry.value = value;
        }
    }

    /// Reports a problem that concerns more than one value.
    pub(super) fn problem(&mut self, setting: &'static Setting, text: String) {
        let place = self
            .find(setting)
            .map_or_else(|| setting.key.to_owned(), |raw| place(setting, &raw.origin));
        self.problems.push(Problem::new(place, text));
    }

    pub(super) fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        self.sources.variable(name)
    }

    /// Entries and warnings, or every problem.
    pub(super) fn finish(mut self) -> Result<(Vec<Entry>, Vec<String>), ConfigErrors> {
        debug_assert_eq!(
            self.read.len(),
            settings::ALL.len(),
            "a setting is listed but never read"
        );
        if !self.problems.is_empty() {
            return Err(ConfigErrors {
                problems: self.problems,
                warnings: self.warnings,
            });
        }
        let order = |entry: &Entry| settings::ALL.iter().position(|setting| setting.key == entry.key);
        self.entries.sort_by_key(order);
        Ok((self.entries, self.warnings))
    }

    fn find(&self, setting: &'static Setting) -> Option<Raw> {
        let raw = |text: &str, origin| Raw {
            text: text.trim().to_owned(),
            origin,
        };
        if let (Some(text), Some(flag)) = (self.sources.flag(setting.key), setting.flag_name()) {
            return Some(raw(text, Origin::Flag(flag)));
        }
        if let Some(text) = self.sources.variable(setting.env) {
            return Some(raw(text, Origin::Env(setting.env)));
        }
        if let Some((_, old)) = setting.old
            && let Some(text) = self.sources.variable(old)
        {
            return Some(raw(text, Origin::Env(old)));
        }
        let file = self.sources.file.as_ref()?;
        let (text, line) = file.get(setting.key)?;
        Some(raw(text, Origin::File(file.path().to_owned(), line)))
    }

    fn complain(&mut self, setting: &'static Setting, raw: &Raw, reason: &str) {
        let given = match setting.kind {
            // A database URL that does not parse may still hold a password.
            Kind::Secret | Kind::Url => String::new(),
            _ => format!(" (got {:?})", raw.text),
        };
        let place = place(setting, &raw.origin);
        if setting.lenient && matches!(raw.origin, Origin::Env(_)) {
            let instead = if setting.default.is_empty() {
                "it counts as unset"
            } else {
                setting.default
            };
            self.warnings
                .push(format!("{place}: {reason}{given}; using the default: {instead}"));
        } else {
            self.problems.push(Problem::new(place, format!("{reason}{given}")));
        }
    }

    /// What deployments set and nothing reads. An empty variable is unset.
    fn warn_of_what_does_nothing(&mut self) {
        for (name, reason) in settings::WITHOUT_EFFECT {
            if self.sources.variable(name).is_some() {
                self.warnings.push(format!("{name} has no effect: {reason}"));
            }
        }
        for name in settings::NOT_YET {
            if self.sources.variable(name).is_some() {
                self.warnings.push(format!(
                    "{name} has no effect: this version does not have what it is for"
                ));
            }
        }
    }

    /// A variable of ours with a slip in its name would silently do nothing.
    fn warn_of_typos(&mut self) {
        for name in self.sources.env.keys().filter(|name| name.starts_with("MOLECULE_")) {
            if settings::by_env(name).is_some() || settings::NOT_YET.contains(&name.as_str()) {
                continue;
            }
            if let Some(similar) = settings::similar_env(name) {
                self.warnings
                    .push(format!("{name} is not a setting; did you mean {similar}?"));
            }
        }
    }
}

fn place(setting: &Setting, origin: &Origin) -> String {
    match origin {
        Origin::File(..) => format!("{origin}: {}", setting.key),
        _ => origin.to_string(),
    }
}

fn check_choice(setting: &Setting, text: &str) -> Result<(), String> {
    match setting.kind {
        Kind::Choice(words) if !words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
            Err(format!("expected one of {}", words.join(", ")))
        }
        _ => Ok(()),
    }
}

/// What may be shown of a value.
fn shown(setting: &Setting, text: &str) -> String {
    match setting.kind {
        Kind::Secret => "set".to_owned(),
        Kind::Url => match Url::parse(text) {
            Ok(url) if url.password().is_none() => text.to_owned(),
            Ok(mut url) => match url.set_password(Some("***")) {
                Ok(()) => url.to_string(),
                Err(()) => "set".to_owned(),
            },
            Err(_) => "set".to_owned(),
        },
        _ => text.to_owned(),
    }
}
