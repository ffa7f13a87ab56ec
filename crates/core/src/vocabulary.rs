//! Closed vocabularies: enums whose values are words, as stored and on the wire.

/// Gives an enum that derives strum's `EnumCount`, `EnumString`, `IntoStaticStr` and `VariantArray` the three things
/// everybody uses.
macro_rules! vocabulary {
    ($name:ident) => {
        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: [Self; <Self as strum::EnumCount>::COUNT] = *<Self as strum::VariantArray>::VARIANTS
                .first_chunk()
                .expect("there are as many as are counted");

            /// The stored and wire spelling.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// Exact, case-sensitive parse.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    };
}
pub(crate) use vocabulary;

#[cfg(test)]
mod tests {
    use crate::{DeliveryMode, EventType, Runtime, WorkspaceStatus, activity::ActivityType, validate::WorkspaceAccess};

    macro_rules! one_spelling {
        ($($name:ident),+) => { $(
            for value in $name::ALL {
                assert_eq!(serde_json::to_value(value).unwrap(), value.as_str());
                assert_eq!($name::parse(value.as_str()), Some(value));
                assert_eq!($name::parse(&format!(" {value:?}")), None);
            }
        )+ };
    }

    // LIFE-5, LIFE-6, ACT-9: what is stored, what is on the wire and what is parsed are one spelling.
    #[test]
    fn every_word_has_one_spelling() {
        one_spelling!(
            ActivityType,
            DeliveryMode,
            EventType,
            Runtime,
            WorkspaceAccess,
            WorkspaceStatus
        );
        let all = |words: &[&str]| words.join(" ");
        assert_eq!(
            all(&WorkspaceStatus::ALL.map(WorkspaceStatus::as_str)),
            "provisioning online degraded offline awaiting_agent failed paused hibernating hibernated removed"
        );
        assert_eq!(
            all(&Runtime::ALL.map(Runtime::as_str)),
            "claude-code hermes openclaw codex external native exec echo"
        );
        assert_eq!(
            all(&ActivityType::ALL.map(ActivityType::as_str)),
            "a2a_send a2a_receive task_update agent_log skill_promotion memory_write error delegation cron_run \
             memory_write_global"
        );
        assert_eq!(
            all(&EventType::ALL.map(EventType::as_str)),
            "WORKSPACE_PROVISIONING WORKSPACE_ONLINE WORKSPACE_AWAITING_AGENT WORKSPACE_OFFLINE WORKSPACE_DEGRADED \
             WORKSPACE_REMOVED WORKSPACE_PROVISION_FAILED AGENT_CARD_UPDATED TASK_UPDATED WORKSPACE_HEARTBEAT \
             ACTIVITY_LOGGED A2A_RESPONSE AGENT_MESSAGE"
        );
        assert_eq!(all(&DeliveryMode::ALL.map(DeliveryMode::as_str)), "push poll");
        assert_eq!(
            all(&WorkspaceAccess::ALL.map(WorkspaceAccess::as_str)),
            "none read_only read_write"
        );
    }
}
