//! Which version of A2A somebody speaks.

use std::fmt;

use crate::raw::{self, RawObject};

/// Header in which callers of A2A 1.0 and later name the version they speak. A request to a v1.0 target must carry it
/// with [`ProtocolVersion::header`]: servers read its absence as 0.3.
pub const VERSION_HEADER: &str = "A2A-Version";

/// A version of the protocol, as far as messages look different (D7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolVersion {
    /// Messages with `content` in place of `parts`. Replies are those of v0.3.
    V0_2,
    /// `message/send`, parts tagged by `kind`. What everything is normalised to.
    V0_3,
    /// `SendMessage`, the JSON form of protocol buffers.
    V1_0,
}

impl ProtocolVersion {
    /// The form in which bodies of this version travel: v0.2 is lifted to v0.3 at the edge.
    #[must_use]
    pub const fn wire(self) -> Self {
        match self {
            Self::V0_2 | Self::V0_3 => Self::V0_3,
            Self::V1_0 => Self::V1_0,
        }
    }

    /// The value of [`VERSION_HEADER`] for this version.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::V0_2 => "0.2",
            Self::V0_3 => "0.3",
            Self::V1_0 => "1.0",
        }
    }

    /// The version that a version text such as `1.0`, `0.3.0` or `v1` names; `None` for others.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.');
        match (numbers.next()?, numbers.next()) {
            ("1", _) => Some(Self::V1_0),
            ("0", Some("2")) => Some(Self::V0_2),
            ("0", Some("3")) => Some(Self::V0_3),
            _ => None,
        }
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.header())
    }
}

/// The wire forms that an agent's card announces. A card that says nothing understandable announces v0.3 (D7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedVersions {
    v0_3: bool,
    v1_0: bool,
}

impl Default for AnnouncedVersions {
    fn default() -> Self {
        Self {
            v0_3: true,
            v1_0: false,
        }
    }
}

impl AnnouncedVersions {
    /// Reads an agent card, as stored.
    #[must_use]
    pub fn of_card(card: &str) -> Self {
        let Some(card) = RawObject::parse(card) else {
            return Self::default();
        };
        let mut seen = Self {
            v0_3: false,
            v1_0: false,
        };
        for interface in card
            .get("supportedInterfaces")
            .and_then(raw::elements)
            .unwrap_or_default()
        {
            seen.add_interface(interface, card.has("url"));
        }
        if seen.v0_3 || seen.v1_0 {
            return seen;
        }
        if let Some(version) = card.get("protocolVersion").and_then(raw::decode_str) {
            seen.add(ProtocolVersion::parse(&version));
        }
        if seen.v1_0 { seen } else { Self::default() }
    }

    /// One entry of `supportedInterfaces`. Only JSON-RPC counts, which is all that the platform dials.
    fn add_interface(&mut self, interface: &str, card_is_v0_3: bool) {
        let Some(interface) = RawObject::parse(interface) else {
            return;
        };
        let binding = interface.get("protocolBinding").and_then(raw::decode_str);
        if binding.is_some_and(|binding| !binding.eq_ignore_ascii_case("JSONRPC")) {
            return;
        }
        match interface.get_some("protocolVersion").and_then(raw::decode_str) {
            Some(version) => self.add(ProtocolVersion::parse(&version)),
            // The list itself exists only since v1.0; a card that has the old `url` too may be of both kinds.
            None if !card_is_v0_3 => self.v1_0 = true,
            None => {}
        }
    }

    fn add(&mut self, version: Option<ProtocolVersion>) {
        match version {
            Some(ProtocolVersion::V1_0) => self.v1_0 = true,
            Some(ProtocolVersion::V0_2 | ProtocolVersion::V0_3) => self.v0_3 = true,
            None => {}
        }
    }

    /// The form to send to this target for a caller of the given version: the caller's own if announced, because then
    /// nothing is translated, else the one that is.
    #[must_use]
    pub const fn choose(self, caller: ProtocolVersion) -> ProtocolVersion {
        match (caller.wire(), self.v0_3, self.v1_0) {
            (ProtocolVersion::V1_0, _, true) | (_, false, true) => ProtocolVersion::V1_0,
            _ => ProtocolVersion::V0_3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ProtocolVersion::*, *};

    #[test]
    fn version_texts() {
        for (text, version) in [
            ("1.0", Some(V1_0)),
            (" 1 ", Some(V1_0)),
            ("v1.0.2", Some(V1_0)),
            ("0.3", Some(V0_3)),
            ("0.3.0", Some(V0_3)),
            ("0.2.5", Some(V0_2)),
            ("2.0", None),
            ("10", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(ProtocolVersion::parse(text), version, "{text}");
        }
    }

    #[test]
    fn cards_announce_versions() {
        // D7: v0.3 when unknown
        let table: [(&str, (bool, bool)); 12] = [
            ("null", (true, false)),
            ("{}", (true, false)),
            ("not json", (true, false)),
            (r#"{"url":"u","protocolVersion":"0.3.0"}"#, (true, false)),
            (r#"{"url":"u","protocolVersion":"1.0"}"#, (false, true)),
            (r#"{"protocolVersion":7}"#, (true, false)),
            (
                r#"{"supportedInterfaces":[{"url":"u","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}"#,
                (false, true),
            ),
            (
                r#"{"supportedInterfaces":[{"url":"u","protocolBinding":"JSONRPC"}]}"#,
                (false, true),
            ),
            (
                r#"{"supportedInterfaces":[{"url":"u","protocolBinding":"GRPC","protocolVersion":"1.0"}]}"#,
                (true, false),
            ),
            (
                r#"{"url":"u","supportedInterfaces":[{"protocolBinding":"JSONRPC","protocolVersion":"1.0"},
                   {"protocolBinding":"JSONRPC","protocolVersion":"0.3"}]}"#,
                (true, true),
            ),
            (r#"{"url":"u","supportedInterfaces":[{"url":"u"}]}"#, (true, false)),
            (
                r#"{"supportedInterfaces":[{"protocolBinding":"JSONRPC","protocolVersion":"2.0"}]}"#,
                (true, false),
            ),
        ];
        for (card, (v0_3, v1_0)) in table {
            assert_eq!(
                AnnouncedVersions::of_card(card),
                AnnouncedVersions { v0_3, v1_0 },
                "{card}"
            );
        }
    }

    #[test]
    fn prefers_the_callers_own_form() {
        let both = AnnouncedVersions { v0_3: true, v1_0: true };
        let new = AnnouncedVersions {
            v0_3: false,
            v1_0: true,
        };
        assert_eq!(both.choose(V1_0), V1_0);
        assert_eq!(both.choose(V0_2), V0_3);
        assert_eq!(new.choose(V0_3), V1_0);
        assert_eq!(AnnouncedVersions::default().choose(V1_0), V0_3);
    }
}
