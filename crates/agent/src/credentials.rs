//! The agent's two secrets: its own token towards the platform, and the one the platform presents to it.

use std::{
    io,
    path::{Path, PathBuf},
};

use molecule_core::{
    contract::file,
    credential::{parse_bearer, secrets_equal},
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

use crate::fsio;

/// The workspace's own token: file first, `MOLECULE_WORKSPACE_TOKEN` when the file is absent (D3).
pub struct TokenStore {
    file: PathBuf,
    fallback: Option<SecretString>,
    cached: Mutex<Option<SecretString>>,
}

impl TokenStore {
    /// A store in `dir`.
    #[must_use]
    pub fn new(dir: &Path, fallback: Option<SecretString>) -> Self {
        Self {
            file: dir.join(file::AUTH_TOKEN),
            fallback,
            cached: Mutex::new(None),
        }
    }

    /// The token in force, from memory when it was read before (RUN-4).
    pub fn current(&self) -> Option<SecretString> {
        let mut cached = self.cached.lock();
        if cached.is_none() {
            *cached = self.read();
        }
        cached.clone()
    }

    /// Drops the cached value and reads again. `true` if it differs now: worth another try after a 401 (RUN-4).
    pub fn reload(&self) -> bool {
        let mut cached = self.cached.lock();
        let fresh = self.read();
        let changed = match (&*cached, &fresh) {
            (Some(old), Some(new)) => old.expose_secret() != new.expose_secret(),
            (None, None) => false,
            _ => true,
        };
        *cached = fresh;
        changed
    }

    /// Stores a token that register returned. An empty one is refused, an identical one not written again (RUN-3).
    ///
    /// # Errors
    /// The file could not be written; the token is in force for this process all the same.
    pub fn save(&self, token: &str) -> io::Result<()> {
        let token = token.trim();
        if token.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty token is refused"));
        }
        *self.cached.lock() = Some(SecretString::from(token));
        if self.on_disk().is_some_and(|stored| stored.expose_secret() == token) {
            return Ok(());
        }
        fsio::write_private(&self.file, token.as_bytes())
    }

    fn read(&self) -> Option<SecretString> {
        self.on_disk().or_else(|| self.fallback.clone())
    }

    /// An empty or whitespace file is no token.
    fn on_disk(&self) -> Option<SecretString> {
        match fsio::read_optional(&self.file) {
            Ok(text) => text
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .map(SecretString::from),
            Err(error) => {
                tracing::warn!(file = %self.file.display(), %error, "the token file cannot be read");
                None
            }
        }
    }
}

/// The secret that the platform must present. Read from disk at each use, so that neither rotation nor a second
/// writer can leave a stale copy in force.
pub struct InboundSecret {
    file: PathBuf,
}

impl InboundSecret {
    /// The secret kept in `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            file: dir.join(file::INBOUND_SECRET),
        }
    }

    /// Does an `Authorization` value carry the secret? A missing, empty or unreadable file admits nobody (RUN-58).
    #[must_use]
    pub fn admits(&self, authorization: Option<&str>) -> bool {
        let expected = match fsio::read_optional(&self.file) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => {
                tracing::error!(file = %self.file.display(), %error, "the inbound secret cannot be read; refusing all callers");
                return false;
            }
        };
        let Some(presented) = authorization.and_then(parse_bearer) else {
            return false;
        };
        secrets_equal(expected.trim(), presented)
    }

    /// Stores what register or a heartbeat carried; an empty value changes nothing (RUN-5). Failure is logged and
    /// mended by the next beat, because liveness outranks the secret (MCP-49).
    pub fn save(&self, secret: &str) {
        let secret = secret.trim();
        if secret.is_empty() {
            return;
        }
        if matches!(fsio::read_optional(&self.file), Ok(Some(stored)) if stored.trim() == secret) {
            return;
        }
        if let Err(error) = fsio::write_private(&self.file, secret.as_bytes()) {
            tracing::warn!(file = %self.file.display(), %error, "the inbound secret could not be stored; the next beat tries again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_file_beats_the_environment() {
        // RUN-3, D3
        let dir = tempfile::tempdir().unwrap();
        let store = TokenStore::new(dir.path(), Some("from-env".into()));
        assert_eq!(store.current().unwrap().expose_secret(), "from-env");
        std::fs::write(dir.path().join(file::AUTH_TOKEN), " \n").unwrap();
        assert!(!store.reload(), "a blank file is no token");
        std::fs::write(dir.path().join(file::AUTH_TOKEN), "from-file\n").unwrap();
        assert_eq!(store.current().unwrap().expose_secret(), "from-env", "cached");
        assert!(store.reload()); // RUN-4
        assert_eq!(store.current().unwrap().expose_secret(), "from-file");
    }

    #[test]
    fn saving_refuses_empty_and_skips_identical() {
        // RUN-3
        let dir = tempfile::tempdir().unwrap();
        let store = TokenStore::new(dir.path(), None);
        assert!(store.save("  ").is_err());
        store.save("abc").unwrap();
        let before = std::fs::metadata(dir.path().join(file::AUTH_TOKEN)).unwrap();
        store.save("abc\n").unwrap();
        let after = std::fs::metadata(dir.path().join(file::AUTH_TOKEN)).unwrap();
        assert_eq!(
            std::os::unix::fs::MetadataExt::ino(&before),
            std::os::unix::fs::MetadataExt::ino(&after)
        );
    }

    #[test]
    fn inbound_secret_fails_closed() {
        // RUN-58
        let dir = tempfile::tempdir().unwrap();
        let secret = InboundSecret::new(dir.path());
        assert!(!secret.admits(Some("Bearer x")), "no file");
        std::fs::write(dir.path().join(file::INBOUND_SECRET), "  ").unwrap();
        assert!(!secret.admits(Some("Bearer ")), "empty file");
        assert!(!secret.admits(Some("Bearer x")));
        secret.save("s3cret");
        secret.save("");
        for wrong in [
            None,
            Some("s3cret"),
            Some("bearer s3cret"),
            Some("Bearer s3cre"),
            Some("Bearer s3cret2"),
        ] {
            assert!(!secret.admits(wrong), "{wrong:?}");
        }
        assert!(secret.admits(Some("Bearer s3cret")));
        secret.save("rotated");
        assert!(!secret.admits(Some("Bearer s3cret")));
        assert!(secret.admits(Some("Bearer rotated")));
    }
}
