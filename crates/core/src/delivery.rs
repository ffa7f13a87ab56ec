//! How messages reach a workspace.

use serde::{Deserialize, Serialize};

use crate::{Runtime, vocabulary::vocabulary};

/// `push`: the platform dials the agent. `poll`: the agent reads its activity feed (LIFE-5, REG-2).
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
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum DeliveryMode {
    /// The platform posts to the agent's URL.
    Push,
    /// Messages wait in the activity feed until the agent asks.
    Poll,
}

vocabulary!(DeliveryMode);

impl DeliveryMode {
    /// Mode in force at registration (REG-24): what the agent says, else what is stored, else `poll` for external
    /// workspaces, else `push`.
    #[must_use]
    pub fn resolve(said: Option<Self>, stored: Option<Self>, runtime: Option<Runtime>) -> Self {
        said.or(stored).unwrap_or(if runtime == Some(Runtime::External) {
            Self::Poll
        } else {
            Self::Push
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolution_order() {
        // REG-24
        use DeliveryMode::{Poll, Push};
        let external = Some(Runtime::External);
        assert_eq!(DeliveryMode::resolve(Some(Push), Some(Poll), external), Push);
        assert_eq!(DeliveryMode::resolve(None, Some(Push), external), Push);
        assert_eq!(DeliveryMode::resolve(None, None, external), Poll);
        assert_eq!(DeliveryMode::resolve(None, None, Some(Runtime::Native)), Push);
        assert_eq!(DeliveryMode::resolve(None, None, None), Push);
    }

    #[test]
    fn parse_is_exact() {
        assert_eq!(DeliveryMode::parse("poll"), Some(DeliveryMode::Poll));
        assert_eq!(DeliveryMode::parse("POLL"), None);
        assert_eq!(DeliveryMode::parse(""), None);
    }
}
