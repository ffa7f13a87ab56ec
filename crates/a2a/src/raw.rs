//! JSON objects as lists of raw slices: members can be read, replaced and removed while every other one keeps its exact
//! text.
//!
//! Nothing here recurses into values, so nesting depth costs no stack, and member names and strings with lone
//! surrogates, which no Rust string can hold, still pass through.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The JSON `null`.
pub(crate) const NULL: &str = "null";

/// One member: its name as written, quotes included, and its value as written.
#[derive(Debug, Clone)]
struct Member<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl Member<'_> {
    /// The name with its escapes resolved.
    fn spelling(&self) -> String {
        decode_str(&self.name).map_or_else(|| self.name.clone().into_owned(), Cow::into_owned)
    }
}

/// A JSON object whose members are slices of the text it was parsed from, in their order.
///
/// Of repeated names the last is the one that counts, as in nearly every JSON library; the earlier ones are kept until
/// the member is written, removed or [collapsed](Self::collapse).
#[derive(Debug, Clone, Default)]
pub(crate) struct RawObject<'a> {
    members: Vec<Member<'a>>,
}

impl<'a> RawObject<'a> {
    /// The object that `text` holds; `None` if `text` is not one valid JSON object.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The raw value of a member.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.members
            .iter()
            .rfind(|member| is_name(&member.name, name))
            .map(|member| member.value.as_ref())
    }

    /// The raw value of a member that has not been changed since the object was parsed, as a slice of that text.
    pub(crate) fn slice(&self, name: &str) -> Option<&'a str> {
        match self.members.iter().rfind(|member| is_name(&member.name, name))?.value {
            Cow::Borrowed(value) => Some(value),
            Cow::Owned(_) => None,
        }
    }

    /// The raw value of a member, `null` counting as absent (as in the JSON form of protocol buffers).
    pub(crate) fn get_some(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| *value != NULL)
    }

    /// Whether the member is present, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a member: in its place if present (earlier duplicates go), else at the end.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Cow<'a, str>>) {
        self.collapse(&[name]);
        let value = value.into();
        match self.members.iter_mut().find(|member| is_name(&member.name, name)) {
            Some(member) => member.value = value,
            None => self.members.push(Member {
                name: quote(name).into(),
                value,
            }),
        }
    }

    /// Sets a member unless it is there already.
    pub(crate) fn set_default(&mut self, name: &str, value: impl Into<Cow<'a, str>>) {
        if !self.has(name) {
            self.set(name, value);
        }
    }

    /// Removes a member, duplicates included, and returns the value that counted.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let mut last = None;
        self.members.retain_mut(|member| {
            let hit = is_name(&member.name, name);
            if hit {
                last = Some(std::mem::take(&mut member.value));
            }
            !hit
        });
        last
    }

    /// Gives a member another name, in its place. Nothing happens if it is absent or the new name is taken.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if self.has(to) {
            return;
        }
        self.collapse(&[from]);
        if let Some(member) = self.members.iter_mut().find(|member| is_name(&member.name, from)) {
            member.name = quote(to).into();
        }
    }

    /// Replaces a member's value by what `change` makes of it, if it is there and `change` makes anything.
    pub(crate) fn update(&mut self, name: &str, change: impl FnOnce(&str) -> Option<String>) {
        if let Some(value) = self.get(name).and_then(change) {
            self.set(name, value);
        }
    }

    /// Drops all but the last occurrence of each of these names, so that whoever reads the result reads what was
    /// checked here. Tells whether any was dropped.
    pub(crate) fn collapse(&mut self, names: &[&str]) -> bool {
        let before = self.members.len();
        for name in names {
            let Some(last) = self.members.iter().rposition(|member| is_name(&member.name, name)) else {
                continue;
            };
            let mut at = 0;
            self.members.retain(|member| {
                let keep = at >= last || !is_name(&member.name, name);
                at += 1;
                keep
            });
        }
        self.members.len() < before
    }

    /// Whether there is no member left.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The same object, independent of the text it was parsed from.
    pub(crate) fn into_owned(self) -> RawObject<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        let members = self.members.into_iter().map(|member| Member {
            name: own(member.name),
            value: own(member.value),
        });
        RawObject {
            members: members.collect(),
        }
    }

    /// Appends the members of `other` whose names are not taken.
    pub(crate) fn absorb(&mut self, other: RawObject<'a>) {
        // By hash, not by search: a hostile object may have as many members as a body has room for.
        let mut taken: HashSet<String> = self.members.iter().map(Member::spelling).collect();
        self.members.extend(
            other
                .members
                .into_iter()
                .filter(|member| taken.insert(member.spelling())),
        );
    }

    /// Length of the object as JSON text, about.
    pub(crate) fn size(&self) -> usize {
        let members = self.members.iter();
        members.map(|member| member.name.len() + member.value.len() + 2).sum()
    }

    /// The object as JSON text, compact between members.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::with_capacity(self.size() + 2);
        json.push('{');
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(&member.name);
            json.push(':');
            json.push_str(&member.value);
        }
        json.push('}');
        json
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = RawObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                    members.push(Member {
                        name: name.get().into(),
                        value: value.get().into(),
                    });
                }
                Ok(RawObject { members })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Whether a raw member name, quotes included, spells `name`, escapes resolved.
pub(crate) fn is_name(raw: &str, name: &str) -> bool {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    inner == name || (inner.contains('\\') && decode_str(raw).is_some_and(|decoded| decoded == name))
}

/// The elements of a JSON array as raw slices; `None` if `text` is not an array.
pub(crate) fn elements(text: &str) -> Option<Vec<&str>> {
    let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(values.into_iter().map(RawValue::get).collect())
}

/// Changes each element of a JSON array with `change` (which may leave it, by `None`); `None` if `text` is no array.
pub(crate) fn map_elements(text: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut json = String::with_capacity(text.len() + 16);
    json.push('[');
    for (index, element) in elements(text)?.into_iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        match change(element) {
            Some(changed) => json.push_str(&changed),
            None => json.push_str(element),
        }
    }
    json.push(']');
    Some(json)
}

/// Whether a raw value is a JSON object. Raw values carry no surrounding whitespace.
pub(crate) fn is_object(raw: &str) -> bool {
    raw.starts_with('{')
}

/// Whether a raw value is a JSON array.
pub(crate) fn is_array(raw: &str) -> bool {
    raw.starts_with('[')
}

/// Whether a raw value is a JSON string.
pub(crate) fn is_string(raw: &str) -> bool {
    raw.starts_with('"')
}

/// The string a raw value holds; `None` for other types. Lone surrogates become U+FFFD.
pub(crate) fn decode_str(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(inner.into());
    }
    match serde_json::from_str::<String>(raw) {
        Ok(text) => Some(text.into()),
        Err(_) => decode_lossily(raw).map(Into::into),
    }
}

/// Decodes a JSON string by way of bytes, the one path on which `serde_json` lets lone surrogates through.
fn decode_lossily(raw: &str) -> Option<String> {
    struct Lossy;

    impl Visitor<'_> for Lossy {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    serde_json::Deserializer::from_str(raw).deserialize_bytes(Lossy).ok()
}

/// `text` as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What JSON type a raw value has, for error messages.
pub(crate) fn type_name(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untouched_members_keep_their_text() {
        // A2A-32
        let text = r#"{ "b" : 12345678901234567890123 , "a":"\u00e9<>&","\ud800":1.50e+2, "x":{"k":  [1, 2]}}"#;
        let mut object = RawObject::parse(text).unwrap();
        object.set("a", "1");
        object.set("new", "true");
        assert_eq!(
            object.to_json(),
            r#"{"b":12345678901234567890123,"a":1,"\ud800":1.50e+2,"x":{"k":  [1, 2]},"new":true}"#
        );
    }

    #[test]
    fn the_last_duplicate_counts_and_collapses() {
        let mut object = RawObject::parse(r#"{"a":1,"b":2,"\u0061":3,"z":1,"z":2}"#).unwrap();
        assert_eq!(object.get("a"), Some("3"));
        object.collapse(&["a"]);
        assert_eq!(object.to_json(), r#"{"b":2,"\u0061":3,"z":1,"z":2}"#);
        assert_eq!(object.remove("z").as_deref(), Some("2"));
        object.rename("a", "c");
        assert_eq!(object.to_json(), r#"{"b":2,"c":3}"#);
    }

    #[test]
    fn absorbs_only_what_is_free() {
        let mut object = RawObject::parse(r#"{"a":1}"#).unwrap();
        object.absorb(RawObject::parse(r#"{"a":2,"b":3}"#).unwrap());
        assert_eq!(object.to_json(), r#"{"a":1,"b":3}"#);
        let escaped = RawObject::parse(r#"{"\u0061":2,"\ud800":4}"#).unwrap();
        object.absorb(escaped);
        assert_eq!(object.to_json(), r#"{"a":1,"b":3,"\ud800":4}"#);
    }

    #[test]
    fn absorbing_is_not_quadratic() {
        let members: Vec<String> = (0..200_000).map(|number| format!("\"{number}\":0")).collect();
        let many = format!("{{{}}}", members.join(","));
        let mut object = RawObject::parse(&many).unwrap();
        object.absorb(RawObject::parse(&many).unwrap());
        assert_eq!(object.to_json(), many);
    }

    #[test]
    fn refuses_what_is_no_object() {
        for text in [
            "",
            " ",
            "[]",
            "1",
            "\"x\"",
            "{",
            "{}x",
            "{\"a\"}",
            "{\"a\":1,}",
            "{\"a\n\":1}",
        ] {
            assert!(RawObject::parse(text).is_none(), "{text}");
        }
        assert!(RawObject::parse("{}").unwrap().is_empty());
    }

    #[test]
    fn decodes_strings_of_any_kind() {
        assert_eq!(decode_str(r#""a""#).unwrap(), "a");
        assert_eq!(decode_str(r#""\u00e9\n""#).unwrap(), "é\n");
        assert_eq!(decode_str(r#""x\ud800y""#).unwrap().chars().next_back(), Some('y'));
        assert_eq!(decode_str("1"), None);
        assert_eq!(decode_str("null"), None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(RawObject::parse(&deep).unwrap().to_json(), deep);
    }
}
