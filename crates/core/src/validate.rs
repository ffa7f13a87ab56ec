//! What users may call things and where a workspace may be mounted (LIFE-1, LIFE-2, SEC-191, PROV-40, PROV-O9).

use std::{
    path::{Component, Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::{limits, vocabulary::vocabulary};

/// A field that cannot be stored. The text is what the API answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// Longer than allowed: characters of a name, bytes of everything else.
    #[error("{field} must be at most {max} characters")]
    TooLong {
        /// Field name on the wire.
        field: &'static str,
        /// How long it may be.
        max: usize,
    },
    /// Nothing but white space: nobody could tell what it stands for.
    #[error("{field} must not be blank")]
    Blank {
        /// Field name on the wire.
        field: &'static str,
    },
    /// CR or LF: would add keys to generated YAML.
    #[error("{field} must not contain newline characters")]
    Newline {
        /// Field name on the wire.
        field: &'static str,
    },
    /// A character that does not show, or that changes how others show.
    #[error("{field} contains invalid characters")]
    Charset {
        /// Field name on the wire.
        field: &'static str,
        /// The first of them.
        found: char,
    },
}

impl InvalidField {
    /// The text, with the character that is meant.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Charset { found, .. } => format!("{self}: U+{:04X} does not show", u32::from(*found)),
            other => other.to_string(),
        }
    }
}

/// Control and format characters (zero width, direction overrides) and Unicode's own line ends.
static UNSEEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]").expect("the pattern is fixed and tested"));

fn line(field: &'static str, text: &str) -> Result<(), InvalidField> {
    if text.contains(['\r', '\n']) {
        return Err(InvalidField::Newline { field });
    }
    match text.chars().find(|c| c.is_control() && *c != '\t') {
        Some(found) => Err(InvalidField::Charset { field, found }),
        None => Ok(()),
    }
}

fn short(field: &'static str, text: &str, max: usize) -> Result<(), InvalidField> {
    if text.len() > max {
        return Err(InvalidField::TooLong { field, max });
    }
    line(field, text)
}

/// A workspace name, trimmed: any text that people can see, in any script (D31).
///
/// # Errors
/// Blank, too long, multi-line, or with characters that do not show.
pub fn name(text: &str) -> Result<&str, InvalidField> {
    let (field, text) = ("name", text.trim());
    if text.is_empty() {
        return Err(InvalidField::Blank { field });
    }
    if text.chars().count() > limits::NAME_CHARS {
        return Err(InvalidField::TooLong {
            field,
            max: limits::NAME_CHARS,
        });
    }
    line(field, text)?;
    match UNSEEN.find(text).and_then(|found| found.as_str().chars().next()) {
        Some(found) => Err(InvalidField::Charset { field, found }),
        None => Ok(text),
    }
}

/// A workspace role.
///
/// # Errors
/// Too long, multi-line, or with control characters.
pub fn role(text: &str) -> Result<(), InvalidField> {
    short("role", text, limits::ROLE_BYTES)
}

/// A role that comes with a template: written for people and models to read, it may be long.
///
/// # Errors
/// As [`role`], with a longer limit.
pub fn imported_role(text: &str) -> Result<(), InvalidField> {
    short("role", text, limits::IMPORTED_ROLE_BYTES)
}

/// A model id.
///
/// # Errors
/// Too long or multi-line.
pub fn model(text: &str) -> Result<(), InvalidField> {
    short("model", text, limits::MODEL_BYTES)
}

/// A provider's name.
///
/// # Errors
/// Too long or multi-line.
pub fn provider(text: &str) -> Result<(), InvalidField> {
    short("provider", text, limits::PROVIDER_BYTES)
}

/// A runtime name as sent; it is allowlisted at use.
///
/// # Errors
/// Too long or multi-line.
pub fn runtime(text: &str) -> Result<(), InvalidField> {
    short("runtime", text, limits::RUNTIME_BYTES)
}

/// How an agent may use the mounted host directory.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WorkspaceAccess {
    /// Not mounted.
    #[default]
    None,
    /// Read only.
    ReadOnly,
    /// Read and write.
    ReadWrite,
}

vocabulary!(WorkspaceAccess);

const FORBIDDEN_DIRS: [&str; 9] = [
    "/etc", "/var", "/proc", "/sys", "/dev", "/boot", "/sbin", "/bin", "/lib",
];

/// A host directory to mount: absolute, without `..`, not a system directory (LIFE-2). Returns the cleaned path.
#[must_use]
pub fn workspace_dir(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    if !path.is_absolute() || text.contains('\0') || path.components().any(|c| c == Component::ParentDir) {
        return None;
    }
    let clean: PathBuf = path.components().collect();
    let forbidden = FORBIDDEN_DIRS
        .iter()
        .chain(["/usr"].iter())
        .any(|dir| clean.starts_with(dir));
    (!forbidden && clean != Path::new("/")).then_some(clean)
}

/// Joins a caller-supplied relative path to `root`, lexically (PROV-40). `None` for empty, absolute or escaping
/// paths; symlinks are the caller's to resolve.
#[must_use]
pub fn inside(root: &Path, relative: &str) -> Option<PathBuf> {
    let path = Path::new(relative);
    if relative.is_empty() || relative.contains('\0') || path.is_absolute() {
        return None;
    }
    let mut depth = 0usize;
    for component in path.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth = depth.checked_sub(1)?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let mut joined = root.to_path_buf();
    for component in path.components() {
        match component {
            Component::Normal(part) => joined.push(part),
            Component::ParentDir => {
                joined.pop();
            }
            _ => {}
        }
    }
    Some(joined)
}

/// The name of a plugin: one directory's (SEC-153).
///
/// # Errors
/// What is wrong with it.
pub fn plugin_name(name: &str) -> Result<(), &'static str> {
    if name.trim().is_empty() {
        Err("it is empty")
    } else if name.contains(['/', '\\']) {
        Err("it contains a slash")
    } else if name.contains("..") {
        Err("it contains two dots in a row")
    } else if name.chars().any(char::is_control) || name.len() > limits::PLUGIN_NAME_BYTES {
        Err("it contains control characters, or is longer than 255 bytes")
    } else {
        Ok(())
    }
}

/// A secret's key: it becomes an environment variable, so `=`, NUL and line breaks cannot be in it (PROV-O9).
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(['=', '\0', '\n', '\r'])
}

/// A secret's value: what does not fit one environment variable would fail every start.
#[must_use]
pub fn is_secret_value(key: &str, value: &str) -> bool {
    !value.contains('\0') && key.len() + value.len() + "=\0".len() <= limits::VARIABLE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_inclusive() {
        // LIFE-1, D31: a name is as long as it looks, whatever the script
        for letter in ["n", "é", "界"] {
            assert!(name(&letter.repeat(255)).is_ok());
            assert_eq!(
                name(&letter.repeat(256)).unwrap_err().to_string(),
                "name must be at most 255 characters"
            );
        }
        assert!(role(&"r".repeat(1_000)).is_ok());
        assert!(role(&"é".repeat(501)).is_err());
        assert!(imported_role(&"r".repeat(limits::IMPORTED_ROLE_BYTES)).is_ok());
        assert!(imported_role(&"r".repeat(limits::IMPORTED_ROLE_BYTES + 1)).is_err());
        assert_eq!(
            role("a\nb").unwrap_err().to_string(),
            "role must not contain newline characters"
        );
        assert!(model("{x}").is_ok());
        assert!(model(&"m".repeat(101)).is_err());
        assert!(provider("anthropic").is_ok() && provider("a\nb").is_err());
    }

    #[test]
    fn names_are_what_people_can_see() {
        // D31, LIFE-96
        for good in [
            "R&D (Zürich) [a|b] {c} > *!",
            "名前",
            "Ops 🚀",
            "a: b # c",
            "O'Neil \"x\"",
        ] {
            assert_eq!(name(good), Ok(good));
            assert!(role(good).is_ok());
        }
        assert_eq!(name("  Lead\n"), Ok("Lead"));
        for blank in ["", " ", "\u{3000}\t"] {
            assert_eq!(name(blank).unwrap_err().to_string(), "name must not be blank");
        }
        assert_eq!(
            name("a\nb").unwrap_err().to_string(),
            "name must not contain newline characters"
        );
        for unseen in [
            '\0',
            '\u{1b}',
            '\t',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{202e}',
            '\u{2028}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            let refused = name(&format!("a{unseen}b")).unwrap_err();
            assert_eq!(refused.to_string(), "name contains invalid characters", "{unseen:?}");
        }
        assert_eq!(
            name("a\u{200b}b").unwrap_err().detail(),
            "name contains invalid characters: U+200B does not show"
        );
        assert!(role("a\u{1b}[0m").is_err());
    }

    #[test]
    fn secrets_fit_a_variable() {
        // PROV-O9
        let longest = "v".repeat(limits::VARIABLE_BYTES - "KEY=\0".len());
        assert!(is_secret_value("KEY", &longest));
        assert!(!is_secret_value("KEYS", &longest), "the key counts");
        assert!(is_secret_value("KEY", "two\nlines"));
        assert!(!is_secret_value("KEY", "a\0b"));
    }

    #[test]
    fn workspace_dirs() {
        // LIFE-2
        for ok in ["/srv/x", "/home/me/", "/usrlocal", "/libs"] {
            assert!(workspace_dir(ok).is_some(), "{ok}");
        }
        for bad in [
            "",
            "rel",
            "/etc",
            "/etc/x",
            "/usr/local",
            "/srv/../etc",
            "/lib",
            "/proc/1",
            "/",
        ] {
            assert!(workspace_dir(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        // PROV-40
        let root = Path::new("/t/foo");
        assert_eq!(inside(root, "a/./b"), Some("/t/foo/a/b".into()));
        assert_eq!(inside(root, "a/../b"), Some("/t/foo/b".into()));
        for bad in ["", "/etc", "..", "../foobar", "a/../../foo", "a\0b"] {
            assert_eq!(inside(root, bad), None, "{bad}");
        }
    }
}
