//! Text that is safe to cut, store and log.

use std::fmt;

/// At most `max` bytes of `text`, cut on a character boundary (ACT-5).
#[must_use]
pub fn cut_bytes(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// At most `max` characters of `text`, with `mark` appended if anything was cut off.
#[must_use]
pub fn preview(text: &str, max: usize, mark: &str) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}{mark}", &text[..end]),
    }
}

/// Replaces NUL by U+FFFD: PostgreSQL refuses it in text, and a refused insert loses the row (ACT-5).
#[must_use]
pub fn storable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Client-controlled text in a log line: quoted, control characters escaped, at most 200 characters, so that it can
/// never forge a line (SEC-146).
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", preview(self.0, 200, "…"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_on_boundaries() {
        // ACT-5
        assert_eq!(cut_bytes("aé", 2), "a");
        assert_eq!(cut_bytes("aé", 3), "aé");
        assert_eq!(preview("héllo", 2, "..."), "hé...");
        assert_eq!(preview("hé", 2, "..."), "hé");
    }

    #[test]
    fn quoted_cannot_forge_a_line() {
        // SEC-146
        assert_eq!(Quoted("a\nb\u{1b}").to_string(), "\"a\\nb\\u{1b}\"");
    }
}
