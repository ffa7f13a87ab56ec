//! The data directory (D18): `server/` belongs to the server alone, `workspaces/` to the agents.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{BootError, explain};

/// Version of this program, which the directory remembers.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A data directory that exists, with its parts private to this user.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Names a directory without touching it.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Creates what is missing, makes `server` and `workspaces` private (0700) and tries a write.
    ///
    /// # Errors
    /// [`BootError::DataDir`].
    pub fn create(root: &Path) -> Result<Self, BootError> {
        let dir = Self::at(root);
        let failed = |error: io::Error| BootError::DataDir {
            path: root.to_owned(),
            reason: explain(&error),
        };
        // Parents are created with the usual mode: they may be shared, such as ~/.local/share.
        fs::create_dir_all(root).map_err(failed)?;
        for part in [dir.server(), dir.workspaces()] {
            make_private(&part).map_err(failed)?;
        }
        tempfile::tempfile_in(dir.server())
            .and_then(|mut file| file.write_all(b"probe"))
            .map_err(failed)?;
        Ok(dir)
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What agents never see: database, keys, lock, version.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        self.root.join("server")
    }

    /// Homes and files of process agents.
    #[must_use]
    pub fn workspaces(&self) -> PathBuf {
        self.root.join("workspaces")
    }

    pub(crate) fn server_file(&self, name: &str) -> PathBuf {
        self.server().join(name)
    }

    /// Refuses a directory that a newer version wrote, and notes this version in it. Call it under the lock.
    ///
    /// # Errors
    /// [`BootError::NewerData`], or [`BootError::File`] if the note is damaged or cannot be written.
    pub fn check_version(&self) -> Result<(), BootError> {
        let path = self.server_file("version");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let found = parse_version(&text).ok_or_else(|| {
                    BootError::file(&path, format!("it should hold a version but holds {:?}", text.trim()))
                })?;
                match found.cmp(&parse_version(VERSION).unwrap_or_default()) {
                    std::cmp::Ordering::Greater => Err(BootError::NewerData {
                        path: self.root.clone(),
                        found: text.trim().to_owned(),
                        ours: VERSION.to_owned(),
                    }),
                    std::cmp::Ordering::Equal => Ok(()),
                    std::cmp::Ordering::Less => replace_file(&path, VERSION.as_bytes()),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => replace_file(&path, VERSION.as_bytes()),
            Err(error) => Err(BootError::file(&path, error.to_string())),
        }
    }

    /// Process id of the server that holds the lock, if one does. Looks only; takes nothing.
    #[must_use]
    pub fn locked_by(&self) -> Option<Option<u32>> {
        let mut file = File::open(self.server_file("lock")).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(read_pid(&mut file)),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// Version that wrote the directory, if it says so.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        fs::read_to_string(self.server_file("version"))
            .ok()
            .map(|text| text.trim().to_owned())
    }

    /// May this program use data of that version?
    #[must_use]
    pub fn understands(version: &str) -> bool {
        parse_version(version).is_some_and(|found| Some(found) <= parse_version(VERSION))
    }
}

/// Holds the data directory for this process (D19). The kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

impl DataLock {
    /// Refuses a directory whose lock another process has. Looks only: nothing is created or taken.
    ///
    /// # Errors
    /// [`BootError::Locked`].
    pub fn look(root: &Path) -> Result<(), BootError> {
        match DataDir::at(root).locked_by() {
            Some(pid) => Err(BootError::Locked {
                path: root.to_owned(),
                pid,
            }),
            None => Ok(()),
        }
    }

    /// Takes the lock without waiting.
    ///
    /// # Errors
    /// [`BootError::Locked`] if another process has it.
    pub fn acquire(dir: &DataDir) -> Result<Self, BootError> {
        let path = dir.server_file("lock");
        // Not truncated on opening: the file may belong to the server that holds it.
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| BootError::file(&path, error.to_string()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(BootError::Locked {
                    path: dir.root.clone(),
                    pid: read_pid(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(BootError::file(&path, error.to_string())),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(|error| BootError::file(&path, error.to_string()))?;
        Ok(Self { _file: file })
    }
}

/// A file by which it is known that a directory is still the one that was begun with.
#[derive(Debug)]
pub struct Anchor {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Anchor {
    /// Of a file that somebody holds open as long as this is used: else its number could become another's.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let found = fs::metadata(&path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            path,
        })
    }

    /// Is it the same file still?
    ///
    /// # Errors
    /// It is not known.
    pub fn stands(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (self.device, self.inode)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where it is expected.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn make_private(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            let mode = fs::metadata(path)?.permissions().mode();
            // More for others, or less for ourselves: an agent of this user can have taken that away.
            if mode & 0o777 != 0o700 {
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            }
            Ok(())
        }
        result => result,
    }
}

/// Writes a file so that readers see the old or the new content, never a part, also after a power cut; mode 0600.
pub(super) fn replace_file(path: &Path, content: &[u8]) -> Result<(), BootError> {
    let write = || -> io::Result<()> {
        // `tempfile` creates with mode 0600.
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(content)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| BootError::file(path, explain(&error)))
}

/// `1.2.3`, with anything after `-` or `+` ignored.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text
        .trim()
        .split(['-', '+'])
        .next()?
        .split('.')
        .map(|part| part.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn parts_are_private_even_if_they_were_not() {
        // D18
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/b");
        let dir = DataDir::create(&root).unwrap();
        fs::set_permissions(dir.server(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(dir.workspaces(), fs::Permissions::from_mode(0o000)).unwrap();
        DataDir::create(&root).unwrap();
        assert_eq!((mode(&dir.server()), mode(&dir.workspaces())), (0o700, 0o700));
    }

    #[test]
    fn an_anchor_stands_until_its_file_is_another() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let lock = DataLock::acquire(&dir).unwrap();
        let anchor = Anchor::of(dir.server_file("lock")).unwrap();
        assert!(anchor.stands().unwrap());
        let moved = temp.path().join("moved");
        fs::rename(dir.server(), &moved).unwrap();
        assert!(!anchor.stands().unwrap());
        DataDir::create(temp.path()).unwrap();
        fs::write(dir.server_file("lock"), "").unwrap();
        assert!(!anchor.stands().unwrap());
        fs::remove_dir_all(dir.server()).unwrap();
        fs::rename(&moved, dir.server()).unwrap();
        assert!(anchor.stands().unwrap());
        drop(lock);
    }

    #[test]
    fn a_place_that_cannot_hold_data_says_so() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = DataDir::create(&file).unwrap_err();
        assert!(error.to_string().contains("not a directory"), "{error}");
        let error = DataDir::create(&file.join("below")).unwrap_err();
        assert!(
            error.to_string().contains("not a directory") && error.to_string().contains("--data-dir"),
            "{error}"
        );
        // Even root may not write here.
        let error = DataDir::create(Path::new("/proc/molecule")).unwrap_err();
        assert!(matches!(error, BootError::DataDir { .. }), "{error}");
    }

    #[test]
    fn a_second_server_is_refused_until_the_first_ends() {
        // D19
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        assert_eq!(dir.locked_by(), None);
        let lock = DataLock::acquire(&dir).unwrap();
        let error = DataLock::acquire(&dir).unwrap_err();
        let us = std::process::id();
        assert!(
            matches!(&error, BootError::Locked { pid: Some(pid), .. } if *pid == us),
            "{error}"
        );
        assert_eq!(dir.locked_by(), Some(Some(us)));
        drop(lock);
        assert_eq!(dir.locked_by(), None);
        DataLock::acquire(&dir).unwrap();
    }

    #[test]
    fn newer_data_is_refused_and_older_data_taken_over() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::create(temp.path()).unwrap();
        let version = dir.server_file("version");
        dir.check_version().unwrap();
        assert_eq!(dir.version().as_deref(), Some(VERSION));
        dir.check_version().unwrap();
        fs::write(&version, "0.0.9\n").unwrap();
        dir.check_version().unwrap();
        assert_eq!(dir.version().as_deref(), Some(VERSION));
        fs::write(&version, "99.0.0-beta\n").unwrap();
        let error = dir.check_version().unwrap_err();
        assert!(
            error.to_string().contains("99.0.0-beta") && error.to_string().contains("upgrade"),
            "{error}"
        );
        assert_eq!(dir.version().as_deref(), Some("99.0.0-beta"));
        fs::write(&version, "what\n").unwrap();
        assert!(matches!(dir.check_version(), Err(BootError::File { .. })));
    }

    #[test]
    fn versions() {
        assert!(DataDir::understands("0.0.1") && DataDir::understands(VERSION));
        assert!(!DataDir::understands("99.0.0") && !DataDir::understands("junk"));
        assert_eq!(parse_version("1.2.3+build"), Some((1, 2, 3)));
        assert_eq!(parse_version("1.2.3.4"), None);
    }
}
