//! Surrogate pairs that are split between events.
//!
//! Some endpoints cut text by UTF-16 units and write each half of a pair as an escape of its own, the first at the end
//! of one event, the second at the beginning of another. Each event by itself is no valid JSON then.

/// Holds the first half until the second comes.
#[derive(Debug, Default)]
pub(super) struct Surrogates {
    first: Option<u16>,
}

impl Surrogates {
    /// The JSON text of an event with whole pairs only: a first half is held back, a second one completed. A half that
    /// never finds its other reads as U+FFFD.
    pub(super) fn mend(&mut self, json: &str) -> Option<String> {
        // Everything else passes as it is.
        let marked = json
            .as_bytes()
            .windows(4)
            .any(|w| w[0] == b'\\' && w[1] == b'u' && matches!(w[2], b'd' | b'D'));
        if !marked {
            return None;
        }
        let mut out = String::with_capacity(json.len());
        let mut rest = json;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let Some(unit) = unit(rest) else {
                // Two bytes of an ordinary escape, or what is no escape at all.
                let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
                out.push_str(&rest[..end]);
                rest = &rest[end..];
                continue;
            };
            let (escape, after) = rest.split_at(6);
            rest = after;
            match unit {
                0xD800..=0xDBFF => match self::unit(rest).filter(|next| (0xDC00..=0xDFFF).contains(next)) {
                    Some(_) => {
                        let (second, after) = rest.split_at(6);
                        out.push_str(escape);
                        out.push_str(second);
                        rest = after;
                    }
                    None => self.first = Some(unit),
                },
                0xDC00..=0xDFFF => match self.first.take() {
                    Some(first) => out.push_str(&format!("\\u{first:04x}{escape}")),
                    None => out.push_str("\\ufffd"),
                },
                _ => out.push_str(escape),
            }
        }
        out.push_str(rest);
        Some(out)
    }
}

/// The code unit of the escape that the text begins with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(events: &[&str]) -> Vec<Value> {
        let mut surrogates = Surrogates::default();
        let read = |event: &&str| {
            let mended = surrogates.mend(event);
            serde_json::from_str(mended.as_deref().unwrap_or(event)).unwrap()
        };
        events.iter().map(read).collect()
    }

    #[test]
    fn halves_find_each_other() {
        let events = [r#"{"t":"a\ud83d"}"#, r#"{"t":"\ude00b"}"#];
        assert_eq!(read(&events), [json!({"t": "a"}), json!({"t": "😀b"})]);
        let between = [r#"{"t":"\uD83D"}"#, r#"{"t":""}"#, r#"{"t":"\uDE00"}"#];
        assert_eq!(read(&between)[2], json!({"t": "😀"}));
    }

    #[test]
    fn whole_pairs_and_other_escapes_pass() {
        for text in [
            r#""\ud83d\ude00""#,
            r#""\\ud83d""#,
            r#""\\\ud83d\ude00 \n\u00e9\ud7ff""#,
            r#""plain""#,
        ] {
            assert_eq!(read(&[text]), [serde_json::from_str::<Value>(text).unwrap()], "{text}");
        }
    }

    #[test]
    fn what_stays_alone_is_replaced() {
        assert_eq!(read(&[r#""\ude00""#]), [json!("\u{fffd}")]);
        assert_eq!(read(&[r#""x\ud83d""#, r#""y""#]), [json!("x"), json!("y")]);
        // What is cut off is for the parser to refuse.
        assert_eq!(Surrogates::default().mend(r#""\ud8"#).as_deref(), Some(r#""\ud8"#));
    }
}
