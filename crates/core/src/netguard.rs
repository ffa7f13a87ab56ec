//! Which addresses an agent URL may lead to (SEC-178, REG-41…44, A2A-62). Pure: resolving names is the platform's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// When a URL is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// At registration.
    Registration,
    /// Right before dialling.
    Dispatch,
}

/// What relaxes the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Hosted deployment: private ranges are the tenant's own network (SEC-170).
    pub saas: bool,
    /// `MOLECULE_ENV` is `dev` or `development`.
    pub dev: bool,
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
    /// The address, or one the name resolves to, lies in a blocked range.
    #[error("url points to a blocked address range ({0})")]
    Blocked(&'static str),
    /// The name did not resolve.
    #[error("url host does not resolve")]
    Unresolvable,
}

/// A URL whose syntax passed; what is left to judge is where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A literal address, already judged.
    Address(IpAddr),
    /// A name whose every address must pass [`judge`].
    Name(String),
    /// `localhost` at registration: accepted by name, without a lookup (REG-43).
    Localhost,
}

/// Parses an agent URL and judges literal hosts. `url` normalises odd IPv4 spellings (`127.1`, decimal, hex) before
/// the check (SEC-171).
///
/// # Errors
/// [`Refusal`], with the reason for the caller.
pub fn parse(text: &str, check: Check, policy: Policy) -> Result<(Url, Target), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    let url = Url::parse(text).map_err(|_| Refusal::Unparseable)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::Scheme);
    }
    let target = match url.host().ok_or(Refusal::NoHost)? {
        Host::Ipv4(ip) => Target::Address(IpAddr::V4(ip)),
        Host::Ipv6(ip) => Target::Address(IpAddr::V6(ip)),
        Host::Domain(name) if check == Check::Registration && name.eq_ignore_ascii_case("localhost") => {
            Target::Localhost
        }
        Host::Domain(name) => Target::Name(name.to_owned()),
    };
    if let Target::Address(ip) = target {
        judge(ip, check, policy)?;
    }
    Ok((url, target))
}

/// Judges one address.
///
/// # Errors
/// [`Refusal::Blocked`] naming the range.
pub fn judge(ip: IpAddr, check: Check, policy: Policy) -> Result<(), Refusal> {
    let ip = match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    let dispatch_dev = check == Check::Dispatch && policy.dev;
    match range(ip) {
        Range::Public => Ok(()),
        Range::Loopback if dispatch_dev => Ok(()),
        Range::Private if policy.saas || dispatch_dev => Ok(()),
        Range::Loopback => Err(Refusal::Blocked("loopback")),
        Range::Private => Err(Refusal::Blocked("private")),
        Range::Never(name) => Err(Refusal::Blocked(name)),
    }
}

enum Range {
    Public,
    Loopback,
    Private,
    Never(&'static str),
}

fn range(ip: IpAddr) -> Range {
    match ip {
        IpAddr::V4(ip) => range_v4(ip),
        IpAddr::V6(ip) => range_v6(ip),
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
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Range::Never("documentation"),
        [a, ..] if a >= 224 => Range::Never("multicast or reserved"),
        _ => Range::Public,
    }
}

fn range_v6(ip: Ipv6Addr) -> Range {
    let [a, b, ..] = ip.segments();
    if ip.is_unspecified() {
        Range::Never("unspecified")
    } else if ip.is_loopback() {
        Range::Loopback
    } else if a & 0xff00 == 0xfd00 {
        Range::Private
    } else if a & 0xfe00 == 0xfc00 {
        Range::Never("unique-local")
    } else if a & 0xffc0 == 0xfe80 {
        Range::Never("link-local")
    } else if a & 0xff00 == 0xff00 {
        Range::Never("multicast or reserved")
    } else if (a, b) == (0x2001, 0x0db8) {
        Range::Never("documentation")
    } else {
        Range::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Policy = Policy {
        saas: false,
        dev: false,
    };
    const SAAS: Policy = Policy { saas: true, dev: false };
    const DEV: Policy = Policy { saas: false, dev: true };

    fn ok(url: &str, check: Check, policy: Policy) -> bool {
        parse(url, check, policy).is_ok()
    }

    #[test]
    fn always_blocked() {
        // REG-41, SEC-178
        for url in [
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://100.64.0.1/",
            "http://192.0.2.1/",
            "http://198.51.100.1/",
            "http://203.0.113.9/",
            "http://224.0.0.1/",
            "http://[ff02::1]/",
            "http://[2001:db8::1]/",
            "http://[fc00::1]/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            for policy in [STRICT, SAAS, DEV] {
                assert!(!ok(url, Check::Registration, policy), "{url} at registration");
                assert!(!ok(url, Check::Dispatch, policy), "{url} at dispatch");
            }
        }
    }

    #[test]
    fn loopback_and_private() {
        // SEC-178
        for url in [
            "http://127.0.0.1:8000",
            "http://[::1]:8000",
            "http://127.1:8000",
            "http://2130706433/",
            "http://0x7f.1/",
        ] {
            assert!(!ok(url, Check::Registration, DEV), "{url}");
            assert!(!ok(url, Check::Dispatch, STRICT), "{url}");
            assert!(ok(url, Check::Dispatch, DEV), "{url}");
        }
        for url in [
            "http://10.1.2.3",
            "http://172.16.0.1",
            "http://172.31.255.255",
            "http://192.168.1.1",
            "http://[fd00::1]",
        ] {
            assert!(!ok(url, Check::Registration, STRICT), "{url}");
            assert!(!ok(url, Check::Registration, DEV), "{url}");
            assert!(ok(url, Check::Registration, SAAS), "{url}");
            assert!(ok(url, Check::Dispatch, SAAS), "{url}");
            assert!(ok(url, Check::Dispatch, DEV), "{url}");
        }
        assert!(ok("http://172.32.0.1", Check::Registration, STRICT));
    }

    #[test]
    fn syntax() {
        // REG-40, SEC-172
        let refusal = |url| parse(url, Check::Registration, STRICT).unwrap_err();
        assert_eq!(refusal(""), Refusal::Empty);
        assert_eq!(refusal("remote://no-inbound"), Refusal::Scheme);
        assert_eq!(refusal("file:///etc/passwd"), Refusal::Scheme);
        assert_eq!(refusal("not a url"), Refusal::Unparseable);
        assert_eq!(
            parse("http://localhost:9", Check::Registration, STRICT).unwrap().1,
            Target::Localhost
        );
        assert_eq!(
            parse("http://localhost:9", Check::Dispatch, STRICT).unwrap().1,
            Target::Name("localhost".into())
        );
    }
}
