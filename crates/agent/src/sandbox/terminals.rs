//! Pseudo-terminals of the agent's own, for programs that need one (D32).
//!
//! Those of this machine belong to people who may type an admin's password there. Where the system lets an ordinary
//! user have a user and a mount namespace, an agent can get a `/dev/pts` in which there is nobody else.

use std::{fs, io};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change},
    process::{getgid, getuid},
    thread::{CapabilitySet, CapabilitySets, UnshareFlags, set_capabilities},
};

/// Puts the process into namespaces with a `/dev/pts` of its own. Must be called while it has one thread, and before
/// Landlock, which denies mounts.
///
/// # Errors
/// The system does not allow it. The process may be in namespaces of its own by then, which changes nothing for it.
pub(super) fn make_private() -> io::Result<()> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    let made = map(uid, gid).and_then(|()| mount_own());
    // Whatever came of it: the rights were for the mounts only.
    let none = CapabilitySet::empty();
    let dropped = set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    );
    made.and(dropped.map_err(io::Error::from))
}

#[expect(
    deprecated,
    reason = "the successor is `unsafe` because of descriptors that threads share; these flags leave them shared"
)]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

/// The user stays who it is.
fn map(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn mount_own() -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount(
        "devpts",
        "/dev/pts",
        "devpts",
        flags,
        c"newinstance,ptmxmode=0666,mode=0600",
    )?;
    // Where it is a link to pts/ptmx this changes nothing.
    Ok(mount_bind("/dev/pts/ptmx", "/dev/ptmx")?)
}
