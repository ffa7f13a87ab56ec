//! Which engine runs an agent.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;

/// The agent engines Molecule knows (LIFE-4, D6).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Runtime {
    /// Claude Code CLI.
    ClaudeCode,
    /// Hermes gateway.
    Hermes,
    /// OpenClaw gateway.
    Openclaw,
    /// Codex app server.
    Codex,
    /// Somebody's own agent; nothing is provisioned.
    External,
    /// Built-in agent loop.
    Native,
    /// Any command, one process per message.
    Exec,
    /// Built-in deterministic agent.
    Echo,
}

/// How a runtime name was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The runtime to use.
    pub runtime: Runtime,
    /// The text named nothing on the allowlist and the default was taken; worth a log line.
    pub unknown: bool,
}

vocabulary!(Runtime);

impl Runtime {
    /// Allowed whatever the manifest says (PROV-89a).
    pub const ALWAYS: [Self; 4] = [Self::External, Self::Native, Self::Exec, Self::Echo];

    /// What an empty or unknown name means (LIFE-4).
    pub const DEFAULT: Self = Self::ClaudeCode;

    /// Managed: the platform starts and stops it.
    #[must_use]
    pub fn is_managed(self) -> bool {
        self != Self::External
    }
}

impl std::fmt::Display for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The runtimes this installation accepts (LIFE-3, PROV-88…91).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowlist(BTreeSet<Runtime>);

impl Allowlist {
    /// The set used when no manifest can be read (PROV-91, PROV-89a): everything.
    #[must_use]
    pub fn fallback() -> Self {
        Self(Runtime::ALL.into_iter().collect())
    }

    /// From a manifest's template names: trimmed, blanks skipped, `-default` removed (PROV-89).
    pub fn from_manifest<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set: BTreeSet<_> = Runtime::ALWAYS.into_iter().collect();
        set.extend(names.into_iter().filter_map(|name| {
            let name = name.trim();
            Runtime::parse(name.strip_suffix("-default").unwrap_or(name))
        }));
        Self(set)
    }

    /// Resolves any text to a runtime that may be used; unknown, traversal and multi-line names become
    /// [`Runtime::DEFAULT`] (LIFE-4, PROV-88).
    #[must_use]
    pub fn resolve(&self, text: &str) -> Resolved {
        let text = text.trim();
        match Runtime::parse(text).filter(|runtime| self.0.contains(runtime)) {
            Some(runtime) => Resolved {
                runtime,
                unknown: false,
            },
            None => Resolved {
                runtime: Runtime::DEFAULT,
                unknown: !text.is_empty(),
            },
        }
    }

    /// The allowed runtimes in stable order.
    pub fn iter(&self) -> impl Iterator<Item = Runtime> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_resolves_to_the_default() {
        // LIFE-3, LIFE-4, PROV-88
        let all = Allowlist::fallback();
        for text in ["langgraph", "../etc", "claude-code\nx: y", "CODEX"] {
            assert_eq!(
                all.resolve(text),
                Resolved {
                    runtime: Runtime::ClaudeCode,
                    unknown: true
                },
                "{text}"
            );
        }
        assert_eq!(
            all.resolve("  "),
            Resolved {
                runtime: Runtime::ClaudeCode,
                unknown: false
            }
        );
        assert_eq!(
            all.resolve(" codex "),
            Resolved {
                runtime: Runtime::Codex,
                unknown: false
            }
        );
    }

    #[test]
    fn manifest_restricts_but_never_the_built_ins() {
        // PROV-89, PROV-89a
        let list = Allowlist::from_manifest(["claude-code-default", " codex ", "", "made-up"]);
        assert_eq!(list.resolve("codex").runtime, Runtime::Codex);
        assert!(list.resolve("hermes").unknown);
        for runtime in Runtime::ALWAYS {
            assert!(!list.resolve(runtime.as_str()).unknown);
        }
    }
}
