//! Deserialisers for YAML that people write by hand: an absent, empty or `null` value is the type's default, and a
//! scalar of any kind is acceptable text (`name: 42`).

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};

/// `null` reads as the default. Use together with `#[serde(default)]`.
///
/// # Errors
/// Whatever `T` refuses.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A scalar as text; `null` is empty.
///
/// # Errors
/// A list or a mapping.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Text::deserialize(deserializer).map(|text| text.0)
}

/// A list of scalars as texts; `null` is empty.
///
/// # Errors
/// Anything but a list of scalars.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    nullable::<D, Vec<Text>>(deserializer).map(|list| list.into_iter().map(|text| text.0).collect())
}

/// A mapping of scalars to scalars; `null` is empty.
///
/// # Errors
/// Anything but such a mapping.
pub(crate) fn text_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map: BTreeMap<Text, Text> = nullable(deserializer)?;
    Ok(map.into_iter().map(|(key, value)| (key.0, value.0)).collect())
}

/// A mapping of scalars to lists of scalars; `null` is empty, as map and as list.
///
/// # Errors
/// Anything but such a mapping.
pub(crate) fn text_lists<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let map: BTreeMap<Text, Option<Vec<Text>>> = nullable(deserializer)?;
    let plain = |list: Option<Vec<Text>>| list.unwrap_or_default().into_iter().map(|text| text.0).collect();
    Ok(map.into_iter().map(|(key, list)| (key.0, plain(list))).collect())
}

#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<String, E> {
        // Debug keeps the point of `version: 1.0`.
        Ok(format!("{value:?}"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Ok(String::new())
    }
}
