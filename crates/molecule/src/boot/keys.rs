//! Keys that are generated once and kept beside the database, readable by this user only (D2, D5).

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use molecule_core::credential::{PlainToken, TOKEN_BYTES};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::{BootError, DataDir};
use crate::config::ServerConfig;

/// File of the generated admin token, below `server/`. The CLI on the same machine reads it.
pub(crate) const ADMIN_TOKEN_FILE: &str = "admin_token";
/// File of the generated key of stored secrets.
pub(crate) const SECRETS_KEY_FILE: &str = "secrets_key";
/// File of the keys that were generated before that one, one a line; they open what they sealed (D5).
pub(super) const RETIRED_KEYS_FILE: &str = "secrets_keys_retired";
/// File of the generated key that seals the audit.
const AUDIT_KEY_FILE: &str = "audit_key";
/// Files that hold keys, below `server/`.
pub(crate) const KEY_FILES: [&str; 4] = [ADMIN_TOKEN_FILE, SECRETS_KEY_FILE, RETIRED_KEYS_FILE, AUDIT_KEY_FILE];

/// The configured admin token, else the one of the data directory, generated at the first boot (D2).
///
/// # Errors
/// [`BootError::File`].
pub fn admin_token(dir: &DataDir, config: &ServerConfig) -> Result<SecretString, BootError> {
    if let Some(token) = &config.admin_token {
        return Ok(token.clone());
    }
    let path = dir.server_file(ADMIN_TOKEN_FILE);
    let token = read_or_create(&path, || new_token(&path))?;
    if token.expose_secret().is_empty() {
        return Err(BootError::file(
            &path,
            "it is empty; delete it to have a new token generated",
        ));
    }
    Ok(token)
}

/// The configured key of stored secrets, else the one of the data directory, generated at the first boot (D5).
///
/// # Errors
/// [`BootError::File`]; a damaged key is never replaced, because stored secrets need it.
pub fn secrets_key(dir: &DataDir, config: &ServerConfig) -> Result<SecretBox<[u8; 32]>, BootError> {
    let loss = "without it the stored secrets cannot be read";
    key_of(config.secrets_key.as_ref(), dir, SECRETS_KEY_FILE, loss)
}

/// The configured key of the audit, else the one of the data directory, generated at the first boot. It is another one
/// than that of the secrets, so that a change of that one leaves the audit's chain whole.
///
/// # Errors
/// [`BootError::File`]; a damaged key is never replaced: what it sealed could not be judged any more.
pub fn audit_key(dir: &DataDir, config: &ServerConfig) -> Result<SecretBox<[u8; 32]>, BootError> {
    let loss = "without it the audit cannot be verified";
    key_of(config.audit_key.as_ref(), dir, AUDIT_KEY_FILE, loss)
}

/// The configured key, else the one of the file, generated if there is none.
fn key_of(
    configured: Option<&SecretBox<[u8; 32]>>,
    dir: &DataDir,
    file: &str,
    loss: &str,
) -> Result<SecretBox<[u8; 32]>, BootError> {
    if let Some(key) = configured {
        return Ok(SecretBox::new(Box::new(*key.expose_secret())));
    }
    let path = dir.server_file(file);
    let text = read_or_create(&path, || new_key(&path))?;
    key_in(&path, text.expose_secret(), loss)
}

/// Keys that only open what they once sealed: the configured ones, and those that were generated before the present one.
///
/// # Errors
/// [`BootError::File`].
pub fn retired_keys(dir: &DataDir, config: &ServerConfig) -> Result<Vec<SecretBox<[u8; 32]>>, BootError> {
    let configured = config.retired_secrets_keys.iter();
    let mut keys: Vec<_> = configured
        .map(|key| SecretBox::new(Box::new(*key.expose_secret())))
        .collect();
    let path = dir.server_file(RETIRED_KEYS_FILE);
    let text = read(&path)?.unwrap_or_default();
    for line in text.expose_secret().lines().filter(|line| !line.trim().is_empty()) {
        keys.push(key_in(
            &path,
            line.trim(),
            "without it stored secrets may not be readable",
        )?);
    }
    Ok(keys)
}

/// Deletes the keys that were generated before the present one. Only once nothing is stored that they sealed.
///
/// # Errors
/// [`BootError::File`].
pub(crate) fn forget_retired_keys(dir: &DataDir) -> Result<bool, BootError> {
    let path = dir.server_file(RETIRED_KEYS_FILE);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(BootError::file(&path, error.to_string())),
    }
}

/// A fresh key, as its file holds it.
pub(super) fn new_key(path: &Path) -> Result<SecretString, BootError> {
    Ok(STANDARD.encode(random::<32>(path)?).into())
}

/// A fresh token.
pub(super) fn new_token(path: &Path) -> Result<SecretString, BootError> {
    Ok(PlainToken::from_random(random::<TOKEN_BYTES>(path)?).into_secret())
}

pub(super) fn key_in(path: &Path, text: &str, loss: &str) -> Result<SecretBox<[u8; 32]>, BootError> {
    crate::config::secrets_key(text)
        .map(|key| SecretBox::new(Box::new(key)))
        .map_err(|_| BootError::file(path, format!("it holds no key; restore it from a backup ({loss})")))
}

/// The same key, if there is one already; nothing is generated.
///
/// # Errors
/// As [`secrets_key`].
pub fn stored_secrets_key(dir: &DataDir, config: &ServerConfig) -> Result<Option<SecretBox<[u8; 32]>>, BootError> {
    if config.secrets_key.is_some() || dir.server_file(SECRETS_KEY_FILE).exists() {
        secrets_key(dir, config).map(Some)
    } else {
        Ok(None)
    }
}

/// Refuses to generate a key where secrets are stored that another one sealed.
///
/// # Errors
/// [`BootError::KeyGone`].
pub(crate) fn check_secrets_key(dir: &DataDir, config: &ServerConfig, stored: bool) -> Result<(), BootError> {
    match stored_secrets_key(dir, config)? {
        None if stored => Err(BootError::KeyGone {
            path: dir.server_file(SECRETS_KEY_FILE),
        }),
        _ => Ok(()),
    }
}

fn random<const N: usize>(path: &Path) -> Result<[u8; N], BootError> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| BootError::file(path, format!("no random numbers: {error}")))?;
    Ok(bytes)
}

fn read_or_create(
    path: &Path,
    generate: impl FnOnce() -> Result<SecretString, BootError>,
) -> Result<SecretString, BootError> {
    match read(path)? {
        Some(text) => Ok(text),
        None => {
            create(path, &generate()?)?;
            // Read back: whoever came first wins.
            read(path)?.ok_or_else(|| BootError::file(path, "it vanished while it was written"))
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Option<SecretString>, BootError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            tighten(path)?;
            Ok(Some(text.trim().into()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BootError::file(path, error.to_string())),
    }
}

/// Takes away what others may do with the file; a restored backup often has lost its mode.
fn tighten(path: &Path) -> Result<(), BootError> {
    let metadata = fs::metadata(path).map_err(|error| BootError::file(path, error.to_string()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read this key; its mode is 0600 now");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .map_err(|error| BootError::file(path, error.to_string()))?;
    }
    Ok(())
}

/// Writes a new file as a whole or not at all, never over an existing one.
fn create(path: &Path, content: &SecretString) -> Result<(), BootError> {
    let write = || -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        writeln!(file, "{}", content.expose_secret())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            result => result.map(drop)?,
        }
        // The key must outlive a power cut that the first encrypted secret survives.
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|error| BootError::file(path, super::explain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Sources, load};

    fn config(env: &[(&'static str, &'static str)]) -> ServerConfig {
        let base = [("HOME", "/home/u")];
        load(&Sources::of(
            Flags::default(),
            base.into_iter().chain(env.iter().copied()),
        ))
        .unwrap()
        .config
    }

    #[test]
    fn generated_once_and_private() {
        // D2, D5
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let config = config(&[]);
        let token = admin_token(&dir, &config).unwrap();
        assert_eq!(token.expose_secret().len(), 43);
        assert_eq!(
            admin_token(&dir, &config).unwrap().expose_secret(),
            token.expose_secret()
        );
        let key = secrets_key(&dir, &config).unwrap();
        assert_eq!(secrets_key(&dir, &config).unwrap().expose_secret(), key.expose_secret());
        for name in [ADMIN_TOKEN_FILE, SECRETS_KEY_FILE] {
            let path = dir.server_file(name);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::set_permissions(dir.server_file(ADMIN_TOKEN_FILE), fs::Permissions::from_mode(0o644)).unwrap();
        admin_token(&dir, &config).unwrap();
        assert_eq!(
            fs::metadata(dir.server_file(ADMIN_TOKEN_FILE))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }

    #[test]
    fn concurrent_first_boots_agree() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| admin_token(&dir, &config(&[])).unwrap().expose_secret().to_owned()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]));
    }

    #[test]
    fn configured_keys_leave_no_file() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let config = config(&[
            ("ADMIN_TOKEN", "mine"),
            ("SECRETS_ENCRYPTION_KEY", "abcdefghijklmnopqrstuvwxyz012345"),
        ]);
        assert_eq!(admin_token(&dir, &config).unwrap().expose_secret(), "mine");
        assert_eq!(
            secrets_key(&dir, &config).unwrap().expose_secret(),
            b"abcdefghijklmnopqrstuvwxyz012345"
        );
        assert!(!dir.server_file(ADMIN_TOKEN_FILE).exists() && !dir.server_file(SECRETS_KEY_FILE).exists());
    }

    #[test]
    fn a_lost_key_is_no_reason_for_a_new_one() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let config = config(&[]);
        check_secrets_key(&dir, &config, false).unwrap();
        assert!(stored_secrets_key(&dir, &config).unwrap().is_none());
        let error = check_secrets_key(&dir, &config, true).unwrap_err().to_string();
        assert!(error.contains("secrets_key") && error.contains("backup"), "{error}");
        assert!(!dir.server_file(SECRETS_KEY_FILE).exists(), "nothing was generated");
        secrets_key(&dir, &config).unwrap();
        check_secrets_key(&dir, &config, true).unwrap();
    }

    #[test]
    fn a_damaged_key_is_never_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        fs::write(dir.server_file(SECRETS_KEY_FILE), "half").unwrap();
        fs::write(dir.server_file(ADMIN_TOKEN_FILE), "\n").unwrap();
        let error = secrets_key(&dir, &config(&[])).unwrap_err();
        assert!(
            error.to_string().contains("backup") && !error.to_string().contains("half"),
            "{error}"
        );
        assert!(admin_token(&dir, &config(&[])).is_err());
        assert_eq!(fs::read_to_string(dir.server_file(SECRETS_KEY_FILE)).unwrap(), "half");
    }
}
