//! Removes secrets from text before it is remembered or exported (SAFE-T1201, SEC-140).

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

/// One kind of secret.
struct Rule {
    pattern: Regex,
    /// What stands for a match; `None` leaves it as it is. With the label that is told.
    replace: fn(&Captures<'_>) -> Option<(String, &'static str)>,
}

/// `[REDACTED:<label>]` for the whole match.
macro_rules! whole {
    ($pattern:expr, $label:expr) => {
        Rule {
            pattern: pattern($pattern),
            replace: |_| Some((mark($label), $label)),
        }
    };
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns are fixed and tested")
}

fn mark(label: &str) -> String {
    format!("[REDACTED:{label}]")
}

/// Rules in the order they apply: those of SEC-140, with what D29 adds before the last of them, which would take the
/// values of named secrets for something else.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        whole!(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
            "SECRET"
        ),
        whole!(r"(?i)\b[A-Z][A-Z0-9_]*_API_KEY\s*=\s*\S+", "API_KEY"),
        whole!(r"(?i)\b[A-Z][A-Z0-9_]*_TOKEN\s*=\s*\S+", "TOKEN"),
        whole!(r"(?i)\b[A-Z][A-Z0-9_]*_SECRET\s*=\s*\S+", "SECRET"),
        whole!(r"Bearer\s+\S+", "BEARER_TOKEN"),
        whole!(r"sk-[A-Za-z0-9\-_]{16,}", "SK_TOKEN"),
        whole!(r"ctx7_[A-Za-z0-9]+", "CTX7_TOKEN"),
        whole!(VENDORS, "TOKEN"),
        Rule {
            pattern: pattern(r"\b([A-Za-z][A-Za-z0-9+.\-]*://)[^/\s:@]*:[^/\s@]+@"),
            replace: |found| Some((format!("{}{}@", &found[1], mark("SECRET")), "SECRET")),
        },
        Rule {
            pattern: pattern(r"(?i)\b(authorization\s*[:=]\s*basic\s+)[A-Za-z0-9+/=]+"),
            replace: |found| Some((format!("{}{}", &found[1], mark("SECRET")), "SECRET")),
        },
        Rule {
            pattern: pattern(NAMED),
            replace: named,
        },
        Rule {
            pattern: pattern(r"[A-Za-z0-9+/]{33,}={0,2}"),
            replace: |found| (!is_plain(&found[0])).then(|| (mark("BASE64_BLOB"), "BASE64_BLOB")),
        },
    ]
});

/// Tokens that vendors begin in a way of their own, and signed tokens in three parts.
const VENDORS: &str = concat!(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,}",
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[0-9A-Za-z_\-]{30,}|ya29\.[A-Za-z0-9_\-]{20,}",
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_\-]{20,}|hf_[A-Za-z0-9]{20,}|dop_v1_[a-f0-9]{32,}",
    r"|SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"|eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+)",
);

/// A name that says secret, a colon or an equals sign, and a value: in JSON, YAML, an environment file or a sentence.
const NAMED: &str = concat!(
    r#"(?i)(?P<head>(?P<quote>["']?)\b[A-Za-z0-9_.\-]*?(?P<word>api[_\-]?key|access[_\-]?key|private[_\-]?key|token"#,
    r#"|secret|password|passwd|passphrase|credential)["']?[ \t]*(?P<sign>[:=])[ \t]*)"#,
    r#"(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;}\]"']+)"#,
);

/// What stands for the value of a named secret. Its length and its looks do not matter where it is in quotes, or behind an
/// equals sign; in a sentence an ordinary word is one.
fn named(found: &Captures<'_>) -> Option<(String, &'static str)> {
    let (head, value) = (&found["head"], &found["value"]);
    let inner = value.trim_matches(['"', '\'']);
    let quoted = inner.len() != value.len();
    // What was redacted before, what names another place, and what is no text.
    if inner.is_empty() || inner.starts_with(['[', '{', '$', '<']) {
        return None;
    }
    if !quoted && !found["quote"].is_empty() {
        return None;
    }
    let word = found["word"].to_ascii_lowercase();
    let hides_words = word.starts_with("pass") || &found["sign"] == "=";
    if !quoted && !hides_words && inner.chars().all(char::is_alphabetic) {
        return None;
    }
    let label = match word.as_str() {
        "token" => "TOKEN",
        word if word.ends_with("key") => "API_KEY",
        _ => "SECRET",
    };
    let quote = if quoted { &value[..1] } else { "" };
    Some((format!("{head}{quote}{}{quote}", mark(label)), label))
}

/// Long, and nevertheless no secret: a hash, or a path of words.
fn is_plain(text: &str) -> bool {
    let hash = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let path = text.contains('/') && !text.contains(['+', '=']) && !text.split('/').any(is_random);
    hash || path
}

/// Is it long, of small and capital letters and digits at once? Names of files and directories seldom are.
fn is_random(segment: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| segment.bytes().any(|byte| kind(&byte));
    segment.len() >= 16 && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit)
}

/// Text with every secret replaced by `[REDACTED:<label>]`, and the labels that fired.
#[must_use]
pub fn redact(text: &str) -> (Cow<'_, str>, Vec<&'static str>) {
    let mut fired = Vec::new();
    let mut out = Cow::Borrowed(text);
    for Rule { pattern, replace } in RULES.iter() {
        let mut label = None;
        let replaced = pattern.replace_all(&out, |found: &Captures<'_>| match replace(found) {
            Some((text, fires)) => {
                label = Some(fires);
                text
            }
            None => found[0].to_owned(),
        });
        if let (Some(label), Cow::Owned(replaced)) = (label, replaced) {
            out = Cow::Owned(replaced);
            if !fired.contains(&label) {
                fired.push(label);
            }
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

    #[test]
    fn secrets_by_their_names() {
        // D29
        for (input, expected) in [
            (r#"{"client_secret":"x"}"#, r#"{"client_secret":"[REDACTED:SECRET]"}"#),
            (
                r#"{"apiKey": "a b", "n": 1}"#,
                r#"{"apiKey": "[REDACTED:API_KEY]", "n": 1}"#,
            ),
            (r#"{"password":"q\"uote"}"#, r#"{"password":"[REDACTED:SECRET]"}"#),
            (
                "db:\n  password: hunter2\n  host: db",
                "db:\n  password: [REDACTED:SECRET]\n  host: db",
            ),
            ("access_token: 'abc'", "access_token: '[REDACTED:TOKEN]'"),
            ("my password: correct", "my password: [REDACTED:SECRET]"),
            ("note: passwd=abc, more", "note: passwd=[REDACTED:SECRET], more"),
            (
                "AWS_SECRET_ACCESS_KEY: abc123",
                "AWS_SECRET_ACCESS_KEY: [REDACTED:API_KEY]",
            ),
            ("GITHUB_TOKEN: ab12", "GITHUB_TOKEN: [REDACTED:TOKEN]"),
            ("postgres://dev:pw@db:5432/x", "postgres://[REDACTED:SECRET]@db:5432/x"),
            ("https://:pw@host/", "https://[REDACTED:SECRET]@host/"),
            (
                "Authorization: Basic dXNlcjpwdw==",
                "Authorization: Basic [REDACTED:SECRET]",
            ),
        ] {
            assert_eq!(redact(input).0, expected, "{input}");
        }
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----";
        assert_eq!(redact(&format!("a {key} b")).0, "a [REDACTED:SECRET] b");
    }

    #[test]
    fn tokens_by_their_looks() {
        // D29
        let (letters, digits) = ("abcdefghijklmnopqrstuvwxyzabcdefghij", "0123456789ABCDEF");
        for token in [
            format!("ghp_{letters}"),
            format!("github_pat_{letters}"),
            format!("glpat-{letters}"),
            format!("xoxb-{letters}"),
            format!("AKIA{digits}"),
            format!("AIza{letters}"),
            format!("ya29.{letters}"),
            format!("npm_{letters}"),
            format!("hf_{letters}"),
            format!("SG.{letters}.{letters}"),
            format!("sk_live_{letters}"),
            format!("eyJ{letters}.{letters}.{letters}"),
        ] {
            let (clean, fired) = redact(&token);
            assert_eq!((&*clean, fired), ("[REDACTED:TOKEN]", vec!["TOKEN"]), "{token}");
        }
    }

    #[test]
    fn what_is_no_secret_is_left_alone() {
        // D29
        let (hash40, hash64) = (
            "0123456789abcdef".repeat(3)[..40].to_owned(),
            "0123456789abcdef".repeat(4),
        );
        for plain in [
            hash40.as_str(),
            hash64.as_str(),
            &format!("commit {hash40} of main"),
            "6fa459ea-ee8a-4ca4-894e-db77e160355e",
            "/home/someone/projects/molecule/crates/api/src",
            "crates/platform/src/provisioning/pipeline",
            "https://example.org/a/long/path/of/words/without/end",
            "max_tokens: 4096",
            "\"max_tokens\": 4096",
            "the secret: patience",
            "a token: string",
            "{\"token\": null, \"secret\": 5}",
            "token: ${TOKEN}",
            "password: <your password>",
            "Keys are rotated; tokens expire.",
            "ghp_short",
            "mail me: someone@example.org",
        ] {
            assert_eq!(redact(plain).0, plain);
        }
    }

    /// Something a rule looks for, most of it or what may stand around it.
    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            "[A-Za-z]{0,4}_(API_KEY|TOKEN|SECRET) ?= ?",
            "Bearer +",
            "sk-",
            "ctx7_",
            "ghp_",
            "[a-z]{1,5}://[a-z]{0,3}:[a-z]{1,3}@",
            "[\"']?(client_secret|password|token|api_key)[\"']? ?[:=] ?[\"']?",
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
