//! What a workspace makes of the lists it inherits (PROV-145).

use std::collections::BTreeMap;

/// Category routing: a key of the workspace replaces the inherited list, an empty list drops the category.
#[must_use]
pub fn merge_routing(
    inherited: &BTreeMap<String, Vec<String>>,
    own: &BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, Vec<String>> {
    let mut merged = inherited.clone();
    merged.extend(own.iter().map(|(category, roles)| (category.clone(), roles.clone())));
    merged.retain(|_, roles| !roles.is_empty());
    merged
}

/// Plugins: the inherited ones, then the workspace's own, each once and in order; `!x` or `-x` removes `x`, wherever it
/// stands. Blank names do not count.
#[must_use]
pub fn merge_plugins(inherited: &[String], own: &[String]) -> Vec<String> {
    let mut merged: Vec<&str> = Vec::new();
    for entry in inherited.iter().chain(own).map(|entry| entry.trim()) {
        if let Some(removed) = entry.strip_prefix(['!', '-']) {
            merged.retain(|name| *name != removed.trim());
        } else if !entry.is_empty() && !merged.contains(&entry) {
            merged.push(entry);
        }
    }
    merged.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split(' ')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn plugins() {
        // PROV-145
        for (inherited, own, expected) in [
            ("a b", "c a", "a b c"),
            ("a b", "!a", "b"),
            ("a b", "-b c", "a c"),
            ("a", "-x", "a"),
            ("", "b !b b", "b"),
            ("a a", "", "a"),
            ("a", "! -", "a"),
        ] {
            assert_eq!(
                merge_plugins(&list(inherited), &list(own)),
                list(expected),
                "{inherited} + {own}"
            );
        }
    }

    #[test]
    fn routing() {
        // PROV-145
        let map = |entries: &[(&str, &str)]| -> BTreeMap<_, _> {
            entries
                .iter()
                .map(|(key, roles)| ((*key).to_owned(), list(roles)))
                .collect()
        };
        assert_eq!(
            merge_routing(
                &map(&[("a", "x y"), ("b", "x"), ("c", "z")]),
                &map(&[("a", "n"), ("b", ""), ("d", "q")])
            ),
            map(&[("a", "n"), ("c", "z"), ("d", "q")])
        );
    }
}
