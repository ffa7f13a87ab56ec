//! Entity ids. Each entity has its own type, so that a token id can never be passed where a workspace id is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text was not a UUID in its canonical 8-4-4-4-12 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a canonical UUID")]
pub struct ParseIdError;

/// Parses only the hyphenated form (any case): `uuid` itself also takes braces, URNs and bare hex, which must not
/// become second spellings of one id on the wire.
fn parse_canonical(text: &str) -> Result<Uuid, ParseIdError> {
    if text.len() != 36 {
        return Err(ParseIdError);
    }
    Uuid::try_parse(text).map_err(|_| ParseIdError)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that came from storage or a generator.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The id with these bits, for those that are written down in code.
            #[must_use]
            pub const fn from_u128(bits: u128) -> Self {
                Self(Uuid::from_u128(bits))
            }

            /// The bare UUID, for storage.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_canonical(text).map(Self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A workspace. UUIDv4: container and volume names use its first 12 characters, which v7 ids of one burst share.
    WorkspaceId
);
id!(
    /// A row of a workspace's auth tokens (never the token itself).
    TokenId
);
id!(
    /// A row of the org-level API tokens.
    OrgTokenId
);
id!(
    /// A row of the agents assigned to workspaces.
    AgentId
);
id!(
    /// A signed-in browser.
    SessionId
);
id!(
    /// A row of the activity log; also the poll cursor. UUIDv7.
    ActivityId
);
id!(
    /// A recorded structure event. UUIDv7.
    EventId
);
id!(
    /// A record of the audit. UUIDv7.
    AuditId
);

macro_rules! new_v4 { ($($name:ident),+) => { $(impl $name {
    /// A fresh random id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
})+ } }
new_v4!(WorkspaceId, TokenId, OrgTokenId, AgentId, SessionId);

impl WorkspaceId {
    /// First 12 characters, the part that container, volume and host names carry (PROV-59).
    #[must_use]
    pub fn short(self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_any_case_and_prints_lower() {
        let id: WorkspaceId = "6FA459EA-EE8A-3CA4-894E-DB77E160355E".parse().unwrap();
        assert_eq!(id.to_string(), "6fa459ea-ee8a-3ca4-894e-db77e160355e");
        assert_eq!(id.short(), "6fa459ea-ee8");
    }

    #[test]
    fn refuses_other_spellings() {
        for bad in [
            "",
            "x",
            "6fa459eaee8a3ca4894edb77e160355e",
            "{6fa459ea-ee8a-3ca4-894e-db77e160355e}",
            "urn:uuid:6fa459ea-ee8a-3ca4-894e-db77e160355e",
            "6fa459ea-ee8a-3ca4-894e-db77e160355g",
        ] {
            assert!(bad.parse::<WorkspaceId>().is_err(), "{bad}");
        }
    }
}
