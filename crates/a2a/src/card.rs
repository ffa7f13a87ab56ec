//! Where an agent's card is served, and what it says of where the agent is.

use crate::raw::{self, RawObject};

/// Below an agent's base address.
pub const CARD_PATH: &str = "/.well-known/agent-card.json";
/// Where older clients look for it.
pub const LEGACY_CARD_PATH: &str = "/.well-known/agent.json";

/// Members that list interfaces, each with an address of its own.
const INTERFACES: [&str; 3] = ["supportedInterfaces", "supported_interfaces", "additionalInterfaces"];

/// The card with `url` for every address in it; all else keeps its text. What is no object comes back as it is.
#[must_use]
pub fn readdressed(card: &str, url: &str) -> String {
    let Some(mut members) = RawObject::parse(card) else {
        return card.to_owned();
    };
    let address = raw::quote(url);
    let of_interface = |interface: &str| {
        let mut interface = RawObject::parse(interface)?;
        interface.collapse(&["url"]);
        interface.update("url", |_| Some(address.clone()));
        Some(interface.to_json())
    };
    // Of a member that is there twice readers take the last one.
    members.collapse(&["url"]);
    members.update("url", |_| Some(address.clone()));
    for list in INTERFACES {
        members.update(list, |interfaces| raw::map_elements(interfaces, of_interface));
    }
    members.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_card_is_replaced_and_nothing_else() {
        let card = r#"{"name":"A","url":"http://127.0.0.1:4/","big":12345678901234567890123,"supportedInterfaces":[{"url":"http://127.0.0.1:4/a2a","protocolBinding":"JSONRPC"},7],"additionalInterfaces":[{"transport":"JSONRPC","url":"http://127.0.0.1:4/"}],"provider":{"url":"https://a.example"}}"#;
        let expected = r#"{"name":"A","url":"http://p/x","big":12345678901234567890123,"supportedInterfaces":[{"url":"http://p/x","protocolBinding":"JSONRPC"},7],"additionalInterfaces":[{"transport":"JSONRPC","url":"http://p/x"}],"provider":{"url":"https://a.example"}}"#;
        assert_eq!(readdressed(card, "http://p/x"), expected);
        for other in [r#"{"name":"A"}"#, "[]", "7", "", r#"{"supportedInterfaces":"none"}"#] {
            assert_eq!(readdressed(other, "http://p/x"), other);
        }
    }
}
