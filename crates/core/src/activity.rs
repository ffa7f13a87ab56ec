//! Vocabulary of the activity log.

use serde::{Deserialize, Serialize};

/// Kind of an activity row (ACT-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
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

impl ActivityType {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::A2aSend,
        Self::A2aReceive,
        Self::TaskUpdate,
        Self::AgentLog,
        Self::SkillPromotion,
        Self::MemoryWrite,
        Self::Error,
        Self::Delegation,
        Self::CronRun,
        Self::MemoryWriteGlobal,
    ];

    /// The stored and wire spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A2aSend => "a2a_send",
            Self::A2aReceive => "a2a_receive",
            Self::TaskUpdate => "task_update",
            Self::AgentLog => "agent_log",
            Self::SkillPromotion => "skill_promotion",
            Self::MemoryWrite => "memory_write",
            Self::Error => "error",
            Self::Delegation => "delegation",
            Self::CronRun => "cron_run",
            Self::MemoryWriteGlobal => "memory_write_global",
        }
    }

    /// Exact parse.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

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
