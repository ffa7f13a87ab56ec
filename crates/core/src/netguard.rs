//! Which addresses an agent URL may lead to (SEC-178, REG-41…44, A2A-62). Pure: resolving names is the platform's. One
//! guard with one verdict: what may be registered may be dialled, and the other way round.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// What relaxes the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Hosted deployment: private ranges are the tenant's own network (SEC-170).
    pub saas: bool,
    /// `MOLECULE_ENV` is `dev` or `development`: loopback and private ranges.
    pub dev: bool,
    /// `MOLECULE_AUTH` is `open`: loopback, where everything that calls is anyway (D13).
    pub open: bool,
    /// The port on which the server itself listens. On loopback it is never an agent's.
    pub own_port: Option<u16>,
}

/// Why a URL is refused. The text is shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No URL at all (SEC-172).
    #[error("url is required")]
    Empty,
    /// Not parseable.
    #[error("url is not a valid absolute URL")]
    Unparseable,
    /// Neither http nor https.
    #[error("url scheme must be http or https")]
    Scheme,
    /// No host.
    #[error("url has no host")]
    NoHost,
    /// The address, or one the name resolves to, lies in a range that is never allowed.
    #[error("url points to a blocked address range ({0})")]
    Blocked(&'static str),
    /// The same for a range that a setting of the server opens.
    #[error("url points to a blocked address range ({range}); the server allows it with {setting}")]
    Closed {
        /// The range.
        range: &'static str,
        /// What opens it.
        setting: &'static str,
    },
    /// The server would call itself.
    #[error("url is the platform's own address, not an agent's")]
    Own,
    /// The name did not resolve.
    #[error("url host does not resolve")]
    Unresolvable,
}

/// A URL whose syntax passed; what is left to judge is where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A literal address, or a name that always means this machine; already judged.
    Judged,
    /// A name whose every address must pass [`judge`].
    Name(String),
}

/// Parses an agent URL and judges literal hosts. `url` normalises odd IPv4 spellings (`127.1`, decimal, hex) before
/// the check (SEC-171).
///
/// # Errors
/// [`Refusal`], with the reason for the caller.
pub fn parse(text: &str, policy: Policy) -> Result<(Url, Target), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    let url = Url::parse(text).map_err(|_| Refusal::Unparseable)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::Scheme);
    }
    let port = url.port_or_known_default().unwrap_or_default();
    let literal = match url.host().ok_or(Refusal::NoHost)? {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        // Whatever a resolver makes of it (REG-43).
        Host::Domain(name) if is_localhost(name) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Host::Domain(name) => {
            let name = Target::Name(name.to_owned());
            return Ok((url, name));
        }
    };
    judge(literal, port, policy)?;
    Ok((url, Target::Judged))
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

/// Judges one address and the port on it. An IPv6 address that is only another way to an IPv4 one is judged by that one
/// too (SEC-171).
///
/// # Errors
/// [`Refusal::Blocked`], [`Refusal::Closed`] or [`Refusal::Own`].
pub fn judge(ip: IpAddr, port: u16, policy: Policy) -> Result<(), Refusal> {
    match ip {
        IpAddr::V4(ip) => permit(range_v4(ip), port, policy),
        IpAddr::V6(ip) => {
            permit(range_v6(ip), port, policy)?;
            let mut within = embedded(ip).into_iter().flatten();
            within.try_for_each(|ip| permit(range_v4(ip), port, policy))
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Range {
    Public,
    Loopback,
    Private,
    Never(&'static str),
}

fn permit(range: Range, port: u16, policy: Policy) -> Result<(), Refusal> {
    match range {
        Range::Public => Ok(()),
        Range::Loopback if policy.own_port == Some(port) => Err(Refusal::Own),
        Range::Loopback if policy.dev || policy.open => Ok(()),
        Range::Loopback => Err(Refusal::Closed {
            range: "loopback",
            setting: "MOLECULE_ENV=development or MOLECULE_AUTH=open",
        }),
        Range::Private if policy.saas || policy.dev => Ok(()),
        Range::Private => Err(Refusal::Closed {
            range: "private",
            setting: "MOLECULE_ENV=development or MOLECULE_DEPLOY_MODE=saas",
        }),
        Range::Never(name) => Err(Refusal::Blocked(name)),
    }
}

fn range_v4(ip: Ipv4Addr) -> Range {
    match ip.octets() {
        [0, ..] => Range::Never("unspecified"),
        [127, ..] => Range::Loopback,
        [10, ..] | [192, 168, ..] => Range::Private,
        [172, b, ..] if (16..32).contains(&b) => Range::Private,
        [169, 254, ..] => Range::Never("link-local"),
        [100, b, ..] if (64..128).contains(&b) => Range::Never("carrier-grade NAT"),
        [192, 0, 0, _] => Range::Never("protocol assignments"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Range::Never("documentation"),
        [192, 88, 99, _] => Range::Never("6to4 relays"),
        [198, 18 | 19, ..] => Range::Never("benchmarking"),
        [a, ..] if a >= 224 => Range::Never("multicast or reserved"),
        _ => Range::Public,
    }
}

fn range_v6(ip: Ipv6Addr) -> Range {
    let [a, b, c, d, ..] = ip.segments();
    match (a, b, c, d) {
        _ if ip.is_unspecified() => Range::Never("unspecified"),
        _ if ip.is_loopback() => Range::Loopback,
        _ if a & 0xff00 == 0xfd00 => Range::Private,
        _ if a & 0xfe00 == 0xfc00 => Range::Never("unique-local"),
        _ if a & 0xffc0 == 0xfe80 => Range::Never("link-local"),
        _ if a & 0xffc0 == 0xfec0 => Range::Never("site-local"),
        _ if a & 0xff00 == 0xff00 => Range::Never("multicast or reserved"),
        (0x0100, 0, 0, 0 | 1) => Range::Never("discard-only"),
        // Where in it the IPv4 address stands is the network's own affair.
        (0x0064, 0xff9b, 1, _) => Range::Never("local NAT64"),
        (0x2001, 0x0002, 0, _) => Range::Never("benchmarking"),
        (0x2001, 0x0010..=0x002f, ..) => Range::Never("ORCHID"),
        (0x2001, 0x0db8, ..) | (0x3fff, 0x0000..=0x0fff, ..) => Range::Never("documentation"),
        (0x5f00, ..) => Range::Never("segment routing"),
        _ => Range::Public,
    }
}

/// The IPv4 addresses that packets to this address end up at, or come by.
fn embedded(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let segments @ [_, b, c, d, _, _, y, z] = ip.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Neither is an address of IPv4.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        // Compatible, mapped, translated (RFC 4291, RFC 2765); NAT64 (RFC 6052); ISATAP below any prefix (RFC 5214).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x0064, 0xff9b, 0, 0, 0, 0, ..]
        | [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => [of(y, z), None],
        // 6to4 (RFC 3056).
        [0x2002, ..] => [of(b, c), None],
        // Teredo (RFC 4380): the server, and the client, whose bits are turned over.
        [0x2001, 0, ..] => [of(c, d), of(!y, !z)],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Policy = Policy {
        saas: false,
        dev: false,
        open: false,
        own_port: None,
    };
    const SAAS: Policy = Policy { saas: true, ..STRICT };
    const DEV: Policy = Policy { dev: true, ..STRICT };
    const OPEN: Policy = Policy { open: true, ..STRICT };

    fn ok(url: &str, policy: Policy) -> bool {
        parse(url, policy).is_ok()
    }

    #[test]
    fn always_blocked() {
        // REG-41, SEC-178
        for host in [
            "169.254.169.254",
            "[fe80::1]",
            "0.0.0.0",
            "[::]",
            "100.64.0.1",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "[ff02::1]",
            "[2001:db8::1]",
            "[3fff:fff::1]",
            "[fc00::1]",
            "192.0.0.1",
            "192.0.0.192",
            "198.18.0.1",
            "198.19.255.255",
            "192.88.99.1",
            "[100::1]",
            "[100:0:0:1::1]",
            "[fec0::1]",
            "[feff::1]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[2001:2f::1]",
            "[5f00::1]",
            "[64:ff9b:1::a9fe:a9fe]",
        ] {
            for policy in [STRICT, SAAS, DEV, OPEN] {
                assert!(!ok(&format!("http://{host}:8000/"), policy), "{host} {policy:?}");
            }
        }
        for host in [
            "192.0.1.1",
            "192.1.0.1",
            "198.17.255.255",
            "198.20.0.1",
            "192.88.98.1",
            "[2001:4860::1]",
            "[2606::1]",
        ] {
            assert!(ok(&format!("http://{host}/"), STRICT), "{host}");
        }
    }

    /// An IPv4 address in each of the forms that lead to it.
    fn forms(ip: Ipv4Addr) -> Vec<Ipv6Addr> {
        let [a, b, c, d] = ip.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        [
            [0, 0, 0, 0, 0, 0xffff, high, low],
            [0, 0, 0, 0, 0, 0, high, low],
            [0, 0, 0, 0, 0xffff, 0, high, low],
            [0x64, 0xff9b, 0, 0, 0, 0, high, low],
            [0x2002, high, low, 0, 0, 0, 0, 1],
            [0x2002, high, low, 7, 1, 2, 3, 4],
            [0x2001, 0, high, low, 0, 0, 0xf7f7, 0xf7f7],
            [0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low],
            [0x2606, 1, 2, 3, 0, 0x5efe, high, low],
            [0x2606, 1, 2, 3, 0x0200, 0x5efe, high, low],
        ]
        .map(Ipv6Addr::from)
        .to_vec()
    }

    #[test]
    fn another_form_of_an_ipv4_address_is_judged_by_it() {
        // SEC-171
        for text in [
            "169.254.169.254",
            "127.0.0.1",
            "10.0.0.1",
            "192.168.7.7",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "8.8.8.8",
        ] {
            let ip: Ipv4Addr = text.parse().unwrap();
            for policy in [STRICT, SAAS, DEV, OPEN] {
                let verdict = judge(ip.into(), 80, policy);
                for form in forms(ip) {
                    let url = format!("http://[{form}]/");
                    assert_eq!(
                        judge(form.into(), 80, policy).is_ok(),
                        verdict.is_ok(),
                        "{form} for {ip}, {policy:?}"
                    );
                    assert_eq!(ok(&url, policy), verdict.is_ok(), "{url}");
                }
            }
        }
    }

    #[test]
    fn loopback_and_private() {
        // SEC-178, D13: the same at registration and at the dial, for both are this.
        for url in [
            "http://127.0.0.1:8000",
            "http://[::1]:8000",
            "http://127.1:8000",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://localhost:8000",
            "http://LOCALHOST.:8000",
            "http://agent.localhost:8000",
        ] {
            assert!(!ok(url, STRICT) && !ok(url, SAAS), "{url}");
            assert!(ok(url, DEV) && ok(url, OPEN), "{url}");
        }
        for url in [
            "http://10.1.2.3",
            "http://172.16.0.1",
            "http://172.31.255.255",
            "http://192.168.1.1",
            "http://[fd00::1]",
        ] {
            assert!(!ok(url, STRICT) && !ok(url, OPEN), "{url}");
            assert!(ok(url, SAAS) && ok(url, DEV), "{url}");
        }
        assert!(ok("http://172.32.0.1", STRICT));
        // REG-25: the caller reads which setting it would take.
        let refused = parse("http://localhost:9", STRICT).unwrap_err().to_string();
        assert!(
            refused.contains("(loopback)") && refused.contains("MOLECULE_AUTH=open"),
            "{refused}"
        );
        let refused = parse("http://10.0.0.1", STRICT).unwrap_err().to_string();
        assert!(
            refused.contains("(private)") && refused.contains("MOLECULE_DEPLOY_MODE=saas"),
            "{refused}"
        );
    }

    #[test]
    fn the_server_is_no_agent() {
        // D13
        for policy in [DEV, OPEN] {
            let policy = Policy {
                own_port: Some(8080),
                ..policy
            };
            for url in [
                "http://127.0.0.1:8080/",
                "http://localhost:8080",
                "http://[::1]:8080",
                "http://[::ffff:127.9.9.9]:8080",
            ] {
                assert_eq!(parse(url, policy).unwrap_err(), Refusal::Own, "{url}");
            }
            assert!(ok("http://127.0.0.1:8081/", policy));
            assert!(ok("http://8.8.8.8:8080/", policy), "somebody else's port");
        }
    }

    #[test]
    fn syntax() {
        // REG-40, SEC-172
        let refusal = |url| parse(url, STRICT).unwrap_err();
        assert_eq!(refusal(""), Refusal::Empty);
        assert_eq!(refusal("remote://no-inbound"), Refusal::Scheme);
        assert_eq!(refusal("file:///etc/passwd"), Refusal::Scheme);
        assert_eq!(refusal("not a url"), Refusal::Unparseable);
        let (_, target) = parse("http://localhost.example:9", STRICT).unwrap();
        assert_eq!(target, Target::Name("localhost.example".into()));
    }
}
