//! `molecule.toml`: flat keys, each with the type its setting demands, each remembered with its line.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{
    problem::Problem,
    settings::{self, Kind, Setting},
};

/// The values of a configuration file, not yet interpreted.
#[derive(Debug, Default)]
pub struct ConfigFile {
    path: PathBuf,
    /// Text and line by key.
    values: BTreeMap<&'static str, (String, usize)>,
    /// The file holds a secret and others than its owner may read it.
    exposed: bool,
}

impl ConfigFile {
    /// Reads a file. Unknown keys, wrong types and broken syntax are problems, each with its line; what is well formed
    /// is kept beside them, so that its values are checked in the same go (D10).
    #[must_use]
    pub fn read(path: &Path) -> (Self, Vec<Problem>) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::NotFound => "there is no such file".to_owned(),
                    _ => error.to_string(),
                };
                let problem = Problem::new(path.display().to_string(), reason);
                return (Self::default(), vec![problem]);
            }
        };
        let (mut file, problems) = Self::parse(path, &text);
        let has_secret = file
            .values
            .keys()
            .any(|key| settings::by_key(key).is_some_and(Setting::is_secret));
        file.exposed = has_secret && is_readable_by_others(path);
        (file, problems)
    }

    /// As [`ConfigFile::read`], from text.
    #[must_use]
    pub fn parse(path: &Path, text: &str) -> (Self, Vec<Problem>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut problems: Vec<(usize, String)> = errors
            .iter()
            .map(|error| (error.span().map_or(0, |span| span.start), error.message().to_owned()))
            .collect();
        let mut values = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let offset = key.span().start;
            let Some(setting) = settings::by_key(key.get_ref()) else {
                problems.push((offset, unknown(key.get_ref())));
                continue;
            };
            match text_of(setting, value.get_ref()) {
                Ok(text_value) => {
                    values.insert(setting.key, (text_value, line_of(text, offset)));
                }
                Err(reason) => problems.push((offset, format!("{} {reason}", setting.key))),
            }
        }
        problems.sort_by_key(|(offset, _)| *offset);
        let at_line = |(offset, what): (usize, String)| {
            Problem::new(format!("{}:{}", path.display(), line_of(text, offset)), what)
        };
        let file = Self {
            path: path.to_owned(),
            values,
            exposed: false,
        };
        (file, problems.into_iter().map(at_line).collect())
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn get(&self, key: &str) -> Option<(&str, usize)> {
        self.values.get(key).map(|(text, line)| (text.as_str(), *line))
    }

    pub(super) fn is_exposed(&self) -> bool {
        self.exposed
    }
}

fn unknown(key: &str) -> String {
    match settings::similar_key(key) {
        Some(similar) => format!("unknown key {key:?}; did you mean {similar:?}?"),
        None => format!("unknown key {key:?}; `molecule config` lists the known ones"),
    }
}

/// The value as a flag or the environment would give it, so that all three are read by the same rules.
fn text_of(setting: &Setting, value: &DeValue<'_>) -> Result<String, String> {
    let wrong = |expected: &str| Err(format!("must be {expected}, not {}", article(value.type_str())));
    let text = match (setting.kind, value) {
        (Kind::Integer, DeValue::Integer(number)) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| "is out of range".to_owned())?
            .to_string(),
        (Kind::Integer, _) => return wrong("an integer"),
        (Kind::Bool, DeValue::Boolean(value)) => value.to_string(),
        (Kind::Bool, _) => return wrong("true or false"),
        (Kind::List, DeValue::Array(entries)) => {
            let texts: Option<Vec<&str>> = entries.iter().map(|entry| entry.get_ref().as_str()).collect();
            // An empty list is a choice, unlike an empty text: it must win over a default.
            return texts
                .map(|texts| texts.join(","))
                .ok_or_else(|| "must hold strings only".to_owned());
        }
        (Kind::List, _) => return wrong("an array of strings"),
        (_, DeValue::String(text)) => text.trim().to_owned(),
        _ => return wrong("a string"),
    };
    if text.is_empty() {
        Err("is empty; remove the line to leave it unset".to_owned())
    } else {
        Ok(text)
    }
}

fn article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
}

#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        ConfigFile::parse(Path::new("m.toml"), text)
            .1
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_problem_has_its_line() {
        // D10
        assert_eq!(
            problems("host = \"::1\"\nprot = 1\nport = \"80\"\n\n[limits]\nx = 1\n"),
            [
                "m.toml:2: unknown key \"prot\"; did you mean \"port\"?",
                "m.toml:3: port must be an integer, not a string",
                "m.toml:5: unknown key \"limits\"; `molecule config` lists the known ones",
            ]
        );
        assert_eq!(
            problems("cors_origins = [1]"),
            ["m.toml:1: cors_origins must hold strings only"]
        );
        assert_eq!(
            problems("metrics_public = 1"),
            ["m.toml:1: metrics_public must be true or false, not an integer"]
        );
        assert_eq!(
            problems("log = ' '"),
            ["m.toml:1: log is empty; remove the line to leave it unset"]
        );
        assert!(problems("\nport = \n")[0].starts_with("m.toml:2: "));
        assert!(problems("port = 1\nport = 2\n")[0].starts_with("m.toml:2: "));
    }

    #[test]
    fn values_keep_their_line() {
        let file = ConfigFile::parse(Path::new("m.toml"), "# c\nport = 0x1_F\ncors_origins = ['a', 'b']\n").0;
        assert_eq!(file.get("port"), Some(("31", 2)));
        assert_eq!(file.get("cors_origins"), Some(("a,b", 3)));
        assert_eq!(file.get("host"), None);
    }
}
