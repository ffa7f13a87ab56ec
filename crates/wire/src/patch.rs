//! A field of a PATCH: absent is not null.

use serde::{Deserialize, Deserializer};

/// Tells "leave as it is" from "clear" (LIFE-94). Use with `#[serde(default)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// The key was not sent.
    #[default]
    Absent,
    /// The key was sent as `null`.
    Null,
    /// The key was sent with a value.
    Value(T),
}

impl<T> Patch<T> {
    /// Was the key sent at all?
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// `None` if absent, `Some(None)` if null.
    pub fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        x: Patch<i32>,
    }

    #[test]
    fn absent_null_value() {
        // LIFE-94
        let x = |text| serde_json::from_str::<Body>(text).unwrap().x;
        assert_eq!(x("{}"), Patch::Absent);
        assert_eq!(x(r#"{"x":null}"#), Patch::Null);
        assert_eq!(x(r#"{"x":3}"#), Patch::Value(3));
    }
}
