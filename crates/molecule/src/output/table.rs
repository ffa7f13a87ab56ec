//! Rows under headings, for terminals of any width and for pipes.

use console::{Style, measure_text_width, truncate_str};

use super::{one_line, short_of};

/// No column is cut below this many columns of the terminal.
const LEAST: usize = 8;

/// What a text says about what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Worth a look.
    Warning,
    /// Broken.
    Bad,
    /// At rest, or beside the point.
    Quiet,
}

impl Tone {
    /// The text in this tone's colour.
    pub(super) fn paint(self, text: &str) -> String {
        let style = match self {
            Self::Plain => return text.to_owned(),
            Self::Good => Style::new().green(),
            Self::Warning => Style::new().yellow(),
            Self::Bad => Style::new().red(),
            Self::Quiet => Style::new().dim(),
        };
        style.force_styling(true).apply_to(text).to_string()
    }
}

/// One field of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
    /// Stands for the text where there is little room.
    pub(super) short: Option<String>,
}

impl Cell {
    /// A text in a tone.
    #[must_use]
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
            short: None,
        }
    }

    /// An id of which the beginning will do for people.
    #[must_use]
    pub fn id(id: &impl ToString, length: usize) -> Self {
        let text = id.to_string();
        Self {
            short: Some(short_of(&text, length)),
            text,
            tone: Tone::Plain,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    heading: &'static str,
    /// Gives way where a terminal is narrow.
    cut: bool,
    /// Shown on demand only.
    wide: bool,
}

impl Column {
    /// A column that is always whole.
    #[must_use]
    pub const fn whole(heading: &'static str) -> Self {
        Self {
            heading,
            cut: false,
            wide: false,
        }
    }

    /// A column of free text, which gives way where a terminal is narrow.
    #[must_use]
    pub const fn text(heading: &'static str) -> Self {
        Self {
            heading,
            cut: true,
            wide: false,
        }
    }

    /// The same, shown with `-o wide` only.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }
}

/// What a table has to fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Columns of the terminal; `None` cuts nothing.
    pub(super) width: Option<usize>,
    /// All columns, and ids whole.
    pub(super) wide: bool,
    pub(super) colour: bool,
}

/// The lines of a table.
pub(super) fn lines<const N: usize>(columns: &[Column; N], rows: &[[Cell; N]], room: Room) -> Vec<String> {
    let shown: Vec<usize> = (0..N).filter(|at| room.wide || !columns[*at].wide).collect();
    let short = room.width.is_some() && !room.wide;
    let text = |cell: &Cell| match &cell.short {
        Some(shorter) if short => shorter.clone(),
        _ => one_line(&cell.text),
    };
    let mut widths: Vec<usize> = shown
        .iter()
        .map(|at| {
            let cells = rows.iter().map(|row| measure_text_width(&text(&row[*at])));
            cells
                .chain([measure_text_width(columns[*at].heading)])
                .max()
                .unwrap_or_default()
        })
        .collect();
    if let Some(width) = room.width.filter(|_| !room.wide) {
        let cuttable: Vec<bool> = shown.iter().map(|at| columns[*at].cut).collect();
        narrow(&mut widths, &cuttable, width);
    }
    let line = |cells: Vec<(String, Tone)>| {
        let mut line = String::new();
        let last = cells.len().saturating_sub(1);
        for (at, ((cell, tone), width)) in cells.iter().zip(&widths).enumerate() {
            let cell = truncate_str(cell, *width, "…");
            let padding = if at == last {
                0
            } else {
                width - measure_text_width(&cell) + 2
            };
            line.push_str(&if room.colour {
                tone.paint(&cell)
            } else {
                cell.into_owned()
            });
            line.extend(std::iter::repeat_n(' ', padding));
        }
        line.trim_end().to_owned()
    };
    let heading = shown.iter().map(|at| (columns[*at].heading.to_owned(), Tone::Plain));
    let mut lines = vec![line(heading.collect())];
    lines.extend(rows.iter().map(|row| {
        let cells = shown.iter().map(|at| (text(&row[*at]), row[*at].tone));
        line(cells.collect())
    }));
    lines
}

/// Takes from the widest column of free text until everything fits, or nothing more gives way.
fn narrow(widths: &mut [usize], cuttable: &[bool], room: usize) {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        let widest = (0..widths.len())
            .filter(|at| cuttable[*at] && widths[*at] > LEAST)
            .max_by_key(|at| widths[*at]);
        let Some(widest) = widest else { return };
        widths[widest] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::text("NAME"),
        Column::whole("STATUS"),
        Column::text("DOING").wide(),
    ];
    const PIPE: Room = Room {
        width: None,
        wide: false,
        colour: false,
    };

    fn rows() -> Vec<[Cell; 3]> {
        vec![
            ["日本".into(), Cell::toned("failed", Tone::Bad), "a\nb".into()],
            [
                "a name that is long".into(),
                Cell::toned("online", Tone::Good),
                "".into(),
            ],
        ]
    }

    #[test]
    fn whole_when_piped_and_cut_by_what_the_eye_sees_on_a_terminal() {
        // D31
        assert_eq!(
            lines(&COLUMNS, &rows(), PIPE),
            [
                "NAME                 STATUS",
                "日本                 failed",
                "a name that is long  online"
            ]
        );
        let narrow = Room {
            width: Some(18),
            ..PIPE
        };
        assert_eq!(
            lines(&COLUMNS, &rows(), narrow),
            ["NAME        STATUS", "日本        failed", "a name th…  online"]
        );
        let wide = Room { wide: true, ..narrow };
        assert_eq!(lines(&COLUMNS, &rows(), wide)[1], "日本                 failed  a b");
        // Nothing gives way below what is still a hint.
        let least = Room { width: Some(1), ..PIPE };
        assert_eq!(lines(&COLUMNS, &rows(), least)[2], "a name …  online");
    }

    #[test]
    fn colour_counts_for_nothing_in_the_width() {
        let colour = Room { colour: true, ..PIPE };
        let lines = lines(&COLUMNS, &rows(), colour);
        assert_eq!(lines[1], "日本                 \u{1b}[31mfailed\u{1b}[0m");
        assert_eq!(lines[0], "NAME                 STATUS");
    }

    #[test]
    fn ids_are_short_on_a_terminal_only() {
        let columns = [Column::whole("ID")];
        let rows = [[Cell::id(&"6fa459ea-ee8a-4ca4-894e-db77e160355e", 8)]];
        let terminal = Room {
            width: Some(80),
            ..PIPE
        };
        assert_eq!(lines(&columns, &rows, terminal)[1], "6fa459ea");
        for whole in [PIPE, Room { wide: true, ..terminal }] {
            assert_eq!(lines(&columns, &rows, whole)[1].len(), 36);
        }
    }
}
