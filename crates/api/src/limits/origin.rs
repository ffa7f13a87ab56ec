//! Which pages may call (SEC-202, SEC-203), and what counts as this machine (D2).

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::Request;
use http::{HeaderMap, HeaderValue, Method, header};
use molecule_platform::config::AuthMode;

/// Origins allowed in open mode when the operator lists none (SEC-202).
const DEVELOPMENT: [&str; 2] = ["http://localhost:3000", "http://localhost:3001"];

/// What the `Origin` of a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No other page is involved.
    SameOrigin,
    /// A listed page; it is told that it may read the answer.
    Listed(HeaderValue),
    /// Another page.
    Refused,
}

/// The list of origins. It also decides about sockets: a foreign page is refused before the upgrade, which is stricter
/// than SEC-203 asks for when the list is unset (D2).
#[derive(Debug)]
pub(crate) struct Origins {
    listed: Vec<String>,
    /// Origin of the configured external address, which a proxy may hide from `Host`.
    own: Option<String>,
}

impl Origins {
    pub(crate) fn new(mode: AuthMode, listed: Option<&[String]>, external_url: Option<&str>) -> Self {
        let listed = match (listed, mode) {
            (Some(listed), _) => {
                let entries = listed.iter().map(|entry| entry.trim().trim_end_matches('/'));
                entries.filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
            }
            (None, AuthMode::Required) => Vec::new(),
            (None, AuthMode::Open) => DEVELOPMENT.map(str::to_owned).to_vec(),
        };
        Self {
            listed,
            own: external_url.and_then(origin_of),
        }
    }

    /// Judges a request by its `Origin`. Scheme and host are compared without regard to case.
    pub(crate) fn judge(&self, headers: &HeaderMap) -> Verdict {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Verdict::SameOrigin;
        };
        let Ok(text) = origin.to_str() else {
            return Verdict::Refused;
        };
        if self.is_own(text, headers) {
            Verdict::SameOrigin
        } else if self.listed.iter().any(|listed| listed.eq_ignore_ascii_case(text)) {
            Verdict::Listed(origin.clone())
        } else {
            Verdict::Refused
        }
    }

    /// The request was made by a page of this server: `Origin`, else `Referer` (SEC-58).
    pub(crate) fn is_own_page(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match (text(header::ORIGIN), text(header::REFERER)) {
            (Some(origin), _) => self.is_own(origin, headers),
            (None, Some(referer)) => origin_of(referer).is_some_and(|origin| self.is_own(&origin, headers)),
            (None, None) => false,
        }
    }

    /// A page of another origin asks, as far as the browser tells: by `Sec-Fetch-Site`, or by `Origin` or `Referer`.
    pub(crate) fn is_foreign_page(&self, headers: &HeaderMap) -> bool {
        let names_page = headers.contains_key(header::ORIGIN) || headers.contains_key(header::REFERER);
        !is_fetched_from_here(headers) || (names_page && !self.is_own_page(headers))
    }

    fn is_own(&self, origin: &str, headers: &HeaderMap) -> bool {
        is_host_of(origin, headers) || self.own.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(origin))
    }
}

/// Is this `http(s)://<Host>`?
fn is_host_of(origin: &str, headers: &HeaderMap) -> bool {
    let Some(host) = host(headers) else { return false };
    let bare = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    !host.is_empty() && bare.is_some_and(|bare| bare.eq_ignore_ascii_case(host))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// Scheme and authority of an `http(s)` URL. The slash after the authority matters: `https://host.evil.com` is not
/// `https://host` (SEC-30).
fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let plausible = matches!(scheme, "http" | "https") && !authority.is_empty() && !authority.contains('@');
    plausible.then(|| format!("{scheme}://{authority}"))
}

/// What a browser says of the page that asks: our own, or none (an address that was typed in).
const FROM_HERE: [&str; 2] = ["same-origin", "none"];
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Was the request made by no other page? Browsers tell on every request, also where there is no `Origin`: an image, a
/// link, a form that is sent by GET. `same-site` is another page too: cookies ignore ports, and so does "site", so that
/// every development server on localhost is of our site.
fn is_fetched_from_here(headers: &HeaderMap) -> bool {
    let sites = headers.get_all(SEC_FETCH_SITE).iter();
    sites.into_iter().all(|site| FROM_HERE.iter().any(|here| site == here))
}

/// Does the request come from this machine and mean it (D2)? Its peer is loopback, its `Host` is a loopback name, which
/// a rebound DNS name is not, its `Origin`, if any, is the server's own, and its browser, if any, names no other page.
pub(crate) fn is_local(peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
    let from_here = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
    let named = host(headers).is_some_and(is_loopback_name);
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str());
    let own = is_fetched_from_here(headers);
    from_here && named && own && origin.is_none_or(|origin| origin.is_ok_and(|origin| is_host_of(origin, headers)))
}

/// `localhost`, 127/8 or `[::1]`, with or without a port.
fn is_loopback_name(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix("[::1]") {
        return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    }
    let (name, port) = host
        .split_once(':')
        .map_or((host, None), |(name, port)| (name, Some(port)));
    let local = name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback());
    local && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// A question about methods and headers; it never reaches a handler (SEC-202).
pub(crate) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        list.iter().map(pair).collect()
    }

    #[test]
    fn own_pages_are_not_cross_origin() {
        // SEC-202
        let origins = Origins::new(AuthMode::Required, None, Some("https://molecule.example/base/"));
        let judge = |origin: &str| origins.judge(&headers(&[("host", "m.local:8080"), ("origin", origin)]));
        assert_eq!(
            origins.judge(&headers(&[("host", "m.local:8080")])),
            Verdict::SameOrigin
        );
        for own in [
            "http://m.local:8080",
            "https://m.local:8080",
            "http://M.local:8080",
            "https://molecule.example",
        ] {
            assert_eq!(judge(own), Verdict::SameOrigin, "{own}");
        }
        for foreign in [
            "http://m.local:8080.evil.com",
            "http://m.local",
            "http://m.local:80801",
            "null",
            "ftp://m.local:8080",
            "http://localhost:3000",
            "",
        ] {
            assert_eq!(judge(foreign), Verdict::Refused, "{foreign}");
        }
        assert_eq!(
            origins.judge(&headers(&[("origin", "http://")])),
            Verdict::Refused,
            "no host, no own origin"
        );
    }

    #[test]
    fn the_list_replaces_the_default() {
        // SEC-202, D2
        let listed = [
            " https://a.example ".to_owned(),
            "https://b.example/".to_owned(),
            String::new(),
        ];
        let origins = Origins::new(AuthMode::Open, Some(&listed), None);
        let judge = |origin: &str| origins.judge(&headers(&[("host", "x"), ("origin", origin)]));
        assert!(matches!(judge("https://a.example"), Verdict::Listed(_)));
        assert!(matches!(judge("https://B.example"), Verdict::Listed(_)));
        assert_eq!(judge("http://localhost:3000"), Verdict::Refused);
        let open = Origins::new(AuthMode::Open, None, None);
        let local = headers(&[("host", "x"), ("origin", "http://localhost:3001")]);
        assert!(matches!(open.judge(&local), Verdict::Listed(_)));
        assert_eq!(
            Origins::new(AuthMode::Required, None, None).judge(&local),
            Verdict::Refused
        );
    }

    #[test]
    fn own_page_by_origin_or_referer() {
        // SEC-30, SEC-58
        let origins = Origins::new(AuthMode::Required, None, None);
        let own = |list| origins.is_own_page(&headers(list));
        assert!(own(&[("host", "h:1"), ("origin", "https://h:1")]));
        assert!(own(&[("host", "h:1"), ("referer", "http://h:1/x?y#z")]));
        assert!(own(&[("host", "h:1"), ("referer", "http://h:1")]));
        assert!(!own(&[("host", "h:1"), ("referer", "http://h:1.evil.com/")]));
        assert!(!own(&[("host", "h:1"), ("referer", "http://u@h:1/")]));
        assert!(
            !own(&[("host", "h:1"), ("origin", "http://e"), ("referer", "http://h:1/")]),
            "Origin decides"
        );
        assert!(!own(&[("host", "h:1")]));
    }

    #[test]
    fn foreign_pages_by_what_the_browser_says() {
        // D2
        let origins = Origins::new(AuthMode::Open, None, None);
        let foreign = |list| origins.is_foreign_page(&headers(list));
        assert!(!foreign(&[("host", "h:1")]), "no browser");
        assert!(!foreign(&[("host", "h:1"), ("sec-fetch-site", "none")]));
        assert!(!foreign(&[
            ("host", "h:1"),
            ("sec-fetch-site", "same-origin"),
            ("referer", "http://h:1/x")
        ]));
        assert!(foreign(&[("host", "h:1"), ("sec-fetch-site", "same-site")]));
        assert!(foreign(&[("host", "h:1"), ("sec-fetch-site", "cross-site")]));
        assert!(
            foreign(&[("host", "h:1"), ("referer", "http://h:2/x")]),
            "a browser that says no more"
        );
        assert!(foreign(&[
            ("host", "h:1"),
            ("origin", "http://e"),
            ("sec-fetch-site", "none")
        ]));
    }

    #[test]
    fn local_means_peer_host_and_origin() {
        // D2
        let loopback = Some(IpAddr::from([127, 0, 0, 1]));
        let host = |host| headers(&[("host", host)]);
        for name in [
            "localhost",
            "localhost:8080",
            "LOCALHOST:1",
            "127.0.0.1:9",
            "127.9.9.9",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_local(loopback, &host(name)), "{name}");
        }
        assert!(is_local("::ffff:127.0.0.1".parse().ok(), &host("localhost")));
        for name in [
            "evil.com",
            "localhost.evil.com",
            "10.0.0.1",
            "[::1].evil.com",
            "localhost:x",
            "",
            "[::2]",
        ] {
            assert!(!is_local(loopback, &host(name)), "{name}");
        }
        assert!(!is_local(Some(IpAddr::from([10, 0, 0, 1])), &host("localhost")));
        assert!(!is_local(None, &host("localhost")));
        assert!(!is_local(loopback, &HeaderMap::new()));
        let with = |origin| headers(&[("host", "localhost:8080"), ("origin", origin)]);
        assert!(is_local(loopback, &with("http://localhost:8080")));
        assert!(
            !is_local(loopback, &with("http://localhost:3000")),
            "listed pages are not this server"
        );
        assert!(!is_local(loopback, &with("null")));
        let fetched = |site| headers(&[("host", "localhost:8080"), ("sec-fetch-site", site)]);
        for own in ["same-origin", "none"] {
            assert!(is_local(loopback, &fetched(own)), "{own}");
        }
        for other in ["cross-site", "same-site", "Same-Origin", "", "none, none"] {
            assert!(!is_local(loopback, &fetched(other)), "{other}");
        }
        let mut twice = fetched("same-origin");
        twice.append("sec-fetch-site", HeaderValue::from_static("cross-site"));
        assert!(!is_local(loopback, &twice));
    }
}
