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

/// `text` on one line of at most `max` characters: whitespace and control characters become single spaces, `…` stands for
/// what was cut off. Put among other text it is one item there, never a heading or an item of its own.
#[must_use]
pub fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        // A character has at most four bytes: whatever follows would be cut off anyway.
        if line.len() > max.saturating_mul(4) {
            break;
        }
        if !line.is_empty() && !word.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    preview(&line, max, "…")
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
    fn one_line_is_one_line() {
        assert_eq!(one_line(" a\n\n# b\u{2028}\tc\u{1b}[0m\r\0 ", 100), "a # b c [0m");
        assert_eq!(one_line("é é é", 3), "é é…");
        assert_eq!(one_line(&"ab ".repeat(100_000), 5), "ab ab…");
        assert_eq!(one_line("\n \t", 5), "");
    }

    #[test]
    fn quoted_cannot_forge_a_line() {
        // SEC-146
        assert_eq!(Quoted("a\nb\u{1b}").to_string(), "\"a\\nb\\u{1b}\"");
    }
}
