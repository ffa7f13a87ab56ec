//! What a tool is given.

use serde_json::{Map, Value};

/// An argument is not what the tool needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Absent, blank or of another type.
    #[error("`{name}` is required and must be {expected}")]
    Required {
        /// The argument.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
    /// There, but not usable.
    #[error("`{name}` must be {expected}")]
    Wrong {
        /// The argument.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The arguments as a whole.
    #[error("the arguments must be a JSON object")]
    NoObject,
}

/// The arguments of a call, read by name. `null` is the same as absent: models fill optional members with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Arguments from JSON; `null` is no arguments.
    ///
    /// # Errors
    /// It is no object.
    pub fn from_json(value: Value) -> Result<Self, ArgumentError> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            Value::Null => Ok(Self::default()),
            _ => Err(ArgumentError::NoObject),
        }
    }

    /// The argument, unless it is absent or `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text that says something.
    ///
    /// # Errors
    /// It does not.
    pub fn text(&self, name: &str) -> Result<&str, ArgumentError> {
        self.optional_text(name).ok_or_else(|| ArgumentError::Required {
            name: name.to_owned(),
            expected: "text",
        })
    }

    /// A text, if there is one that says something.
    #[must_use]
    pub fn optional_text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().filter(|text| !text.trim().is_empty())
    }

    /// A text that may be empty.
    ///
    /// # Errors
    /// There is none.
    pub fn content(&self, name: &str) -> Result<&str, ArgumentError> {
        self.get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| ArgumentError::Required {
                name: name.to_owned(),
                expected: "text",
            })
    }

    /// A whole number that is not negative, if there is one.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<usize> {
        self.get(name)?.as_u64().and_then(|n| n.try_into().ok())
    }

    /// A number, if there is one.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    /// A list of texts, if there is one.
    ///
    /// # Errors
    /// It is there and holds anything else.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ArgumentError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let texts = value
            .as_array()
            .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        texts.map(Some).ok_or_else(|| ArgumentError::Wrong {
            name: name.to_owned(),
            expected: "a list of texts",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_named() {
        let arguments =
            Arguments::from_json(json!({"a": "x", "blank": " ", "n": 5, "none": null, "empty": ""})).unwrap();
        assert_eq!(arguments.text("a"), Ok("x"));
        for name in ["blank", "n", "none", "absent"] {
            let error = arguments.text(name).unwrap_err().to_string();
            assert_eq!(error, format!("`{name}` is required and must be text"));
            assert_eq!(arguments.optional_text(name), None);
        }
        assert_eq!(arguments.content("empty"), Ok(""));
        assert!(arguments.content("n").is_err());
        assert_eq!((arguments.count("n"), arguments.count("a")), (Some(5), None));
    }

    #[test]
    fn lists_hold_texts_only() {
        let arguments = Arguments::from_json(json!({"good": ["a", "b"], "bad": ["a", 1], "text": "ls"})).unwrap();
        assert_eq!(arguments.texts("good").unwrap().unwrap(), ["a", "b"]);
        assert_eq!(arguments.texts("absent"), Ok(None));
        for bad in ["bad", "text"] {
            assert!(arguments.texts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_objects_are_arguments() {
        assert_eq!(Arguments::from_json(Value::Null), Ok(Arguments::default()));
        assert_eq!(Arguments::from_json(json!(["a"])), Err(ArgumentError::NoObject));
    }
}
