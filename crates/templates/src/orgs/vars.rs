//! `.env` files and `${VAR}` references (PROV-146, PROV-148, PROV-O8).

use std::collections::BTreeMap;

use molecule_core::{text::Quoted, validate};
use secrecy::SecretString;

/// Parses a `.env` file: `KEY=VALUE` lines, `#` and blank lines skipped, one pair of matching quotes stripped, empty
/// values skipped. A later line wins. Keys that cannot be environment names are skipped with a log line (PROV-O9).
#[must_use]
pub fn parse_env(text: &str) -> BTreeMap<String, SecretString> {
    let mut values = BTreeMap::new();
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), unquote(value.trim()));
        if value.is_empty() {
            continue;
        }
        if validate::is_secret_key(key) && validate::is_secret_value(key, value) {
            values.insert(key.to_owned(), SecretString::from(value));
        } else {
            tracing::warn!(key = %Quoted(key), "line of a .env file is not a usable variable; skipped");
        }
    }
    values
}

fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

/// Text with its references replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text; a reference to an unset variable is empty.
    pub text: String,
    /// Unset variables, in order of appearance, each once.
    pub missing: Vec<String>,
}

/// Replaces `${VAR}` and `$VAR`. A name is a letter or `_` and then letters, digits, `_`: `$5`, `$$` and `${` without its
/// brace are ordinary text. Values are not expanded again.
pub fn expand(text: &str, mut lookup: impl FnMut(&str) -> Option<String>) -> Expanded {
    let mut out = Expanded::default();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.text.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((name, after)) = reference(rest) else {
            out.text.push('$');
            rest = &rest[1..];
            continue;
        };
        match lookup(name) {
            Some(value) => out.text.push_str(&value),
            None if out.missing.iter().any(|known| known == name) => {}
            None => out.missing.push(name.to_owned()),
        }
        rest = after;
    }
    out.text.push_str(rest);
    out
}

/// The name of the reference that `text` starts with, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix('$')?;
    if let Some(braced) = body.strip_prefix('{') {
        let (name, after) = braced.split_once('}')?;
        return (name_length(name) == name.len() && !name.is_empty()).then_some((name, after));
    }
    let length = name_length(body);
    (length > 0).then(|| body.split_at(length))
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count()
}

/// Parts of a name by which a credential is known.
const CREDENTIALS: [&str; 6] = ["SECRET", "TOKEN", "KEY", "PASSW", "SALT", "CREDENTIAL"];
/// Addresses that the platform keeps to itself; they may hold a password.
const OWN_ADDRESSES: [&str; 5] = [
    "DATABASE_URL",
    "REDIS_URL",
    "CP_UPSTREAM_URL",
    "CANVAS_PROXY_URL",
    "MOLECULE_LLM_BASE_URL",
];

/// May a reference fall back to this variable of the platform's own environment? Never to what smells of a credential
/// (PROV-O8).
#[must_use]
pub fn may_read_process_env(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    !CREDENTIALS.iter().any(|part| upper.contains(part)) && !OWN_ADDRESSES.contains(&upper.as_str())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn env_files() {
        // PROV-146, PROV-O9
        let parsed = parse_env(
            "\u{feff}A=1\r\n# B=2\n\n  C = \"x y\" \nD='q'\nE=\nF=\"\"\nG=\"a'\nH='\nI=a=b#c\nnothing\n=v\nA=3\nJ=\"\"q\"\"\n",
        );
        let plain: Vec<_> = parsed
            .iter()
            .map(|(key, value)| (key.as_str(), value.expose_secret()))
            .collect();
        assert_eq!(
            plain,
            [
                ("A", "3"),
                ("C", "x y"),
                ("D", "q"),
                ("G", "\"a'"),
                ("H", "'"),
                ("I", "a=b#c"),
                ("J", "\"q\"")
            ]
        );
        assert!(!format!("{parsed:?}").contains("x y"), "values never reach a log");
    }

    #[test]
    fn references() {
        // PROV-148
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "_b2" => Some("$A".to_owned()),
            _ => None,
        };
        for (text, expected, missing) in [
            ("${A}/x", "1/x", ""),
            ("$A-$A", "1-1", ""),
            ("$_b2.", "$A.", ""),
            ("costs $5 and $$", "costs $5 and $$", ""),
            ("${5} ${} ${A", "${5} ${} ${A", ""),
            ("${A-b}", "${A-b}", ""),
            ("$X${Y}$X", "", "X Y"),
            ("é$Aé", "é1é", ""),
            ("end$", "end$", ""),
        ] {
            let expanded = expand(text, lookup);
            assert_eq!(
                (expanded.text.as_str(), expanded.missing.join(" ").as_str()),
                (expected, missing),
                "{text}"
            );
        }
    }

    #[test]
    fn credentials_of_the_platform_are_out_of_reach() {
        // PROV-O8
        for name in [
            "ADMIN_TOKEN",
            "SECRETS_ENCRYPTION_KEY",
            "my_secret",
            "DATABASE_URL",
            "REDIS_URL",
            "TOKENS",
            "PGPASSWORD",
            "AUDIT_LEDGER_SALT",
            "CP_UPSTREAM_URL",
            "canvas_proxy_url",
        ] {
            assert!(!may_read_process_env(name), "{name}");
        }
        for name in ["HOME", "WORKSPACE_DIR", "DATABASE_URL_HINT"] {
            assert!(may_read_process_env(name), "{name}");
        }
    }
}
