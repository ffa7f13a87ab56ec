//! Removes secrets from text before it is remembered or exported (SAFE-T1201, SEC-140).

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

/// Patterns in the order they apply, with the label that replaces a match.
static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r"(?i)\b[A-Z][A-Z0-9_]*_API_KEY\s*=\s*\S+", "API_KEY"),
        (r"(?i)\b[A-Z][A-Z0-9_]*_TOKEN\s*=\s*\S+", "TOKEN"),
        (r"(?i)\b[A-Z][A-Z0-9_]*_SECRET\s*=\s*\S+", "SECRET"),
        (r"Bearer\s+\S+", "BEARER_TOKEN"),
        (r"sk-[A-Za-z0-9\-_]{16,}", "SK_TOKEN"),
        (r"ctx7_[A-Za-z0-9]+", "CTX7_TOKEN"),
        (r"[A-Za-z0-9+/]{33,}={0,2}", "BASE64_BLOB"),
    ]
    .into_iter()
    .map(|(pattern, label)| (Regex::new(pattern).expect("the patterns are fixed and tested"), label))
    .collect()
});

/// Text with every secret replaced by `[REDACTED:<label>]`, and the labels that fired.
#[must_use]
pub fn redact(text: &str) -> (Cow<'_, str>, Vec<&'static str>) {
    let mut fired = Vec::new();
    let mut out = Cow::Borrowed(text);
    for (regex, label) in RULES.iter() {
        if regex.is_match(&out) {
            fired.push(*label);
            out = Cow::Owned(regex.replace_all(&out, format!("[REDACTED:{label}]")).into_owned());
        }
    }
    (out, fired)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn table() {
        // SEC-140
        for (input, expected) in [
            ("OPENAI_API_KEY = abc123 end", "[REDACTED:API_KEY] end"),
            ("my gh_token=xyz", "my [REDACTED:TOKEN]"),
            ("A_SECRET=1", "[REDACTED:SECRET]"),
            (
                "Authorization: Bearer abc.def",
                "Authorization: [REDACTED:BEARER_TOKEN]",
            ),
            ("xsk-abcdefghijklmnop", "x[REDACTED:SK_TOKEN]"),
            ("sk-short", "sk-short"),
            ("ctx7_abc", "[REDACTED:CTX7_TOKEN]"),
            ("nothing here", "nothing here"),
        ] {
            assert_eq!(redact(input).0, expected);
        }
        let blob = "A".repeat(33);
        assert_eq!(redact(&format!("{blob}==")).0, "[REDACTED:BASE64_BLOB]");
        assert_eq!(redact(&"A".repeat(32)).0, "A".repeat(32));
    }

    /// Something a rule looks for, most of it or what may stand around it.
    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            "[A-Za-z]{0,4}_(API_KEY|TOKEN|SECRET) ?= ?",
            "Bearer +",
            "sk-",
            "ctx7_",
            "[A-Za-z0-9_-]{10,20}",
            "[A-Za-z0-9+/]{30,36}={0,2}",
            r"\[REDACTED:[A-Z_]{0,12}\]?",
            "[ =\n\\[\\]:]{1,3}",
            ".{0,10}",
        ]
    }

    proptest! {
        /// What was redacted once stays as it is: redaction runs on import and export of the same text.
        #[test]
        fn idempotent(pieces in proptest::collection::vec(piece(), 0..12)) {
            let text = pieces.concat();
            let once = redact(&text).0.into_owned();
            prop_assert_eq!(redact(&once).0.into_owned(), once.clone(), "{}", text);
        }

        #[test]
        fn keys_never_survive(key in "[A-Za-z0-9]{20,40}", before in "[a-z ]{0,10}") {
            let text = format!("{before} sk-{key}");
            prop_assert!(!redact(&text).0.contains(&key));
        }
    }
}
