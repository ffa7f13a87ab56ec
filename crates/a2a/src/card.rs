//! Agent cards as the platform serves them: opaque, except that every address in them is the platform's (D7, D16,
//! A2A-191).

use crate::{
    raw::{self, RawObject},
    version::ProtocolVersion,
};

/// Where a card is served, below an agent's base address.
pub const CARD_PATH: &str = "/.well-known/agent-card.json";
/// Where older clients look for it.
pub const LEGACY_CARD_PATH: &str = "/.well-known/agent.json";

/// The one transport that the platform serves.
const JSONRPC: &str = "JSONRPC";

/// What a card that lacks them says of its agent; clients refuse cards without these.
#[derive(Debug, Clone, Copy)]
pub struct Fallback<'a> {
    /// The agent's name.
    pub name: &'a str,
    /// What the agent is for.
    pub description: &'a str,
}

/// The card with each interface pointing at `address`, where the platform answers in every version over JSON-RPC.
///
/// Interfaces of other transports go, because nobody answers them there; so do `signatures`, which no longer hold.
/// Members that clients demand are filled in where absent. A card that is no JSON object counts as an empty one.
#[must_use]
pub fn rewrite(card: &str, address: &str, fallback: Fallback<'_>) -> String {
    let mut card = RawObject::parse(card).unwrap_or_default();
    let url = raw::quote(address);
    let supported = supported_interfaces(card.get("supportedInterfaces").unwrap_or("[]"), &url);
    let additional = card
        .get("additionalInterfaces")
        .and_then(|list| additional_interfaces(list, &url));

    card.remove("signatures");
    card.set("url", url);
    card.set("preferredTransport", raw::quote(JSONRPC));
    card.set("protocolVersion", raw::quote("0.3.0"));
    card.set("supportedInterfaces", supported);
    match additional {
        Some(list) => card.set("additionalInterfaces", list),
        None => drop(card.remove("additionalInterfaces")),
    }
    let text_modes = r#"["text/plain"]"#.to_owned();
    for (name, value) in [
        ("name", raw::quote(fallback.name)),
        ("description", raw::quote(fallback.description)),
        ("version", raw::quote("0")),
        ("capabilities", "{}".to_owned()),
        ("defaultInputModes", text_modes.clone()),
        ("defaultOutputModes", text_modes),
        ("skills", "[]".to_owned()),
    ] {
        if card.get_some(name).is_none() {
            card.set(name, value);
        }
    }
    card.to_json()
}

/// The JSON-RPC interfaces of a v1.0 list, with one for each version that the agent does not serve itself: the platform
/// translates.
fn supported_interfaces(list: &str, url: &str) -> String {
    let mut seen = Vec::new();
    let mut interfaces = Vec::new();
    for interface in jsonrpc_interfaces(list, "protocolBinding") {
        let version = interface.get("protocolVersion").and_then(raw::decode_str);
        seen.extend(
            version
                .as_deref()
                .and_then(ProtocolVersion::parse)
                .map(ProtocolVersion::wire),
        );
        interfaces.push(point_at(interface.clone(), url));
    }
    for version in [ProtocolVersion::V1_0, ProtocolVersion::V0_3] {
        if !seen.contains(&version) {
            let version = version.header();
            interfaces.push(format!(
                r#"{{"url":{url},"protocolBinding":"{JSONRPC}","protocolVersion":"{version}"}}"#
            ));
        }
    }
    format!("[{}]", interfaces.join(","))
}

/// The JSON-RPC interfaces of a v0.3 list; `None` if none is left.
fn additional_interfaces(list: &str, url: &str) -> Option<String> {
    let interfaces: Vec<_> = jsonrpc_interfaces(list, "transport")
        .into_iter()
        .map(|interface| point_at(interface, url))
        .collect();
    (!interfaces.is_empty()).then(|| format!("[{}]", interfaces.join(",")))
}

fn jsonrpc_interfaces<'l>(list: &'l str, transport: &str) -> Vec<RawObject<'l>> {
    let interfaces = raw::elements(list)
        .unwrap_or_default()
        .into_iter()
        .filter_map(RawObject::parse);
    interfaces
        .filter(|interface| {
            let name = interface.get_some(transport).and_then(raw::decode_str);
            name.is_none_or(|name| name.eq_ignore_ascii_case(JSONRPC))
        })
        .collect()
}

fn point_at(mut interface: RawObject<'_>, url: &str) -> String {
    interface.set("url", url.to_owned());
    interface.to_json()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::AnnouncedVersions;

    const ADDRESS: &str = "https://p.example/workspaces/w/a2a/rpc";
    const FALLBACK: Fallback<'_> = Fallback {
        name: "Worker",
        description: "Does \"work\"",
    };

    fn rewritten(card: &str) -> Value {
        serde_json::from_str(&rewrite(card, ADDRESS, FALLBACK)).unwrap()
    }

    /// Every `url` of an interface in the card.
    fn addresses(card: &Value) -> Vec<&str> {
        let lists = ["supportedInterfaces", "additionalInterfaces"];
        let interfaces = lists.iter().filter_map(|name| card[name].as_array()).flatten();
        interfaces
            .chain([card])
            .map(|holder| holder["url"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn every_interface_points_at_the_platform() {
        // D7
        let card = rewritten(
            r#"{"name":"A","url":"http://10.0.0.5:8000","preferredTransport":"GRPC","protocolVersion":"0.3.0",
                "additionalInterfaces":[{"url":"http://10.0.0.5:8000/rpc","transport":"JSONRPC"},
                                        {"url":"grpc://10.0.0.5:9","transport":"GRPC"}],
                "supportedInterfaces":[{"url":"http://10.0.0.5/v1","protocolBinding":"jsonrpc","protocolVersion":"1.0","tenant":"t"},
                                       {"url":"http://10.0.0.5/rest","protocolBinding":"HTTP+JSON","protocolVersion":"1.0"}],
                "signatures":[{"protected":"x","signature":"y"}],
                "provider":{"url":"https://vendor.example","organization":"V"}}"#,
        );
        assert!(addresses(&card).iter().all(|address| *address == ADDRESS), "{card}");
        assert!(!card.to_string().contains("10.0.0.5"));
        assert_eq!(card["preferredTransport"], "JSONRPC");
        assert_eq!(card["additionalInterfaces"].as_array().unwrap().len(), 1);
        assert_eq!(card["supportedInterfaces"][0]["tenant"], "t");
        assert_eq!(card["supportedInterfaces"].as_array().unwrap().len(), 2);
        assert!(card.get("signatures").is_none());
        assert_eq!(card["provider"]["url"], "https://vendor.example");
    }

    #[test]
    fn announces_both_versions_to_clients() {
        // D7: any standard client can talk to any workspace
        let card = rewrite("{}", ADDRESS, FALLBACK);
        for caller in [ProtocolVersion::V0_3, ProtocolVersion::V1_0] {
            assert_eq!(AnnouncedVersions::of_card(&card).choose(caller), caller);
        }
    }

    #[test]
    fn fills_in_what_clients_demand() {
        for card in ["null", "[]", "\"x\"", "", "{}", r#"{"name":null}"#] {
            let card = rewritten(card);
            assert_eq!(card["name"], "Worker");
            assert_eq!(card["description"], "Does \"work\"");
            assert_eq!(card["skills"], json!([]));
            assert_eq!(card["url"], ADDRESS);
        }
    }

    #[test]
    fn everything_else_is_opaque() {
        let card = rewrite(
            r#"{"zeta":12345678901234567890123,"name":"A\u00e9","capabilities":{"streaming": true},"skills":[{"id":"s"}]}"#,
            ADDRESS,
            FALLBACK,
        );
        assert!(card.starts_with(
            r#"{"zeta":12345678901234567890123,"name":"A\u00e9","capabilities":{"streaming": true},"skills":[{"id":"s"}],"#
        ));
    }
}
