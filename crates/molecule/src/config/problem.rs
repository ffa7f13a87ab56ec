use std::fmt;

/// Something wrong with the configuration: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    place: String,
    text: String,
}

impl Problem {
    /// At a place (a variable, a flag, `file:line`), something is wrong.
    #[must_use]
    pub fn new(place: impl Into<String>, text: String) -> Self {
        Self {
            place: place.into(),
            text,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Every problem of a configuration, one line each (D10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// What stops the boot.
    pub problems: Vec<Problem>,
    /// What would not, but may be the reason of a problem.
    pub warnings: Vec<String>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable; nothing was started")?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))?;
        self.warnings
            .iter()
            .try_for_each(|warning| write!(f, "\n  warning: {warning}"))
    }
}

impl std::error::Error for ConfigErrors {}
