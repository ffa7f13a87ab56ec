//! Logs of instances: standard output and error, appended to one file per workspace (D19).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use molecule_core::WorkspaceId;

use super::files::Dir;
use crate::LogTail;

/// The log of one workspace: the current file and at most one older one.
#[derive(Debug, Clone)]
pub(super) struct Log {
    current: PathBuf,
    older: PathBuf,
    /// The older file while it is being written.
    copy: PathBuf,
}

impl Log {
    pub(super) fn new(logs: &Path, id: WorkspaceId) -> Self {
        Self {
            current: logs.join(format!("{id}.log")),
            older: logs.join(format!("{id}.log.1")),
            copy: logs.join(format!("{id}.log.tmp")),
        }
    }

    /// Creates the directory of all logs.
    pub(super) fn create_dir(logs: &Path) -> io::Result<()> {
        Dir::create(logs).map(drop)
    }

    /// Opens the log for a new instance, after moving it aside if it exceeds `limit` bytes, or its end if it exceeds
    /// them by far. The file is appended to, so that every process of the instance can share it and [`Log::trim`] can
    /// empty it under them. Also returns where this instance's output begins.
    pub(super) fn open(&self, limit: u64) -> io::Result<(File, u64)> {
        let size = size(&self.current)?;
        if size > limit.saturating_mul(2) {
            if let Err(error) = self.trim(limit) {
                tracing::warn!(log = %self.current.display(), %error, "the end of an instance log was not kept");
            }
        } else if size > limit {
            fs::rename(&self.current, &self.older)?;
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.current)?;
        let begin = file.metadata()?.len();
        Ok((file, begin))
    }

    /// Keeps the log of a running instance near `limit` bytes: copies its last `limit` bytes aside and empties it. What
    /// the instance writes between the two is lost; the alternative, a pipe, would end the instance with the server.
    ///
    /// # Errors
    /// The end was not kept, or the log not emptied. It is emptied also when nothing can be kept: a full disk is when
    /// that matters most.
    pub(super) fn trim(&self, limit: u64) -> io::Result<()> {
        let size = size(&self.current)?;
        if size <= limit {
            return Ok(());
        }
        let kept = self.keep_end(size.saturating_sub(limit));
        OpenOptions::new().write(true).open(&self.current)?.set_len(0)?;
        kept
    }

    /// Replaces the older file by what the current one holds from `begin` on.
    fn keep_end(&self, begin: u64) -> io::Result<()> {
        let kept = self.copy_from(begin).and_then(|()| fs::rename(&self.copy, &self.older));
        if kept.is_err() {
            remove(&self.copy)?;
        }
        kept
    }

    fn copy_from(&self, begin: u64) -> io::Result<()> {
        let mut current = File::open(&self.current)?;
        // An instance that writes faster than it is copied would never let the copy end.
        let rest = current.metadata()?.len().saturating_sub(begin);
        current.seek(SeekFrom::Start(begin))?;
        let mut copy = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.copy)?;
        io::copy(&mut current.take(rest), &mut copy)?;
        Ok(())
    }

    /// At most `max` bytes of the end, older file included.
    pub(super) fn tail(&self, max: usize) -> io::Result<LogTail> {
        let (older, current) = (size(&self.older)?, size(&self.current)?);
        let begin = (older + current).saturating_sub(max as u64);
        // The byte before tells whether the cut falls between two lines.
        let from = begin.saturating_sub(1);
        let mut bytes = Vec::new();
        if from < older {
            read(&self.older, from, older, &mut bytes)?;
        }
        read(&self.current, from.saturating_sub(older), current, &mut bytes)?;
        let text = if begin == 0 { &bytes } else { whole_lines(&bytes) };
        Ok(LogTail {
            text: String::from_utf8_lossy(text).into_owned(),
            truncated: begin > 0,
        })
    }

    /// The last lines written after `begin`, within `max` bytes, for an error text.
    pub(super) fn last_lines(&self, begin: u64, lines: usize, max: u64) -> io::Result<String> {
        let end = size(&self.current)?;
        let mut bytes = Vec::new();
        read(&self.current, end.saturating_sub(max).max(begin), end, &mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text
            .lines()
            .rev()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .take(lines)
            .collect();
        Ok(lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        [&self.current, &self.older, &self.copy]
            .into_iter()
            .try_for_each(|path| remove(path))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn size(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Appends the bytes `from..to` of a file; less if it was shortened meanwhile, nothing if it is not there.
fn read(path: &Path, from: u64, to: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(from))?;
    file.take(to.saturating_sub(from)).read_to_end(bytes)?;
    Ok(())
}

/// What follows the first line break. A single line that is longer than everything is kept, from its first whole
/// character on: its end says more than nothing.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    if let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
        return &bytes[at + 1..];
    }
    let rest = bytes.get(1..).unwrap_or_default();
    let partial = rest.iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
    &rest[partial..]
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::PermissionsExt};

    use super::*;

    fn log() -> (tempfile::TempDir, Log) {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::new(dir.path(), WorkspaceId::random());
        (dir, log)
    }

    fn tail(log: &Log, max: usize) -> (String, bool) {
        let LogTail { text, truncated } = log.tail(max).unwrap();
        (text, truncated)
    }

    #[test]
    fn tails_are_whole_lines_of_valid_text() {
        let (_dir, log) = log();
        assert_eq!(tail(&log, 10), (String::new(), false));
        fs::write(&log.current, "one\ntwo\nthree\n").unwrap();
        for (max, text, truncated) in [
            (100, "one\ntwo\nthree\n", false),
            (14, "one\ntwo\nthree\n", false),
            (13, "two\nthree\n", true),
            (10, "two\nthree\n", true),
            (9, "three\n", true),
            (6, "three\n", true),
            (1, "", true),
            (0, "", true),
        ] {
            assert_eq!(tail(&log, max), (text.to_owned(), truncated), "{max}");
        }
        fs::write(&log.current, [b'a', 0xff, b'\n']).unwrap();
        assert_eq!(tail(&log, 10).0, "a\u{fffd}\n");
        fs::write(&log.current, "ééé").unwrap();
        assert_eq!(tail(&log, 3), ("é".to_owned(), true));
    }

    #[test]
    fn rotation_keeps_one_generation_and_tails_reach_into_it() {
        let (_dir, log) = log();
        fs::write(&log.older, "oldest\n").unwrap();
        fs::write(&log.current, "a\nb\n").unwrap();
        let (mut file, begin) = log.open(4).unwrap();
        assert_eq!(begin, 4, "not over the limit");
        file.write_all(b"c\n").unwrap();
        let (mut file, begin) = log.open(4).unwrap();
        assert_eq!(begin, 0);
        file.write_all(b"d\n").unwrap();
        assert_eq!(fs::metadata(&log.current).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(tail(&log, 100), ("a\nb\nc\nd\n".to_owned(), false));
        assert_eq!(tail(&log, 4), ("c\nd\n".to_owned(), true));
        assert_eq!(tail(&log, 2), ("d\n".to_owned(), true));
        log.remove().unwrap();
        log.remove().unwrap();
        assert_eq!(tail(&log, 100), (String::new(), false));
    }

    #[test]
    fn a_running_instance_writes_on_after_a_trim() {
        let (_dir, log) = log();
        let (mut file, _) = log.open(4).unwrap();
        file.write_all(b"abc\ndef\n").unwrap();
        log.trim(8).unwrap();
        assert_eq!(size(&log.current).unwrap(), 8);
        log.trim(7).unwrap();
        file.write_all(b"g\n").unwrap();
        assert_eq!(fs::read(&log.current).unwrap(), b"g\n");
        assert_eq!(fs::read(&log.older).unwrap(), b"bc\ndef\n");
        assert!(!log.copy.exists());
    }

    #[test]
    fn only_the_end_of_a_burst_is_kept() {
        // D19: also by the next start, when the server was away during the burst.
        let (_dir, log) = log();
        fs::write(&log.current, "0123456789").unwrap();
        log.trim(3).unwrap();
        assert_eq!(fs::read(&log.older).unwrap(), b"789");
        fs::write(&log.current, "abcdefghij").unwrap();
        let (_, begin) = log.open(3).unwrap();
        assert_eq!(begin, 0);
        assert_eq!(fs::read(&log.older).unwrap(), b"hij");
    }

    #[test]
    fn a_log_is_emptied_also_when_nothing_can_be_kept() {
        // D19: the disk is full.
        let (_dir, log) = log();
        fs::create_dir_all(log.older.join("in-the-way")).unwrap();
        fs::write(&log.current, "0123456789").unwrap();
        assert!(log.trim(3).is_err());
        assert!(!log.copy.exists());
        assert_eq!(size(&log.current).unwrap(), 0);
    }

    #[test]
    fn last_lines_are_of_this_instance() {
        let (_dir, log) = log();
        fs::write(&log.current, "earlier\na\n\nb  \nc\n").unwrap();
        assert_eq!(log.last_lines(8, 10, 1_000).unwrap(), "a\nb\nc");
        assert_eq!(log.last_lines(8, 2, 1_000).unwrap(), "b\nc");
        assert_eq!(log.last_lines(8, 2, 2).unwrap(), "c");
        assert_eq!(log.last_lines(800, 2, 2).unwrap(), "");
    }
}
