//! How well agents on this machine can be kept apart from the server (D18).

use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
use molecule_core::contract::Sandbox;

use crate::config::{BackendChoice, ServerConfig};

/// What the kernel's Landlock offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// Files, signals and abstract sockets.
    Full,
    /// Files only.
    FilesOnly,
    /// Nothing: not built in, not enabled, or filtered away by a container.
    Missing,
}

/// Asks the kernel, without restricting anything.
#[must_use]
pub fn landlock() -> Landlock {
    let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if strict().scope(Scope::from_all(ABI::V6)).is_ok() {
        Landlock::Full
    } else if strict().handle_access(AccessFs::from_all(ABI::V1)).is_ok() {
        Landlock::FilesOnly
    } else {
        Landlock::Missing
    }
}

/// Does this process run as root?
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Why agents of the process backend can read the server's secrets, if they can.
#[must_use]
pub fn exposure(config: &ServerConfig) -> Option<String> {
    exposure_of(config, landlock(), is_root())
}

fn exposure_of(config: &ServerConfig, landlock: Landlock, root: bool) -> Option<String> {
    if !matches!(config.backend, BackendChoice::Auto | BackendChoice::Process) {
        return None;
    }
    let reason = if config.sandbox == Sandbox::Off {
        "the sandbox is off"
    } else if landlock == Landlock::Missing {
        "this kernel has no Landlock"
    } else if root {
        "the server runs as root"
    } else {
        return None;
    };
    Some(format!(
        "{reason}: agents can read the admin token and the stored secrets"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Sources, load};

    #[test]
    fn said_plainly_whenever_it_is_so() {
        // D18
        let config = |vars: &[(&'static str, &'static str)]| {
            load(&Sources::of(
                Flags::default(),
                [("HOME", "/h")].into_iter().chain(vars.iter().copied()),
            ))
            .unwrap()
            .config
        };
        let usual = config(&[]);
        assert_eq!(exposure_of(&usual, Landlock::Full, false), None);
        assert_eq!(exposure_of(&usual, Landlock::FilesOnly, false), None);
        for text in [
            exposure_of(&usual, Landlock::Missing, false),
            exposure_of(&usual, Landlock::Full, true),
            exposure_of(&config(&[("MOLECULE_SANDBOX", "off")]), Landlock::Full, false),
        ] {
            assert!(text.unwrap().contains("can read the admin token"));
        }
        assert_eq!(
            exposure_of(&config(&[("MOLECULE_BACKEND", "docker")]), Landlock::Missing, true),
            None
        );
    }
}
