//! Vocabulary of the activity log.

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_round_trip() {
        for kind in ActivityType::ALL {
            assert_eq!(ActivityType::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
    }
}
