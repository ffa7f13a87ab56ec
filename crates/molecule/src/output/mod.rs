//! The one place that prints. Results go to standard output, everything else to standard error.

mod table;
pub(crate) mod time;

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use molecule_core::Timestamp;
use serde::Serialize;

use self::table::Room;
pub use self::table::{Cell, Column, Tone};

/// A line of a server on standard output. A server outlives whoever reads it, so that a closed output is no failure; the
/// log has the line then.
pub fn line(text: &str) {
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        tracing::info!(%error, line = text, "standard output is closed");
    }
}

/// In which form a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people: on a terminal cut to its width, in a pipe whole
    #[default]
    Text,
    /// The same with all columns, ids and times whole
    Wide,
    /// The API's own JSON
    Json,
    /// One name per line
    Name,
}

/// Where a command's words go.
pub struct Output {
    format: Format,
    terminal: bool,
    progress: bool,
    /// Columns of the terminal, where the result goes to one.
    width: Option<usize>,
    colour: bool,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Output {
    /// Standard output and standard error.
    #[must_use]
    pub fn standard(format: Format) -> Self {
        let terminal = io::stdout().is_terminal();
        let width = terminal.then(|| usize::from(console::Term::stdout().size().1));
        Self {
            format,
            terminal,
            progress: format != Format::Json && io::stderr().is_terminal(),
            width,
            colour: terminal && allows_colour(|name| std::env::var(name).ok()),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }

    /// Kept in memory, for tests: what a terminal without end would show, or JSON.
    #[must_use]
    pub fn captured(json: bool) -> (Self, Captured) {
        Self::captured_as(if json { Format::Json } else { Format::Text })
    }

    /// The same in any form.
    #[must_use]
    pub fn captured_as(format: Format) -> (Self, Captured) {
        let captured = Captured::default();
        let output = Self {
            format,
            terminal: true,
            progress: false,
            width: None,
            colour: false,
            out: Box::new(captured.out.clone()),
            err: Box::new(captured.err.clone()),
        };
        (output, captured)
    }

    /// JSON was asked for.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Names alone were asked for.
    #[must_use]
    pub fn is_names(&self) -> bool {
        self.format == Format::Name
    }

    /// Results are cut to the width of a terminal, so that what matters has to be said whole elsewhere.
    #[must_use]
    pub fn cuts(&self) -> bool {
        self.width.is_some() && self.format != Format::Wide
    }

    /// A point in time: how long ago for people, to the second for files and with `-o wide`.
    #[must_use]
    pub fn when(&self, at: Timestamp) -> String {
        if self.cuts() {
            time::ago(Timestamp::from(SystemTime::now()).since(at))
        } else {
            time::to_the_second(at)
        }
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

    /// Rows under headings, columns aligned. With `-o name` the first column alone.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn table<const N: usize>(&mut self, columns: &[Column; N], rows: &[[Cell; N]]) -> io::Result<()> {
        if self.is_names() {
            let names = rows.iter().filter_map(|row| row.first());
            return names
                .into_iter()
                .try_for_each(|name| self.line(one_line(&name.text).trim()));
        }
        let room = Room {
            width: self.width,
            wide: self.format == Format::Wide,
            colour: self.colour,
        };
        for line in table::lines(columns, rows, room) {
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()
    }

    /// Names and values, one pair per line; pairs without a value are left out.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn pairs(&mut self, pairs: &[(&str, Cell)]) -> io::Result<()> {
        let shown = || pairs.iter().filter(|(_, value)| !value.text.is_empty());
        let width = shown().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in shown() {
            let text = self.painted(&one_line(&value.text), value.tone);
            writeln!(self.out, "{name:width$}  {text}")?;
        }
        self.out.flush()
    }

    /// A line that begins with a mark in a tone.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn marked(&mut self, mark: &str, tone: Tone, text: impl Display) -> io::Result<()> {
        let text = text.to_string();
        let text = if self.terminal { printable(&text) } else { text.into() };
        writeln!(self.out, "{}{text}", self.painted(mark, tone))?;
        self.out.flush()
    }

    fn painted(&self, text: &str, tone: Tone) -> String {
        if self.colour { tone.paint(text) } else { text.to_owned() }
    }
}

/// <https://no-color.org>, and terminals that know none.
fn allows_colour(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").as_deref() != Some("dumb")
}

/// The beginning of an id.
fn short_of(id: &str, length: usize) -> String {
    id.chars().take(length).collect()
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
    fn tables_show_nothing_that_steers() {
        let columns = [Column::text("NAME"), Column::text("TASK")];
        let rows = [
            ["日本".into(), "a\nb".into()],
            ["Lead\u{1b}[31m".into(), Cell::default()],
        ];
        let (mut output, captured) = Output::captured(false);
        output.table(&columns, &rows).unwrap();
        assert_eq!(captured.result(), "NAME       TASK\n日本       a b\nLead\u{fffd}[31m\n");
        let (mut output, captured) = Output::captured_as(Format::Name);
        output.table(&columns, &rows).unwrap();
        assert_eq!(captured.result(), "日本\nLead\u{fffd}[31m\n");
    }

    #[test]
    fn colour_is_refused_by_the_environment() {
        let of = |vars: &'static [(&str, &str)]| {
            allows_colour(|name| {
                vars.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(of(&[]) && of(&[("NO_COLOR", ""), ("TERM", "xterm")]));
        assert!(!of(&[("NO_COLOR", "1")]) && !of(&[("TERM", "dumb")]));
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
            .pairs(&[("name", "Lead".into()), ("role", Cell::default()), ("id", "7".into())])
            .unwrap();
        assert_eq!(captured.result(), "name  Lead\nid    7\n");
    }
}
