//! Which system calls an agent may make, by seccomp: what Landlock of this kernel does not judge (D32).
//!
//! A list of what is refused, not of what is allowed: agents run whatever their user could, and the filter must not
//! decide which programs work. It holds what reaches beyond the agent: sockets of other programs, limits and
//! scheduling of other processes, keys of the user, and the ways around a filter.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition as When,
    SeccompFilter, SeccompRule, sock_filter,
};

/// Numbers from here on are those of the x32 interface, which a kernel for x86-64 may have beside its own.
const FOREIGN_NUMBERS: u32 = 0x4000_0000;
/// `which` of `setpriority` that means all processes of a user.
const PRIO_USER: u64 = 2;
/// The same of `ioprio_set`.
const IOPRIO_WHO_USER: u64 = 3;
/// The kind in the second argument of `socketpair`, without its flags.
const SOCKET_KIND: u64 = 0xf;

/// The filter was refused.
#[derive(Debug, thiserror::Error)]
pub enum CallsError {
    /// No filters are written for this processor.
    #[error("system calls cannot be filtered on this processor")]
    Architecture(#[source] BackendError),
    /// The filter is not valid.
    #[error("the filter of system calls could not be made")]
    Filter(#[source] BackendError),
    /// The kernel did not take it.
    #[error("the kernel did not take the filter of system calls")]
    Kernel(#[source] seccompiler::Error),
}

/// Refuses the calls to the calling thread and what it starts.
pub(super) fn restrict(refuse_unix_sockets: bool) -> Result<(), CallsError> {
    seccompiler::apply_filter(&filter(beyond_itself().map_err(CallsError::Filter)?, libc::EPERM)?)
        .map_err(CallsError::Kernel)?;
    if refuse_unix_sockets {
        let sockets = unix_sockets().map_err(CallsError::Filter)?;
        seccompiler::apply_filter(&filter(sockets, libc::EAFNOSUPPORT)?).map_err(CallsError::Kernel)?;
    }
    Ok(())
}

/// Rules by the number of the call: no rule refuses it whatever its arguments, else any of them does.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// A program of another interface than the processor's own ends at its first call: its numbers mean other calls.
fn filter(rules: Rules, errno: i32) -> Result<BpfProgram, CallsError> {
    let architecture = std::env::consts::ARCH.try_into().map_err(CallsError::Architecture)?;
    let refused = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture).map_err(CallsError::Filter)?;
    let mut program = foreign_numbers();
    program.extend(BpfProgram::try_from(filter).map_err(CallsError::Filter)?);
    Ok(program)
}

/// `if number >= FOREIGN_NUMBERS { return ENOSYS }`
fn foreign_numbers() -> BpfProgram {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        instruction(LOAD_WORD, 0, 0, 0),
        instruction(JUMP_IF_AT_LEAST, 0, 1, FOREIGN_NUMBERS),
        instruction(RETURN, 0, 0, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()).into()),
    ]
}

/// Sockets that have or can reach a name. Connected pairs stay, but for datagrams: those can be sent elsewhere.
fn unix_sockets() -> Result<Rules, BackendError> {
    let unix = libc::AF_UNIX.unsigned_abs().into();
    let datagram = libc::SOCK_DGRAM.unsigned_abs().into();
    Ok(BTreeMap::from([
        (libc::SYS_socket, vec![rule([word(0, Is::Eq, unix)?])?]),
        (
            libc::SYS_socketpair,
            vec![rule([
                word(0, Is::Eq, unix)?,
                word(1, Is::MaskedEq(SOCKET_KIND), datagram)?,
            ])?],
        ),
    ]))
}

fn beyond_itself() -> Result<Rules, BackendError> {
    let mut rules = BTreeMap::new();
    // Does what it is told behind the back of the filter.
    for call in [
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
    ] {
        rules.insert(call, Vec::new());
    }
    // Keyrings belong to the user, not to the process.
    for call in [libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl] {
        rules.insert(call, Vec::new());
    }
    // 0 is the caller. Its own number would do no harm, but a filter cannot know it.
    let of_another = || rule([word(0, Is::Ne, 0)?]);
    for call in [
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
        libc::SYS_migrate_pages,
        libc::SYS_move_pages,
    ] {
        rules.insert(call, vec![of_another()?]);
    }
    for (call, user) in [
        (libc::SYS_setpriority, PRIO_USER),
        (libc::SYS_ioprio_set, IOPRIO_WHO_USER),
    ] {
        let of_the_user = rule([word(0, Is::Eq, user)?])?;
        rules.insert(call, vec![rule([word(1, Is::Ne, 0)?])?, of_the_user]);
    }
    // Reading another's limits is no harm: only a call with new ones is refused.
    let set_of_another = rule([word(0, Is::Ne, 0)?, When::new(2, Width::Qword, Is::Ne, 0)?])?;
    rules.insert(libc::SYS_prlimit64, vec![set_of_another]);
    // Typing into a terminal, and pasting into a console.
    let typing = [libc::TIOCSTI, libc::TIOCLINUX].map(|request| rule([word(1, Is::Eq, request)?]));
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    Ok(rules)
}

fn rule<const N: usize>(conditions: [When; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into())
}

/// On the lower half of an argument, which is all that the kernel looks at where the argument is an `int`.
fn word(argument: u8, is: Is, value: u64) -> Result<When, BackendError> {
    When::new(argument, Width::Dword, is, value)
}
