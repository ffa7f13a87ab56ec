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

/// A whole number, if there is one.
///
/// # Errors
/// Anything else, or a number that does not fit.
pub(crate) fn whole<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    deserializer
        .deserialize_any(WholeVisitor)
        .and_then(|number| match number {
            None => Ok(None),
            Some(number) => {
                let out_of_range = || de::Error::custom(format_args!("{number} is out of range"));
                T::try_from(number).map(Some).map_err(|_| out_of_range())
            }
        })
}

/// A number; `null` is 0.
///
/// # Errors
/// Anything else.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
}

struct WholeVisitor;

impl de::Visitor<'_> for WholeVisitor {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<i64>, E> {
        Ok(Some(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<i64>, E> {
        let out_of_range = || E::custom(format_args!("{number} is out of range"));
        i64::try_from(number).map(Some).map_err(|_| out_of_range())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<i64>, E> {
        Ok(None)
    }
}

struct NumberVisitor;

impl de::Visitor<'_> for NumberVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "a position far off the canvas is as good as its neighbour"
    )]
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    #[allow(clippy::cast_precision_loss, reason = "as above")]
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_unit<E: de::Error>(self) -> Result<f64, E> {
        Ok(0.0)
    }
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
