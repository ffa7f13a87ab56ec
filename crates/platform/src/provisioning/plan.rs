//! What a start begins with, and the form in which it is kept with the row until a start has carried it out.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFiles {
    /// A template directory, then files written over it.
    Given {
        /// Copied first.
        template_dir: Option<PathBuf>,
        /// Win over the template's.
        files: BTreeMap<String, Vec<u8>>,
    },
    /// Generated from the row.
    Generated,
    /// What the volume holds, user edits included (LIFE-133), or what an earlier start did not get to write.
    Existing,
}

/// What to start with.
#[derive(Debug, Clone)]
pub struct StartPlan {
    /// Configuration.
    pub files: StartFiles,
    /// Discard the session first (LIFE-126).
    pub reset_session: bool,
}

impl StartPlan {
    /// A restart that changes nothing.
    #[must_use]
    pub fn restart() -> Self {
        Self {
            files: StartFiles::Existing,
            reset_session: false,
        }
    }
}

/// Stored files that do not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Base64(#[from] base64::DecodeError),
}

/// Paths and contents are bytes; they are kept as Base64.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Given {
        template_dir: Option<String>,
        files: BTreeMap<String, String>,
    },
    Generated,
}

impl StartFiles {
    /// What is stored; `None` when there is nothing to remember.
    #[must_use]
    pub fn stored(&self) -> Option<String> {
        let stored = match self {
            Self::Given { template_dir, files } => Stored::Given {
                template_dir: template_dir
                    .as_ref()
                    .map(|dir| STANDARD.encode(dir.as_os_str().as_bytes())),
                files: files
                    .iter()
                    .map(|(path, content)| (path.clone(), STANDARD.encode(content)))
                    .collect(),
            },
            Self::Generated => Stored::Generated,
            Self::Existing => return None,
        };
        Some(serde_json::json!(stored).to_string())
    }

    /// Reads what [`StartFiles::stored`] wrote.
    pub(super) fn read(stored: Option<&str>) -> Result<Self, Unreadable> {
        let Some(text) = stored else { return Ok(Self::Existing) };
        Ok(match serde_json::from_str(text)? {
            Stored::Given { template_dir, files } => {
                let dir = template_dir.map(|dir| STANDARD.decode(dir)).transpose()?;
                let files = files
                    .into_iter()
                    .map(|(path, content)| Ok((path, STANDARD.decode(content)?)));
                Self::Given {
                    template_dir: dir.map(|bytes| PathBuf::from(OsString::from_vec(bytes))),
                    files: files.collect::<Result<_, base64::DecodeError>>()?,
                }
            }
            Stored::Generated => Self::Generated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_reads_as_it_was_written() {
        let odd = OsString::from_vec(b"/srv/a\xff".to_vec());
        let files = BTreeMap::from([("a/b.bin".to_owned(), vec![0, 255]), ("c".to_owned(), Vec::new())]);
        for plan in [
            StartFiles::Existing,
            StartFiles::Generated,
            StartFiles::Given {
                template_dir: Some(odd.into()),
                files,
            },
            StartFiles::Given {
                template_dir: None,
                files: BTreeMap::new(),
            },
        ] {
            assert_eq!(StartFiles::read(plan.stored().as_deref()).unwrap(), plan);
        }
        for bad in ["", "{}", r#"{"given":{"template_dir":"!","files":{}}}"#] {
            assert!(StartFiles::read(Some(bad)).is_err(), "{bad}");
        }
    }
}
