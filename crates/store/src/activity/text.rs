use std::{fmt, ops::Deref};

use bytes::Bytes;

/// Text of a row, shared with whoever else holds its bytes: bodies are large, and a message is recorded while it is
/// sent on.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedText(Bytes);

impl SharedText {
    /// The bytes as text; `None` if they are not UTF-8.
    #[must_use]
    pub fn new(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("checked when it was made")
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
