//! What an agent's process does between being made and becoming the agent's program.

use std::{fs::File, io, os::unix::process::CommandExt, process::Command};

use rustix::fs::{Mode, OFlags};

/// How far agents stand back for the server: it must answer while they compute.
const NICE: i32 = 5;
/// How much rather the kernel ends an agent than the server when memory is short.
const OOM_SCORE: &[u8] = b"200";

/// Gives the process a session of its own, and with it a group: an agent that kept the operator's terminal could type
/// into it and read what is typed there (D32).
pub fn in_own_session(command: &mut Command) {
    before_exec(command, || {
        rustix::process::setsid()?;
        Ok(())
    });
}

/// Puts the process behind the server in every queue, and into control groups, given by their opened lists of
/// processes.
pub(super) fn behind_the_server(command: &mut Command, groups: Vec<File>) {
    before_exec(command, move || {
        for group in &groups {
            rustix::io::write(group, b"0")?;
        }
        rustix::process::nice(NICE)?;
        let file = rustix::fs::open(c"/proc/self/oom_score_adj", OFlags::WRONLY, Mode::empty())?;
        rustix::io::write(file, OOM_SCORE)?;
        Ok(())
    });
}

fn before_exec(command: &mut Command, act: impl FnMut() -> io::Result<()> + Send + Sync + 'static) {
    #[expect(unsafe_code, reason = "std has no safe way to do these")]
    // SAFETY: the callers are the two functions above. Between `fork` and `exec` they only make system calls, whose
    // errors carry a number: nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(act);
    }
}
