//! One piece of environment that an organisation needs (PROV-126).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// One requirement: a variable, or any one of several. The YAML and the JSON form are the same: `"NAME"` or
/// `{"any_of": ["A", "B"]}` (PROV-126).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EnvRequirement {
    /// This variable.
    Name(String),
    /// One of these.
    AnyOf {
        /// The acceptable variables, never empty.
        any_of: Vec<String>,
    },
}

impl EnvRequirement {
    /// The variables that satisfy it.
    #[must_use]
    pub fn members(&self) -> &[String] {
        match self {
            Self::Name(name) => std::slice::from_ref(name),
            Self::AnyOf { any_of } => any_of,
        }
    }

    /// Any one of these; one alone is that variable.
    #[must_use]
    pub fn one_of(mut names: Vec<String>) -> Self {
        if names.len() == 1 {
            Self::Name(names.remove(0))
        } else {
            Self::AnyOf { any_of: names }
        }
    }

    /// Is `other` met whenever this is?
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        self.members().iter().all(|name| other.members().contains(name))
    }

    /// Does any configured variable satisfy it? (PROV-135)
    pub fn is_met(&self, mut configured: impl FnMut(&str) -> bool) -> bool {
        self.members().iter().any(|name| configured(name))
    }
}

impl<'de> Deserialize<'de> for EnvRequirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RequirementVisitor)
    }
}

struct RequirementVisitor;

impl<'de> de::Visitor<'de> for RequirementVisitor {
    type Value = EnvRequirement;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a variable or {any_of: [names]}")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<EnvRequirement, E> {
        Ok(EnvRequirement::Name(name.to_owned()))
    }

    // An unnamed list item (`- `) is empty, and dropped silently like any empty name.
    fn visit_unit<E: de::Error>(self) -> Result<EnvRequirement, E> {
        Ok(EnvRequirement::Name(String::new()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<EnvRequirement, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, expecting = "{any_of: [names]}")]
        struct Group {
            any_of: Vec<String>,
        }
        let group = Group::deserialize(de::value::MapAccessDeserializer::new(map))?;
        if group.any_of.is_empty() {
            return Err(de::Error::custom("any_of must not be empty"));
        }
        Ok(EnvRequirement::AnyOf { any_of: group.any_of })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_form_in_yaml_and_json_in_both_directions() {
        // PROV-126
        let entries = json!(["A", {"any_of": ["B", "C"]}]);
        let parsed: Vec<EnvRequirement> = serde_json::from_value(entries.clone()).unwrap();
        assert_eq!(serde_json::to_value(&parsed).unwrap(), entries);
        assert_eq!(
            yaml_serde::from_str::<Vec<EnvRequirement>>("[A, {any_of: [B, C]}]").unwrap(),
            parsed
        );
        for bad in [
            "{any_of: []}",
            "{any_of: A}",
            "{all_of: [A]}",
            "{any_of: [A], x: 1}",
            "[A]",
            "7",
        ] {
            assert!(yaml_serde::from_str::<EnvRequirement>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_group_needs_one_member() {
        // PROV-135
        let group = EnvRequirement::AnyOf {
            any_of: vec!["A".into(), "B".into()],
        };
        assert!(group.is_met(|name| name == "B"));
        assert!(!group.is_met(|name| name == "C"));
    }
}
