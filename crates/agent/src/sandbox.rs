//! Confinement of the agent and everything it starts, by Landlock (D18).
//!
//! It restricts only the calling thread and what that thread starts later, so it must be applied before any other
//! thread exists. The rules come only from what the backend reserves to itself: `PATH`, the workspace's secrets and
//! `config.yaml` can be changed on an agent's behalf, and an agent that could name its own exceptions would not be
//! confined. Programs outside the system's directories and the workspace's own can therefore not be run.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use molecule_core::contract::Sandbox;

use crate::env::Settings;

/// Newest interface asked for; older kernels get what they have.
const ABI_WANTED: ABI = ABI::V6;
/// Code and configuration of the system.
const SYSTEM: [&str; 9] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt",
];
/// Read by language runtimes and resolvers, and the plugins of all workspaces (RUN-36). Other processes' secrets in
/// `/proc` stay closed: Landlock denies ptrace.
const READ_ONLY: [&str; 6] = [
    "/proc",
    "/sys/devices/system/cpu",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/dev/urandom",
    "/plugins",
];
/// Devices that programs expect to write to.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// Every rule is in force.
    Full,
    /// The kernel knows only some of the rules.
    Partial,
    /// The kernel has no Landlock.
    Unavailable,
    /// Switched off by the operator.
    Off,
}

/// Confinement was demanded and is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel lacks it.
    #[error("MOLECULE_SANDBOX=required, but this kernel does not offer Landlock")]
    Unavailable,
    /// The kernel refused the rules.
    #[error("the sandbox could not be set up: {0}")]
    Refused(#[from] landlock::RulesetError),
}

/// Confines the calling thread and its future children.
///
/// # Errors
/// Only in mode `required`.
pub fn apply(settings: &Settings) -> Result<Confinement, SandboxError> {
    if settings.sandbox == Sandbox::Off {
        return Ok(Confinement::Off);
    }
    let confinement = match restrict(settings) {
        Ok(status) => status,
        Err(error) if settings.sandbox == Sandbox::Required => return Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "the kernel refused the sandbox");
            Confinement::Unavailable
        }
    };
    if confinement == Confinement::Unavailable && settings.sandbox == Sandbox::Required {
        return Err(SandboxError::Unavailable);
    }
    Ok(confinement)
}

/// Says plainly what the outcome means.
pub fn announce(confinement: Confinement) {
    match confinement {
        Confinement::Full => tracing::info!("sandbox: in force"),
        Confinement::Partial => {
            tracing::warn!("sandbox: in force with the rules this kernel knows; newer ones are missing");
        }
        Confinement::Unavailable => tracing::warn!(
            "sandbox: this kernel has no Landlock; the agent and its commands can read whatever this user can, the \
             platform's admin token included"
        ),
        Confinement::Off => tracing::warn!("sandbox: switched off; the agent and its commands are not confined"),
    }
}

fn restrict(settings: &Settings) -> Result<Confinement, landlock::RulesetError> {
    let read = AccessFs::from_read(ABI_WANTED);
    let all = AccessFs::from_all(ABI_WANTED);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(ABI_WANTED))?
        .create()?;
    for rule in rules(settings) {
        let access = match rule.access {
            Right::Read => read,
            Right::Write => all,
        };
        ruleset = allow(ruleset, &rule.path, access)?;
    }
    Ok(match ruleset.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::Unavailable,
    })
}

fn allow(
    ruleset: landlock::RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    // What does not exist needs no rule.
    let Ok(fd) = PathFd::new(path) else { return Ok(ruleset) };
    // Rights on directories are meaningless on a file, and the kernel refuses them there.
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(ABI_WANTED)
    };
    ruleset.add_rule(PathBeneath::new(fd, access))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Read,
    Write,
}

#[derive(Debug, PartialEq, Eq)]
struct Allowed {
    path: PathBuf,
    access: Right,
}

/// The rules, in plain terms.
fn rules(settings: &Settings) -> Vec<Allowed> {
    let read = |path: PathBuf| Allowed {
        path,
        access: Right::Read,
    };
    let write = |path: PathBuf| Allowed {
        path,
        access: Right::Write,
    };
    let mut rules: Vec<_> = SYSTEM.iter().chain(&READ_ONLY).map(|path| read(path.into())).collect();
    rules.extend(DEVICES.iter().map(|path| write(path.into())));
    rules.extend(std::env::current_exe().ok().map(read));
    let holds_workspace = |dir: &Path| settings.state_dir.starts_with(dir) || settings.credentials_dir.starts_with(dir);
    let own = [
        settings.credentials_dir.clone(),
        settings.config_dir.clone(),
        settings.state_dir.clone(),
    ];
    rules.extend(own.into_iter().map(write));
    for name in ["HOME", "TMPDIR"] {
        // The workspace's own. Somebody else's home may hold the server's secrets.
        rules.extend(
            settings
                .vars
                .get(name)
                .map(PathBuf::from)
                .filter(|dir| !holds_workspace(dir))
                .map(write),
        );
    }
    let work = if settings.may_write_work_dir() {
        Right::Write
    } else {
        Right::Read
    };
    rules.push(Allowed {
        path: settings.work_dir.clone(),
        access: work,
    });
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Vars;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let base = [
            ("WORKSPACE_ID", "6fa459ea-ee8a-4ca4-894e-db77e160355e"),
            ("CONFIGS_DIR", "/data/workspaces/w/configs"),
            ("MOLECULE_STATE_DIR", "/data/workspaces/w/state"),
        ];
        let vars: Vars = base
            .iter()
            .chain(pairs)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_vars(vars).unwrap()
    }

    #[test]
    fn write_only_to_the_workspace() {
        // D18
        let rules = rules(&settings(&[
            ("HOME", "/data/workspaces/w/home"),
            ("MOLECULE_WORKSPACE_DIR", "/data/workspaces/w/work"),
            ("PATH", "/usr/bin:/data:/:rel:/tools/bin"),
        ]));
        let written: Vec<_> = rules
            .iter()
            .filter(|rule| rule.access == Right::Write && !rule.path.starts_with("/dev"))
            .map(|rule| rule.path.to_str().unwrap())
            .collect();
        assert!(
            written
                .iter()
                .all(|path| path.starts_with("/data/workspaces/w") || *path == "/configs"),
            "{written:?}"
        );
        let may = |path: &str| rules.iter().any(|rule| rule.path == Path::new(path));
        // PATH can be set by a secret of the workspace, so nothing follows from it.
        assert!(["/data", "/", "rel", "/tools/bin"].iter().all(|path| !may(path)));
    }

    #[test]
    fn read_only_work_dir_is_not_writable() {
        let rules = rules(&settings(&[
            ("MOLECULE_WORKSPACE_DIR", "/srv/code"),
            ("MOLECULE_WORKSPACE_ACCESS", "read_only"),
        ]));
        let work = rules.iter().find(|rule| rule.path == Path::new("/srv/code")).unwrap();
        assert_eq!(work.access, Right::Read);
    }

    #[test]
    fn off_is_off() {
        assert_eq!(
            apply(&settings(&[("MOLECULE_SANDBOX", "off")])).unwrap(),
            Confinement::Off
        );
    }

    /// The test process must not confine itself: a thread of its own is enough, Landlock binds threads.
    #[test]
    fn required_is_full_or_refused() {
        // D18
        let outcome =
            std::thread::spawn(|| apply(&settings(&[("MOLECULE_SANDBOX", "required")])).map_err(|e| e.to_string()))
                .join()
                .unwrap();
        match outcome {
            Ok(confinement) => assert!(matches!(confinement, Confinement::Full | Confinement::Partial)),
            Err(reason) => assert!(reason.contains("Landlock") || reason.contains("sandbox"), "{reason}"),
        }
    }
}
