//! What a proxy may say (D28): whom a request comes from and what it was addressed to, if the peer is a proxy that the
//! operator trusts. Anybody else's word on it counts for nothing.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// Hops that are looked through; more of them are somebody's invention.
const HOPS: usize = 32;

/// The proxies that are trusted.
#[derive(Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(crate) fn new(trusted: &[IpNet]) -> Self {
        Self(trusted.to_vec())
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|net| net.contains(&peer))
    }

    /// Whom a request comes from: the peer, or whom a chain of trusted proxies names.
    pub(crate) fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?;
        for hop in hops(headers).into_iter().rev().take(HOPS) {
            if !self.trusts(client) {
                break;
            }
            // A hop that names no address hides whoever is behind it.
            client = hop?;
        }
        Some(client)
    }

    /// Scheme and host that a trusted peer was asked for.
    pub(crate) fn asked_for<'a>(&self, peer: Option<IpAddr>, headers: &'a HeaderMap) -> Asked<'a> {
        if !peer.is_some_and(|peer| self.trusts(peer)) {
            return Asked::default();
        }
        // The outermost proxy comes first.
        let first = |name: &str| {
            let text = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
            (!text.is_empty()).then_some(text)
        };
        Asked {
            https: first("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: first("x-forwarded-host"),
            prefix: first("x-forwarded-prefix").filter(|prefix| prefix.starts_with('/')),
        }
    }

    /// Did a request pass a proxy that is not trusted, as far as it tells? In open mode it is not of this machine then.
    pub(crate) fn is_proxied(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
        !peer.is_some_and(|peer| self.trusts(peer)) && headers.keys().any(tells_of_a_proxy)
    }
}

/// What a request was addressed to, as far as a trusted proxy says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub(crate) https: bool,
    pub(crate) host: Option<&'a str>,
    /// Path under which the proxy serves us.
    pub(crate) prefix: Option<&'a str>,
}

fn tells_of_a_proxy(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
}

/// The chain of clients, outermost first. `X-Forwarded-For` before `Forwarded` before `X-Real-IP`: a proxy that sets
/// several means the same by them.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let list = |name: &str| -> Vec<&str> {
        let values = headers.get_all(name).iter();
        // What is no text is a hop that names nobody.
        values
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .collect()
    };
    let forwarded_for = list("x-forwarded-for");
    if !forwarded_for.is_empty() {
        return forwarded_for.into_iter().map(address).collect();
    }
    let forwarded = list("forwarded");
    if !forwarded.is_empty() {
        let named = |hop: &str| {
            let pairs = hop.split(';').filter_map(|pair| pair.split_once('='));
            let of = pairs
                .into_iter()
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
            of.and_then(|(_, node)| address(node.trim().trim_matches('"')))
        };
        return forwarded.into_iter().map(named).collect();
    }
    list("x-real-ip").into_iter().map(address).collect()
}

/// An address with or without port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split(']').next()?.parse().ok();
    }
    let whole = text.parse().ok();
    whole.or_else(|| text.rsplit_once(':').and_then(|(address, _)| address.parse().ok()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies() -> Proxies {
        Proxies::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()])
    }

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_client_is_whom_trusted_proxies_name() {
        // D28, SEC-204
        let client = |peer: &str, list| {
            let client = proxies().client(peer.parse().ok(), &headers(list));
            client.map(|client| client.to_string()).unwrap_or_default()
        };
        let spoofed: &[_] = &[("x-forwarded-for", "127.0.0.1, 203.0.113.9")];
        assert_eq!(client("192.0.2.1", spoofed), "192.0.2.1", "nobody's proxy");
        assert_eq!(
            client("10.0.0.1", spoofed),
            "203.0.113.9",
            "what is before that may be anything"
        );
        assert_eq!(client("::ffff:10.0.0.1", spoofed), "203.0.113.9");
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "203.0.113.9, 10.9.9.9")]),
            "203.0.113.9"
        );
        assert_eq!(
            client(
                "10.0.0.1",
                &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "10.1.1.1")]
            ),
            "203.0.113.9"
        );
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[("x-real-ip", "203.0.113.9")]), "203.0.113.9");
        assert_eq!(
            client("fd00::1", &[("forwarded", "for=\"[2001:db8::1]:4711\";proto=http")]),
            "2001:db8::1"
        );
        assert_eq!(
            client("10.0.0.1", &[("forwarded", "for=203.0.113.9:80, for=10.2.2.2")]),
            "203.0.113.9"
        );
        assert_eq!(client("10.0.0.1", &[("forwarded", "for=_hidden")]), "");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "nobody")]), "");
    }

    #[test]
    fn only_trusted_proxies_say_what_was_asked_for() {
        // D28, LIFE-79
        let list = headers(&[
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "m.example, inner"),
            ("x-forwarded-prefix", "/m"),
        ]);
        let of = |peer: &str| proxies().asked_for(peer.parse().ok(), &list);
        assert_eq!(of("192.0.2.1"), Asked::default());
        let expected = Asked {
            https: true,
            host: Some("m.example"),
            prefix: Some("/m"),
        };
        assert_eq!(of("10.0.0.1"), expected);
    }

    #[test]
    fn a_proxied_request_says_so() {
        // D28
        let local = "127.0.0.1".parse().ok();
        for name in [
            "forwarded",
            "via",
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-anything",
        ] {
            assert!(proxies().is_proxied(local, &headers(&[(name, "x")])), "{name}");
            assert!(
                !proxies().is_proxied("10.0.0.1".parse().ok(), &headers(&[(name, "x")])),
                "{name}"
            );
        }
        assert!(!proxies().is_proxied(local, &headers(&[("host", "localhost")])));
    }
}
