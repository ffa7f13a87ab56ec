//! Files of the working directory, for the model. The kernel resolves every path and refuses what leads out, links and
//! races included (`openat2` with `RESOLVE_BENEATH`).

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, mkdirat, open},
    io::Errno,
};

use crate::fsio::beneath;

/// Bytes of a file that are read to find the lines asked for.
const READ_BYTES: u64 = 8 << 20;
/// Bytes handed to the model.
const SHOWN_BYTES: usize = 64 << 10;
/// Bytes of a file that may be written.
const WRITE_BYTES: usize = 4 << 20;
/// Entries of a directory that are listed.
const ENTRIES: usize = 500;
/// How containers call the working directory.
const WORKSPACE: &str = "/workspace";

/// What the model is told when it does not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0} is outside the working directory")]
    Outside(String),
    #[error("{path}: {reason}")]
    Failed { path: String, reason: String },
}

/// The working directory.
#[derive(Debug, Clone)]
pub(super) struct WorkDir {
    root: PathBuf,
    writable: bool,
}

impl WorkDir {
    pub(super) fn new(root: PathBuf, writable: bool) -> Self {
        Self { root, writable }
    }

    /// Lines `first..first + count` of a text file, counted from 1.
    pub(super) fn read(&self, path: &str, first: usize, count: usize) -> Result<String, FileError> {
        let file = File::from(self.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?);
        let fail = |reason: String| FileError::Failed {
            path: path.to_owned(),
            reason,
        };
        let meta = file.metadata().map_err(|error| fail(error.to_string()))?;
        if !meta.is_file() {
            return Err(fail("not a regular file".to_owned()));
        }
        let mut bytes = Vec::new();
        (&file)
            .take(READ_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| fail(error.to_string()))?;
        if bytes.contains(&0) {
            return Err(fail(format!("a binary file of {} bytes", meta.len())));
        }
        Ok(lines(
            &String::from_utf8_lossy(&bytes),
            first,
            count,
            meta.len() > READ_BYTES,
        ))
    }

    /// Writes a whole file, creating the directories above it.
    pub(super) fn write(&self, path: &str, content: &str) -> Result<String, FileError> {
        let fail = |reason: String| FileError::Failed {
            path: path.to_owned(),
            reason,
        };
        if !self.writable {
            return Err(fail("the working directory is read-only".to_owned()));
        }
        if content.len() > WRITE_BYTES {
            return Err(fail(format!("larger than {WRITE_BYTES} bytes")));
        }
        self.make_parents(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
        let mut file = File::from(self.open(path, flags, Mode::from_raw_mode(0o644))?);
        if !file.metadata().is_ok_and(|meta| meta.is_file()) {
            return Err(fail("not a regular file".to_owned()));
        }
        file.write_all(content.as_bytes())
            .map_err(|error| fail(error.to_string()))?;
        Ok(format!("Wrote {} bytes to {path}.", content.len()))
    }

    /// Entries of a directory, sorted; directories end in `/`.
    pub(super) fn list(&self, path: &str) -> Result<String, FileError> {
        let fail = |error: Errno| FileError::Failed {
            path: path.to_owned(),
            reason: io::Error::from(error).to_string(),
        };
        let fd = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy();
            match (&*name, entry.file_type()) {
                ("." | "..", _) => {}
                (_, FileType::Directory) => names.push(format!("{name}/")),
                _ => names.push(name.into_owned()),
            }
        }
        names.sort_unstable();
        let more = names.len().saturating_sub(ENTRIES);
        names.truncate(ENTRIES);
        if more > 0 {
            names.push(format!("… and {more} more"));
        }
        Ok(if names.is_empty() {
            "(empty directory)".to_owned()
        } else {
            names.join("\n")
        })
    }

    /// The path below the root. Absolute paths are taken if they spell the working directory.
    fn inside(&self, path: &str) -> Result<PathBuf, FileError> {
        let given = Path::new(path.trim());
        let relative = given
            .strip_prefix(&self.root)
            .or_else(|_| given.strip_prefix(WORKSPACE))
            .unwrap_or(given);
        if relative.is_absolute() || relative.components().any(|part| part == Component::ParentDir) {
            return Err(FileError::Outside(path.to_owned()));
        }
        let clean: PathBuf = relative
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect();
        Ok(if clean.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            clean
        })
    }

    fn root(&self) -> Result<OwnedFd, FileError> {
        let fail = |error: Errno| FileError::Failed {
            path: ".".to_owned(),
            reason: io::Error::from(error).to_string(),
        };
        open(
            &self.root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(fail)
    }

    fn open(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, FileError> {
        beneath(&self.root()?, &self.inside(path)?, flags, mode).map_err(|error| told(path, error))
    }

    fn make_parents(&self, path: &str) -> Result<(), FileError> {
        let inside = self.inside(path)?;
        let mut above = self.root()?;
        for part in inside.parent().unwrap_or(Path::new("")).components() {
            let name = Path::new(part.as_os_str());
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            above = match beneath(&above, name, flags, Mode::empty()) {
                Err(Errno::NOENT) => {
                    match mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
                        // Somebody else was faster.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(told(path, error)),
                    }
                    beneath(&above, name, flags, Mode::empty()).map_err(|error| told(path, error))?
                }
                other => other.map_err(|error| told(path, error))?,
            };
        }
        Ok(())
    }
}

fn told(path: &str, error: Errno) -> FileError {
    match error {
        Errno::XDEV => FileError::Outside(path.to_owned()),
        other => FileError::Failed {
            path: path.to_owned(),
            reason: io::Error::from(other).to_string(),
        },
    }
}

fn lines(text: &str, first: usize, count: usize, cut: bool) -> String {
    let mut shown = String::new();
    let mut left = 0;
    for (n, line) in text.split_inclusive('\n').enumerate().skip(first.saturating_sub(1)) {
        if n + 1 >= first.saturating_add(count) || shown.len() + line.len() > SHOWN_BYTES {
            left = text.lines().count() - n;
            break;
        }
        shown.push_str(line);
    }
    if shown.is_empty() && left > 0 {
        // One line longer than everything that may be shown.
        let line = text
            .split_inclusive('\n')
            .nth(first.saturating_sub(1))
            .unwrap_or_default();
        shown.push_str(molecule_core::text::cut_bytes(line, SHOWN_BYTES));
    }
    match (left, cut) {
        (0, false) => shown,
        (0, true) => format!("{shown}\n[only the first {READ_BYTES} bytes of the file were read]"),
        (left, _) => format!("{shown}\n[{left} more lines; read on with first_line]"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        work: WorkDir,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("work/sub")).unwrap();
        std::fs::write(dir.path().join("secret"), "s3cret").unwrap();
        let work = WorkDir::new(dir.path().join("work"), true);
        Fixture { dir, work }
    }

    #[test]
    fn writes_reads_and_lists() {
        let Fixture { dir, work } = fixture();
        work.write("a/b/c.txt", "one\ntwo\nthree\n").unwrap();
        assert_eq!(work.read("/workspace/a/b/c.txt", 1, 100).unwrap(), "one\ntwo\nthree\n");
        let absolute = dir.path().join("work/a/b/c.txt");
        assert!(
            work.read(absolute.to_str().unwrap(), 2, 1)
                .unwrap()
                .starts_with("two\n\n[1 more lines")
        );
        work.write("a/b/c.txt", "x").unwrap();
        assert_eq!(work.read("./a/b/c.txt", 1, 100).unwrap(), "x");
        assert_eq!(work.list(".").unwrap(), "a/\nsub/");
        assert_eq!(work.list("sub").unwrap(), "(empty directory)");
    }

    #[test]
    fn nothing_leads_out() {
        let Fixture { dir, work } = fixture();
        let root = dir.path().join("work");
        symlink(dir.path().join("secret"), root.join("abs-link")).unwrap();
        symlink("../secret", root.join("rel-link")).unwrap();
        symlink("..", root.join("up")).unwrap();
        for path in [
            "../secret",
            "/etc/passwd",
            "sub/../../secret",
            "abs-link",
            "rel-link",
            "up/secret",
            "/proc/self/environ",
        ] {
            assert!(work.read(path, 1, 10).is_err(), "read {path}");
            assert!(work.write(path, "x").is_err(), "write {path}");
        }
        assert!(work.write("up/new", "x").is_err() && work.list("up").is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join("secret")).unwrap(), "s3cret");
        assert!(!dir.path().join("new").exists());
    }

    #[test]
    fn links_that_stay_inside_work() {
        let Fixture { dir, work } = fixture();
        work.write("sub/file", "inside").unwrap();
        symlink("sub/file", dir.path().join("work/link")).unwrap();
        assert_eq!(work.read("link", 1, 10).unwrap(), "inside");
    }

    #[test]
    fn odd_files_and_limits_are_told() {
        let Fixture { dir, work } = fixture();
        std::fs::write(dir.path().join("work/bin"), [1, 0, 2]).unwrap();
        assert!(work.read("bin", 1, 10).unwrap_err().to_string().contains("binary"));
        assert!(work.read("sub", 1, 10).is_err());
        assert!(
            work.read("none", 1, 10)
                .unwrap_err()
                .to_string()
                .contains("No such file")
        );
        assert!(work.write("big", &"x".repeat(WRITE_BYTES + 1)).is_err());
        work.write("long", &"y".repeat(SHOWN_BYTES * 2)).unwrap();
        assert!(work.read("long", 1, 10).unwrap().len() < SHOWN_BYTES + 100);
        let read_only = WorkDir::new(dir.path().join("work"), false);
        assert!(read_only.write("x", "x").unwrap_err().to_string().contains("read-only"));
        let fifo = dir.path().join("work/fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        assert!(work.read("fifo", 1, 10).is_err(), "must not block");
    }
}
