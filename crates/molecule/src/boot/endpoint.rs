//! `server/endpoint.json`: where the running server answers, for the CLI on the same machine.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{BootError, DataDir, data_dir::replace_file};

const FILE: &str = "endpoint.json";

/// Where a server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Base address, reachable from this machine.
    pub url: String,
    /// The server's process.
    pub pid: u32,
    /// The server's version.
    pub version: String,
}

impl Endpoint {
    /// Of a server that listens on this address. A wildcard address is reached over the loopback.
    #[must_use]
    pub fn of(listening: SocketAddr) -> Self {
        let ip = match listening.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self {
            url: format!("http://{}", SocketAddr::new(ip, listening.port())),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// What the last server of a data directory wrote. It may be gone by now.
    #[must_use]
    pub fn read(dir: &DataDir) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(dir.server_file(FILE)).ok()?).ok()
    }
}

/// The written file; [`EndpointFile::remove`] takes it away when the server stops in order.
#[derive(Debug)]
pub struct EndpointFile {
    path: PathBuf,
}

impl EndpointFile {
    /// Writes the file. Call it once the socket listens.
    ///
    /// # Errors
    /// [`BootError::File`].
    pub fn write(dir: &DataDir, endpoint: &Endpoint) -> Result<Self, BootError> {
        let path = dir.server_file(FILE);
        let text = serde_json::to_string(endpoint).map_err(|error| BootError::file(&path, error.to_string()))?;
        replace_file(&path, text.as_bytes())?;
        Ok(Self { path })
    }

    /// Removes the file.
    ///
    /// # Errors
    /// [`BootError::File`].
    pub fn remove(self) -> Result<(), BootError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BootError::file(self.path, error.to_string())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_reached_over_the_loopback() {
        let url = |text: &str| Endpoint::of(text.parse().unwrap()).url;
        assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
        assert_eq!(url("10.0.0.7:80"), "http://10.0.0.7:80");
    }

    #[test]
    fn written_read_removed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        assert_eq!(Endpoint::read(&dir), None);
        let endpoint = Endpoint::of("127.0.0.1:1".parse().unwrap());
        let file = EndpointFile::write(&dir, &endpoint).unwrap();
        assert_eq!(Endpoint::read(&dir), Some(endpoint));
        file.remove().unwrap();
        assert_eq!(Endpoint::read(&dir), None);
    }
}
