//! What an agent's process does between being made and becoming the agent's program.

use std::{io, os::unix::process::CommandExt, process::Command};

/// Gives the process a session of its own, and with it a group: an agent that kept the operator's terminal could type
/// into it and read what is typed there (D32).
pub fn in_own_session(command: &mut Command) {
    let prepare = || {
        rustix::process::setsid()?;
        io::Result::Ok(())
    };
    #[expect(unsafe_code, reason = "there is no safe way into a new session")]
    // SAFETY: between `fork` and `exec` only system calls are made; nothing is allocated and no lock is taken.
    unsafe {
        command.pre_exec(prepare);
    }
}
