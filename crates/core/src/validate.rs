//! What users may call things and where a workspace may be mounted (LIFE-1, LIFE-2, SEC-191, PROV-40, PROV-O9).

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits;

/// A field that cannot be stored. The text is what the API answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// Longer than allowed, in bytes.
    #[error("{field} must be at most {max} characters")]
    TooLong {
        /// Field name on the wire.
        field: &'static str,
        /// Bytes allowed.
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
    /// One of the YAML-special characters, or NUL.
    #[error("{field} contains invalid characters")]
    Charset {
        /// Field name on the wire.
        field: &'static str,
    },
}

const YAML_SPECIAL: [char; 10] = ['{', '}', '[', ']', '|', '>', '*', '&', '!', '\0'];

fn line(field: &'static str, text: &str, max: usize) -> Result<(), InvalidField> {
    if text.len() > max {
        return Err(InvalidField::TooLong { field, max });
    }
    if text.contains(['\r', '\n']) {
        return Err(InvalidField::Newline { field });
    }
    if text.contains('\0') {
        return Err(InvalidField::Charset { field });
    }
    Ok(())
}

fn plain(field: &'static str, text: &str, max: usize) -> Result<(), InvalidField> {
    line(field, text, max)?;
    if text.contains(YAML_SPECIAL) {
        Err(InvalidField::Charset { field })
    } else {
        Ok(())
    }
}

/// A workspace name.
///
/// # Errors
/// Blank, too long, multi-line, or YAML-special characters.
pub fn name(text: &str) -> Result<(), InvalidField> {
    if text.trim().is_empty() {
        return Err(InvalidField::Blank { field: "name" });
    }
    plain("name", text, limits::NAME_BYTES)
}

/// A workspace role.
///
/// # Errors
/// As [`name`].
pub fn role(text: &str) -> Result<(), InvalidField> {
    plain("role", text, limits::ROLE_BYTES)
}

/// A model id.
///
/// # Errors
/// Too long or multi-line.
pub fn model(text: &str) -> Result<(), InvalidField> {
    line("model", text, limits::MODEL_BYTES)
}

/// A provider's name.
///
/// # Errors
/// Too long or multi-line.
pub fn provider(text: &str) -> Result<(), InvalidField> {
    line("provider", text, limits::PROVIDER_BYTES)
}

/// A runtime name as sent; it is allowlisted at use.
///
/// # Errors
/// Too long or multi-line.
pub fn runtime(text: &str) -> Result<(), InvalidField> {
    line("runtime", text, limits::RUNTIME_BYTES)
}

/// How an agent may use the mounted host directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceAccess {
    /// Not mounted.
    #[default]
    None,
    /// Read only.
    ReadOnly,
    /// Read and write.
    ReadWrite,
}

impl WorkspaceAccess {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::None, Self::ReadOnly, Self::ReadWrite];

    /// The stored and wire spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ReadOnly => "read_only",
            Self::ReadWrite => "read_write",
        }
    }

    /// Exact parse.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.as_str() == text)
    }
}

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
    fn limits_count_bytes_and_are_inclusive() {
        // LIFE-1
        assert!(name(&"n".repeat(255)).is_ok());
        assert!(name(&"é".repeat(128)).is_err());
        assert_eq!(
            name(&"n".repeat(256)).unwrap_err().to_string(),
            "name must be at most 255 characters"
        );
        for blank in ["", " ", "\u{3000}\t"] {
            assert_eq!(name(blank).unwrap_err().to_string(), "name must not be blank");
        }
        assert_eq!(
            role("a\nb").unwrap_err().to_string(),
            "role must not contain newline characters"
        );
        for bad in "{}[]|>*&!".chars() {
            assert_eq!(
                name(&bad.to_string()).unwrap_err().to_string(),
                "name contains invalid characters"
            );
        }
        assert!(model("{x}").is_ok());
        assert!(model(&"m".repeat(101)).is_err());
        assert!(provider("anthropic").is_ok() && provider("a\nb").is_err());
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
