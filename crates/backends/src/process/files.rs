//! Writing into directories that an agent can also write to.
//!
//! An agent may leave a symbolic link, a fifo or a directory where the server expects its own file, to have the
//! server write or read elsewhere with the server's rights. So nothing here follows links below the opened directory.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, CWD, FileType, Mode, OFlags, fchmod, fstat, fsync, mkdirat, openat, renameat, unlinkat},
    io::Errno,
    path::Arg,
};
use uuid::Uuid;

const TEMPORARY: &str = ".molecule-tmp-";

/// A directory held open, into which the server writes without following links.
pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Dir {
    /// Creates the directory with its missing parents, mode 0700, and opens it.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let new = !path.exists();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        if new && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        let fd = open_or_restore(CWD, path)?;
        fchmod(&fd, Mode::RWXU)?;
        Ok(Self {
            fd,
            path: path.to_path_buf(),
        })
    }

    /// Opens a directory that exists.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            fd: openat(CWD, path, DIRECTORY, Mode::empty())?,
            path: path.to_path_buf(),
        })
    }

    /// Opens the directory `name` in this one, creating it with mode 0700. What else has the name gives way.
    pub(super) fn enter(&self, name: &str) -> io::Result<Self> {
        let open = || open_or_restore(&self.fd, name);
        let fd = match open() {
            Ok(fd) => fd,
            Err(Errno::NOENT) => {
                mkdirat(&self.fd, name, Mode::RWXU)?;
                fsync(&self.fd)?;
                open()?
            }
            // A link (either error, by kernel) or a file.
            Err(Errno::LOOP | Errno::NOTDIR) => {
                unlinkat(&self.fd, name, AtFlags::empty())?;
                mkdirat(&self.fd, name, Mode::RWXU)?;
                fsync(&self.fd)?;
                open()?
            }
            Err(error) => return Err(error.into()),
        };
        fchmod(&fd, Mode::RWXU)?;
        Ok(Self {
            fd,
            path: self.path.join(name),
        })
    }

    /// Gives the owner back what it needs on the files and directories right in this one; the names of those that lacked
    /// it. Agents can take it away, as Landlock does not judge modes, and then fail at every start.
    pub(super) fn restore_modes(&self) -> io::Result<Vec<String>> {
        let mut restored = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let Ok(name) = entry?.file_name().into_string() else {
                continue;
            };
            let held = match openat(
                &self.fd,
                &*name,
                OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            ) {
                Ok(held) => held,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            let mode = fstat(&held)?.st_mode;
            let needed = match FileType::from_raw_mode(mode) {
                FileType::RegularFile => 0o600,
                FileType::Directory => 0o700,
                _ => continue,
            };
            if mode & needed != needed {
                set_mode(&held, mode & 0o7777 | needed)?;
                restored.push(name);
            }
        }
        Ok(restored)
    }

    /// Replaces the file at `relative` (already checked to stay inside) by `content`, atomically and so that it
    /// survives a power cut. Missing directories are created. The file has its mode from the call that creates it (PROV-O16).
    pub(super) fn write(&self, relative: impl AsRef<Path>, content: &[u8], mode: u32) -> io::Result<()> {
        let mut names = Vec::new();
        for component in relative.as_ref().components() {
            match component {
                Component::Normal(name) => names.push(name.to_str().ok_or(io::ErrorKind::InvalidFilename)?),
                Component::CurDir => {}
                _ => return Err(io::ErrorKind::InvalidFilename.into()),
            }
        }
        let (file, parents) = names.split_last().ok_or(io::ErrorKind::InvalidFilename)?;
        let Some((first, rest)) = parents.split_first() else {
            return self.write_here(file, content, mode);
        };
        let mut parent = self.enter(first)?;
        for name in rest {
            parent = parent.enter(name)?;
        }
        parent.write_here(file, content, mode)
    }

    fn write_here(&self, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let temporary = format!("{TEMPORARY}{}", Uuid::new_v4());
        let result = self.write_temporary(&temporary, content, mode).and_then(|()| {
            match renameat(&self.fd, &*temporary, &self.fd, name) {
                Err(Errno::ISDIR) => {
                    remove_tree(&self.path.join(name))?;
                    renameat(&self.fd, &*temporary, &self.fd, name)?;
                }
                other => other?,
            }
            Ok(fsync(&self.fd)?)
        });
        if result.is_err()
            && let Err(error) = self.remove(&temporary)
        {
            tracing::warn!(dir = %self.path.display(), %error, "a temporary file could not be removed");
        }
        result
    }

    fn write_temporary(&self, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.fd, name, flags, Mode::from_raw_mode(mode))?);
        file.write_all(content)?;
        file.sync_all()
    }

    /// The content of a regular file of at most `max` bytes. `None` if there is none.
    ///
    /// # Errors
    /// Larger, not a regular file, or unreadable.
    pub(super) fn read(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        // Non-blocking, because opening a fifo waits for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
        }
        let mut content = Vec::new();
        File::from(fd).take(max + 1).read_to_end(&mut content)?;
        if content.len() as u64 > max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(content))
    }

    /// Removes what has the name; nothing there is success.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => remove_tree(&self.path.join(name)),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what an interrupted [`Dir::write`] left in this directory.
    pub(super) fn remove_temporaries(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            if let Some(name) = entry?.file_name().to_str().filter(|name| name.starts_with(TEMPORARY)) {
                self.remove(name)?;
            }
        }
        Ok(())
    }
}

/// Opens a directory whose mode may have been taken away.
fn open_or_restore(parent: impl AsFd, path: impl Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let parent = parent.as_fd();
    match openat(parent, path, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let held = openat(parent, path, DIRECTORY | OFlags::PATH, Mode::empty())?;
            set_mode(&held, 0o700).map_err(|_| Errno::ACCESS)?;
            openat(parent, path, DIRECTORY, Mode::empty())
        }
        other => other,
    }
}

/// A descriptor for the path alone needs no right on what it stands for.
fn set_mode(held: &OwnedFd, mode: u32) -> io::Result<()> {
    fs::set_permissions(
        format!("/proc/self/fd/{}", held.as_raw_fd()),
        PermissionsExt::from_mode(mode),
    )
}

/// Removes a directory with everything in it, without following links; nothing there is success. Directories that
/// were made unwritable (module caches are, by their tools) are made writable first.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match gone(fs::remove_dir_all(path)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            gone(fs::remove_dir_all(path))
        }
        other => other,
    }
}

fn open_up(dir: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(dir)?.is_dir() {
        return Ok(());
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn links_are_replaced_not_followed() {
        // PROV-O8
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("token"), "theirs").unwrap();
        let dir = Dir::create(&root.path().join("configs")).unwrap();
        symlink(&outside, root.path().join("configs/sub")).unwrap();
        symlink(outside.join("token"), root.path().join("configs/token")).unwrap();

        dir.write("sub/token", b"ours", 0o600).unwrap();
        dir.write("token", b"ours", 0o600).unwrap();

        assert_eq!(fs::read(outside.join("token")).unwrap(), b"theirs");
        assert_eq!(fs::read(root.path().join("configs/sub/token")).unwrap(), b"ours");
        assert_eq!(mode(&root.path().join("configs/token")), 0o600);
        assert_eq!(mode(&root.path().join("configs/sub")), 0o700);
    }

    #[test]
    fn files_and_directories_in_the_way_give_way() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::create(root.path()).unwrap();
        fs::write(root.path().join("a"), "").unwrap();
        fs::create_dir_all(root.path().join("b/c")).unwrap();
        dir.write("a/x", b"1", 0o600).unwrap();
        dir.write("b", b"2", 0o600).unwrap();
        assert_eq!(fs::read(root.path().join("a/x")).unwrap(), b"1");
        assert_eq!(fs::read(root.path().join("b")).unwrap(), b"2");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn modes_that_were_taken_away_are_restored() {
        let root = tempfile::tempdir().unwrap();
        let (top, sub) = (root.path().join("top"), root.path().join("top/sub"));
        fs::create_dir_all(&sub).unwrap();
        fs::write(top.join("file"), "").unwrap();
        fs::write(top.join("fine"), "").unwrap();
        symlink("/etc/passwd", top.join("link")).unwrap();
        for path in [&top.join("file"), &sub, &top] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }
        let dir = Dir::create(&top).unwrap();
        let mut restored = dir.restore_modes().unwrap();
        restored.sort();
        assert_eq!(restored, ["file", "sub"]);
        assert_eq!((mode(&top), mode(&sub), mode(&top.join("file"))), (0o700, 0o700, 0o600));
        assert!(dir.restore_modes().unwrap().is_empty());
    }

    #[test]
    fn escaping_paths_are_refused() {
        // PROV-40
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::create(root.path()).unwrap();
        for bad in ["", ".", "..", "../x", "a/../../x", "/x"] {
            assert!(dir.write(bad, b"", 0o600).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_only_regular_files_of_bounded_size() {
        let root = tempfile::tempdir().unwrap();
        let dir = Dir::create(root.path()).unwrap();
        fs::write(root.path().join("f"), "12345").unwrap();
        symlink("f", root.path().join("link")).unwrap();
        let fifo = root.path().join("fifo");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(dir.read("f", 5).unwrap().unwrap(), b"12345");
        assert_eq!(dir.read("absent", 5).unwrap(), None);
        for bad in ["link", "fifo", "."] {
            assert!(dir.read(bad, 5).is_err(), "{bad}");
        }
        assert!(dir.read("f", 4).is_err());
    }

    #[test]
    fn removes_unwritable_trees_but_not_through_links() {
        let root = tempfile::tempdir().unwrap();
        let keep = root.path().join("keep");
        fs::create_dir(&keep).unwrap();
        fs::write(keep.join("f"), "").unwrap();
        let tree = root.path().join("tree");
        fs::create_dir_all(tree.join("cache/deep")).unwrap();
        fs::write(tree.join("cache/deep/f"), "").unwrap();
        symlink(&keep, tree.join("link")).unwrap();
        fs::set_permissions(tree.join("cache/deep"), fs::Permissions::from_mode(0o500)).unwrap();
        fs::set_permissions(tree.join("cache"), fs::Permissions::from_mode(0o000)).unwrap();
        open_up(&tree).unwrap();
        assert_eq!(mode(&tree.join("cache/deep")), 0o700);
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && keep.join("f").exists());
    }
}
