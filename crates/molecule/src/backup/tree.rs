//! Puts a directory into an archive. Its owner may be hostile and at work meanwhile: links are stored and never followed,
//! what is no file is left out, and a file that shrinks or grows while it is read keeps the length it began with.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat},
    io::Errno,
};
use tar::{Builder, EntryType, Header};

/// Directories below each other that are stored: deeper ones are reported, or a chain of them would take every
/// descriptor.
const DEPTH: usize = 128;
/// What of a mode is kept: no set-user bits from an archive.
const MODE: u32 = 0o777;

/// What could not be stored.
#[derive(Debug, Default)]
pub(super) struct Skipped(pub(super) Vec<(PathBuf, String)>);

/// Adds a directory with everything in it under `name`, but for the entries of `except` right below it.
pub(super) fn append<W: Write>(
    archive: &mut Builder<W>,
    directory: &Path,
    name: &Path,
    except: &[&str],
    skipped: &mut Skipped,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(CWD, directory, flags, Mode::empty()) {
        Ok(opened) => Walk { archive, skipped }.directory(&opened, name, except, 0),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => {
            skipped.0.push((name.to_owned(), error.to_string()));
            Ok(())
        }
    }
}

struct Walk<'a, W: Write> {
    archive: &'a mut Builder<W>,
    skipped: &'a mut Skipped,
}

impl<W: Write> Walk<'_, W> {
    /// Errors are those of the archive; what cannot be read is skipped.
    fn directory(&mut self, directory: &OwnedFd, name: &Path, except: &[&str], depth: usize) -> io::Result<()> {
        let stat = match fstat(directory) {
            Ok(stat) => stat,
            Err(error) => return self.skip(name, error.to_string()),
        };
        let mut header = header(EntryType::Directory, &stat);
        self.archive.append_data(&mut header, name, io::empty())?;
        if depth >= DEPTH {
            return self.skip(name, format!("it lies more than {DEPTH} directories deep"));
        }
        let entries = match Dir::read_from(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => return self.skip(name, error.to_string()),
        };
        for entry in entries {
            let entry = OsStr::from_bytes(entry.file_name().to_bytes());
            let unwanted = entry == "." || entry == ".." || except.iter().any(|except| *except == entry);
            if !unwanted {
                self.entry(directory, entry, &name.join(entry), depth)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, parent: &OwnedFd, entry: &OsStr, name: &Path, depth: usize) -> io::Result<()> {
        // Non-blocking, because opening a fifo waits for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match openat(parent, entry, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::LOOP) => return self.link(parent, entry, name),
            // A socket, or gone meanwhile.
            Err(Errno::NXIO | Errno::NODEV | Errno::NOENT) => return Ok(()),
            Err(error) => return self.skip(name, error.to_string()),
        };
        let stat = match fstat(&opened) {
            Ok(stat) => stat,
            Err(error) => return self.skip(name, error.to_string()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(&opened, name, &[], depth + 1),
            FileType::RegularFile => {
                let mut header = header(EntryType::Regular, &stat);
                let length = u64::try_from(stat.st_size).unwrap_or_default();
                header.set_size(length);
                let content = Exactly {
                    file: File::from(opened),
                    left: length,
                };
                self.archive.append_data(&mut header, name, content)
            }
            _ => Ok(()),
        }
    }

    fn link(&mut self, parent: &OwnedFd, entry: &OsStr, name: &Path) -> io::Result<()> {
        match readlinkat(parent, entry, Vec::new()) {
            Ok(target) => {
                let target = PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()));
                let mut header = Header::new_gnu();
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(MODE);
                header.set_size(0);
                self.archive.append_link(&mut header, name, target)
            }
            Err(error) => self.skip(name, error.to_string()),
        }
    }

    #[allow(clippy::unnecessary_wraps, reason = "it ends the callers' matches")]
    fn skip(&mut self, name: &Path, reason: String) -> io::Result<()> {
        self.skipped.0.push((name.to_owned(), reason));
        Ok(())
    }
}

fn header(kind: EntryType, stat: &Stat) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & MODE);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
    header.set_size(0);
    header
}

/// A file of the length that its header promised: cut where it grew, filled up with zeros where it shrank.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = match self.file.read(&mut buffer[..most])? {
            0 => {
                buffer[..most].fill(0);
                most
            }
            read => read,
        };
        self.left -= read as u64;
        Ok(read)
    }
}
