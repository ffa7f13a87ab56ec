//! What is printed: one JSON object per figure, on one line.

use std::io::Write;

use serde_json::{Map, Value};

/// What a figure is meant to be.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    Below(f64),
}

/// One measured figure.
pub(crate) struct Figure {
    value: f64,
    fields: Map<String, Value>,
}

impl Figure {
    /// `{"figure":…,"value":…,"unit":…}`
    pub(crate) fn new(name: &str, value: f64, unit: &str) -> Self {
        Self {
            value,
            fields: Map::new(),
        }
        .with("figure", name)
        .with("value", rounded(value))
        .with("unit", unit)
    }

    /// Adds the target, and `met`: whether the value reaches it.
    pub(crate) fn target(self, target: Target) -> Self {
        let (name, bound, met) = match target {
            Target::AtLeast(bound) => ("target_at_least", bound, self.value >= bound),
            Target::Below(bound) => ("target_below", bound, self.value < bound),
        };
        self.with(name, bound).with("met", met)
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a number, rounded for reading.
    pub(crate) fn number(self, name: &str, value: f64) -> Self {
        self.with(name, rounded(value))
    }

    pub(crate) fn print(self) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{}", Value::Object(self.fields))?;
        Ok(stdout.flush()?)
    }
}

/// Four significant digits: more would claim a precision that no run has.
pub(crate) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// Says on standard error what is going on.
pub(crate) fn progress(text: &str) {
    eprintln!("bench: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits() {
        for (value, expected) in [
            (0.412_345, 0.4123),
            (18_734.6, 18_730.0),
            (1.0, 1.0),
            (0.0, 0.0),
            (-2.345_67, -2.346),
        ] {
            assert!((rounded(value) - expected).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn targets() {
        let met = |target| Figure::new("f", 2.0, "ms").target(target).fields["met"].as_bool();
        assert_eq!(met(Target::Below(2.0)), Some(false));
        assert_eq!(met(Target::Below(2.1)), Some(true));
        assert_eq!(met(Target::AtLeast(2.0)), Some(true));
        assert_eq!(met(Target::AtLeast(2.1)), Some(false));
    }
}
