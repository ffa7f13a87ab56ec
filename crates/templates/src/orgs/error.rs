//! What can be wrong with an organisation template.

use std::{io, path::PathBuf};

use molecule_core::limits;

/// An organisation template that cannot be used. Texts carry paths and YAML positions: they are for the operator's log
/// and the CLI; the API answers one fixed text for each [`OrgYamlError::kind`] (PROV-133).
#[derive(Debug, thiserror::Error)]
pub enum OrgYamlError {
    /// The directory named by the caller leaves the templates.
    #[error("organisation directory {0:?} leaves the templates directory")]
    Escape(String),
    /// No `org.yaml` or `org.yml` there.
    #[error("no org.yaml or org.yml in organisation template {0:?}")]
    NotFound(String),
    /// The file exists and cannot be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Not YAML, or not the shape of an organisation.
    #[error("{file}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// Which file, or `inline template`.
        file: String,
        /// 1-based line, where the parser knows it.
        line: Option<usize>,
        /// What is wrong, with the path of keys leading there.
        message: String,
    },
    /// A template that was sent does not have the shape of an organisation: what was sent cannot be read at all.
    #[error("{0}")]
    Inline(String),
    /// An `!include` could not be expanded.
    #[error("{file}: !include {path:?}: {fault}")]
    Include {
        /// The including file, or `inline template`.
        file: String,
        /// The path as written.
        path: String,
        /// What is wrong with it.
        fault: IncludeFault,
    },
}

/// What is wrong with one `!include` (PROV-127).
#[derive(Debug, thiserror::Error)]
pub enum IncludeFault {
    /// The tag is on a list, a mapping, or nothing.
    #[error("needs the path of a file")]
    EmptyPath,
    /// The path leaves the template's directory, lexically or through a link.
    #[error("leaves the template directory")]
    Escape,
    /// Nothing there.
    #[error("no such file")]
    Missing,
    /// The file includes itself, directly or through others.
    #[error("includes itself")]
    Cycle,
    /// Nested deeper than [`limits::INCLUDE_DEPTH`].
    #[error("nested deeper than {} levels", limits::INCLUDE_DEPTH)]
    TooDeep,
    /// More includes in one template than allowed: each level can double them.
    #[error("more than {0} includes in one template")]
    TooMany(usize),
    /// An inline template has no directory to include from.
    #[error("an inline template cannot include files")]
    Inline,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// The file is not YAML.
    #[error("does not parse: {0}")]
    Syntax(#[source] yaml_serde::Error),
}

/// The fixed answers of an import (PROV-133).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrgErrorKind {
    /// 400 `invalid org directory`.
    InvalidDirectory,
    /// 404 `org template not found: <dir>`.
    NotFound,
    /// 400 `invalid request body`.
    Unreadable,
    /// 400 `org template expansion failed`.
    Expansion,
    /// 400 `invalid org template`.
    InvalidTemplate,
}

impl OrgYamlError {
    /// Which fixed answer the API gives.
    #[must_use]
    pub fn kind(&self) -> OrgErrorKind {
        match self {
            Self::Escape(_) => OrgErrorKind::InvalidDirectory,
            Self::NotFound(_) => OrgErrorKind::NotFound,
            Self::Include { .. } => OrgErrorKind::Expansion,
            Self::Inline(_) => OrgErrorKind::Unreadable,
            Self::Unreadable { .. } | Self::Invalid { .. } => OrgErrorKind::InvalidTemplate,
        }
    }

    /// What is wrong, for whoever wrote the template: file within it, line, keys. `None` where the text would tell of the
    /// server's file system.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Escape(_) | Self::NotFound(_) | Self::Invalid { .. } | Self::Inline(_) | Self::Include { .. } => {
                Some(self.to_string())
            }
            Self::Unreadable { .. } => None,
        }
    }

    pub(crate) fn invalid(file: impl Into<String>, line: Option<usize>, message: impl Into<String>) -> Self {
        Self::Invalid {
            file: file.into(),
            line,
            message: message.into(),
        }
    }
}
