//! Tokens: format, hashing, bearer parsing, comparison (SEC-1…11). A leaf: it knows neither store nor HTTP.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Random bytes in a token (SEC-1).
pub const TOKEN_BYTES: usize = 32;

/// A token's plaintext. Shown once, at minting; never stored, never printed by `Debug`.
#[derive(Clone)]
pub struct PlainToken(SecretString);

impl PlainToken {
    /// Encodes bytes of a CSPRNG as base64url without padding: 43 characters (SEC-1).
    #[must_use]
    pub fn from_random(bytes: [u8; TOKEN_BYTES]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    /// The text, for the one response or file that may carry it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is stored instead of the token.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }

    /// First eight characters, shown in lists.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.expose()[..8]
    }

    /// As a secret value to hand on.
    #[must_use]
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken([redacted])")
    }
}

/// SHA-256 of a token's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hash of a presented bearer.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Constant-time equality (SEC-11).
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Raw bytes, as stored.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash([redacted])")
    }
}

/// The bearer of an `Authorization` value. `Bearer ` is case-sensitive, the rest is trimmed, empty means none
/// (SEC-10, REG-14).
#[must_use]
pub fn parse_bearer(authorization: &str) -> Option<&str> {
    let rest = authorization.strip_prefix("Bearer ")?.trim();
    (!rest.is_empty()).then_some(rest)
}

/// Constant-time equality of secrets (SEC-11). An empty expectation never matches.
#[must_use]
pub fn secrets_equal(expected: &str, presented: &str) -> bool {
    // Hashing first hides the length as well.
    !expected.is_empty() && TokenHash::of(expected).matches(&TokenHash::of(presented))
}

/// Caller ids that exist only inside the server (SEC-92, A2A-3).
#[must_use]
pub fn is_system_caller(id: &str) -> bool {
    ["webhook:", "system:", "test:", "channel:"]
        .iter()
        .any(|prefix| id.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format() {
        // SEC-1
        let token = PlainToken::from_random([7; 32]);
        assert_eq!(token.expose().len(), 43);
        assert!(!token.expose().contains('='));
        assert_eq!(token.prefix(), &token.expose()[..8]);
        assert!(!format!("{token:?} {:?}", token.hash()).contains(token.prefix()));
    }

    #[test]
    fn bearer_parsing() {
        // SEC-10
        assert_eq!(parse_bearer("Bearer  abc "), Some("abc"));
        for none in ["bearer abc", "abc", "Bearer ", "Bearer", "", "Basic abc"] {
            assert_eq!(parse_bearer(none), None, "{none}");
        }
    }

    #[test]
    fn empty_secret_never_matches() {
        // SEC-11
        assert!(!secrets_equal("", ""));
        assert!(!secrets_equal("", "x"));
        assert!(!secrets_equal("abc", "ab"));
        assert!(secrets_equal("abc", "abc"));
    }
}
