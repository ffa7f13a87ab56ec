//! `config.yaml` (RUN-89): unknown keys are ignored, an empty file means all defaults (RUN-9), a value of the wrong
//! type counts as absent and is named in a warning.

use std::{path::Path, time::Duration};

use serde_json::{Map, Value};

use crate::env::Vars;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// RUN-2: a missing file is fatal.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Not YAML, or not a mapping.
    #[error("{path} is not a YAML mapping: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// What the parser says.
        reason: String,
    },
}

/// The agent's configuration, with the keys that this build acts on.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Shown name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// What it is there for; the description when absent.
    pub role: String,
    /// Of the card.
    pub version: String,
    /// Privilege and size class.
    pub tier: i64,
    /// Adapter name.
    pub runtime: Option<String>,
    /// Model when neither environment nor `runtime_config` has one (RUN-6).
    pub model: Option<String>,
    /// Provider, likewise (RUN-7).
    pub provider: Option<String>,
    /// Settings of the engine.
    pub runtime_config: RuntimeConfig,
    /// Sent to oneself once, at the first boot (RUN-26).
    pub initial_prompt: String,
    /// Sent to oneself when idle (RUN-28).
    pub idle_prompt: String,
    /// How often.
    pub idle_interval: Duration,
    /// Ids of skills that come first, and whose absence is warned about (RUN-11, RUN-32).
    pub skills: Vec<String>,
    /// Plugin names, named in `AGENTS.md`.
    pub plugins: Vec<String>,
    /// Tool names, named in `AGENTS.md`.
    pub tools: Vec<String>,
    /// Parts of the system prompt, in order; [`DEFAULT_PROMPT_FILE`] stands in for none (RUN-29).
    pub prompt_files: Vec<String>,
    /// Listener.
    pub a2a: A2a,
    /// Calls to peers.
    pub delegation: Delegation,
    /// Longest run of a command started by a tool.
    pub command_timeout: Duration,
    /// What one turn may take.
    pub limits: TurnLimits,
}

/// `compliance`: what one turn may take of the model and its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnLimits {
    /// Tool calls.
    pub tool_calls: u32,
    /// Time with the model. Tools have limits of their own.
    pub duration: Duration,
}

impl TurnLimits {
    /// Hold whatever the file says, and alone when it switches compliance off: something must end a turn that went
    /// wrong.
    const HARD: Self = Self {
        tool_calls: 1_000,
        duration: Duration::from_secs(3_600),
    };

    fn read(section: &Section<'_>) -> Self {
        // Only blank text switches it off (RUN-89).
        if section
            .value("mode")
            .and_then(Value::as_str)
            .is_some_and(|mode| mode.trim().is_empty())
        {
            return Self::HARD;
        }
        let calls = section.int("max_tool_calls_per_task").and_then(|n| n.try_into().ok());
        let duration = section.seconds("max_task_duration_seconds", 300);
        Self {
            tool_calls: calls.filter(|n| *n > 0).unwrap_or(50).min(Self::HARD.tool_calls),
            duration: if duration.is_zero() {
                Self::HARD.duration
            } else {
                duration.min(Self::HARD.duration)
            },
        }
    }
}

/// `runtime_config`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuntimeConfig {
    /// Program of the `exec` runtime.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that must be set (RUN-11).
    pub required_env: Vec<String>,
    /// Longest turn; `None` means no limit.
    pub timeout: Option<Duration>,
    /// Model (RUN-6).
    pub model: Option<String>,
    /// Provider (RUN-7).
    pub provider: Option<String>,
    /// Deprecated: variable that holds a token.
    pub auth_token_env: Option<String>,
    /// Deprecated: file that holds a token.
    pub auth_token_file: Option<String>,
}

/// `a2a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct A2a {
    /// Port, unchecked: preflight refuses what is not 1–65535 (RUN-11).
    pub port: i64,
    /// Announced in the card.
    pub streaming: bool,
    /// Accepted; this agent offers no push notification configuration.
    pub push_notifications: bool,
}

/// `delegation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delegation {
    /// Tries after the first when the peer is waking or restarting.
    pub retry_attempts: u32,
    /// Pause between them, multiplied by the number of the try.
    pub retry_delay: Duration,
    /// Longest wait for the peer's reply.
    pub timeout: Duration,
}

impl Delegation {
    /// The same with what the environment sets (RUN-88). A value that makes no sense is ignored, with a warning.
    #[must_use]
    pub fn overridden(mut self, vars: &Vars) -> Self {
        fn read<T>(vars: &Vars, name: &str, parse: impl FnOnce(&str) -> Option<T>, value: &mut T) {
            match vars.get(name).map(parse) {
                None => {}
                Some(Some(set)) => *value = set,
                Some(None) => tracing::warn!(name, "the value of this variable makes no sense and is ignored"),
            }
        }
        let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
        read(
            vars,
            "DELEGATION_RETRY_ATTEMPTS",
            |text| text.parse().ok(),
            &mut self.retry_attempts,
        );
        read(vars, "DELEGATION_RETRY_DELAY", seconds, &mut self.retry_delay);
        read(vars, "DELEGATION_TIMEOUT", seconds, &mut self.timeout);
        self
    }
}

/// Prompt file read when the configuration names none, if it is there (RUN-29).
pub const DEFAULT_PROMPT_FILE: &str = "system-prompt.md";

impl Config {
    /// Reads `<dir>/config.yaml`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(molecule_core::contract::file::CONFIG);
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable {
            path: shown.clone(),
            source,
        })?;
        Self::parse(&text, dir).map_err(|reason| ConfigError::Malformed { path: shown, reason })
    }

    /// Parses the text of a configuration whose files are in `dir`.
    ///
    /// # Errors
    /// The text is not a YAML mapping.
    pub fn parse(text: &str, dir: &Path) -> Result<Self, String> {
        let yaml: yaml_serde::Value = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
        let root = match json(yaml) {
            Value::Null => Map::new(),
            Value::Object(root) => root,
            _ => return Err("the top level is not a mapping".to_owned()),
        };
        let root = Section {
            name: "",
            map: Some(&root),
        };
        let description = root.text("description").unwrap_or_default();
        let runtime_config = root.section("runtime_config");
        let delegation = root.section("delegation");
        let a2a = root.section("a2a");
        Ok(Self {
            name: root.text("name").unwrap_or_else(|| "Workspace".to_owned()),
            role: root.text("role").unwrap_or_else(|| description.clone()),
            version: root.text("version").unwrap_or_else(|| "1.0.0".to_owned()),
            tier: root.text("tier").and_then(|tier| tier.parse().ok()).unwrap_or(1),
            runtime: root.text("runtime"),
            model: root.text("model"),
            provider: root.text("provider"),
            runtime_config: RuntimeConfig::read(&runtime_config),
            initial_prompt: root.prompt("initial_prompt", dir),
            idle_prompt: root.prompt("idle_prompt", dir),
            idle_interval: root.seconds("idle_interval_seconds", 600),
            skills: root.list("skills"),
            plugins: root.list("plugins"),
            tools: root.list("tools"),
            prompt_files: root.list("prompt_files"),
            a2a: A2a {
                port: a2a.int("port").unwrap_or(8000),
                streaming: a2a.flag("streaming", true),
                push_notifications: a2a.flag("push_notifications", true),
            },
            delegation: Delegation {
                retry_attempts: delegation
                    .int("retry_attempts")
                    .and_then(|n| n.try_into().ok())
                    .unwrap_or(3),
                retry_delay: delegation.seconds("retry_delay", 5),
                timeout: delegation.seconds("timeout", 300),
            },
            command_timeout: root.section("sandbox").seconds("timeout", 30),
            limits: TurnLimits::read(&root.section("compliance")),
            description,
        })
    }
}

impl RuntimeConfig {
    fn read(section: &Section<'_>) -> Self {
        Self {
            command: section.text("command"),
            args: section.list("args"),
            required_env: section.list("required_env"),
            timeout: Some(section.seconds("timeout", 0)).filter(|timeout| !timeout.is_zero()),
            model: section.text("model"),
            provider: section.text("provider"),
            auth_token_env: section.text("auth_token_env"),
            auth_token_file: section.text("auth_token_file"),
        }
    }
}

/// One mapping of the file; absent and of the wrong type are the same.
struct Section<'a> {
    name: &'a str,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    fn value(&self, key: &str) -> Option<&'a Value> {
        self.map?.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, expected: &str) {
        tracing::warn!(
            section = self.name,
            key,
            expected,
            "config.yaml: value of the wrong type is ignored"
        );
    }

    fn section(&self, key: &'a str) -> Section<'a> {
        let map = self.value(key).and_then(|value| match value {
            Value::Object(map) => Some(map),
            _ => {
                self.wrong(key, "a mapping");
                None
            }
        });
        Section { name: key, map }
    }

    /// Text; numbers and booleans are taken as they are written, blank text is absent.
    fn text(&self, key: &str) -> Option<String> {
        let text = match self.value(key)? {
            Value::String(text) => text.clone(),
            scalar @ (Value::Number(_) | Value::Bool(_)) => scalar.to_string(),
            _ => {
                self.wrong(key, "text");
                return None;
            }
        };
        (!text.trim().is_empty()).then_some(text)
    }

    fn int(&self, key: &str) -> Option<i64> {
        let value = self.value(key)?;
        let number = value
            .as_i64()
            .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
        if number.is_none() {
            self.wrong(key, "a whole number");
        }
        number
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(value) => value.as_bool().unwrap_or_else(|| {
                self.wrong(key, "true or false");
                default
            }),
        }
    }

    fn seconds(&self, key: &str, default: u64) -> Duration {
        let seconds = self.value(key).and_then(|value| {
            let seconds = value
                .as_f64()
                .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
            let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            if duration.is_none() {
                self.wrong(key, "seconds, not negative");
            }
            duration
        });
        seconds.unwrap_or(Duration::from_secs(default))
    }

    /// Texts of a list; other members are skipped. A single text is a list of one.
    fn list(&self, key: &str) -> Vec<String> {
        match self.value(key) {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| match item {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(_) | Value::Bool(_) => Some(item.to_string()),
                    // Entries with options carry their name.
                    Value::Object(map) => ["name", "id"]
                        .into_iter()
                        .find_map(|key| Some(map.get(key)?.as_str()?.to_owned())),
                    _ => None,
                })
                .collect(),
            Some(_) => {
                self.wrong(key, "a list");
                Vec::new()
            }
        }
    }

    /// Inline text wins over `<key>_file`; a missing file is no prompt (RUN-89).
    fn prompt(&self, key: &str, dir: &Path) -> String {
        if let Some(inline) = self.text(key) {
            return inline;
        }
        let Some(file) = self.text(&format!("{key}_file")) else {
            return String::new();
        };
        let path = dir.join(&file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), %error, "prompt file cannot be read");
            String::new()
        })
    }
}

/// YAML as JSON: keys become text, tags are dropped.
pub(crate) fn json(yaml: yaml_serde::Value) -> Value {
    use yaml_serde::Value as Yaml;
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_u64().map(Value::from))
            .or_else(|| number.as_f64().map(Value::from))
            .unwrap_or(Value::Null),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => items.into_iter().map(json).collect(),
        Yaml::Mapping(map) => map
            .into_iter()
            .map(|(key, value)| {
                let key = match json(key) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (key, json(value))
            })
            .collect(),
        Yaml::Tagged(tagged) => json(tagged.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text, Path::new("/nowhere")).unwrap()
    }

    #[test]
    fn empty_is_all_defaults() {
        // RUN-9, RUN-89
        for text in ["", "\n", "# nothing\n", "{}"] {
            let config = parse(text);
            assert_eq!(config.name, "Workspace");
            assert_eq!(config.version, "1.0.0");
            assert_eq!(config.tier, 1);
            assert_eq!(config.idle_interval, Duration::from_secs(600));
            assert_eq!(
                config.a2a,
                A2a {
                    port: 8000,
                    streaming: true,
                    push_notifications: true
                }
            );
            // RUN-40, RUN-88
            assert_eq!(config.delegation.timeout, Duration::from_secs(300));
            assert!(config.prompt_files.is_empty());
            assert_eq!(config.runtime_config.timeout, None);
            assert_eq!((config.limits.tool_calls, config.limits.duration.as_secs()), (50, 300));
        }
    }

    #[test]
    fn the_environment_tunes_delegation() {
        // RUN-88
        let vars: Vars = [
            ("DELEGATION_TIMEOUT", "7.5"),
            ("DELEGATION_RETRY_ATTEMPTS", "1"),
            ("DELEGATION_RETRY_DELAY", "soon"),
        ]
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
        let limits = parse("delegation: {timeout: 20, retry_attempts: 9, retry_delay: 2}").delegation;
        let expected = Delegation {
            retry_attempts: 1,
            retry_delay: Duration::from_secs(2),
            timeout: Duration::from_millis(7_500),
        };
        assert_eq!(limits.overridden(&vars), expected);
    }

    #[test]
    fn limits_of_a_turn() {
        // RUN-89
        for (yaml, calls, seconds) in [
            ("{max_tool_calls_per_task: 7, max_task_duration_seconds: 20}", 7, 20),
            ("{max_tool_calls_per_task: 0, max_task_duration_seconds: 0}", 50, 3_600),
            ("{mode: '', max_tool_calls_per_task: 7}", 1_000, 3_600),
            ("{mode: owasp_agentic, max_tool_calls_per_task: 1000000}", 1_000, 300),
        ] {
            let limits = parse(&format!("compliance: {yaml}")).limits;
            assert_eq!(
                (limits.tool_calls, limits.duration.as_secs()),
                (calls, seconds),
                "{yaml}"
            );
        }
    }

    #[test]
    fn reads_what_it_knows_and_ignores_the_rest() {
        // RUN-8, RUN-89
        let config = parse(
            "name: Lead\ndescription: plans\ntier: T3\nruntime: exec\nshared_context: [a, b]\nmystery: {1: [x]}\n\
             runtime_config:\n  command: cat\n  args: [-u, 7]\n  timeout: 2.5\nskills: [{name: a}, b, [c]]\n\
             initial_prompt_file: missing.md\nidle_prompt: think\nsandbox: {timeout: '12'}\n",
        );
        assert_eq!((config.name.as_str(), config.role.as_str()), ("Lead", "plans"));
        assert_eq!(config.tier, 1, "non-digit tier is 1");
        assert_eq!(config.runtime.as_deref(), Some("exec"));
        assert_eq!(config.runtime_config.args, ["-u", "7"]);
        assert_eq!(config.runtime_config.timeout, Some(Duration::from_millis(2500)));
        assert_eq!(config.skills, ["a", "b"]);
        assert_eq!(config.initial_prompt, "");
        assert_eq!(config.idle_prompt, "think");
        assert_eq!(config.command_timeout, Duration::from_secs(12));
    }

    #[test]
    fn wrong_types_are_defaults() {
        let config =
            parse("name: [x]\na2a: 5\nidle_interval_seconds: -3\ndelegation: {retry_attempts: many}\nskills: 4\n");
        assert_eq!(config.name, "Workspace");
        assert_eq!(config.a2a.port, 8000);
        assert_eq!(config.idle_interval, Duration::from_secs(600));
        assert_eq!(config.delegation.retry_attempts, 3);
        assert!(config.skills.is_empty());
    }

    #[test]
    fn what_is_no_mapping_is_an_error() {
        for text in ["- a", "just text", "a: [", "a: b: c"] {
            assert!(Config::parse(text, Path::new("/")).is_err(), "{text}");
        }
        // RUN-2
        assert!(matches!(
            Config::load(Path::new("/nowhere")),
            Err(ConfigError::Unreadable { .. })
        ));
    }

    #[test]
    fn prompts_inline_or_from_file() {
        // RUN-89: inline wins
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("i.md"), "from file").unwrap();
        let config = Config::parse("initial_prompt_file: i.md", dir.path()).unwrap();
        assert_eq!(config.initial_prompt, "from file");
        let config = Config::parse("initial_prompt: inline\ninitial_prompt_file: i.md", dir.path()).unwrap();
        assert_eq!(config.initial_prompt, "inline");
    }
}
