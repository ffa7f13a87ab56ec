use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use molecule_core::credential::{PlainToken, TOKEN_BYTES, TokenHash};
use parking_lot::Mutex;
use rand::{TryRngCore, rngs::OsRng};

/// Codes that may be outstanding at once; the oldest give way.
const OUTSTANDING: usize = 1_024;

/// Why a code opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    /// Never issued, used already, or too old; indistinguishable.
    #[error("the code is unknown, was used already, or has expired")]
    Invalid,
}

/// Short-lived codes that work once: login codes and tickets (D2). They live in memory: a restart withdraws them.
pub struct OneTimeCodes<T> {
    lifetime: Duration,
    codes: Mutex<HashMap<TokenHash, (Instant, T)>>,
}

impl<T> std::fmt::Debug for OneTimeCodes<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneTimeCodes")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl<T> OneTimeCodes<T> {
    /// Codes that live for `lifetime`.
    #[must_use]
    pub fn new(lifetime: Duration) -> Self {
        Self {
            lifetime,
            codes: Mutex::default(),
        }
    }

    /// How long a code lives.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A fresh code that stands for `grant`; `None` without randomness.
    pub fn issue(&self, grant: T) -> Option<PlainToken> {
        let mut bytes = [0; TOKEN_BYTES];
        OsRng.try_fill_bytes(&mut bytes).ok()?;
        let code = PlainToken::from_random(bytes);
        let mut codes = self.codes.lock();
        codes.retain(|_, (issued, _)| issued.elapsed() < self.lifetime);
        if codes.len() >= OUTSTANDING {
            let oldest = codes
                .iter()
                .min_by_key(|(_, (issued, _))| *issued)
                .map(|(hash, _)| *hash);
            oldest.and_then(|hash| codes.remove(&hash));
        }
        codes.insert(code.hash(), (Instant::now(), grant));
        Some(code)
    }

    /// What a code stands for, without using it up; `None` for one that opens nothing.
    pub fn peek(&self, code: &str) -> Option<T>
    where
        T: Clone,
    {
        let codes = self.codes.lock();
        let (issued, grant) = codes.get(&TokenHash::of(code))?;
        (issued.elapsed() < self.lifetime).then(|| grant.clone())
    }

    /// Takes a code; it never works again.
    ///
    /// # Errors
    /// [`RedeemError::Invalid`].
    pub fn redeem(&self, code: &str) -> Result<T, RedeemError> {
        let taken = self.codes.lock().remove(&TokenHash::of(code));
        taken
            .filter(|(issued, _)| issued.elapsed() < self.lifetime)
            .map(|(_, grant)| grant)
            .ok_or(RedeemError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_once() {
        // D2
        let codes = OneTimeCodes::new(Duration::from_secs(60));
        let code = codes.issue(7).unwrap();
        assert_eq!(codes.peek(code.expose()), Some(7));
        assert_eq!(codes.peek("made up"), None);
        assert_eq!(codes.redeem(code.expose()), Ok(7));
        assert_eq!(codes.redeem(code.expose()), Err(RedeemError::Invalid));
        assert_eq!(codes.peek(code.expose()), None);
        assert_eq!(codes.redeem("made up"), Err(RedeemError::Invalid));
    }

    #[test]
    fn expires_and_stays_bounded() {
        let codes = OneTimeCodes::new(Duration::ZERO);
        let code = codes.issue(()).unwrap();
        assert_eq!(codes.peek(code.expose()), None);
        assert_eq!(codes.redeem(code.expose()), Err(RedeemError::Invalid));

        let codes = OneTimeCodes::new(Duration::from_secs(60));
        let first = codes.issue(0).unwrap();
        for n in 0..OUTSTANDING {
            codes.issue(n).unwrap();
        }
        assert_eq!(codes.codes.lock().len(), OUTSTANDING);
        assert_eq!(
            codes.redeem(first.expose()),
            Err(RedeemError::Invalid),
            "the oldest gave way"
        );
    }
}
