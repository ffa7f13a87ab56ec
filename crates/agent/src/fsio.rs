//! Files that must be whole or absent: written beside their place, made durable, then renamed. And texts that others put
//! there: read up to a limit, and only from where they belong.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};

use rustix::{
    fs::{Dir, Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};

/// Writes a file of mode 0600 that readers see either as it was or complete (RUN-3, RUN-5). The mode is that of the
/// creating call, so that no moment exists in which others could read it.
///
/// # Errors
/// Nothing was replaced.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("a file name is needed"))?
        .to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}", uuid::Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // The rename itself survives a power cut only once the directory is on disk.
        File::open(dir)?.sync_all()
    })();
    if written.is_err()
        && let Err(error) = fs::remove_file(&temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %temporary.display(), %error, "could not remove a temporary file");
    }
    written
}

/// Text of a file; `None` when it does not exist.
///
/// # Errors
/// It exists and cannot be read.
pub fn read_optional(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The beginning of a text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What was read; broken UTF-8 is replaced.
    pub text: String,
    /// There is more in the file.
    pub cut: bool,
}

/// At most `max` bytes of a regular file; anything else (a fifo would block) is an error.
///
/// # Errors
/// It cannot be read.
pub fn read_text(path: &Path, max: usize) -> io::Result<Text> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    beginning(OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?, max)
}

fn beginning(file: File, max: usize) -> io::Result<Text> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    // One byte more tells whether there is more.
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    let cut = bytes.len() > max;
    if cut {
        bytes.truncate(max);
        // Not in the middle of a character.
        let whole = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
        if max - whole < 4 {
            bytes.truncate(whole);
        }
    }
    Ok(Text {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        cut,
    })
}

/// A directory from which nothing that is read leads out. The kernel resolves every path and refuses the others, links
/// and races included.
#[derive(Debug)]
pub struct Tree(OwnedFd);

impl Tree {
    /// The directory at `path`; `None` when there is none.
    ///
    /// # Errors
    /// It exists and cannot be opened.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        present(rustix::fs::open(path, DIRECTORY, Mode::empty())).map(|fd| fd.map(Self))
    }

    /// The directory `path` below this one; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be opened, or is elsewhere.
    pub fn below(&self, path: &str) -> io::Result<Option<Self>> {
        present(beneath(&self.0, Path::new(path), DIRECTORY, Mode::empty())).map(|fd| fd.map(Self))
    }

    /// Names of the entries, ascending, without hidden ones.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// At most `max` bytes of the regular file `path` below this directory; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read, or is elsewhere.
    pub fn read(&self, path: &str, max: usize) -> io::Result<Option<Text>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        match present(beneath(&self.0, Path::new(path), flags, Mode::empty()))? {
            Some(fd) => beginning(File::from(fd), max).map(Some),
            None => Ok(None),
        }
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn present(opened: Result<OwnedFd, Errno>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(Errno::XDEV) => Err(io::Error::other("it leads out of its directory")),
        Err(error) => Err(error.into()),
    }
}

/// Opens `path` below `root`; what leads out, by whatever link, is [`Errno::XDEV`].
///
/// # Errors
/// The kernel's.
pub(crate) fn beneath(root: impl AsFd, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    openat2(
        root,
        path,
        flags | OFlags::CLOEXEC,
        mode,
        ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_no_rest() {
        // RUN-3, RUN-5
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/.secret");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "x").unwrap();
        assert!(write_private(&path, b"new").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn absent_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_optional(&dir.path().join("nothing")).unwrap(), None);
    }

    #[test]
    fn texts_are_read_to_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        for (content, max, text, cut) in [
            (&b"abc"[..], 3, "abc", false),
            (b"abcd", 3, "abc", true),
            ("aé".as_bytes(), 2, "a", true),
            (b"a\xffbcdef", 6, "a\u{fffd}bcde", true),
        ] {
            fs::write(&path, content).unwrap();
            let read = read_text(&path, max).unwrap();
            assert_eq!((read.text.as_str(), read.cut), (text, cut), "{content:?}");
        }
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
        assert!(read_text(&fifo, 3).is_err(), "must not block");
        assert!(read_text(dir.path(), 3).is_err());
    }

    #[test]
    fn nothing_leads_out_of_a_tree() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tree/sub")).unwrap();
        fs::write(dir.path().join("secret"), "s3cret").unwrap();
        let root = dir.path().join("tree");
        fs::write(root.join("sub/file"), "inside").unwrap();
        fs::write(root.join(".hidden"), "").unwrap();
        symlink("sub/file", root.join("link")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("..", root.join("up")).unwrap();
        let tree = Tree::open(&root).unwrap().unwrap();
        assert_eq!(tree.names().unwrap(), ["link", "out", "sub", "up"]);
        assert_eq!(tree.read("link", 100).unwrap().unwrap().text, "inside");
        assert!(tree.below("sub").unwrap().unwrap().read("file", 100).unwrap().is_some());
        for path in ["out", "up/secret", "../secret", "/etc/passwd"] {
            assert!(tree.read(path, 100).is_err(), "{path}");
        }
        assert!(tree.below("up").is_err() && tree.read("sub", 100).is_err());
        assert_eq!(tree.read("sub/none", 100).unwrap(), None);
        assert!(tree.below("none").unwrap().is_none() && tree.below("link").unwrap().is_none());
        assert!(Tree::open(&root.join("none")).unwrap().is_none());
    }
}
