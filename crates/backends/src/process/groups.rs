//! Limits of a tier, by control groups: of the second version where the server's own was delegated to it, of the first
//! where the server is root (PROV-63).
//!
//! Never by `setrlimit`: an address-space limit breaks engines that reserve more than they use, and a process limit
//! counts all processes of the user.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use molecule_core::WorkspaceId;

use super::config::TierLimits;

const PERIOD_US: u64 = 100_000;
/// CPU shares of one processor (PROV-63).
const SHARES_PER_CPU: u64 = 1024;
/// The server's own group below the one that was delegated: a group that hands controllers down may hold no process
/// itself. The name is what a service manager should be told to use as well.
const SERVER: &str = "server";

/// One way to limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where groups with one controller can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    dir: PathBuf,
    version: Version,
}

/// The groups of this server's agents.
#[derive(Debug)]
pub(super) struct Groups {
    memory: Place,
    cpu: Place,
}

/// Says how agents of a process (the server, or whoever asks) could be limited.
///
/// # Errors
/// Why they could not, in words.
pub fn limits_of(process: Option<u32>) -> Result<&'static str, String> {
    let [memory, cpu] = places(process)?;
    for place in [&memory, &cpu] {
        if rustix::fs::access(&place.dir, rustix::fs::Access::WRITE_OK).is_err() {
            return Err(format!("{} cannot be written", place.dir.display()));
        }
    }
    Ok(match memory.version {
        Version::One => "control groups of version 1",
        Version::Two => "control groups of version 2",
    })
}

impl Groups {
    /// Prepares the server's own group.
    ///
    /// # Errors
    /// There are no control groups, or they are not this user's to use; in words.
    pub(super) fn open() -> Result<Self, String> {
        let [memory, cpu] = places(None)?;
        let own = |place: Place| match place.version {
            Version::One => Ok(place),
            Version::Two => delegated(&place.dir).map(|dir| Place { dir, ..place }),
        };
        let of = |place: &Place| format!("{} cannot be used", place.dir.display());
        let told = of(&memory);
        let cpu = if cpu.version == Version::Two && cpu.dir == memory.dir {
            None
        } else {
            Some(cpu)
        };
        let memory = own(memory).map_err(|error| format!("{told}: {error}"))?;
        Ok(Self {
            cpu: cpu.unwrap_or_else(|| memory.clone()),
            memory,
        })
    }

    /// Makes the groups of a workspace with these limits. What writes `0` into the files joins them.
    pub(super) fn make(&self, id: WorkspaceId, limits: TierLimits) -> io::Result<Vec<File>> {
        let mut joined: Vec<PathBuf> = Vec::new();
        let mut limit = |place: &Place, files: Vec<(&str, String)>| {
            let group = place.group(id);
            match fs::create_dir(&group) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            for (name, value) in files {
                fs::write(group.join(name), value)?;
            }
            if !joined.contains(&group) {
                joined.push(group);
            }
            Ok(())
        };
        if let Some(mib) = limits.memory_mb {
            limit(&self.memory, self.memory.version.memory(mib))?;
        }
        if let Some(shares) = limits.cpu_shares {
            limit(&self.cpu, self.cpu.version.cpu(shares))?;
        }
        joined
            .iter()
            .map(|group| OpenOptions::new().write(true).open(group.join("cgroup.procs")))
            .collect()
    }

    /// Removes the groups of a workspace of which nothing runs any more.
    pub(super) fn remove(&self, id: WorkspaceId) {
        for place in [&self.memory, &self.cpu] {
            match fs::remove_dir(place.group(id)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(workspace = %id, %error, "a control group stays");
                }
                _ => {}
            }
        }
    }
}

impl Place {
    fn group(&self, id: WorkspaceId) -> PathBuf {
        self.dir.join(format!("molecule-{id}"))
    }
}

impl Version {
    fn memory(self, mib: u32) -> Vec<(&'static str, String)> {
        let bytes = (u64::from(mib) << 20).to_string();
        match self {
            Self::One => vec![("memory.limit_in_bytes", bytes)],
            Self::Two => vec![("memory.max", bytes)],
        }
    }

    fn cpu(self, shares: u32) -> Vec<(&'static str, String)> {
        let quota = (u64::from(shares) * PERIOD_US / SHARES_PER_CPU).max(1_000);
        match self {
            Self::One => vec![
                ("cpu.cfs_period_us", PERIOD_US.to_string()),
                ("cpu.cfs_quota_us", quota.to_string()),
            ],
            Self::Two => vec![("cpu.max", format!("{quota} {PERIOD_US}"))],
        }
    }
}

/// Where groups for memory and for processor time can be made.
fn places(process: Option<u32>) -> Result<[Place; 2], String> {
    let who = process.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let read = |path: String| fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"));
    let (mounts, own) = (
        read("/proc/self/mountinfo".to_owned())?,
        read(format!("/proc/{who}/cgroup"))?,
    );
    let find = |controller: &str| {
        place(&mounts, &own, controller).ok_or_else(|| format!("no control group limits {controller} here"))
    };
    Ok([find("memory")?, find("cpu")?])
}

/// The place of a process for one controller, by its `mountinfo` and `cgroup` files.
fn place(mounts: &str, own: &str, controller: &str) -> Option<Place> {
    let mount = |kind: &str, option: Option<&str>| {
        mounts.lines().find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut left = left.split(' ').skip(3);
            let (root, point) = (left.next()?, left.next()?);
            let mut right = right.split(' ');
            let fits = right.next()? == kind
                && option.is_none_or(|option| {
                    let options = right.nth(1).unwrap_or_default();
                    options.split(',').any(|found| found == option)
                });
            fits.then_some((root, point))
        })
    };
    let path = |list: &str| {
        own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            (controllers == list || controllers.split(',').any(|found| !list.is_empty() && found == list))
                .then_some(path)
        })
    };
    let dir = |(root, point): (&str, &str), path: &str| {
        let below = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(point).join(below))
    };
    if let Some(found) = mount("cgroup", Some(controller)) {
        let dir = dir(found, path(controller)?)?;
        return Some(Place {
            dir,
            version: Version::One,
        });
    }
    let dir = dir(mount("cgroup2", None)?, path("")?)?;
    let offered = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    offered
        .split_whitespace()
        .any(|found| found == controller)
        .then_some(Place {
            dir,
            version: Version::Two,
        })
}

/// Prepares a delegated group: the server leaves it for one below, unless the service manager has put it there already,
/// and its controllers are handed down.
fn delegated(own: &Path) -> io::Result<PathBuf> {
    let base = match own.parent() {
        Some(parent) if own.file_name().is_some_and(|name| name == SERVER) => parent.to_owned(),
        _ => {
            let below = own.join(SERVER);
            fs::create_dir_all(&below)?;
            fs::write(below.join("cgroup.procs"), "0")?;
            own.to_owned()
        }
    };
    fs::write(base.join("cgroup.subtree_control"), "+memory +cpu")?;
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_process() {
        // PROV-63
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      31 30 0:27 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                      32 30 0:28 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "5:cpu,cpuacct:/a\n4:memory:/docker/x/b\n1:name=systemd:/\n0::/c\n";
        let one = |dir: &str| {
            Some(Place {
                dir: dir.into(),
                version: Version::One,
            })
        };
        assert_eq!(place(mounts, own, "memory"), one("/sys/fs/cgroup/memory/b"));
        assert_eq!(place(mounts, own, "cpu"), one("/sys/fs/cgroup/cpu/a"));
        assert_eq!(place(mounts, "", "cpu"), None);

        let unified = tempfile::tempdir().unwrap();
        let user = unified.path().join("user.slice/molecule.service");
        fs::create_dir_all(&user).unwrap();
        let mounts = format!("33 30 0:29 / {} rw - cgroup2 cgroup2 rw\n", unified.path().display());
        let own = "0::/user.slice/molecule.service\n";
        assert_eq!(place(&mounts, own, "memory"), None, "the controller is not handed down");
        fs::write(user.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        let two = Place {
            dir: user,
            version: Version::Two,
        };
        assert_eq!(place(&mounts, own, "memory"), Some(two));
    }

    /// What is written where; a directory stands for the kernel's.
    #[test]
    fn a_delegated_group_hands_its_controllers_down() {
        // PROV-63
        for given in ["molecule.service", "molecule.service/server"] {
            let root = tempfile::tempdir().unwrap();
            let (own, base) = (root.path().join(given), root.path().join("molecule.service"));
            fs::create_dir_all(&own).unwrap();
            let dir = delegated(&own).unwrap();
            assert_eq!(dir, base);
            assert_eq!(base.join("server/cgroup.procs").exists(), given == "molecule.service");
            assert_eq!(
                fs::read_to_string(base.join("cgroup.subtree_control")).unwrap(),
                "+memory +cpu"
            );
            let place = Place {
                dir,
                version: Version::Two,
            };
            let groups = Groups {
                memory: place.clone(),
                cpu: place,
            };
            let id = WorkspaceId::random();
            let group = base.join(format!("molecule-{id}"));
            fs::create_dir(&group).unwrap();
            fs::write(group.join("cgroup.procs"), "").unwrap();
            let limits = TierLimits {
                memory_mb: Some(64),
                cpu_shares: Some(512),
            };
            assert_eq!(groups.make(id, limits).unwrap().len(), 1, "one group for both");
            let read = |name: &str| fs::read_to_string(group.join(name)).unwrap();
            assert_eq!(
                (read("memory.max").as_str(), read("cpu.max").as_str()),
                ("67108864", "50000 100000")
            );
        }
    }
}
