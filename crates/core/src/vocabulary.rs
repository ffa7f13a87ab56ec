//! Closed vocabularies: enums whose values are words, as stored and on the wire.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An enum whose values are words.
pub trait Vocabulary: Copy {
    /// The stored and wire spelling.
    fn spelling(self) -> &'static str;

    /// Exact, case-sensitive parse.
    fn read(text: &str) -> Option<Self>;
}

/// A word that ought to be of the vocabulary `T`. One of another time or another hand is kept as it came, so that whoever
/// reads it decides what it means: a refusal with its own text, a default (LIFE-4), or nothing (ACT-9).
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Word<T> {
    /// One of the vocabulary.
    Known(T),
    /// Any other text, the empty one included.
    Other(String),
}

impl<T: Vocabulary> Word<T> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(value) => value.spelling(),
            Self::Other(text) => text,
        }
    }

    /// The value, if it is one of the vocabulary.
    #[must_use]
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Other(_) => None,
        }
    }

    /// What was said, where the empty text is nothing.
    ///
    /// # Errors
    /// A word that is not of the vocabulary.
    pub fn said(&self) -> Result<Option<T>, &str> {
        match self {
            Self::Known(value) => Ok(Some(*value)),
            Self::Other(text) if text.is_empty() => Ok(None),
            Self::Other(text) => Err(text),
        }
    }

    /// Was nothing said?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }
}

impl<T> Default for Word<T> {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl<T: Vocabulary> From<T> for Word<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T: Vocabulary> From<String> for Word<T> {
    fn from(text: String) -> Self {
        T::read(&text).map_or(Self::Other(text), Self::Known)
    }
}

impl<T: Vocabulary> From<&str> for Word<T> {
    fn from(text: &str) -> Self {
        T::read(text).map_or_else(|| Self::Other(text.to_owned()), Self::Known)
    }
}

impl<T: Vocabulary + PartialEq> PartialEq<T> for Word<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(value) if value == other)
    }
}

impl<T: Vocabulary> PartialEq<str> for Word<T> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl<T: Vocabulary> PartialEq<&str> for Word<T> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl<T: Vocabulary> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<T: Vocabulary> fmt::Debug for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<T: Vocabulary> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: Vocabulary> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

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

        impl $crate::vocabulary::Vocabulary for $name {
            fn spelling(self) -> &'static str {
                self.as_str()
            }

            fn read(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    };
}
pub(crate) use vocabulary;

#[cfg(test)]
mod tests {
    use super::Word;
    use crate::{
        DeliveryMode, EventType, Runtime, WorkspaceStatus,
        activity::{ActivityStatus, ActivityType},
        contract::{Allowance, Sandbox},
        model::Origin,
        validate::WorkspaceAccess,
    };

    macro_rules! one_spelling {
        ($($name:ident),+) => { $(
            for value in $name::ALL {
                assert_eq!($name::parse(value.as_str()), Some(value));
                assert_eq!($name::parse(&format!(" {value:?}")), None);
            }
        )+ };
    }

    macro_rules! spelled_alike_by_serde {
        ($($name:ident),+) => { $(
            for value in $name::ALL {
                assert_eq!(serde_json::to_value(value).unwrap(), value.as_str());
            }
        )+ };
    }

    // LIFE-5, LIFE-6, ACT-9: what is stored, what is on the wire and what is parsed are one spelling.
    #[test]
    fn every_word_has_one_spelling() {
        one_spelling!(
            ActivityStatus,
            ActivityType,
            Allowance,
            DeliveryMode,
            EventType,
            Origin,
            Runtime,
            Sandbox,
            WorkspaceAccess,
            WorkspaceStatus
        );
        spelled_alike_by_serde!(
            ActivityStatus,
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
             WORKSPACE_REMOVED WORKSPACE_PROVISION_FAILED WORKSPACE_PAUSED WORKSPACE_HIBERNATED WORKSPACE_EXPANDED \
             WORKSPACE_COLLAPSED AGENT_ASSIGNED AGENT_REPLACED AGENT_REMOVED AGENT_MOVED AGENT_CARD_UPDATED \
             TASK_UPDATED WORKSPACE_HEARTBEAT ACTIVITY_LOGGED A2A_RESPONSE AGENT_MESSAGE"
        );
        assert_eq!(all(&DeliveryMode::ALL.map(DeliveryMode::as_str)), "push poll");
        assert_eq!(
            all(&WorkspaceAccess::ALL.map(WorkspaceAccess::as_str)),
            "none read_only read_write"
        );
        assert_eq!(
            all(&ActivityStatus::ALL.map(ActivityStatus::as_str)),
            "ok error in_progress"
        );
        assert_eq!(all(&Origin::ALL.map(Origin::as_str)), "set derived");
        assert_eq!(all(&Sandbox::ALL.map(Sandbox::as_str)), "required best-effort off");
        assert_eq!(all(&Allowance::ALL.map(Allowance::as_str)), "unix-sockets terminals");
    }

    // LIFE-4, ACT-9: what is not of the vocabulary stays what it was.
    #[test]
    fn other_words_are_kept_as_they_came() {
        let read = |text: &str| serde_json::from_str::<Word<Runtime>>(text).unwrap();
        assert_eq!(read("\"echo\""), Runtime::Echo);
        assert_eq!(read("\"echo\"").known(), Some(Runtime::Echo));
        for text in ["", "langgraph", "Echo", " echo", "a\nb"] {
            let word = read(&serde_json::to_string(text).unwrap());
            assert_eq!((word.known(), word.as_str()), (None, text));
            assert_eq!(serde_json::to_value(&word).unwrap(), text);
            assert_ne!(word, Runtime::Echo);
        }
        assert!(Word::<Runtime>::default().is_empty());
        let said = |text: &str| Word::<Runtime>::from(text).said().map_err(str::to_owned);
        assert_eq!((said(""), said("echo")), (Ok(None), Ok(Some(Runtime::Echo))));
        assert_eq!(said("x"), Err("x".to_owned()));
        assert!(serde_json::from_str::<Word<Runtime>>("null").is_err());
        assert!(serde_json::from_str::<Word<Runtime>>("7").is_err());
    }
}
