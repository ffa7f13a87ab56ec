//! Texts to values. Errors say what was expected and leave out what was given: the reader adds that unless it is secret.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use molecule_api::IpNet;
use molecule_core::Runtime;
use url::Url;

pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::from([127, 0, 0, 1]));
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .map_err(|_| "expected an IP address such as 127.0.0.1 or ::1".to_owned())
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "expected a port from 0 to 65535".to_owned())
}

/// A positive whole number (*pos* of SEC-220).
pub(super) fn positive(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number above 0".to_owned()),
        Ok(number) => Ok(number),
    }
}

pub(super) fn whole(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "expected a whole number, 0 or more".to_owned())
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    positive(text).map(|number| Duration::from_secs(number.into()))
}

pub(super) fn days(text: &str) -> Result<Duration, String> {
    positive(text).map(|number| Duration::from_secs(u64::from(number) * 86_400))
}

pub(super) fn hours(text: &str) -> Result<Duration, String> {
    positive(text).map(|number| Duration::from_secs(u64::from(number) * 3_600))
}

pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    whole(text).map(|number| Duration::from_millis(number.into()))
}

/// Bytes, given in MiB.
pub(super) fn mebibytes(text: &str, least: usize) -> Result<usize, String> {
    match text.parse::<u32>().map(|number| number as usize) {
        Ok(number) if number >= least => Ok(number << 20),
        _ => Err(format!("expected a whole number of MiB, {least} or more")),
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Names of runtimes that are started here. Unlike in a workspace, an unknown one is nothing else.
pub(super) fn runtimes(text: &str) -> Result<BTreeSet<Runtime>, String> {
    let known = || Runtime::ALL.into_iter().filter(|runtime| *runtime != Runtime::External);
    list(text)
        .iter()
        .map(|name| known().find(|runtime| runtime.as_str() == name))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            let names: Vec<&str> = known().map(Runtime::as_str).collect();
            format!("expected names of runtimes: {}", names.join(", "))
        })
}

/// Origins as browsers send them: scheme, host and port, nothing else.
pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
    list(text)
        .into_iter()
        .map(|entry| match Url::parse(&entry) {
            Ok(url) if url.origin().is_tuple() && matches!(url.path(), "" | "/") && url.query().is_none() => {
                Ok(url.origin().ascii_serialization())
            }
            _ => Err("expected origins such as https://canvas.example.com".to_owned()),
        })
        .collect()
}

/// Networks, or single addresses.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let network = |text: String| {
        let parsed = text
            .parse()
            .or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
        parsed.map_err(|_| "expected addresses or networks such as 10.0.0.0/8".to_owned())
    };
    list(text).into_iter().map(network).collect()
}

pub(super) fn http_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("expected an address such as http://127.0.0.1:8080".to_owned()),
    }
}

pub(super) fn database_url(text: &str) -> Result<String, String> {
    let engine = text.parse::<molecule_db::Engine>();
    match engine {
        Ok(molecule_db::Engine::Sqlite) if text.starts_with("sqlite:///") => Ok(text.to_owned()),
        Ok(molecule_db::Engine::Postgres) if is_postgres(text) => Ok(text.to_owned()),
        _ => Err("expected sqlite:///absolute/path.db or postgres://user:password@host/name".to_owned()),
    }
}

/// A host in its place, or as the parameter `host`, where the path of a Unix socket's directory can stand.
fn is_postgres(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.has_host() || url.query_pairs().any(|(name, _)| name == "host"))
}

/// SEC-130: base64 of 32 bytes, else 32 raw bytes; a 32-character text that decodes to another length is raw.
pub(crate) fn secrets_key(text: &str) -> Result<[u8; 32], String> {
    let decoded = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    decoded
        .or_else(|| text.as_bytes().try_into().ok())
        .ok_or_else(|| "expected the base64 of 32 bytes (openssl rand -base64 32), or 32 characters".to_owned())
}

/// Keys in a row; one that holds a space or a comma is written in base64.
pub(super) fn secrets_keys(text: &str) -> Result<Vec<[u8; 32]>, String> {
    text.split([' ', ','])
        .filter(|key| !key.is_empty())
        .map(secrets_key)
        .collect()
}

/// Resolves `~/` and relative paths; nothing needs to exist.
pub(super) fn path(text: &str, base: &Path, home: Option<&str>) -> Result<PathBuf, String> {
    if let Some(rest) = text.strip_prefix("~/") {
        let home = home.ok_or_else(|| "HOME is not set, so ~ means nothing".to_owned())?;
        return Ok(Path::new(home).join(rest));
    }
    Ok(base.join(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        // SEC-130
        let base64 = STANDARD.encode([7; 32]);
        assert_eq!(secrets_key(&base64), Ok([7; 32]));
        let raw = "abcdefghijklmnopqrstuvwxyzABCDEF"; // valid base64 of 24 bytes
        assert_eq!(secrets_key(raw), Ok(*b"abcdefghijklmnopqrstuvwxyzABCDEF"));
        for bad in ["short", &"x".repeat(33), &STANDARD.encode([7; 31])] {
            let error = secrets_key(bad).unwrap_err();
            assert!(!error.contains(bad), "{error}");
        }
        // D5
        assert_eq!(
            secrets_keys(&format!("{base64}, {raw}")),
            Ok(vec![[7; 32], *b"abcdefghijklmnopqrstuvwxyzABCDEF"])
        );
        assert_eq!(secrets_keys(" "), Ok(Vec::new()));
        assert!(secrets_keys(&format!("{base64},short")).is_err());
    }

    #[test]
    fn values() {
        assert_eq!(ip("[::1]"), Ok("::1".parse().unwrap()));
        assert!(ip("example.com").is_err());
        assert!(port("65536").is_err() && port("-1").is_err());
        for bad in ["0", "-5", "1.5", "ten", "99999999999"] {
            assert!(positive(bad).is_err(), "{bad}");
        }
        assert_eq!(
            origins("https://A.example/, http://localhost:3000"),
            Ok(vec!["https://a.example".into(), "http://localhost:3000".into()])
        );
        assert!(origins("https://a.example/path").is_err() && origins("*").is_err());
        assert_eq!(
            runtimes("exec, native"),
            Ok(BTreeSet::from([Runtime::Exec, Runtime::Native]))
        );
        assert!(runtimes("external").is_err() && runtimes("bash").unwrap_err().contains("claude-code"));
        for bad in ["mysql://x/y", "sqlite://relative.db", "postgres:nohost", "x"] {
            assert!(database_url(bad).is_err(), "{bad}");
        }
        assert_eq!(
            path("~/x", Path::new("/base"), Some("/home/u")),
            Ok(PathBuf::from("/home/u/x"))
        );
        assert_eq!(path("x", Path::new("/base"), None), Ok(PathBuf::from("/base/x")));
        assert!(path("~/x", Path::new("/base"), None).is_err());
    }
}
