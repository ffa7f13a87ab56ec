//! Generated `config.yaml` (PROV-43, PROV-44, PROV-143). Written by hand rather than serialised, because its shape is
//! part of the contract; every value that came from outside is an escaped scalar, so none can add a key.

use std::{collections::BTreeMap, fmt::Write as _};

use molecule_core::Runtime;

/// Seconds between idle prompts when none, or none positive, is configured (PROV-143, RUN-89).
pub const IDLE_INTERVAL_SECONDS: i64 = 600;

/// libyaml reads a key on one line only up to 1 024 bytes; longer ones are written in the explicit form.
const SIMPLE_KEY_BYTES: usize = 1_000;

/// What a generated `config.yaml` says.
#[derive(Debug, Clone, Copy)]
pub struct GeneratedConfig<'a> {
    /// Workspace name.
    pub name: &'a str,
    /// Role; becomes `description`.
    pub role: &'a str,
    /// Privilege and size class.
    pub tier: i32,
    /// Allowlisted runtime.
    pub runtime: Runtime,
    /// Model id; [`default_model`] when absent or blank.
    pub model: Option<&'a str>,
}

/// The model of a workspace that names none (PROV-43). Empty for the built-in runtimes (D6), which leaves the choice to
/// the engine (RUN-6): `native` takes one that fits the credential it has, the other two have no model. A fixed one would
/// demand the key of one vendor from somebody who configured another.
#[must_use]
pub fn default_model(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::ClaudeCode => "sonnet",
        Runtime::Native | Runtime::Exec | Runtime::Echo => "",
        Runtime::Hermes | Runtime::Openclaw | Runtime::Codex | Runtime::External => "anthropic:claude-opus-4-7",
    }
}

impl GeneratedConfig<'_> {
    /// The YAML text. It never names required environment: a generated file cannot know which of several acceptable
    /// credentials a workspace has (PROV-43).
    #[must_use]
    pub fn render(&self) -> String {
        let model = self.model.map(str::trim).filter(|model| !model.is_empty());
        format!(
            "name: {}\ndescription: {}\nversion: 1.0.0\ntier: {}\nruntime: {}\nmodel: {}\nruntime_config:\n  timeout: 0\n",
            one_line(self.name),
            one_line(self.role),
            self.tier,
            self.runtime,
            one_line(model.unwrap_or(default_model(self.runtime))),
        )
    }
}

/// Appends `category_routing` with sorted keys and flow lists; nothing when there is no routing (PROV-143).
pub fn append_category_routing(yaml: &mut String, routing: &BTreeMap<String, Vec<String>>) {
    if routing.is_empty() {
        return;
    }
    fresh_line(yaml);
    yaml.push_str("category_routing:\n");
    for (category, roles) in routing {
        let key = one_line(category);
        let roles: Vec<_> = roles.iter().map(|role| one_line(role)).collect();
        let roles = roles.join(", ");
        if key.len() > SIMPLE_KEY_BYTES {
            write_to(yaml, format_args!("  ? {key}\n  : [{roles}]\n"));
        } else {
            write_to(yaml, format_args!("  {key}: [{roles}]\n"));
        }
    }
}

/// Appends `initial_prompt`; nothing when it is blank (PROV-143).
pub fn append_initial_prompt(yaml: &mut String, prompt: &str) {
    append_prompt(yaml, "initial_prompt", prompt);
}

/// Appends `idle_interval_seconds` and `idle_prompt`; nothing when the prompt is blank. An interval that is not
/// positive becomes [`IDLE_INTERVAL_SECONDS`] (PROV-143).
pub fn append_idle(yaml: &mut String, interval_seconds: i64, prompt: &str) {
    if prompt.trim().is_empty() {
        return;
    }
    fresh_line(yaml);
    let seconds = if interval_seconds > 0 {
        interval_seconds
    } else {
        IDLE_INTERVAL_SECONDS
    };
    write_to(yaml, format_args!("idle_interval_seconds: {seconds}\n"));
    append_prompt(yaml, "idle_prompt", prompt);
}

/// A double-quoted YAML scalar of one line: CR removed, LF a space, everything else escaped as needed (PROV-43).
#[must_use]
pub fn one_line(text: &str) -> String {
    quoted(&text.replace('\r', "").replace('\n', " "))
}

fn append_prompt(yaml: &mut String, key: &str, prompt: &str) {
    if prompt.trim().is_empty() {
        return;
    }
    fresh_line(yaml);
    let text = prompt.replace("\r\n", "\n").replace('\r', "\n");
    if text.chars().all(|c| matches!(c, '\n' | '\t') || is_plain(c)) {
        append_block(yaml, key, &text);
    } else {
        // A character that YAML forbids, or takes for a line break, cannot be in a block scalar.
        write_to(yaml, format_args!("{key}: {}\n", quoted(&text)));
    }
}

/// A literal block scalar. Indentation and chomping are explicit, so that leading spaces and trailing newlines survive.
fn append_block(yaml: &mut String, key: &str, text: &str) {
    let body = text.trim_end_matches('\n');
    let trailing = text.len() - body.len();
    let chomping = match trailing {
        0 => "-",
        1 => "",
        _ => "+",
    };
    write_to(yaml, format_args!("{key}: |2{chomping}\n"));
    for line in body.split('\n') {
        if line.is_empty() {
            yaml.push('\n');
        } else {
            write_to(yaml, format_args!("  {line}\n"));
        }
    }
    for _ in 1..trailing {
        yaml.push('\n');
    }
}

fn fresh_line(yaml: &mut String) {
    if !yaml.is_empty() && !yaml.ends_with('\n') {
        yaml.push('\n');
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_plain(c) => out.push(c),
            c => match u32::from(c) {
                code @ 0..=0xff => write_to(&mut out, format_args!("\\x{code:02X}")),
                code @ 0x100..=0xffff => write_to(&mut out, format_args!("\\u{code:04X}")),
                code => write_to(&mut out, format_args!("\\U{code:08X}")),
            },
        }
    }
    out.push('"');
    out
}

/// Printable in YAML and no line break: NEL, LS and PS end a line for a YAML 1.1 reader, and a BOM is eaten.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

fn write_to(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use yaml_serde::Value;

    use super::*;
    use crate::config::required_env;

    fn keys(value: &Value) -> Vec<&str> {
        value
            .as_mapping()
            .unwrap()
            .keys()
            .map(|key| key.as_str().unwrap())
            .collect()
    }

    #[test]
    fn exact_text() {
        // PROV-43, PROV-44
        let config = GeneratedConfig {
            name: "A \"b\"",
            role: "x\r\ny",
            tier: 2,
            runtime: Runtime::Codex,
            model: Some(" m "),
        };
        assert_eq!(
            config.render(),
            "name: \"A \\\"b\\\"\"\ndescription: \"x y\"\nversion: 1.0.0\ntier: 2\nruntime: codex\nmodel: \"m\"\nruntime_config:\n  timeout: 0\n"
        );
    }

    #[test]
    fn every_runtime_ends_with_the_timeout_and_requires_nothing() {
        // PROV-43, PROV-44
        for runtime in Runtime::ALL {
            let yaml = GeneratedConfig {
                name: "n",
                role: "",
                tier: 3,
                runtime,
                model: None,
            }
            .render();
            assert!(yaml.ends_with("\nruntime_config:\n  timeout: 0\n"), "{yaml}");
            assert!(!yaml.contains("required_env"));
            assert!(required_env(yaml.as_bytes()).is_empty());
            let model = match runtime {
                Runtime::ClaudeCode => "sonnet",
                Runtime::Native | Runtime::Exec | Runtime::Echo => "",
                _ => "anthropic:claude-opus-4-7",
            };
            assert_eq!(yaml_serde::from_str::<Value>(&yaml).unwrap()["model"], model);
        }
    }

    #[test]
    fn appended_sections() {
        // PROV-143
        let mut yaml = "a: 1".to_owned();
        let routing = [("z", vec!["R"]), ("a: b", vec!["x, y", "\"q\""])];
        let routing = routing
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.into_iter().map(str::to_owned).collect()));
        append_category_routing(&mut yaml, &routing.collect());
        append_initial_prompt(&mut yaml, "  go\n\nnow: x\n");
        append_idle(&mut yaml, 0, "tick");
        assert_eq!(
            yaml,
            "a: 1\ncategory_routing:\n  \"a: b\": [\"x, y\", \"\\\"q\\\"\"]\n  \"z\": [\"R\"]\ninitial_prompt: |2\n    go\n\n  now: x\nidle_interval_seconds: 600\nidle_prompt: |2-\n  tick\n"
        );
        let mut nothing = String::new();
        append_category_routing(&mut nothing, &BTreeMap::new());
        append_initial_prompt(&mut nothing, " \n");
        append_idle(&mut nothing, 30, "\t");
        assert_eq!(nothing, "");
    }

    /// Text made of what breaks naive YAML writers, mixed with anything.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            Just("\u{85}".to_owned()),
            Just("\u{2028}".to_owned()),
            Just("\u{feff}".to_owned()),
            Just("\0".to_owned()),
            Just("\"".to_owned()),
            Just("\\".to_owned()),
            Just("\t".to_owned()),
            Just("\ntier: 4\n".to_owned()),
            Just("runtime_config:\n  required_env: [X]".to_owned()),
            Just("--- \n".to_owned()),
            Just("# ".to_owned()),
            Just("  ".to_owned()),
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_value_can_add_a_key(name in hostile(), role in hostile(), model in hostile()) {
            // PROV-43, LIFE-3
            let yaml = GeneratedConfig { name: &name, role: &role, tier: 2, runtime: Runtime::Hermes, model: Some(&model) }.render();
            let parsed: Value = yaml_serde::from_str(&yaml).unwrap();
            prop_assert_eq!(keys(&parsed), ["name", "description", "version", "tier", "runtime", "model", "runtime_config"]);
            let flat = |text: &str| text.replace('\r', "").replace('\n', " ");
            prop_assert_eq!(parsed["name"].as_str().unwrap(), flat(&name));
            prop_assert_eq!(parsed["description"].as_str().unwrap(), flat(&role));
            prop_assert_eq!(keys(&parsed["runtime_config"]), ["timeout"]);
            prop_assert_eq!(&parsed["runtime"], "hermes");
        }

        #[test]
        fn prompts_and_routing_survive_and_stay_in_their_key(
            initial in hostile(), idle in hostile(), category in hostile(), role in hostile()
        ) {
            // PROV-143
            let mut yaml = "name: x\n".to_owned();
            append_category_routing(&mut yaml, &BTreeMap::from([(category.clone(), vec![role.clone()])]));
            append_initial_prompt(&mut yaml, &initial);
            append_idle(&mut yaml, 5, &idle);
            yaml.push_str("last: y\n");
            let parsed: Value = yaml_serde::from_str(&yaml).unwrap();
            let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
            let mut expected = vec!["name", "category_routing"];
            if !initial.trim().is_empty() {
                expected.push("initial_prompt");
                prop_assert_eq!(parsed["initial_prompt"].as_str().unwrap(), lines(&initial));
            }
            if !idle.trim().is_empty() {
                expected.extend(["idle_interval_seconds", "idle_prompt"]);
                prop_assert_eq!(parsed["idle_prompt"].as_str().unwrap(), lines(&idle));
            }
            expected.push("last");
            prop_assert_eq!(keys(&parsed), expected);
            let (key, roles) = parsed["category_routing"].as_mapping().unwrap().iter().next().unwrap();
            let flat = |text: &str| text.replace('\r', "").replace('\n', " ");
            prop_assert_eq!(key.as_str().unwrap(), flat(&category));
            prop_assert_eq!(roles[0].as_str().unwrap(), flat(&role));
        }
    }

    #[test]
    fn a_key_longer_than_libyaml_reads_on_one_line() {
        // PROV-143
        let mut yaml = String::new();
        append_category_routing(&mut yaml, &BTreeMap::from([("k".repeat(3_000), vec!["r".to_owned()])]));
        let parsed: Value = yaml_serde::from_str(&yaml).unwrap();
        assert_eq!(keys(&parsed["category_routing"]), ["k".repeat(3_000)]);
    }
}
