//! Vocabulary of the activity log.

use serde::{Deserialize, Serialize};

use crate::{
    ActivityId, Timestamp, WorkspaceId,
    vocabulary::{Word, vocabulary},
};

/// Kind of an activity row (ACT-9).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
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
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum ActivityType {
    A2aSend,
    A2aReceive,
    TaskUpdate,
    AgentLog,
    SkillPromotion,
    MemoryWrite,
    Error,
    Delegation,
    CronRun,
    MemoryWriteGlobal,
}

vocabulary!(ActivityType);

impl ActivityType {
    /// May a client report it? The rest is written by the server only (ACT-45).
    #[must_use]
    pub const fn is_reportable(self) -> bool {
        !matches!(self, Self::Delegation | Self::CronRun | Self::MemoryWriteGlobal)
    }
}

/// How what a row tells of has ended. Agents may report other words of their own.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
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
pub enum ActivityStatus {
    /// Well.
    Ok,
    /// Badly.
    Error,
    /// Not yet: the row of a stream that still runs (D15).
    InProgress,
}

vocabulary!(ActivityStatus);

impl ActivityStatus {
    /// Well, unless something failed.
    #[must_use]
    pub const fn of(failed: bool) -> Self {
        if failed { Self::Error } else { Self::Ok }
    }
}

/// Which rows of a feed (ACT §1.2). All parts compose with AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Exact kind; an unknown one matches nothing.
    pub activity_type: Option<Word<ActivityType>>,
    /// People or agents.
    pub source: Option<SourceFilter>,
    /// Source or target is this workspace (ACT-20).
    pub peer: Option<WorkspaceId>,
    /// Recorded at or after.
    pub since: Option<Timestamp>,
    /// Recorded strictly before (ACT-22).
    pub before: Option<Timestamp>,
    /// Rows strictly after this row, oldest first (ACT-23).
    pub after: Option<ActivityId>,
    /// At most so many.
    pub limit: u64,
}

/// Who began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFilter {
    /// No source workspace: a person on the canvas, or the system.
    Canvas,
    /// Another workspace.
    Agent,
}

/// A file named in a message; bytes are never carried here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attachment {
    /// Where it is, at most 4 096 bytes of UTF-8.
    #[serde(default)]
    #[schema(required = true, min_length = 1, max_length = 4096)]
    pub uri: String,
    /// What it is called, at most 4 096 bytes of UTF-8.
    #[serde(default)]
    #[schema(required = true, min_length = 1, max_length = 4096)]
    pub name: String,
    /// Media type, if known, at most 4 096 bytes of UTF-8.
    #[serde(default, rename = "mimeType", skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4096)]
    pub mime_type: Option<String>,
    /// Bytes, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}
