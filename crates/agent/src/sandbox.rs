//! Confinement of the agent and everything it starts (D18, D32): files, signals and sockets by Landlock, what that does
//! not judge by seccomp, and terminals of its own where it is allowed some.
//!
//! It restricts only the calling thread and what that thread starts later, so it must be applied before any other
//! thread exists. A session without the operator's terminal is the backend's to give, as the agent cannot make one for
//! itself once it leads a group.

mod calls;
mod files;
mod terminals;
pub mod trial;

use std::path::PathBuf;

use molecule_core::contract::{Allowance, Sandbox, env};

pub use self::{
    calls::CallsError,
    files::{holds_system, judges_unix_sockets},
};
use crate::env::{Settings, Vars};

/// What the operator decided for this agent, beside the mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What no readable tree may contain: the data directory, configuration files, the database.
    pub withheld: Vec<PathBuf>,
    /// Unix sockets of other programs stay open.
    pub unix_sockets: bool,
    /// It gets pseudo-terminals of its own.
    pub terminals: bool,
}

impl Policy {
    fn from_vars(vars: &Vars) -> Result<Self, SandboxError> {
        let withheld = match vars.get(env::SANDBOX_WITHHELD) {
            Some(text) => serde_json::from_str(text).map_err(|_| SandboxError::Unreadable(env::SANDBOX_WITHHELD))?,
            None => Vec::new(),
        };
        let allowed = Allowance::parse_list(vars.get(env::SANDBOX_ALLOW).unwrap_or_default())
            .ok_or(SandboxError::Unreadable(env::SANDBOX_ALLOW))?;
        Ok(Self {
            withheld,
            unix_sockets: allowed.contains(&Allowance::UnixSockets),
            terminals: allowed.contains(&Allowance::Terminals),
        })
    }
}

/// How much of something the kernel does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// Every rule is in force.
    Full,
    /// The kernel knows only some of the rules.
    Partial,
    /// The kernel has none of it.
    Missing,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Rules on files, signals and abstract sockets, by Landlock.
    pub files: Enforcement,
    /// Why system calls are not filtered, if they are not.
    pub calls: Result<(), String>,
    /// Terminals of its own: none asked for, there, or why not.
    pub terminals: Option<Result<(), String>>,
}

/// Confinement was demanded and is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel lacks it.
    #[error("MOLECULE_SANDBOX=required, but this kernel does not offer Landlock")]
    Unavailable,
    /// The kernel refused the rules.
    #[error("the sandbox could not be set up")]
    Refused(#[from] landlock::RulesetError),
    /// System calls cannot be filtered.
    #[error("MOLECULE_SANDBOX=required, but system calls cannot be filtered")]
    Calls(#[from] CallsError),
    /// What the backend handed over cannot be understood.
    #[error("{0} cannot be understood")]
    Unreadable(&'static str),
}

/// Confines the calling thread and its future children. `None`: switched off by the operator.
///
/// # Errors
/// Only in mode `required`, but for what the backend handed over and cannot be understood.
pub fn apply(settings: &Settings) -> Result<Option<Confinement>, SandboxError> {
    if settings.sandbox == Sandbox::Off {
        return Ok(None);
    }
    let required = settings.sandbox == Sandbox::Required;
    let mut policy = Policy::from_vars(&settings.vars)?;
    let terminals = policy
        .terminals
        .then(|| terminals::make_private().map_err(|error| error.to_string()));
    // Without its own, those of the machine must stay closed.
    policy.terminals = matches!(terminals, Some(Ok(())));
    let files = match files::restrict(settings, &policy) {
        Ok(Enforcement::Missing) if required => return Err(SandboxError::Unavailable),
        Ok(files) => files,
        Err(error) if required => return Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "the kernel refused the sandbox");
            Enforcement::Missing
        }
    };
    let calls = match calls::restrict(!policy.unix_sockets && !judges_unix_sockets()) {
        Err(error) if required => return Err(error.into()),
        outcome => outcome.map_err(|error| describe(&error)),
    };
    Ok(Some(Confinement {
        files,
        calls,
        terminals,
    }))
}

fn describe(error: &dyn std::error::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Says plainly what the outcome means.
pub fn announce(confinement: Option<&Confinement>) {
    let Some(confinement) = confinement else {
        tracing::warn!("sandbox: switched off; the agent and its commands are not confined");
        return;
    };
    match confinement.files {
        Enforcement::Full => tracing::info!("sandbox: in force"),
        Enforcement::Partial => {
            tracing::warn!("sandbox: in force with the rules this kernel knows; newer ones are missing");
        }
        Enforcement::Missing => tracing::warn!(
            "sandbox: this kernel has no Landlock; the agent and its commands can read whatever this user can, the \
             platform's admin token included"
        ),
    }
    if let Err(reason) = &confinement.calls {
        tracing::warn!(
            reason,
            "sandbox: other programs' sockets, limits and priorities are open to the agent"
        );
    }
    if let Some(Err(reason)) = &confinement.terminals {
        tracing::warn!(
            reason,
            "sandbox: the system gives no terminals of its own to the agent; it has none"
        );
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn settings(pairs: &[(&str, &str)]) -> Settings {
        let base = [
            ("WORKSPACE_ID", "6fa459ea-ee8a-4ca4-894e-db77e160355e"),
            ("CONFIGS_DIR", "/data/workspaces/w/configs"),
            ("MOLECULE_STATE_DIR", "/data/workspaces/w/state"),
        ];
        let vars: Vars = base
            .iter()
            .chain(pairs)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_vars(vars).unwrap()
    }

    #[test]
    fn off_is_off() {
        assert_eq!(apply(&settings(&[("MOLECULE_SANDBOX", "off")])).unwrap(), None);
    }

    #[test]
    fn what_the_backend_decided_is_read_or_refused() {
        // D32
        let policy = |pairs| Policy::from_vars(&settings(pairs).vars);
        assert_eq!(policy(&[]).unwrap(), Policy::default());
        let given = policy(&[
            ("MOLECULE_SANDBOX_WITHHELD", r#"["/opt/a:b","/etc/m.toml"]"#),
            ("MOLECULE_SANDBOX_ALLOW", "unix-sockets,terminals"),
        ]);
        let expected = Policy {
            withheld: vec!["/opt/a:b".into(), "/etc/m.toml".into()],
            unix_sockets: true,
            terminals: true,
        };
        assert_eq!(given.unwrap(), expected);
        for bad in [
            ("MOLECULE_SANDBOX_WITHHELD", "/opt"),
            ("MOLECULE_SANDBOX_ALLOW", "everything"),
        ] {
            assert!(apply(&settings(&[bad])).is_err(), "{bad:?}");
        }
    }

    /// The test process must not confine itself: a thread of its own is enough, Landlock and seccomp bind threads.
    #[test]
    fn required_is_there_or_refused() {
        // D18
        let outcome =
            std::thread::spawn(|| apply(&settings(&[("MOLECULE_SANDBOX", "required")])).map_err(|e| e.to_string()))
                .join()
                .unwrap();
        match outcome {
            Ok(confinement) => {
                let confinement = confinement.unwrap();
                assert_ne!(confinement.files, Enforcement::Missing);
                assert_eq!(confinement.calls, Ok(()));
            }
            Err(reason) => assert!(reason.contains("required") || reason.contains("sandbox"), "{reason}"),
        }
    }
}
