//! Changing the key of the stored secrets (D5). The new key is durable before anything is sealed with it, and the old one
//! stays beside it: wherever this is interrupted, everything opens, and doing it again completes it.

use std::sync::Arc;

use molecule_store::{
    StoreError,
    secrets::{Place, Resealed, Sealed},
};
use molecule_wire::audit::RotatedSecrets;
use secrecy::ExposeSecret;

use super::{Keyring, SealError, Secrets};
use crate::vault::{Vault, VaultError};

/// Values that are sealed anew in one transaction.
const BATCH: u64 = 200;
/// Values that do not open, of which names are told.
const FAILURES_TOLD: usize = 100;
/// Rounds after which what is stored faster than it is sealed anew is left for another time.
const ROUNDS: usize = 16;

/// Why the key could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The operator gives it to the server, and no change of it is under way.
    #[error(
        "the key of the secrets is set by {0}: set another one there, put this one into SECRETS_RETIRED_KEYS, restart, \
         and ask again"
    )]
    Configured(&'static str),
    /// This server keeps no keys.
    #[error("this server's keys cannot be changed")]
    NoVault,
    /// The new key could not be kept.
    #[error("the new key could not be stored; nothing was changed")]
    Vault(#[source] VaultError),
    /// A value could not be sealed.
    #[error("a value could not be sealed; the values before it are sealed anew")]
    Seal(#[source] SealError),
    /// The store failed.
    #[error("the secrets could not be sealed anew; asking again completes it")]
    Store(#[from] StoreError),
}

impl Secrets {
    /// Seals every stored value with a new key; or, if an earlier change is not complete, completes that.
    ///
    /// # Errors
    /// [`RotateError`]. Everything opens as before.
    pub async fn rotate(&self, vault: Option<&dyn Vault>) -> Result<RotatedSecrets, RotateError> {
        let _turn = self.keys.changing.lock().await;
        let new_key = self.is_rotated().await?;
        if new_key {
            let key = vault.ok_or(RotateError::NoVault)?.next_secrets_key();
            let key = key.map_err(|error| match error {
                VaultError::Configured(name) => RotateError::Configured(name),
                other @ VaultError::Storage(_) => RotateError::Vault(other),
            })?;
            let next = Arc::new(self.keyring().succeeded_by(key.expose_secret()));
            tracing::info!(key_id = next.id(), "the key of the secrets was changed");
            *self.keys.ring.write() = next;
        }
        let mut report = self.reseal().await?;
        report.new_key = new_key;
        report.message = match (report.complete, report.failed.is_empty()) {
            (true, _) => "Every value is sealed with the new key. Back up the new key now; the old one is not needed \
                          after the next start of the server"
                .to_owned(),
            (false, true) => "Values were stored meanwhile; ask again".to_owned(),
            (false, false) => "Some values open with no key that this server has: give it the key that sealed them in \
                               SECRETS_RETIRED_KEYS, or store these secrets anew"
                .to_owned(),
        };
        tracing::info!(
            resealed = report.resealed,
            failed = report.failed.len(),
            complete = report.complete,
            "secrets were sealed anew"
        );
        Ok(report)
    }

    /// Is every stored value sealed with the present key?
    ///
    /// # Errors
    /// A query failed.
    pub async fn is_rotated(&self) -> Result<bool, StoreError> {
        let others = self.store.sealed_by_others(self.keyring().id(), None, 1).await?;
        Ok(others.is_empty())
    }

    async fn reseal(&self) -> Result<RotatedSecrets, RotateError> {
        let ring = self.keyring();
        let mut report = RotatedSecrets {
            key_id: ring.id().to_owned(),
            ..RotatedSecrets::default()
        };
        // Whoever had sealed a value before the key changed may store it after it was looked for.
        for _ in 0..ROUNDS {
            report.failed.clear();
            let (resealed, left) = self.pass(&ring, &mut report.failed).await?;
            report.resealed += resealed;
            report.complete = left == 0;
            if resealed == 0 {
                break;
            }
        }
        Ok(report)
    }

    /// Looks through everything once. How many values were sealed anew, and how many were not.
    async fn pass(&self, ring: &Keyring, failed: &mut Vec<String>) -> Result<(u64, u64), RotateError> {
        let (mut resealed, mut left) = (0, 0);
        let mut after: Option<Place> = None;
        loop {
            let found = self.store.sealed_by_others(ring.id(), after.as_ref(), BATCH).await?;
            let Some((last, _)) = found.last() else { break };
            after = Some(last.clone());
            let count = found.len() as u64;
            let mut values = Vec::with_capacity(found.len());
            for (place, old) in found {
                match reseal_one(ring, place, old)? {
                    Ok(value) => values.push(value),
                    Err(place) => {
                        if failed.len() < FAILURES_TOLD {
                            failed.push(place.to_string());
                        }
                    }
                }
            }
            let replaced = self.store.reseal(values).await?;
            resealed += replaced;
            left += count - replaced;
        }
        Ok((resealed, left))
    }
}

/// The value under the present key; the inner error is where one is kept that does not open.
fn reseal_one(ring: &Keyring, place: Place, old: Sealed) -> Result<Result<Resealed, Place>, RotateError> {
    let value = match ring.open(&old) {
        Ok(value) => value,
        Err(error) => {
            tracing::error!(%error, %place, "a stored value does not open");
            return Ok(Err(place));
        }
    };
    let new = ring.seal(value.expose_secret()).map_err(RotateError::Seal)?;
    Ok(Ok(Resealed { place, old, new }))
}
