//! Finds the server and the credential.

use std::{env, fs, path::PathBuf};

use anyhow::Context;
use molecule_client::Client;
use secrecy::SecretString;
use url::{Host, Url};

use crate::{
    boot::{ADMIN_TOKEN_FILE, DataDir, Endpoint},
    cli::Global,
    config::default_data_dir,
};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// A variable of the environment, trimmed; empty is unset.
fn variable(name: &str) -> Option<String> {
    env::var(name)
        .ok()
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

/// The data directory named by flag, environment or convention. It need not exist.
#[must_use]
pub fn data_dir(global: &Global) -> Option<DataDir> {
    let (xdg, home) = (variable("XDG_DATA_HOME"), variable("HOME"));
    let convention = || {
        default_data_dir(|name| match name {
            "XDG_DATA_HOME" => xdg.as_deref(),
            _ => home.as_deref(),
        })
    };
    let path = global
        .data_dir
        .clone()
        .or_else(|| variable("MOLECULE_DATA_DIR").map(PathBuf::from))
        .or_else(convention);
    path.map(DataDir::at)
}

/// A client of the server that is meant.
///
/// # Errors
/// The address or credential cannot be used.
pub fn client(global: &Global) -> anyhow::Result<Client> {
    let dir = data_dir(global);
    let endpoint = dir.as_ref().and_then(Endpoint::read);
    let url = global
        .url
        .clone()
        .or_else(|| variable("MOLECULE_URL"))
        .or_else(|| endpoint.as_ref().map(|endpoint| endpoint.url.clone()))
        .unwrap_or_else(|| DEFAULT_URL.to_owned());
    let given = variable("MOLECULE_TOKEN")
        .or_else(|| variable("ADMIN_TOKEN"))
        .map(SecretString::from);
    let token = match (given, &dir) {
        (Some(token), _) => Some(token),
        (None, Some(dir)) if is_ours(&url, endpoint.as_ref()) => token_of(dir)?,
        _ => None,
    };
    Ok(Client::new(&url, token)?)
}

/// The data directory's token is shown only to a server on this machine: another address may belong to anybody.
fn is_ours(url: &str, endpoint: Option<&Endpoint>) -> bool {
    if endpoint.is_some_and(|endpoint| endpoint.url == url.trim_end_matches('/')) {
        return true;
    }
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn token_of(dir: &DataDir) -> anyhow::Result<Option<SecretString>> {
    let path = dir.server().join(ADMIN_TOKEN_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim())
            .filter(|text| !text.is_empty())
            .map(SecretString::from)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // A server of another user, for instance: asking it without a credential would only say 401.
        Err(error) => Err(error).with_context(|| format!("cannot read {}; set MOLECULE_TOKEN instead", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_token_never_goes_elsewhere() {
        let endpoint = Endpoint {
            url: "http://10.0.0.7:8080".into(),
            pid: 1,
            version: String::new(),
        };
        for ours in ["http://127.0.0.1:9", "http://localhost:1/", "http://[::1]:1"] {
            assert!(is_ours(ours, None), "{ours}");
        }
        assert!(is_ours("http://10.0.0.7:8080/", Some(&endpoint)));
        for theirs in [
            "http://10.0.0.7:8080",
            "https://localhost.example.com",
            "https://edge.example",
            "junk",
        ] {
            assert!(!is_ours(theirs, None), "{theirs}");
        }
        assert!(!is_ours("http://10.0.0.8:8080", Some(&endpoint)));
    }
}
