//! Which process is meant. A pid alone is recycled; a pid with its start time is not, within one boot (D19).

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal, waitid},
};
use serde::{Deserialize, Serialize};
use tokio::io::{Interest, unix::AsyncFd};

/// A process of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ProcessKey {
    pub(super) pid: i32,
    /// Clock ticks after boot at which it started: field 22 of `/proc/<pid>/stat`.
    pub(super) start_ticks: u64,
}

/// What `/proc/<pid>/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) key: ProcessKey,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// It still runs; a zombie does not, though it has its entry.
    pub(super) alive: bool,
    /// Its first thread is on its way out. The process keeps its descriptors, ports among them, until all threads have
    /// passed this point: as long as this is false it holds them.
    pub(super) exiting: bool,
}

/// `PF_EXITING` among the flags of a thread: set before the kernel closes anything.
const EXITING: u32 = 0x4;

impl Stat {
    /// Reads one process. `None`: there is no such process.
    pub(super) fn read(pid: i32) -> io::Result<Option<Self>> {
        match fs::read(format!("/proc/{pid}/stat")) {
            Ok(text) => Self::parse(pid, &text)
                .map(Some)
                .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not in the known form"))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The command name is in parentheses and may hold anything, parentheses included: fields count from the last one.
    fn parse(pid: i32, text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(&text[end + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // While the first thread of a process has ended and others run, its state is a zombie's as well.
        let threads: u32 = fields.get(17)?.parse().ok()?;
        let alive = match *fields.first()? {
            "Z" => threads > 1,
            state => !matches!(state, "X" | "x"),
        };
        Some(Self {
            key: ProcessKey {
                pid,
                start_ticks: fields.get(19)?.parse().ok()?,
            },
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            alive,
            exiting: fields.get(6)?.parse::<u32>().ok()? & EXITING != 0,
        })
    }
}

/// The process ended between two looks at it.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

impl ProcessKey {
    /// Does exactly this process run?
    pub(super) fn is_alive(self) -> io::Result<bool> {
        Ok(Stat::read(self.pid)?.is_some_and(|stat| stat.key == self && stat.alive))
    }

    /// Does this process run at this moment, all its descriptors open? Exact to the instant, where the news of an end
    /// takes a while.
    pub(super) fn holds_its_ports(self) -> io::Result<bool> {
        Ok(Stat::read(self.pid)?.is_some_and(|stat| stat.key == self && stat.alive && !stat.exiting))
    }
}

/// A process held by a descriptor, which no other process can slip under.
#[derive(Debug)]
pub(super) struct ProcessHandle {
    pub(super) key: ProcessKey,
    fd: OwnedFd,
}

impl ProcessHandle {
    /// Holds a process that runs or waits to be reaped. `None`: gone, the pid may be another's by now.
    pub(super) fn open(key: ProcessKey) -> io::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(key.pid) else {
            return Ok(None);
        };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            // EINVAL: the number is now a thread's.
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at after opening: if the start time is right now, the descriptor cannot be of an earlier or later one.
        Ok(Stat::read(key.pid)?
            .filter(|stat| stat.key == key)
            .map(|_| Self { key, fd }))
    }

    /// Holds a child that was just spawned and not yet reaped, whose pid therefore cannot be another's.
    pub(super) fn of_child(child: &std::process::Child) -> io::Result<Self> {
        let pid = Pid::from_child(child);
        let fd = pidfd_open(pid, PidfdFlags::empty())?;
        let stat = Stat::read(pid.as_raw_pid())?.ok_or_else(|| io::Error::other("a child without a /proc entry"))?;
        Ok(Self { key: stat.key, fd })
    }

    /// Sends a signal; a process that ended meanwhile is success.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Becomes readable when the process ends. Needs a Tokio runtime.
    #[expect(
        deprecated,
        reason = "the successor is `unsafe` and asks for exactly what `OwnedFd` guarantees"
    )]
    pub(super) fn into_async(self) -> io::Result<AsyncFd<OwnedFd>> {
        AsyncFd::with_interest(self.fd, Interest::READABLE)
    }
}

/// Takes the exit status of a child, so that it does not stay a zombie. `None` for an adopted process: its status went
/// to another parent.
pub(super) fn reap(process: &OwnedFd) -> Option<WaitIdStatus> {
    match waitid(
        WaitId::PidFd(process.as_fd()),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    ) {
        Ok(status) => status,
        Err(Errno::CHILD) => None,
        Err(error) => {
            tracing::warn!(%error, "an exit status could not be read");
            None
        }
    }
}

/// Identifies this boot of the machine.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_command_name_shifts_no_field() {
        let text = b"42 (a) R 1 2 (x) ) S 7 8 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2 3";
        let stat = Stat::parse(42, text).unwrap();
        assert_eq!(
            stat.key,
            ProcessKey {
                pid: 42,
                start_ticks: 12345
            }
        );
        assert_eq!((stat.parent, stat.group, stat.session), (7, 8, 9));
        assert!(stat.alive && !stat.exiting);
        let exiting = String::from_utf8(text.to_vec()).unwrap().replace("4194560", "4194564");
        assert!(Stat::parse(42, exiting.as_bytes()).unwrap().exiting);
        for (state, threads, alive) in [("Z", 1, false), ("Z", 2, true), ("X", 0, false), ("T", 1, true)] {
            let text = format!("42 (a) {state} 7 8 9 0 -1 4 1 0 0 0 0 0 0 0 20 0 {threads} 0 1 1");
            assert_eq!(Stat::parse(42, text.as_bytes()).unwrap().alive, alive, "{text}");
        }
        assert_eq!(Stat::parse(42, b"42 (a) S 7"), None);
    }

    #[test]
    fn another_start_time_is_another_process() {
        // D19
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = Stat::read(pid).unwrap().unwrap().key;
        assert!(own.is_alive().unwrap());
        assert!(ProcessHandle::open(own).unwrap().is_some());
        let recycled = ProcessKey {
            start_ticks: own.start_ticks + 1,
            ..own
        };
        assert!(!recycled.is_alive().unwrap());
        assert!(ProcessHandle::open(recycled).unwrap().is_none());
        assert!(
            ProcessHandle::open(ProcessKey { pid: 0, start_ticks: 0 })
                .unwrap()
                .is_none()
        );
    }
}
