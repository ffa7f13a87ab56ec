//! Which files an agent may reach, by Landlock.
//!
//! The rules come only from what the backend reserves to itself: `PATH`, the workspace's secrets and `config.yaml` can
//! be changed on an agent's behalf, and an agent that could name its own exceptions would not be confined. Programs
//! outside the system's directories and the workspace's own can therefore not be run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::{Enforcement, Policy};
use crate::env::Settings;

/// Newest interface whose rules every agent gets; older kernels get what they have. What later ones add is asked for
/// by name.
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
/// Devices that programs expect to write to. No terminals: those of this machine belong to people (D32).
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];
/// Terminals of the agent's own, once [`super::terminals`] has made them.
const PRIVATE_TERMINALS: [&str; 3] = ["/dev/tty", "/dev/ptmx", "/dev/pts"];

/// Does a directory hold what every agent may read, so that nothing can be withheld below it?
#[must_use]
pub fn holds_system(dir: &Path) -> bool {
    let dir = resolved(dir);
    SYSTEM.iter().any(|tree| resolved(Path::new(tree)).starts_with(&dir))
}

/// Can this kernel refuse to connect to a socket by its path?
#[must_use]
pub fn judges_unix_sockets() -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::ResolveUnix)
        .is_ok()
}

/// Confines the calling thread and what it starts.
pub(super) fn restrict(settings: &Settings, policy: &Policy) -> Result<Enforcement, RulesetError> {
    let mut all = AccessFs::from_all(ABI_WANTED);
    let mut scope = Scope::from_all(ABI_WANTED);
    if policy.unix_sockets {
        scope.remove(Scope::AbstractUnixSocket);
    }
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(scope)?;
    if !policy.unix_sockets && judges_unix_sockets() {
        // Those in the workspace's own directories stay usable: only its own programs can listen there.
        all |= AccessFs::ResolveUnix;
        ruleset = ruleset.handle_access(AccessFs::ResolveUnix)?;
    }
    let mut created = ruleset.create()?;
    for rule in rules(settings, policy) {
        let access = match rule.access {
            Right::Read => AccessFs::from_read(ABI_WANTED),
            Right::Write => all,
        };
        created = allow(created, &rule.path, access)?;
    }
    Ok(match created.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Enforcement::Full,
        RulesetStatus::PartiallyEnforced => Enforcement::Partial,
        RulesetStatus::NotEnforced => Enforcement::Missing,
    })
}

fn allow(ruleset: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    // What does not exist needs no rule.
    let Ok(fd) = PathFd::new(path) else { return Ok(ruleset) };
    // Rights on directories are meaningless on a file, and the kernel refuses them there.
    let access = if path.is_dir() {
        access
    } else {
        access & (AccessFs::from_file(ABI_WANTED) | AccessFs::ResolveUnix)
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
fn rules(settings: &Settings, policy: &Policy) -> Vec<Allowed> {
    let read = |path: PathBuf| Allowed {
        path,
        access: Right::Read,
    };
    let write = |path: PathBuf| Allowed {
        path,
        access: Right::Write,
    };
    let withheld: Vec<PathBuf> = policy.withheld.iter().map(|path| resolved(path)).collect();
    let trees: BTreeSet<PathBuf> = SYSTEM
        .iter()
        .chain(&READ_ONLY)
        .map(|tree| resolved(Path::new(tree)))
        .collect();
    let mut rules: Vec<_> = trees
        .iter()
        .flat_map(|tree| readable(tree, &withheld))
        .map(read)
        .collect();
    rules.extend(DEVICES.iter().map(|path| write(path.into())));
    if policy.terminals {
        rules.extend(PRIVATE_TERMINALS.iter().map(|path| write(path.into())));
    }
    rules.extend(std::env::current_exe().ok().map(read));
    rules.extend(own(settings).into_iter().map(write));
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

/// The workspace's own directories, which lie below what is withheld from everybody else.
fn own(settings: &Settings) -> Vec<PathBuf> {
    let holds_workspace = |dir: &Path| settings.state_dir.starts_with(dir) || settings.credentials_dir.starts_with(dir);
    let mut own = vec![
        settings.credentials_dir.clone(),
        settings.config_dir.clone(),
        settings.state_dir.clone(),
    ];
    for name in ["HOME", "TMPDIR"] {
        // The workspace's own. Somebody else's home may hold the server's secrets.
        own.extend(
            settings
                .vars
                .get(name)
                .map(PathBuf::from)
                .filter(|dir| !holds_workspace(dir)),
        );
    }
    own
}

/// What of `tree` may be read when `withheld` may not: the tree itself, or else everything in it that neither is
/// withheld nor leads there. Landlock has no rule that takes something away, so the way down to what is withheld is
/// opened entry by entry: what is added beside it later stays closed until the next start.
fn readable(tree: &Path, withheld: &[PathBuf]) -> Vec<PathBuf> {
    if withheld.iter().any(|path| tree.starts_with(path)) {
        return Vec::new();
    }
    if !withheld.iter().any(|path| path.starts_with(tree)) {
        return vec![tree.to_owned()];
    }
    let Ok(entries) = fs::read_dir(tree) else {
        return Vec::new();
    };
    entries
        .flatten()
        // A link gives no right of its own: what counts is where it leads.
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .map(|entry| entry.path())
        .filter(|path| !withheld.iter().any(|file| is_sibling(path, file)))
        .flat_map(|path| readable(&path, withheld))
        .collect()
}

/// A copy that an editor left beside a file, or the log and lock beside a database: as good as the file itself.
fn is_sibling(path: &Path, file: &Path) -> bool {
    let name = |path: &Path| Some(path.file_name()?.as_encoded_bytes().to_vec());
    path.parent() == file.parent()
        && match (name(path), name(file)) {
            (Some(path), Some(file)) => {
                path.starts_with(&file) || path.strip_prefix(b".").is_some_and(|path| path.starts_with(&file))
            }
            _ => false,
        }
}

/// With links resolved as far as the path exists.
fn resolved(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let Ok(real) = existing.canonicalize() {
            return match path.strip_prefix(existing) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                _ => real,
            };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sandbox::tests::settings;

    fn plain() -> Policy {
        Policy::default()
    }

    #[test]
    fn write_only_to_the_workspace() {
        // D18
        let settings = settings(&[
            ("HOME", "/data/workspaces/w/home"),
            ("MOLECULE_WORKSPACE_DIR", "/data/workspaces/w/work"),
            ("PATH", "/usr/bin:/data:/:rel:/tools/bin"),
        ]);
        let rules = rules(&settings, &plain());
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
        let settings = settings(&[
            ("MOLECULE_WORKSPACE_DIR", "/srv/code"),
            ("MOLECULE_WORKSPACE_ACCESS", "read_only"),
        ]);
        let rules = rules(&settings, &plain());
        let work = rules.iter().find(|rule| rule.path == Path::new("/srv/code")).unwrap();
        assert_eq!(work.access, Right::Read);
    }

    #[test]
    fn terminals_only_where_they_are_the_agents_own() {
        // D32
        for terminals in [false, true] {
            let policy = Policy { terminals, ..plain() };
            let rules = rules(&settings(&[]), &policy);
            let granted = |path: &str| rules.iter().any(|rule| Path::new(path).starts_with(&rule.path));
            assert_eq!(["/dev/tty", "/dev/pts/0", "/dev/ptmx"].map(granted), [terminals; 3]);
        }
    }

    #[test]
    fn what_is_withheld_is_in_no_readable_tree() {
        // D32
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for dir in ["bin", "share/doc", "share/app/data/server", "real/data"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for file in ["app.toml", "app.toml~", ".app.toml.swp", "app.db-wal", "other.toml"] {
            fs::write(root.join(file), "").unwrap();
        }
        symlink(root.join("real"), root.join("alias")).unwrap();
        let paths = |withheld: &[&str]| {
            let withheld: Vec<_> = withheld.iter().map(|path| resolved(&root.join(path))).collect();
            let mut found: Vec<_> = readable(&root, &withheld)
                .iter()
                .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
                .collect();
            found.sort();
            found
        };
        assert_eq!(paths(&[]), [""]);
        assert_eq!(paths(&["../elsewhere"]), [""]);
        assert!(paths(&[""]).is_empty() && paths(&[".."]).is_empty());
        assert_eq!(
            paths(&["share/app/data", "app.toml", "app.db", "alias/data"]),
            ["bin", "other.toml", "share/doc"]
        );
        // What is not there yet is withheld as well.
        assert_eq!(
            paths(&["share/new/data"]),
            [
                ".app.toml.swp",
                "app.db-wal",
                "app.toml",
                "app.toml~",
                "bin",
                "other.toml",
                "real",
                "share/app",
                "share/doc"
            ]
        );
        assert!(holds_system(Path::new("/")) && holds_system(Path::new("/usr")) && !holds_system(&root));
    }
}
