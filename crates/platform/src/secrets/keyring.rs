use std::sync::Arc;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Nonce},
};
use molecule_core::hmac::hmac_sha256;
use molecule_store::secrets::{GCM, Sealed};
use rand::{TryRngCore, rngs::OsRng};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

/// Bytes of a key (SEC-130).
const KEY_BYTES: usize = 32;
/// Bytes of a nonce, stored before the ciphertext (SEC-131).
const NONCE_BYTES: usize = 12;
/// `encryption_version` of rows an older product left unencrypted; readable, never written (D5).
const PLAIN: i32 = 0;

/// A value could not be sealed or opened. Says nothing of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The system's random number generator failed.
    #[error("no randomness")]
    NoRandomness,
    /// The cipher failed.
    #[error("encryption failed")]
    Encrypt,
    /// Tampered with, or sealed by a key that is gone.
    #[error("decryption failed (key id {key_id})")]
    Decrypt {
        /// Which key sealed it.
        key_id: String,
    },
    /// Not a version this binary knows (SEC-132).
    #[error("unknown encryption version {0}")]
    UnknownVersion(i32),
    /// What was sealed is not text.
    #[error("the value is not UTF-8")]
    NotText,
}

/// The key that seals secrets, those that only open what they once sealed, and the key of the audit.
pub struct Keyring {
    current: Arc<Key>,
    retired: Vec<Arc<Key>>,
    audit: Arc<AuditKey>,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
}

/// The key that seals the audit. It is another one than that of the secrets, and stays when that changes.
pub struct AuditKey {
    id: String,
    bytes: [u8; KEY_BYTES],
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AuditKey {
    /// Of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self {
            id: key_id(bytes),
            bytes: *bytes,
        }
    }

    /// Which key it is: what records remember of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn key_id(bytes: &[u8; KEY_BYTES]) -> String {
    hex::encode(&Sha256::digest(bytes)[..4])
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.current.id)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self {
            id: key_id(bytes),
            cipher: Aes256Gcm::new(bytes.into()),
        }
    }
}

impl Keyring {
    /// A ring with one key. That of the audit is derived from it, unless [`Keyring::with_audit`] names another.
    #[must_use]
    pub fn of(key: &[u8; KEY_BYTES]) -> Self {
        Self {
            current: Arc::new(Key::new(key)),
            retired: Vec::new(),
            audit: Arc::new(AuditKey::new(&hmac_sha256(key, &[b"molecule audit"]))),
        }
    }

    /// Adds a key that opens what it sealed before and seals nothing.
    #[must_use]
    pub fn with_retired(mut self, key: &[u8; KEY_BYTES]) -> Self {
        self.retired.push(Arc::new(Key::new(key)));
        self
    }

    /// Seals the audit with a key of its own.
    #[must_use]
    pub fn with_audit(mut self, key: &[u8; KEY_BYTES]) -> Self {
        self.audit = Arc::new(AuditKey::new(key));
        self
    }

    /// The key of the audit.
    #[must_use]
    pub fn audit(&self) -> Arc<AuditKey> {
        self.audit.clone()
    }

    /// The same ring with another key that seals; what sealed so far opens what it sealed.
    #[must_use]
    pub fn succeeded_by(&self, key: &[u8; KEY_BYTES]) -> Self {
        let retired = std::iter::once(&self.current).chain(&self.retired);
        Self {
            current: Arc::new(Key::new(key)),
            retired: retired.cloned().collect(),
            audit: self.audit.clone(),
        }
    }

    /// Id of the key that seals: what sealed values remember of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.current.id
    }

    /// Encrypts a value.
    ///
    /// # Errors
    /// No randomness, or the cipher failed.
    pub fn seal(&self, value: &str) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        OsRng.try_fill_bytes(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let cipher_nonce: &Nonce<Aes256Gcm> = (&nonce).into();
        let sealed = self
            .current
            .cipher
            .encrypt(cipher_nonce, value.as_bytes())
            .map_err(|_| SealError::Encrypt)?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(Sealed {
            bytes,
            version: GCM,
            key_id: self.current.id.clone(),
        })
    }

    /// Decrypts a value by its recorded version; never guesses (SEC-132).
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, sealed: &Sealed) -> Result<SecretString, SealError> {
        let text = match sealed.version {
            PLAIN => sealed.bytes.clone(),
            GCM => self.decrypt(sealed)?,
            other => return Err(SealError::UnknownVersion(other)),
        };
        String::from_utf8(text).map(Into::into).map_err(|_| SealError::NotText)
    }

    fn decrypt(&self, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let refused = || SealError::Decrypt {
            key_id: sealed.key_id.clone(),
        };
        let (nonce, text) = sealed.bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(refused)?;
        let nonce: &Nonce<Aes256Gcm> = nonce.into();
        let keys = std::iter::once(&self.current).chain(&self.retired);
        // A row without a key id is an older product's; any key may have sealed it.
        keys.filter(|key| sealed.key_id.is_empty() || key.id == sealed.key_id)
            .find_map(|key| key.cipher.decrypt(nonce, text).ok())
            .ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        // SEC-131, SEC-132
        let ours = Keyring::of(&[b'a'; KEY_BYTES]);
        let sealed = ours.seal("hunter2").unwrap();
        assert_eq!(ours.open(&sealed).unwrap().expose_secret(), "hunter2");
        assert_ne!(ours.seal("hunter2").unwrap().bytes, sealed.bytes, "nonces differ");
        assert!(Keyring::of(&[b'b'; KEY_BYTES]).open(&sealed).is_err());
        let mut tampered = sealed.clone();
        *tampered.bytes.last_mut().unwrap() ^= 1;
        assert!(ours.open(&tampered).is_err());
        let short = Sealed {
            bytes: vec![1, 2],
            ..sealed.clone()
        };
        assert!(ours.open(&short).is_err());
        assert_eq!(
            ours.open(&Sealed { version: 9, ..sealed }).unwrap_err(),
            SealError::UnknownVersion(9)
        );
    }

    #[test]
    fn reads_rows_of_the_older_product() {
        // SEC-132: version 0 is plaintext, also after a key appears.
        let sealed = Sealed {
            bytes: b"plain".to_vec(),
            version: 0,
            key_id: String::new(),
        };
        assert_eq!(
            Keyring::of(&[b'a'; KEY_BYTES]).open(&sealed).unwrap().expose_secret(),
            "plain"
        );
    }

    #[test]
    fn retired_keys_still_open() {
        // D5
        let old = Keyring::of(&[b'a'; KEY_BYTES]);
        let sealed = old.seal("x").unwrap();
        let new = Keyring::of(&[b'b'; KEY_BYTES]).with_retired(&[b'a'; KEY_BYTES]);
        assert_eq!(new.open(&sealed).unwrap().expose_secret(), "x");
        assert!(
            old.open(&new.seal("y").unwrap()).is_err(),
            "what is stored anew is out of the old key's reach"
        );
        assert!(!format!("{new:?}").contains("aaaa"));
        let newest = new.succeeded_by(&[b'c'; KEY_BYTES]);
        assert_eq!(newest.open(&sealed).unwrap().expose_secret(), "x");
        assert_eq!(
            newest.open(&new.seal("y").unwrap()).unwrap().expose_secret(),
            "y",
            "what sealed until now opens"
        );
        assert_ne!(newest.id(), new.id());
        assert_eq!(newest.audit().id(), new.audit().id(), "the audit's key stays");
    }
}
