//! Changing the generated keys while the server runs.

use molecule_core::credential::secrets_equal;
use molecule_platform::vault::{Vault, VaultError};
use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::{
    BootError, DataDir,
    data_dir::replace_file,
    keys::{ADMIN_TOKEN_FILE, RETIRED_KEYS_FILE, SECRETS_KEY_FILE, key_in, new_key, new_token, read},
};
use crate::config::{ServerConfig, settings};

/// The files of the data directory in which generated keys are kept.
#[derive(Debug, Clone)]
pub struct FileVault {
    dir: DataDir,
    admin_is_configured: bool,
    secrets_are_configured: bool,
}

impl FileVault {
    /// Of a data directory. What the configuration gives, only the configuration changes.
    #[must_use]
    pub fn new(dir: DataDir, config: &ServerConfig) -> Self {
        Self {
            dir,
            admin_is_configured: config.admin_token.is_some(),
            secrets_are_configured: config.secrets_key.is_some(),
        }
    }

    fn retire_present_key(&self) -> Result<(), BootError> {
        let path = self.dir.server_file(SECRETS_KEY_FILE);
        let present = read(&path)?.unwrap_or_default();
        let retired_path = self.dir.server_file(RETIRED_KEYS_FILE);
        let retired = read(&retired_path)?.unwrap_or_default();
        let known = |line: &str| secrets_equal(line.trim(), present.expose_secret());
        if present.expose_secret().is_empty() || retired.expose_secret().lines().any(known) {
            return Ok(());
        }
        let all = format!("{}\n{}", retired.expose_secret(), present.expose_secret());
        replace_file(&retired_path, all.trim_start().as_bytes())
    }
}

fn storage(error: &BootError) -> VaultError {
    VaultError::Storage(error.to_string())
}

impl Vault for FileVault {
    fn next_admin_token(&self) -> Result<SecretString, VaultError> {
        if self.admin_is_configured {
            return Err(VaultError::Configured(settings::ADMIN_TOKEN.env));
        }
        let path = self.dir.server_file(ADMIN_TOKEN_FILE);
        let token = new_token(&path).map_err(|error| storage(&error))?;
        replace_file(&path, token.expose_secret().as_bytes()).map_err(|error| storage(&error))?;
        Ok(token)
    }

    fn next_secrets_key(&self) -> Result<SecretBox<[u8; 32]>, VaultError> {
        if self.secrets_are_configured {
            return Err(VaultError::Configured(settings::SECRETS_ENCRYPTION_KEY.env));
        }
        let path = self.dir.server_file(SECRETS_KEY_FILE);
        let text = new_key(&path).map_err(|error| storage(&error))?;
        let key = key_in(&path, text.expose_secret(), "").map_err(|error| storage(&error))?;
        // First: if it ends here, the present key is merely in both files.
        self.retire_present_key().map_err(|error| storage(&error))?;
        replace_file(&path, text.expose_secret().as_bytes()).map_err(|error| storage(&error))?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::{
        boot::{admin_token, forget_retired_keys, retired_keys, secrets_key},
        config::{Flags, Sources, load},
    };

    fn config(env: &[(&'static str, &'static str)]) -> ServerConfig {
        let base = [("HOME", "/home/u")];
        let sources = Sources::of(Flags::default(), base.into_iter().chain(env.iter().copied()));
        load(&sources).unwrap().config
    }

    #[test]
    fn another_key_leaves_the_old_one_beside_it() {
        // D5
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let config = config(&[]);
        let first = secrets_key(&dir, &config).unwrap();
        let vault = FileVault::new(dir.clone(), &config);
        let second = vault.next_secrets_key().unwrap();
        let third = vault.next_secrets_key().unwrap();
        assert_eq!(
            secrets_key(&dir, &config).unwrap().expose_secret(),
            third.expose_secret()
        );
        let retired = retired_keys(&dir, &config).unwrap();
        let retired: Vec<_> = retired.iter().map(|key| *key.expose_secret()).collect();
        assert_eq!(retired, [*first.expose_secret(), *second.expose_secret()]);
        for name in [SECRETS_KEY_FILE, RETIRED_KEYS_FILE] {
            let mode = fs::metadata(dir.server_file(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(forget_retired_keys(&dir).unwrap());
        assert!(!forget_retired_keys(&dir).unwrap());
        assert!(retired_keys(&dir, &config).unwrap().is_empty());
    }

    #[test]
    fn a_change_that_ended_half_way_loses_nothing() {
        // D5: the present key is in both files.
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let config = config(&[]);
        let first = secrets_key(&dir, &config).unwrap();
        let vault = FileVault::new(dir.clone(), &config);
        vault.retire_present_key().unwrap();
        vault.retire_present_key().unwrap();
        assert_eq!(
            secrets_key(&dir, &config).unwrap().expose_secret(),
            first.expose_secret()
        );
        assert_eq!(retired_keys(&dir, &config).unwrap().len(), 1);
        vault.next_secrets_key().unwrap();
        assert_eq!(retired_keys(&dir, &config).unwrap().len(), 1);
    }

    #[test]
    fn what_is_configured_is_changed_where_it_is_configured() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let config = config(&[
            ("ADMIN_TOKEN", "mine"),
            ("SECRETS_ENCRYPTION_KEY", "abcdefghijklmnopqrstuvwxyz012345"),
        ]);
        let vault = FileVault::new(dir.clone(), &config);
        assert_eq!(
            vault.next_admin_token().unwrap_err(),
            VaultError::Configured("ADMIN_TOKEN")
        );
        assert!(matches!(
            vault.next_secrets_key(),
            Err(VaultError::Configured("SECRETS_ENCRYPTION_KEY"))
        ));
        assert_eq!(fs::read_dir(dir.server()).unwrap().count(), 0, "nothing was written");
    }

    #[test]
    fn another_admin_token_replaces_the_file() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let config = config(&[]);
        let first = admin_token(&dir, &config).unwrap();
        let second = FileVault::new(dir.clone(), &config).next_admin_token().unwrap();
        assert_ne!(first.expose_secret(), second.expose_secret());
        assert_eq!(
            admin_token(&dir, &config).unwrap().expose_secret(),
            second.expose_secret()
        );
    }
}
