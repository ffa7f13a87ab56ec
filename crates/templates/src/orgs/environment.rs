//! Environment that a whole organisation needs (PROV-129, PROV-130, PROV-O14).

use std::collections::{BTreeMap, BTreeSet};

use molecule_core::text::Quoted;

use crate::orgs::{document::OrgDocument, requirement::EnvRequirement};

/// Longest name of an environment variable in a requirement, characters (PROV-129).
const NAME_CHARS: usize = 128;

/// The requirements of a whole organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Without these no import.
    pub required: Vec<EnvRequirement>,
    /// Better with these.
    pub recommended: Vec<EnvRequirement>,
}

/// One tier, cleaned: strict names, and groups by their member set.
#[derive(Default)]
struct Tier {
    names: BTreeSet<String>,
    groups: BTreeMap<BTreeSet<String>, Vec<String>>,
}

/// The union over root and every workspace, without duplicates and without what a stricter entry implies; singles by
/// name, then groups by sorted members (PROV-129, PROV-130). A group of both tiers is required only (PROV-O14).
#[must_use]
pub fn aggregate(document: &OrgDocument) -> Requirements {
    let (mut required, mut recommended) = (Tier::default(), Tier::default());
    document.required_env.iter().for_each(|entry| required.add(entry));
    document.recommended_env.iter().for_each(|entry| recommended.add(entry));
    document.for_each(|node| {
        node.required_env.iter().for_each(|entry| required.add(entry));
        node.recommended_env.iter().for_each(|entry| recommended.add(entry));
    });
    recommended.names.retain(|name| !required.names.contains(name));
    recommended
        .groups
        .retain(|group, _| group.is_disjoint(&required.names) && !required.groups.contains_key(group));
    Requirements {
        required: required.finish(),
        recommended: recommended.finish(),
    }
}

impl Tier {
    fn add(&mut self, entry: &EnvRequirement) {
        match entry {
            EnvRequirement::Name(name) => {
                if is_usable(name) {
                    self.names.insert(name.clone());
                }
            }
            EnvRequirement::AnyOf { any_of } => {
                let mut seen = BTreeSet::new();
                let members: Vec<String> = any_of
                    .iter()
                    .filter(|name| is_usable(name) && seen.insert((*name).clone()))
                    .cloned()
                    .collect();
                if !members.is_empty() {
                    self.groups.entry(seen).or_insert(members);
                }
            }
        }
    }

    fn finish(self) -> Vec<EnvRequirement> {
        let Self { names, groups } = self;
        let groups = groups
            .into_iter()
            .filter(|(group, _)| group.is_disjoint(&names))
            .map(|(_, any_of)| any_of);
        let groups: Vec<_> = groups.map(|any_of| EnvRequirement::AnyOf { any_of }).collect();
        names.into_iter().map(EnvRequirement::Name).chain(groups).collect()
    }
}

/// `^[A-Z][A-Z0-9_]{0,127}$`; others are dropped with a log line, empty ones silently (PROV-129).
fn is_usable(name: &str) -> bool {
    let valid = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.len() <= NAME_CHARS
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !valid && !name.is_empty() {
        tracing::warn!(name = %Quoted(name), "environment requirement is not a variable name; dropped");
    }
    valid
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn aggregated(yaml: &str) -> (Value, Value) {
        let document: OrgDocument = yaml_serde::from_str(yaml).unwrap();
        let Requirements { required, recommended } = aggregate(&document);
        (
            serde_json::to_value(required).unwrap(),
            serde_json::to_value(recommended).unwrap(),
        )
    }

    #[test]
    fn union_over_all_levels_sorted() {
        // PROV-129, PROV-130
        let (required, recommended) = aggregated(
            "required_env: [Z, {any_of: [Y, X]}]\nrecommended_env: [R]\n\
             workspaces: [{name: a, required_env: [B], children: [{name: b, required_env: [A, Z, {any_of: [X, Y]}, {any_of: [Q, C]}]}]}]\n",
        );
        assert_eq!(
            required,
            json!(["A", "B", "Z", {"any_of": ["Q", "C"]}, {"any_of": ["Y", "X"]}])
        );
        assert_eq!(recommended, json!(["R"]));
    }

    #[test]
    fn a_strict_name_removes_what_it_implies() {
        // PROV-130, PROV-O14
        let (required, recommended) = aggregated(
            "required_env: [A, {any_of: [A, B]}, {any_of: [C, D]}]\n\
             recommended_env: [A, B, {any_of: [A, E]}, {any_of: [D, C]}, {any_of: [B, F]}, {any_of: [G, H]}]\n",
        );
        assert_eq!(required, json!(["A", {"any_of": ["C", "D"]}]));
        assert_eq!(recommended, json!(["B", {"any_of": ["G", "H"]}]));
    }

    #[test]
    fn bad_names_are_dropped_and_groups_survive_on_valid_members() {
        // PROV-129
        let long = "A".repeat(128);
        let (required, _) = aggregated(&format!(
            "required_env: [lower, '', 'A B', _X, {long}, {long}X, {{any_of: [bad-name, OK, OK]}}, {{any_of: [nope]}}]\n"
        ));
        assert_eq!(required, json!([long, {"any_of": ["OK"]}]));
    }
}
