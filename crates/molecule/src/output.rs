//! The one place that prints. Results go to standard output, everything else to standard error.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;

/// A line of a server on standard output. A server outlives whoever reads it, so that a closed output is no failure; the
/// log has the line then.
pub fn line(text: &str) {
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        tracing::info!(%error, line = text, "standard output is closed");
    }
}

/// Where a command's words go.
pub struct Output {
    json: bool,
    terminal: bool,
    progress: bool,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Output {
    /// Standard output and standard error.
    #[must_use]
    pub fn standard(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal(),
            progress: !json && io::stderr().is_terminal(),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }

    /// Kept in memory, for tests.
    #[must_use]
    pub fn captured(json: bool) -> (Self, Captured) {
        let captured = Captured::default();
        let output = Self {
            json,
            terminal: true,
            progress: false,
            out: Box::new(captured.out.clone()),
            err: Box::new(captured.err.clone()),
        };
        (output, captured)
    }

    /// JSON was asked for.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Progress may be drawn on standard error.
    #[must_use]
    pub fn shows_progress(&self) -> bool {
        self.progress
    }

    /// A line of the result.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        self.text(&format!("{text}\n"))
    }

    /// A piece of the result, shown at once.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        // What agents wrote must not steer the terminal; a file or pipe gets it as it is.
        let text = if self.terminal { printable(text) } else { text.into() };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// A remark that is no part of the result.
    ///
    /// # Errors
    /// Standard error is closed.
    pub fn note(&mut self, text: impl Display) -> io::Result<()> {
        let text = format!("{text}\n");
        self.err.write_all(printable(&text).as_bytes())
    }

    /// The result as one JSON document.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// One JSON document on one line, for results that come in pieces.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn json_line<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Rows under headings, columns aligned.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn table<const N: usize>(&mut self, headings: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
        let cells = |row: &[String; N]| row.each_ref().map(|cell| one_line(cell));
        let rows: Vec<[String; N]> = rows.iter().map(cells).collect();
        let headings = headings.map(str::to_owned);
        let mut widths = [0; N];
        for row in rows.iter().chain([&headings]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(console::measure_text_width(cell));
            }
        }
        for row in [&headings].into_iter().chain(&rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(cell);
                let padding = width - console::measure_text_width(cell) + 2;
                line.extend(std::iter::repeat_n(' ', padding));
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Names and values, one pair per line; pairs without a value are left out.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn pairs(&mut self, pairs: &[(&str, String)]) -> io::Result<()> {
        let shown = || pairs.iter().filter(|(_, value)| !value.is_empty());
        let width = shown().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in shown() {
            self.line(format_args!("{name:width$}  {}", one_line(value)))?;
        }
        Ok(())
    }
}

/// Control characters replaced, so that text from elsewhere can neither move the cursor nor recolour what follows.
/// Line breaks and tabs stay.
fn printable(text: &str) -> Cow<'_, str> {
    let steers = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    // A CRLF is a line break like any other.
    let text: Cow<'_, str> = if text.contains("\r\n") {
        text.replace("\r\n", "\n").into()
    } else {
        text.into()
    };
    if text.contains(steers) {
        text.replace(steers, "\u{fffd}").into()
    } else {
        text
    }
}

/// On one line and printable.
fn one_line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// What a captured output got.
#[derive(Clone, Default)]
pub struct Captured {
    out: Buffer,
    err: Buffer,
}

impl Captured {
    /// Standard output so far.
    #[must_use]
    pub fn result(&self) -> String {
        self.out.text()
    }

    /// Standard error so far.
    #[must_use]
    pub fn notes(&self) -> String {
        self.err.text()
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_by_what_the_eye_sees() {
        let (mut output, captured) = Output::captured(false);
        let rows = [
            ["日本".to_owned(), "a\nb".to_owned()],
            ["Lead\u{1b}[31m".to_owned(), String::new()],
        ];
        output.table(["NAME", "TASK"], &rows).unwrap();
        let text = captured.result();
        assert_eq!(text, "NAME       TASK\n日本       a b\nLead\u{fffd}[31m\n");
    }

    #[test]
    fn agents_cannot_steer_the_terminal() {
        let (mut output, captured) = Output::captured(false);
        output.text("a\u{1b}]0;title\u{7}\r\nb\tc\u{9b}2J\n").unwrap();
        assert_eq!(captured.result(), "a\u{fffd}]0;title\u{fffd}\nb\tc\u{fffd}2J\n");
    }

    #[test]
    fn pairs_without_value_are_left_out() {
        let (mut output, captured) = Output::captured(false);
        output
            .pairs(&[("name", "Lead".into()), ("role", String::new()), ("id", "7".into())])
            .unwrap();
        assert_eq!(captured.result(), "name  Lead\nid    7\n");
    }
}
